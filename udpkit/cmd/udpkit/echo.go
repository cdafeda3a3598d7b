package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

func echoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "echo",
		Short: "Return what comes, or send lines and show what comes back",
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("choose one of the commands server and client")}
		},
	}
	cmd.AddCommand(echoServerCommand(), echoClientCommand())
	return cmd
}

func echoServerCommand() *cobra.Command {
	var (
		at     address
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Return each datagram to where it came from",
		RunE: func(cmd *cobra.Command, _ []string) error {
			show := newEchoOutput(cmd.Context(), asJSON, "message")
			listen, err := at.listen()
			if err != nil {
				return err
			}
			server, err := echo.NewServer(echo.ServerConfig{Listen: listen, OnEvent: show.event})
			if err != nil {
				return err
			}
			show.start(fmt.Sprintf("Server listening on %v. Ctrl-C ends it.", server.Addr()), server.Addr(), "")
			return show.run(cmd.Context(), server)
		},
	}
	at.ofListener(cmd, "UDP", "127.0.0.1", echo.DefaultPort)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func responderCommand() *cobra.Command {
	var (
		cfg    echo.ResponderConfig
		at     address
		mode   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "responder",
		Short: `Answer each datagram with "` + echo.Acknowledgement + `", one at a time or concurrently`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Mode, err = echo.ParseMode(mode); err != nil {
				return err
			}
			if cfg.Listen, err = at.listen(); err != nil {
				return err
			}
			show := newEchoOutput(cmd.Context(), asJSON, "data")
			cfg.OnEvent = show.event
			responder, err := echo.NewResponder(cfg)
			if err != nil {
				return err
			}
			show.start(fmt.Sprintf("Server started, listening on %v, %s. Ctrl-C ends it.", responder.Addr(), cfg.Mode), responder.Addr(), cfg.Mode)
			return show.run(cmd.Context(), responder)
		},
	}
	at.ofListener(cmd, "UDP", "127.0.0.1", echo.DefaultResponderPort)
	flags := cmd.Flags()
	flags.StringVar(&mode, "mode", string(echo.Concurrent), "`how` to work: sequential (one datagram at a time), concurrent")
	flags.IntVar(&cfg.Workers, "workers", echo.DefaultWorkers, "how many datagrams are worked on at once, if concurrent")
	flags.IntVar(&cfg.Queue, "queue", echo.DefaultQueue, "how many more may wait, if concurrent")
	flags.DurationVar(&cfg.Work, "work", 0, "how long each datagram takes (0: no time)")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	modes := make([]string, len(echo.Modes()))
	for i, m := range echo.Modes() {
		modes[i] = string(m)
	}
	_ = cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions(modes, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func echoClientCommand() *cobra.Command {
	var (
		cfg    echo.ClientConfig
		at     address
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Send each line that you type and show what comes back; exit ends it",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Server, err = at.resolve(cmd.Context()); err != nil {
				return err
			}
			client, err := echo.NewClient(cfg)
			if err != nil {
				return err
			}
			defer client.Close()
			show := newEchoOutput(cmd.Context(), asJSON, "message")
			prompt := ""
			if !asJSON && term.IsTerminal(int(os.Stdin.Fd())) {
				prompt = "Enter message to send to server (type 'exit' to quit): "
			}
			fmt.Fprint(show.out, prompt)
			err = client.Lines(cmd.Context(), os.Stdin, func(line string, r echo.Reply, err error) error {
				show.reply("Received echoed message: ", cfg.Server, line, r, err)
				fmt.Fprint(show.out, prompt)
				return show.failure()
			})
			if prompt != "" && cmd.Context().Err() != nil {
				fmt.Fprintln(show.out)
			}
			s := client.Stats()
			show.summary(fmt.Sprintf("Ended: %d sent, %d answered (%d of them altered), %d without a reply in time, %d failed",
				s.Sent, s.Answered, s.Altered, s.TimedOut, s.Errors), s)
			if err := errors.Join(err, show.failure()); err != nil {
				return err
			}
			if s.Answered == 0 && s.TimedOut+s.Errors > 0 {
				return errors.New("not a single line was answered")
			}
			return nil
		},
	}
	at.ofServer(cmd, "UDP", echo.DefaultPort)
	cmd.Flags().DurationVar(&cfg.Timeout, "timeout", echo.DefaultTimeout, "how long to wait for each reply")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func sendCommand() *cobra.Command {
	var (
		timeout time.Duration
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:   "send HOST:PORT TEXT",
		Short: "Send one datagram and print the reply",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{errors.New("two arguments are needed: where to send, HOST:PORT, and the text")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, _, err := net.SplitHostPort(args[0]); err != nil {
				return usageError{fmt.Errorf("%q is not HOST:PORT", args[0])}
			}
			to, err := address{host: args[0]}.resolve(cmd.Context())
			if err != nil {
				return err
			}
			r, err := echo.Send(cmd.Context(), to, []byte(args[1]), timeout)
			if err != nil {
				if cmd.Context().Err() != nil {
					return errors.New("interrupted before a reply came")
				}
				return err
			}
			show := newEchoOutput(cmd.Context(), asJSON, "")
			show.reply("", to, args[1], r, nil)
			return show.failure()
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", echo.DefaultTimeout, "how long to wait for the reply")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// echoOutput shows on standard output what happens, as text or as JSON lines. It
// keeps the first error.
type echoOutput struct {
	out  io.Writer
	json *json.Encoder // nil for text
	noun string        // what a server calls what it gets
	stop func()        // ends a server that nobody can follow any more
	err  error
}

func newEchoOutput(ctx context.Context, asJSON bool, noun string) *echoOutput {
	o := &echoOutput{out: panel.Output(ctx, 0, os.Stdout), noun: noun}
	if asJSON {
		o.json = json.NewEncoder(o.out)
	}
	return o
}

func (o *echoOutput) failure() error {
	if o.err != nil {
		return fmt.Errorf("cannot show what happens: %w", o.err)
	}
	return nil
}

func (o *echoOutput) print(text string, object any) {
	var err error
	if o.json != nil {
		err = o.json.Encode(object)
	} else {
		_, err = fmt.Fprintln(o.out, text)
	}
	if o.err = cmp.Or(o.err, err); o.err != nil && o.stop != nil {
		o.stop()
	}
}

// shown returns the beginning of a payload so that it can be displayed.
func shown(payload []byte) string {
	const most = 1024 // what the original programs read
	if len(payload) <= most {
		return panel.Printable(string(payload))
	}
	return fmt.Sprintf("%s... (%d bytes)", panel.Printable(string(payload[:most])), len(payload))
}

// content is a payload in JSON: text if it is UTF-8, else base64, so that
// nothing is changed in silence.
type content struct {
	Text   *string `json:"text,omitempty"`
	Base64 []byte  `json:"base64,omitempty"`
}

func contentOf(payload []byte) content {
	if !utf8.Valid(payload) {
		return content{Base64: payload}
	}
	text := string(payload)
	return content{Text: &text}
}

func (o *echoOutput) start(text string, listen netip.AddrPort, mode echo.Mode) {
	o.print(text, struct {
		Event  string         `json:"event"`
		Listen netip.AddrPort `json:"listen"`
		Mode   echo.Mode      `json:"mode,omitempty"`
	}{"start", listen, mode})
}

// event shows what a server reports. That it has answered is not worth a line of
// text, as the original programs have none.
func (o *echoOutput) event(e echo.Event) {
	if e.Kind == echo.Answered && o.json == nil {
		return
	}
	text, reason := "", ""
	if e.Err != nil {
		reason = e.Err.Error()
	}
	switch e.Kind {
	case echo.Received:
		text = fmt.Sprintf("Received %s from %v: %s", o.noun, e.Peer, shown(e.Payload))
	case echo.Refused:
		text = fmt.Sprintf("Refused %s from %v: %s", o.noun, e.Peer, reason)
	case echo.Dropped:
		text = fmt.Sprintf("Dropped %s from %v: too many at once, or the server is ending", o.noun, e.Peer)
	case echo.Failed:
		text = "Failed: " + panel.Printable(reason)
	case echo.Recovered:
		text = "Recovered: " + panel.Printable(reason)
	}
	o.print(text, struct {
		echo.Event
		content
		Error string `json:"error,omitempty"`
	}{e, contentOf(e.Payload), reason})
}

// reply shows what became of a line, below prefix.
func (o *echoOutput) reply(prefix string, peer netip.AddrPort, line string, r echo.Reply, err error) {
	object := struct {
		Event string         `json:"event"`
		Peer  netip.AddrPort `json:"peer"`
		Line  content        `json:"sent"`
		RTT   time.Duration  `json:"rtt_ns,omitempty"`
		Reply *content       `json:"reply,omitempty"`
		Error string         `json:"error,omitempty"`
	}{"reply", peer, contentOf([]byte(line)), r.RTT, nil, ""}
	text := ""
	if err != nil {
		object.Event, object.Error = "error", err.Error()
		text = "Failed: " + panel.Printable(object.Error)
	} else {
		reply := contentOf(r.Payload)
		object.Reply = &reply
		text = prefix + shown(r.Payload)
		if prefix != "" && line != string(r.Payload) {
			text += fmt.Sprintf("  (not what was sent: %d of %d bytes)", len(r.Payload), len(line))
		}
	}
	o.print(text, object)
}

// summary shows statistics, an object of JSON.
func (o *echoOutput) summary(text string, stats any) {
	fields, err := json.Marshal(stats)
	if err != nil { // cannot be
		o.err = cmp.Or(o.err, err)
		return
	}
	o.print(text, json.RawMessage(fmt.Appendf(nil, `{"event":"summary",%s`, fields[1:])))
}

// run runs a server to its end and closes it.
func (o *echoOutput) run(ctx context.Context, s interface {
	Run(context.Context) error
	Stats() echo.ServerStats
	Close() error
}) error {
	ctx, o.stop = context.WithCancel(ctx)
	defer o.stop()
	err := s.Run(ctx)
	c := s.Stats()
	o.summary(fmt.Sprintf("Ended: %d received, %d answered, %d refused, %d dropped, %d failed",
		c.Received, c.Answered, c.Refused, c.Dropped+c.KernelDropped, c.SendErrors+c.ReadErrors), c)
	return errors.Join(err, o.failure(), s.Close())
}
