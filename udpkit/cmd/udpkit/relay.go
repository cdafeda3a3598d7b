package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/key"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/relaypanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/jetstream"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

func relayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "relay",
		Short: "Messages from writers to readers over UDP, stored in between: nothing is lost",
		Long: "Messages from writers to readers over UDP, through a server that stores them: every reader gets each of\n" +
			"them once and in the same order, whoever starts first, and whoever is away for a while.",
	}
	cmd.AddCommand(relayServerCommand(), relayReaderCommand(), relayWriterCommand(), relayJoinCommand(), relayLogCommand(), relayBackupCommand())
	return cmd
}

func relayServerCommand() *cobra.Command {
	var (
		log  sqlite.Config
		nats jetstream.Config
		opt  relaypanel.Options
		at   address
		sync string

		shared   keyFlags
		measured metrics
	)
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Store what writers write, and deliver it to readers",
		Example: "  udpkit relay server" + "\n" +
			"  udpkit relay server --data ~/log --retain-age 7d" + "\n" +
			"  udpkit relay server --nats nats://127.0.0.1:4222",
		Long: "Store what writers write, and deliver it to readers. The log is in a directory of this machine, which belongs to one\n" +
			"server at a time, or in a NATS cluster with JetStream, where any number of servers share it. Streams of others in the\n" +
			"cluster are left alone: if they have the log's name the server ends, and --stream gives it another.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			listen, err := at.listen(cmd.Context())
			if err != nil {
				return err
			}
			log.Sync = sqlite.Sync(sync)
			open := func(ctx context.Context) (closingLog, error) { return openFile(ctx, log) }
			if len(nats.URLs) > 0 {
				opt.Place = "NATS"
				if open, err = openNATS(cmd, nats, log); err != nil {
					return err
				}
			} else if cmd.Flags().Changed("stream") {
				return usageError{errors.New("--stream is for a log in NATS, which --nats says")}
			} else if log.Dir == "" {
				if log.Dir, err = defaultData(listen.Port()); err != nil {
					return err
				}
			}
			if log.Dir != "" {
				opt.Place = log.Dir
			}
			ring, err := shared.ring(cmd.Context())
			if err != nil {
				return err
			}
			if opt.Watch, err = measured.serve(cmd.Context()); err != nil {
				return err
			}
			cfg := relay.ServerConfig{Listen: listen, Key: ring, Seal: shared.seal}
			return runHub(cmd.Context(), opt, func(ctx context.Context, opt relaypanel.Options) error { return serveRelay(ctx, open, cfg, opt) })
		},
	}
	at.ofListener(cmd, "UDP", "0.0.0.0", relay.DefaultPort)
	flags := cmd.Flags()
	flags.StringVar(&log.Dir, "data", "", "`directory` of the log (default udpkit/relay-PORT where the user's programs keep data, such as ~/.local/share)")
	flags.StringSliceVar(&nats.URLs, "nats", nil, "keep the log in the NATS cluster with these `URLs` instead; its limits stay as they are unless they are given here")
	flags.StringVar(&nats.Name, "stream", jetstream.DefaultName, "`name` of the log, which is kept in the NATS streams NAME, NAME-clients and NAME-names")
	flags.Int64Var(&log.MaxMessages, "retain-messages", sqlite.DefaultMaxMessages, "keep the newest `N` messages")
	flags.DurationVar(&log.MaxAge, "retain-age", 0, "keep messages for this time, at least 1s (0: no limit)")
	flags.StringVar(&sync, "sync", "", "`when` a message counts as stored: always, when it is on the disk, or periodic, which is\nfaster, and loses a second if the machine loses its power (default always)")
	shared.add(cmd)
	measured.add(cmd)
	addRelayFlags(cmd, &opt)
	_ = cmd.RegisterFlagCompletionFunc("sync", cobra.FixedCompletions([]string{string(sqlite.SyncAlways), string(sqlite.SyncPeriodic)}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// closingLog is a log that is open.
type closingLog interface {
	relay.Log
	Close() error
}

// openFile opens a log on this machine.
func openFile(ctx context.Context, cfg sqlite.Config) (closingLog, error) {
	log, err := sqlite.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if repaired := log.Repaired(); repaired != "" {
		fmt.Fprintln(progress, repaired)
	}
	return log, nil
}

// openNATS returns what opens a log in NATS, with those limits of the flags that are given.
func openNATS(cmd *cobra.Command, cfg jetstream.Config, limits sqlite.Config) (func(context.Context) (closingLog, error), error) {
	flags := cmd.Flags()
	switch {
	case flags.Changed("data"):
		return nil, usageError{errors.New("both a directory for the log and the address of a NATS server")}
	case flags.Changed("sync"):
		return nil, usageError{errors.New("--sync is a setting of the NATS server, not of its client")}
	case flags.Changed("retain-messages"):
		cfg.MaxMessages = limits.MaxMessages
	}
	if flags.Changed("retain-age") {
		cfg.MaxAge = cmp.Or(limits.MaxAge, -1)
	}
	cfg.Notice = func(err error) {
		fmt.Fprintf(panel.Output(cmd.Context(), os.Stderr), "%s: %s\n", cmd.CommandPath(), sentence(err))
	}
	return func(ctx context.Context) (closingLog, error) {
		log, err := jetstream.Open(ctx, cfg)
		if errors.Is(err, jetstream.ErrForeign) {
			err = fmt.Errorf("%w with --stream NAME", err)
		}
		return log, err
	}, nil
}

// serveRelay opens the log and runs a server with it.
func serveRelay(ctx context.Context, open func(context.Context) (closingLog, error), cfg relay.ServerConfig, opt relaypanel.Options) error {
	opened, err := open(ctx)
	if err != nil {
		return err
	}
	cfg.Log = opened
	if cfg.Key == nil {
		warn(ctx, cfg.Listen, "use the server", "--address 127.0.0.1")
	}
	err = relaypanel.Server(ctx, cfg, opt)
	return errors.Join(err, opened.Close())
}

// defaultData returns where the log of a port's server is: where programs keep what the user would
// miss.
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
		cfg  relay.ReaderConfig
		opt  relaypanel.Options
		at   relayClient
		from string
	)
	cmd := &cobra.Command{
		Use:   "reader",
		Short: "Print every message, once and in order",
		Example: "  udpkit relay reader --name ann" + "\n" +
			"  udpkit relay reader --name ann --from start --delay 3",
		Long: "Print every message, once and in order. The server remembers how far each name has read, and the next reader of that\n" +
			"name goes on there. With --delay messages come in batches.",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.From, err = relay.ParseFrom(from); err != nil {
				return err
			}
			if cfg.Key, err = at.open(cmd.Context()); err != nil {
				return err
			}
			cfg.Username, cfg.Servers, cfg.Port, cfg.Resolver, cfg.Seal = at.username, at.servers, at.port, resolver, at.seal
			return runHub(cmd.Context(), opt, func(ctx context.Context, opt relaypanel.Options) error { return relaypanel.Reader(ctx, cfg, opt) })
		},
	}
	at.addFlags(cmd, &opt)
	cmd.Flags().DurationVar(&cfg.Delay, "delay", 0, "print together the messages that come within this number of `seconds`, such as 3 or 0.5, or a time such as 1500ms (0: at once)")
	addFromFlag(cmd, &from)
	return cmd
}

