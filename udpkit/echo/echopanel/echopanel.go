// Package echopanel shows the echo server, the responder and their clients as text or as JSON
// lines. What comes from the network is shown, never interpreted.
package echopanel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"
	"unicode/utf8"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/stage"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// ErrNoAnswer is returned by a client none of whose lines was answered.
var ErrNoAnswer = errors.New("not a single line was answered")

// Options says how a role is shown and what feeds it.
type Options struct {
	// Out gets text, or JSON. Default: os.Stdout. Nobody has to read it for the role to end, see
	// panel.Output.
	Out io.Writer
	// JSON writes JSON lines instead of text.
	JSON bool
	// Record is a file that gets what the role sends and receives, for Wireshark: see package
	// record. If it exists, the recording is beside it; its name is shown when the role ends.
	// Default: none.
	Record string
	// In has the lines that a client sends. A read that is waiting when the client ends is left
	// waiting. Default: os.Stdin.
	In io.Reader
	// Watch is called once by Server, when the socket is open, with what returns its figures up to
	// then: a echo.ServerStats. Default: none.
	Watch func(stats func() any)
}

// Server runs an echo server and shows it until ctx ends. It returns an error if the server cannot
// start or go on, and if it cannot be shown, which ends it too. The OnEvent of cfg is called as
// well.
func Server(ctx context.Context, cfg echo.ServerConfig, opt Options) error {
	s, ctx, err := open(ctx, opt, "message")
	if err != nil {
		return err
	}
	defer s.Release()
	cfg.OnEvent = stage.Chain(s.Stage, s.event, cfg.OnEvent)
	if s.Record != nil {
		cfg.Record = s.Record
	}
	server, err := echo.NewServer(cfg)
	if err != nil {
		return err
	}
	if opt.Watch != nil {
		opt.Watch(func() any { return server.Stats() })
	}
	return s.serve(ctx, server, fmt.Sprintf("Server listening on %v. Ctrl-C ends it.", server.Addr()), "")
}

// Responder is what Server is, for a responder.
func Responder(ctx context.Context, cfg echo.ResponderConfig, opt Options) error {
	s, ctx, err := open(ctx, opt, "data")
	if err != nil {
		return err
	}
	defer s.Release()
	cfg.OnEvent = stage.Chain(s.Stage, s.event, cfg.OnEvent)
	if s.Record != nil {
		cfg.Record = s.Record
	}
	responder, err := echo.NewResponder(cfg)
	if err != nil {
		return err
	}
	return s.serve(ctx, responder, fmt.Sprintf("Server started, listening on %v, %s. Ctrl-C ends it.", responder.Addr(), cfg.Mode), cfg.Mode)
}

