package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel/hub"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store"
)

func relayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "Messages from writers to readers over UDP, stored in between: nothing is lost",
		Long: "Messages from writers to readers over UDP, through a server that stores them: every reader gets each of\n" +
			"them once and in the same order, whoever starts first, and whoever is away for a while.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(relayServerCommand(), relayReaderCommand(), relayWriterCommand(), relayJoinCommand())
	for _, c := range cmd.Commands() {
		c.Args = noArguments
	}
	return cmd
}

func relayServerCommand() *cobra.Command {
	var (
		log     store.Config
		opt     hub.Options
		address string
		sync    string
		port    uint16
	)
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Store what writers write, and deliver it to readers",
		Long: "Store what writers write, and deliver it to readers. The log is in a directory of this machine, which belongs to one\n" +
			"server at a time, or in a NATS cluster with JetStream, where any number of servers share it. Streams of others in the\n" +
			"cluster are left alone: if they have the log's name the server ends, and --stream gives it another.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			addr, err := netip.ParseAddr(address)
			if err != nil {
				return usageError{fmt.Errorf("--address %q is not an IP address of this machine", address)}
			}
			if log.MaxMessages <= 0 {
				return usageError{fmt.Errorf("--retain-messages %d: the log must keep a message", log.MaxMessages)}
			}
			if log.Name == "" {
				return usageError{errors.New("--stream needs a name")}
			}
			log.Sync = store.Sync(sync)
			if len(log.URLs) > 0 {
				opt.Place = "NATS"
			} else if log.Dir == "" {
				if log.Dir, err = defaultData(port); err != nil {
					return err
				}
			}
			if log.Dir != "" {
				opt.Place = log.Dir
			}
			cfg := relay.ServerConfig{Listen: netip.AddrPortFrom(addr, port)}
			return runHub(cmd.Context(), opt, func(ctx context.Context, opt hub.Options) error { return serveRelay(ctx, log, cfg, opt) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&address, "address", "0.0.0.0", "`IP` address to listen on; 0.0.0.0 for all of this machine, :: for those of IPv6 too")
	flags.StringVar(&log.Dir, "data", "", "`directory` of the log (default udpkit/relay-PORT where the user's programs keep data, such as ~/.local/share)")
	flags.StringSliceVar(&log.URLs, "nats", nil, "keep the log in the NATS cluster with these `URLs` instead")
	flags.StringVar(&log.Name, "stream", store.DefaultName, "`name` of the log, which is kept in the NATS streams NAME, NAME-clients and NAME-names")
	flags.Int64Var(&log.MaxMessages, "retain-messages", store.DefaultMaxMessages, "keep the newest `N` messages")
	flags.DurationVar(&log.MaxAge, "retain-age", 0, "keep messages for this time, at least 1s (0: no limit)")
	flags.StringVar(&sync, "sync", "", "`when` a message counts as stored: always, when it is on the disk, or periodic, which is\nfaster, and loses a second if the machine loses its power (default always)")
	addRelayFlags(cmd, &port, &opt)
	_ = cmd.RegisterFlagCompletionFunc("sync", cobra.FixedCompletions([]string{string(store.SyncAlways), string(store.SyncPeriodic)}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// serveRelay opens the log and runs a server with it.
func serveRelay(ctx context.Context, log store.Config, cfg relay.ServerConfig, opt hub.Options) error {
	opened, err := store.Open(ctx, log)
	if errors.Is(err, store.ErrForeign) {
		return fmt.Errorf("%w with --stream NAME", err)
	}
	if err != nil {
		return err
	}
	cfg.Log = opened
	err = hub.Server(ctx, cfg, opt)
	return errors.Join(err, opened.Close())
}

// defaultData returns where the log of a port's server is: where programs keep what
// the user would miss.
func defaultData(port uint16) (string, error) {
	dir, home := os.Getenv("XDG_DATA_HOME"), []string{".local", "share"}
	switch runtime.GOOS {
	case "windows":
		dir = os.Getenv("LocalAppData")
	case "darwin", "ios":
		dir, home = "", []string{"Library", "Application Support"}
	}
	if !filepath.IsAbs(dir) { // the XDG specification has relative ones ignored
		user, err := os.UserHomeDir()
		if err != nil {
			return "", usageError{fmt.Errorf("where to keep the log? Say so with --data (%w)", err)}
		}
		dir = filepath.Join(append([]string{user}, home...)...)
	}
	return filepath.Join(dir, "udpkit", fmt.Sprintf("relay-%d", port)), nil
}

func relayReaderCommand() *cobra.Command {
	var (
		cfg   relay.ReaderConfig
		opt   hub.Options
		at    relayClient
		from  string
		delay seconds
	)
	cmd := &cobra.Command{
		Use:   "reader",
		Short: "Print every message, once and in order",
		Long: "Print every message, once and in order. The server remembers how far each name has read, and the next reader of that\n" +
			"name goes on there. With --delay messages come in batches.",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.From, err = relay.ParseFrom(from); err != nil {
				return err
			}
			cfg.Delay, cfg.Username = time.Duration(delay), at.username
			if cfg.Server, err = at.resolve(cmd.Context()); err != nil {
				return err
			}
			return runHub(cmd.Context(), opt, func(ctx context.Context, opt hub.Options) error { return hub.Reader(ctx, cfg, opt) })
		},
	}
	at.addFlags(cmd, &opt)
	cmd.Flags().Var(&delay, "delay", "print messages together that come within so many `seconds`, such as 3 or 0.5, or a time such as 1500ms")
	addFromFlag(cmd, &from)
	return cmd
}

func relayWriterCommand() *cobra.Command {
	var (
		cfg relay.WriterConfig
		opt = hub.Options{In: os.Stdin}
		at  relayClient
	)
	cmd := &cobra.Command{
		Use:   "writer",
		Short: "Write each line of the standard input as a message",
		Long: "Write each line of the standard input as a message, until its end. The exit code is 0 only if all of them are stored.\n" +
			"A line has at most " + fmt.Sprint(relay.MaxText) + " bytes. In a terminal, Ctrl-C and Ctrl-D leave.",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			cfg.Username = at.username
			if cfg.Server, err = at.resolve(cmd.Context()); err != nil {
				return err
			}
			return runHub(cmd.Context(), opt, func(ctx context.Context, opt hub.Options) error { return hub.Writer(ctx, cfg, opt) })
		},
	}
	at.addFlags(cmd, &opt)
	return cmd
}

func relayJoinCommand() *cobra.Command {
	var (
		cfg  hub.JoinConfig
		opt  = hub.Options{In: os.Stdin}
		at   relayClient
		from string
	)
	cmd := &cobra.Command{
		Use:   "join",
		Short: "Read and write in one terminal",
		Long: "Read and write in one terminal, under one name: what comes appears above the line that you type. What you have written\n" +
			"comes back, marked (you), once it is stored, in its place among the others. Ctrl-C and Ctrl-D leave.",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.From, err = relay.ParseFrom(from); err != nil {
				return err
			}
			cfg.Username = at.username
			if cfg.Server, err = at.resolve(cmd.Context()); err != nil {
				return err
			}
			return runHub(cmd.Context(), opt, func(ctx context.Context, opt hub.Options) error { return hub.Join(ctx, cfg, opt) })
		},
	}
	at.addFlags(cmd, &opt)
	addFromFlag(cmd, &from)
	return cmd
}

// relayClient is what the commands of clients have in common.
type relayClient struct {
	username, address string
	port              uint16
}

func (c *relayClient) addFlags(cmd *cobra.Command, opt *hub.Options) {
	cmd.Flags().StringVar(&c.username, "username", "", "your `name`: a letter, then letters, digits, - and _ (needed)")
	cmd.Flags().StringVar(&c.address, "address", "127.0.0.1", "the server's `address`, or its name")
	addRelayFlags(cmd, &c.port, opt)
}

// resolve checks the flags, and returns the server's address.
func (c *relayClient) resolve(ctx context.Context) (netip.AddrPort, error) {
	switch {
	case c.username == "":
		return netip.AddrPort{}, usageError{errors.New("--username is needed, such as --username ann")}
	case c.port == 0:
		return netip.AddrPort{}, usageError{errors.New("port 0 is no port of a server")}
	}
	if err := relay.CheckUsername(c.username); err != nil {
		return netip.AddrPort{}, err
	}
	addr, err := resolve(ctx, c.address)
	return netip.AddrPortFrom(addr, c.port), err
}

func addRelayFlags(cmd *cobra.Command, port *uint16, opt *hub.Options) {
	cmd.Flags().Uint16Var(port, "port", relay.DefaultPort, "UDP `port` of the server")
	cmd.Flags().DurationVar(&opt.MaxRuntime, "max-runtime", 0, "end after this time (0: no limit)")
	cmd.Flags().BoolVar(&opt.JSON, "json", false, "print one JSON object a line")
}

func addFromFlag(cmd *cobra.Command, from *string) {
	all := []string{relay.FromLast.String(), relay.FromStart.String(), relay.FromNow.String()}
	cmd.Flags().StringVar(from, "from", all[0], "`where` to begin: "+strings.Join(all, ", ")+"; last goes on where this name has stopped")
	_ = cmd.RegisterFlagCompletionFunc("from", cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp))
}

// runHub runs a role with the terminal's settings.
func runHub(ctx context.Context, opt hub.Options, run func(context.Context, hub.Options) error) error {
	if opt.MaxRuntime < 0 {
		return usageError{errors.New("--max-runtime cannot be negative")}
	}
	opt.Out = os.Stdout
	return run(ctx, opt)
}

// seconds is a time that is given in seconds, or with a unit.
type seconds time.Duration

func (s *seconds) String() string { return time.Duration(*s).String() }
func (*seconds) Type() string     { return "seconds" }

func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		d, err = time.ParseDuration(text + "s")
	}
	if err != nil || d < 0 {
		return errors.New("not a number of seconds, or a time such as 1500ms")
	}
	*s = seconds(d)
	return nil
}