func relayWriterCommand() *cobra.Command {
	var (
		cfg relay.WriterConfig
		opt = relaypanel.Options{In: os.Stdin}
		at  relayClient
	)
	cmd := &cobra.Command{
		Use:   "writer",
		Short: "Write each line of the standard input as a message",
		Example: "  udpkit relay writer --name bob" + "\n" +
			"  udpkit relay writer --name bob --address 192.0.2.7 <lines.txt",
		Long: "Write each line of the standard input as a message, until its end. The exit code is 0 only if all of them are stored.\n" +
			"A line has at most " + fmt.Sprint(relay.MaxText) + " bytes. In a terminal, Ctrl-C and Ctrl-D leave.",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Key, err = at.open(cmd.Context()); err != nil {
				return err
			}
			cfg.Username, cfg.Servers, cfg.Port, cfg.Resolver, cfg.Seal = at.username, at.servers, at.port, resolver, at.seal
			return runHub(cmd.Context(), opt, func(ctx context.Context, opt relaypanel.Options) error { return relaypanel.Writer(ctx, cfg, opt) })
		},
	}
	at.addFlags(cmd, &opt)
	return cmd
}

func relayJoinCommand() *cobra.Command {
	var (
		cfg  relaypanel.JoinConfig
		opt  = relaypanel.Options{In: os.Stdin}
		at   relayClient
		from string
	)
	cmd := &cobra.Command{
		Use:     "join",
		Short:   "Read and write in one terminal",
		Example: "  udpkit relay join --name ann",
		Long: "Read and write in one terminal, under one name: what comes appears above the line that you type. What you have written\n" +
			"comes back, marked (you), once it is stored, in its place among the others. Ctrl-C and Ctrl-D leave.",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.From, err = relay.ParseFrom(from); err != nil {
				return err
			}
			if cfg.Key, err = at.open(cmd.Context()); err != nil {
				return err
			}
			cfg.Username, cfg.Servers, cfg.Port, cfg.Resolver, cfg.Seal = at.username, at.servers, at.port, resolver, at.seal
			return runHub(cmd.Context(), opt, func(ctx context.Context, opt relaypanel.Options) error { return relaypanel.Join(ctx, cfg, opt) })
		},
	}
	at.addFlags(cmd, &opt)
	addFromFlag(cmd, &from)
	return cmd
}