// Client sends each line of opt.In and shows the replies, until the line exit, the end of the lines
// or that of ctx. Its errors are those of echo.NewClient and [echo.Client.Lines], ErrNoAnswer, and
// a failure to show.
func Client(ctx context.Context, cfg echo.ClientConfig, opt Options) error {
	if opt.In == nil {
		opt.In = os.Stdin
	}
	s, running, err := open(ctx, opt, "")
	if err != nil {
		return err
	}
	defer s.Release()
	if s.Record != nil {
		cfg.Record = s.Record
	}
	client, err := echo.NewClient(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	in, restore, prompt := console.Input(opt.In), func() error { return nil }, ""
	if !opt.JSON && console.IsTerminal(opt.In) {
		console.StopInBackground(opt.In)
		prompt = "Enter message to send to server (type 'exit' to quit): "
		e, err := console.NewEditor(opt.In, s.out)
		if err != nil {
			return err
		}
		if e != nil {
			e.SetPrompt(prompt)
			in, s.out, restore, prompt = console.NewLines(e), e, e.Restore, ""
		}
	}
	ask := func() {
		if _, err := io.WriteString(s.out, prompt); prompt != "" {
			s.Fail(err)
		}
	}
	ask()
	err = client.Lines(running, in, func(line string, r echo.Reply, err error) error {
		s.Fail(s.reply("Received echoed message: ", client.Server(), line, r, err))
		ask()
		return nil
	})
	err = errors.Join(err, restore())
	c := client.Stats()
	if err == nil && c.Answered == 0 && c.TimedOut+c.Errors > 0 {
		err = ErrNoAnswer
	}
	return s.finish(err, fmt.Sprintf("Ended: %d sent, %d answered (%d of them altered), %d without a reply in time, %d failed",
		c.Sent, c.Answered, c.Altered, c.TimedOut, c.Errors), c)
}

// Send sends one datagram as [echo.Send] does, and shows the reply.
func Send(ctx context.Context, to netip.AddrPort, text string, timeout time.Duration, opt Options) error {
	r, err := echo.Send(ctx, to, []byte(text), timeout)
	if err != nil {
		return err
	}
	opt.Record = ""
	s, _, err := open(ctx, opt, "")
	if err != nil {
		return err
	}
	defer s.Release()
	return s.reply("", to, text, r, nil)
}

// session is one run of a role.
type session struct {
	*stage.Stage
	out  io.Writer
	json *console.JSON // nil for text
	noun string        // what a server calls what it gets
}

func open(ctx context.Context, opt Options, noun string) (_ *session, _ context.Context, err error) {
	s := &session{out: console.NewOutput(ctx, opt.Out), noun: noun}
	if opt.JSON {
		s.json = console.NewJSON(s.out)
	}
	if s.Stage, err = stage.Open(ctx, stage.Setup{Record: opt.Record, JSON: opt.JSON}); err != nil {
		return nil, nil, err
	}
	return s, s.Context(), nil
}

// serve runs a server to its end and closes it.
func (s *session) serve(ctx context.Context, server interface {
	Run(context.Context) error
	Addr() netip.AddrPort
	Stats() echo.ServerStats
	Close() error
}, start string, mode echo.Mode) error {
	s.Fail(s.print(start, "start", struct {
		Listen netip.AddrPort `json:"listen"`
		Mode   echo.Mode      `json:"mode,omitempty"`
	}{server.Addr(), mode}))
	err := errors.Join(server.Run(ctx), server.Close())
	c := server.Stats()
	return s.finish(err, fmt.Sprintf("Ended: %d received, %d answered, %d refused, %d dropped, %d failed",
		c.Received, c.Answered, c.Refused, c.Dropped+c.KernelDropped, c.SendErrors+c.ReadErrors), c)
}

// finish shows a summary of statistics, an object of JSON, and returns all failures.
func (s *session) finish(err error, text string, stats any) error {
	return s.Finish(err, "", func(string) error {
		if recorded := s.Recorded(); recorded != "" {
			text += "; " + recorded
		}
		return s.print(text, "summary", stats)
	})
}

// record is an event of JSON.
type record struct {
	kind   string
	fields any // an object
}

func (r record) Kind() string { return r.kind }

// MarshalJSON returns the fields.
func (r record) MarshalJSON() ([]byte, error) { return json.Marshal(r.fields) }

// print shows a line, or the same as JSON.
func (s *session) print(text, kind string, fields any) error {
	if s.json != nil {
		return s.json.Event(record{kind, fields})
	}
	return console.Print(s.out, text)
}

// shown returns the beginning of a payload so that it can be displayed.
func shown(payload []byte) string {
	const most = 1024 // what the original programs read
	if len(payload) <= most {
		return panel.Printable(string(payload))
	}
	return fmt.Sprintf("%s... (%d bytes)", panel.Printable(string(payload[:most])), len(payload))
}

// content is a payload in JSON: text if it is UTF-8, else base64, so that nothing is changed in
// silence.
type content struct {
	Text   *string `json:"text,omitempty"`
	Base64 []byte  `json:"base64,omitempty"`
}

func contentOf(payload []byte) content {
	if payload == nil {
		return content{} // the event is not about one datagram
	}
	if !utf8.Valid(payload) {
		return content{Base64: payload}
	}
	text := string(payload)
	return content{Text: &text}
}

// event shows what a server reports. That it has answered is not worth a line of text, as the
// original programs have none.
func (s *session) event(e echo.Event) error {
	if e.Kind == echo.Answered && s.json == nil {
		return nil
	}
	text, reason := "", ""
	if e.Err != nil {
		reason = format.Reason(e.Err)
	}
	switch e.Kind {
	case echo.Received:
		text = fmt.Sprintf("Received %s from %v: %s", s.noun, e.Peer, shown(e.Payload))
	case echo.Refused:
		text = "R" + format.RefusedLine(e.Peer, reason, e.Count)[1:]
	case echo.Dropped:
		text = fmt.Sprintf("Dropped %s from %v: too many at once, or the server is ending", s.noun, e.Peer)
	case echo.Failed:
		text = "Failed: " + panel.Printable(reason)
	case echo.Recovered:
		text = "Recovered: " + panel.Printable(reason)
	}
	return s.print(text, string(e.Kind), struct {
		At   time.Time      `json:"at"`
		Peer netip.AddrPort `json:"peer,omitzero"`
		Took time.Duration  `json:"took_ns,omitempty"`
		content
		Count uint64 `json:"count,omitempty"`
		Error string `json:"error,omitempty"`
	}{e.At, e.Peer, e.Took, contentOf(e.Payload), e.Count, reason})
}

// reply shows what became of a line, behind prefix.
func (s *session) reply(prefix string, peer netip.AddrPort, line string, r echo.Reply, err error) error {
	object := struct {
		Peer  netip.AddrPort `json:"peer"`
		Line  content        `json:"sent"`
		RTT   time.Duration  `json:"rtt_ns,omitempty"`
		Reply *content       `json:"reply,omitempty"`
		Error string         `json:"error,omitempty"`
	}{peer, contentOf([]byte(line)), r.RTT, nil, ""}
	if err != nil {
		object.Error = format.Reason(err)
		return s.print("Failed: "+panel.Printable(object.Error), "error", object)
	}
	reply := contentOf(r.Payload)
	object.Reply = &reply
	text := prefix + shown(r.Payload)
	if prefix != "" && line != string(r.Payload) {
		text += fmt.Sprintf("  (not what was sent: %d of %d bytes)", len(r.Payload), len(line))
	}
	return s.print(text, "reply", object)
}
