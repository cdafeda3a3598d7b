package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/broadcastpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
)

func serverCommand() *cobra.Command {
	var (
		cfg             udpkit.ServerConfig
		opt             broadcastpanel.Options
		targets, states string
		secret          keyFlags
		measured        metrics
	)
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Broadcast a state every few seconds and collect acknowledgements",
		Example: "  udpkit server" + "\n" +
			"  udpkit server --states UP,DOWN --interval 1" + "\n" +
			"  udpkit server --target 127.255.255.255 --max-messages 10   # this machine only",
		Long: "Broadcast a timestamp, a state and an id every few seconds, and collect acknowledgements.\n" +
			"While it runs in a terminal, a line that you type sets the state; an empty line goes back to the cycle. Counts of\n" +
			"what was sent and acknowledged stand in one line there, which changes in place; elsewhere there is a line a message,\n" +
			"which suits logs. Clients that come or vanish, failures and states set by hand have lines of their own.\n\n" +
			"With --key-file it takes commands of all who have the key, see udpkit control.",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Targets, err = parseTargets(cmd.Context(), targets); err != nil {
				return err
			}
			if cfg.States, err = udpkit.ParseStates(states); err != nil {
				return err
			}
			if cfg.Key, err = secret.ring(cmd.Context()); err != nil {
				return err
			}
			cfg.Seal = secret.seal
			opt.Out = stdout
			if console.IsTerminal(os.Stdin) {
				opt.Input = os.Stdin
			}
			var sum udpkit.ServerSummary
			reached := false
			cfg.OnEvent = func(e udpkit.Event) {
				switch e := e.(type) {
				case udpkit.SentEvent:
					reached = reached || e.Targets > 0
				case udpkit.ServerSummary:
					sum = e
				}
			}
			if opt.Watch, err = measured.serve(cmd.Context()); err != nil {
				return err
			}
			if err := broadcastpanel.Server(cmd.Context(), cfg, opt); err != nil {
				return err
			}
			if sum.Sent > 0 && !reached {
				return errors.New("nothing went out: each send has failed")
			}
			return enough("sent", sum.Sent, cfg.MaxMessages)
		},
	}
	flags := cmd.Flags()
	flags.Uint16Var(&cfg.Port, "port", udpkit.DefaultPort, "UDP `port` of the clients")
	flags.DurationVar(&cfg.Interval, "interval", udpkit.DefaultInterval, "time between two messages, at least 1ms")
	flags.StringVar(&targets, "target", "auto", "`where` to send: auto (every interface), limited (255.255.255.255 on every interface), or HOST or HOST:PORT,...")
	flags.StringSliceVar(&cfg.Interfaces, "interface", nil, "use only the interfaces of these `names`, for auto and limited")
	flags.StringVar(&states, "states", strings.Join(texts(udpkit.DefaultStates()), ","), "the `states` to cycle through")
	flags.BoolVar(&cfg.NoRepair, "no-repair", false, "do not send again what clients miss")
	flags.Var((*firstID)(&cfg.FirstID), "first-id", "`id` of the first message: a number, or clock, which goes on rising when the server is started again (default 1)")
	flags.BoolVar(&opt.Verbose, "verbose", false, "print a line for each message and each acknowledgement")
	measured.add(cmd)
	addBroadcastFlags(cmd, &opt, &cfg.MaxRuntime, &cfg.MaxMessages, &secret)
	return cmd
}

// firstID is a flag for udpkit.ServerConfig.FirstID.
type firstID uint64

func (f *firstID) String() string {
	if *f == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(*f), 10)
}

func (f *firstID) Type() string { return "id" }

// Set implements pflag.Value.
func (f *firstID) Set(text string) error {
	if text == "clock" {
		*f = firstID(udpkit.ClockID())
		return nil
	}
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return errors.New("neither a number from 1 to 2^52 nor clock")
	}
	*f = firstID(id)
	return nil
}

func clientCommand() *cobra.Command {
	var (
		cfg    udpkit.ClientConfig
		opt    broadcastpanel.Options
		port   uint16
		style  string
		secret keyFlags

		measured metrics
	)
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Receive the broadcasts, show and acknowledge them",
		Example: "  udpkit client" + "\n" +
			"  udpkit client --name ann --receiver selector" + "\n" +
			"  udpkit client --max-messages 1 --max-runtime 10 --json   # exit code 1 if none came",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Receiver, err = udpkit.ParseStyle(style); err != nil {
				return err
			}
			if cfg.Key, err = secret.ring(cmd.Context()); err != nil {
				return err
			}
			cfg.Seal = secret.seal
			cfg.Listen = netip.AddrPortFrom(netip.IPv4Unspecified(), port)
			opt.Out = stdout
			received := uint64(0)
			cfg.OnEvent = func(e udpkit.Event) {
				if sum, ok := e.(udpkit.ClientSummary); ok {
					received = sum.Received
				}
			}
			if opt.Watch, err = measured.serve(cmd.Context()); err != nil {
				return err
			}
			if err := broadcastpanel.Client(cmd.Context(), cfg, opt); err != nil {
				return err
			}
			return enough("received", received, cfg.MaxMessages)
		},
	}
	flags := cmd.Flags()
	flags.Uint16Var(&port, "port", udpkit.DefaultPort, "UDP `port` to receive on; any number of clients share it")
	flags.BoolVar(&cfg.NoRepair, "no-repair", false, "do not ask the server for what is missing: report it at once")
	flags.StringVar(&cfg.ID, "id", "", "the client's `name` (default a random one)")
	alias(cmd, "id")
	flags.StringVar(&style, "receiver", string(udpkit.Goroutine), "`how` to receive: "+strings.Join(texts(udpkit.Styles()), ", "))
	measured.add(cmd)
	addBroadcastFlags(cmd, &opt, &cfg.MaxRuntime, &cfg.MaxMessages, &secret)
	completeWith(cmd, "receiver", udpkit.Styles()...)
	return cmd
}

// addBroadcastFlags adds the flags that server and client have in common.
func addBroadcastFlags(cmd *cobra.Command, opt *broadcastpanel.Options, maxRuntime *time.Duration, maxMessages *uint64, secret *keyFlags) {
	addRunFlags(cmd, &opt.JSON, maxRuntime)
	secret.add(cmd)
	cmd.Flags().Uint64Var(maxMessages, "max-messages", 0, "end after `N` messages (0: no limit)")
	cmd.Flags().StringVar(&opt.History, "history", "", "write the same JSON lines to this `file`, which only you can read if it is new")
	addRecordFlag(cmd, &opt.Record)
}

// enough returns an error if fewer messages came to pass than were asked for; 0 asks for none.
func enough(what string, count, asked uint64) error {
	if count < asked {
		return fmt.Errorf("%d of %d messages %s", count, asked, what)
	}
	return nil
}

// parseTargets is udpkit.ParseTargets for names too.
func parseTargets(ctx context.Context, text string) (none udpkit.Targets, err error) {
	items := strings.Split(text, ",")
	for i, item := range items {
		if item = strings.TrimSpace(item); item == "auto" || item == "limited" {
			continue
		}
		at, err := parseTarget(ctx, item)
		if err != nil {
			return none, err
		}
		if items[i] = at.Addr().String(); at.Port() != 0 {
			items[i] = at.String()
		}
	}
	return udpkit.ParseTargets(strings.Join(items, ","))
}