// relayClient is what the commands of clients have in common.
type relayClient struct {
	username string
	servers  []string
	address  // its port
	keyFlags
}

func (c *relayClient) addFlags(cmd *cobra.Command, opt *relaypanel.Options) {
	cmd.Flags().StringVar(&c.username, "username", "", "your `name`: a letter, then letters, digits, - and _ (needed)")
	alias(cmd, "username")
	cmd.Flags().StringSliceVar(&c.servers, "address", []string{"127.0.0.1"},
		"the server's `address`, HOST or HOST:PORT; HOST is a name or an IP address; several servers that share a log: a,b")
	c.addPort(cmd, relay.DefaultPort, "UDP `port` of the server")
	c.keyFlags.add(cmd)
	addRelayFlags(cmd, opt)
}

// open checks the flags, and returns the keys.
func (c *relayClient) open(ctx context.Context) (*key.Ring, error) {
	if c.username == "" {
		return nil, usageError{errors.New("--username is needed, such as --username ann")}
	}
	if err := relay.CheckUsername(c.username); err != nil {
		return nil, err
	}
	for _, server := range c.servers {
		c.host = server
		if _, _, err := c.server(); err != nil {
			return nil, err
		}
	}
	return c.ring(ctx)
}

func addRelayFlags(cmd *cobra.Command, opt *relaypanel.Options) {
	cmd.Flags().DurationVar(&opt.MaxRuntime, "max-runtime", 0, "end after this time (0: no limit)")
	cmd.Flags().BoolVar(&opt.JSON, "json", false, "print one JSON object a line")
	addRecordFlag(cmd, &opt.Record)
}

func addFromFlag(cmd *cobra.Command, from *string) {
	all := []string{relay.FromLast.String(), relay.FromStart.String(), relay.FromNow.String()}
	cmd.Flags().StringVar(from, "from", all[0], "`where` to begin: "+strings.Join(all, ", ")+", or the number of a message; last goes on where this name has stopped")
	_ = cmd.RegisterFlagCompletionFunc("from", cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp))
}

// runHub runs a role with the terminal's settings.
func runHub(ctx context.Context, opt relaypanel.Options, run func(context.Context, relaypanel.Options) error) error {
	opt.Out = stdout
	return run(ctx, opt)
}
