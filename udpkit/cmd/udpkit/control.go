package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// controlVerbs are what a server can be told; the first two take an argument.
var controlVerbs = []string{"state", "interval", "clients", "stop"}

func controlCommand() *cobra.Command {
	var (
		cfg    udpkit.ControlConfig
		secret keyFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "control [HOST] [state STATE|interval TIME|clients|stop]",
		Short: "Ask a server that has a key, or tell it what to do",
		Example: "  udpkit control --key-file class.key                       # how is the only server that is heard?" + "\n" +
			"  udpkit control 192.0.2.7 state ERROR --key-file class.key" + "\n" +
			"  udpkit control 192.0.2.7:40001 interval 2s --key-file class.key",
		Long: "Ask a server that runs with --key-file, or tell it what to do; without a verb it says how it is.\n\n" +
			"  state STATE    set its state; auto goes back to the cycle\n" +
			"  interval TIME  set the time between two messages\n" +
			"  clients        list its clients\n" +
			"  stop           end it\n\n" +
			"The server is found by what it broadcasts, which takes up to two of its intervals; HOST is needed if there are\n" +
			"several. HOST:PORT, which each answer names, asks it at once, and from other networks too. A command that is not\n" +
			"answered is sent again for 5 s, and executed once. Each holder of the key can do all of this.",
		Args:              func(*cobra.Command, []string) error { return nil }, // see RunE
		ValidArgsFunction: completeControl,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			host, verb, argument, err := splitControl(args)
			if err != nil {
				return err
			}
			var interval time.Duration
			if verb == "interval" {
				if interval, err = parseDuration(argument); err != nil {
					return usageError{fmt.Errorf("%q is not a number of seconds, or a time such as 1500ms, 2m or 1d", argument)}
				}
				if interval < time.Millisecond { // before a server is looked for
					return usageError{fmt.Errorf("the interval %v is shorter than 1ms", interval)}
				}
			}
			if secret.file == "" {
				return usageError{errors.New("the server's key is needed: give --key-file FILE, or set UDPKIT_KEY_FILE")}
			}
			if host != "" {
				if cfg.Server, err = parseTarget(cmd.Context(), host); err != nil && verb == "" {
					err = usageError{fmt.Errorf("%q is no verb, which are %s, and no host: %w", host, inWords(controlVerbs), err)}
				}
				if err != nil {
					return err
				}
			}
			if cfg.Key, err = secret.ring(cmd.Context()); err != nil {
				return err
			}
			cfg.Seal = secret.seal
			return control(cmd.Context(), cfg, verb, argument, interval, asJSON)
		},
	}
	secret.add(cmd)
	cmd.Flags().Uint16Var(&cfg.Port, "port", udpkit.DefaultPort, "UDP `port` that the server broadcasts to")
	cmd.Flags().DurationVar(&cfg.Timeout, "timeout", 3*udpkit.DefaultInterval, "how long to listen for the server, three of its intervals or more")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: one object, or one a client")
	return cmd
}

// splitControl takes the arguments apart.
func splitControl(args []string) (host, verb, argument string, err error) {
	if len(args) > 0 {
		if !slices.Contains(controlVerbs, args[0]) {
			host, args = args[0], args[1:]
		}
	}
	if len(args) == 0 {
		return host, "", "", nil
	}
	verb, args = args[0], args[1:]
	takes := slices.Contains(controlVerbs[:2], verb)
	switch {
	case !slices.Contains(controlVerbs, verb):
		return "", "", "", usageError{fmt.Errorf("unknown verb %q: choose one of %s", verb, inWords(controlVerbs))}
	case takes && len(args) == 0 && verb == "state":
		return "", "", "", usageError{errors.New("name the state, or auto")}
	case takes && len(args) == 0:
		return "", "", "", usageError{errors.New("name the interval, such as 2s")}
	case takes:
		argument, args = args[0], args[1:]
	}
	if len(args) > 0 {
		return "", "", "", usageError{fmt.Errorf("unexpected argument %q", args[0])}
	}
	return host, verb, argument, nil
}

func completeControl(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var list []string
	if len(args) == 0 || len(args) == 1 && !slices.Contains(controlVerbs, args[0]) {
		list = controlVerbs
	} else if args[len(args)-1] == "state" {
		list = append(texts(udpkit.DefaultStates()), "auto")
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// control does what a verb says, and prints the answer.
func control(ctx context.Context, cfg udpkit.ControlConfig, verb, argument string, interval time.Duration, asJSON bool) error {
	c, err := udpkit.NewControl(ctx, cfg)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer c.Close()
	var (
		status  udpkit.ControlStatus
		clients []udpkit.ControlClient
		done    string
	)
	switch verb {
	case "state":
		status, err = c.State(ctx, udpkit.State(argument))
		done = "state " + argument
	case "interval":
		status, err = c.Interval(ctx, interval)
		done = "interval " + interval.String()
	case "clients":
		clients, err = c.Clients(ctx)
	case "stop":
		status, err = c.Stop(ctx)
		done = "it ends"
	default:
		status, err = c.Status(ctx)
	}
	if err != nil {
		return interrupted(ctx, err)
	}
	if asJSON {
		out := console.NewJSON(stdout)
		for _, one := range clients {
			if err := out.Event(controlClient{one}); err != nil {
				return err
			}
		}
		if verb == "clients" {
			return nil
		}
		return out.Event(controlStatus{c.Server().String(), status})
	}
	if verb == "clients" {
		_, err = fmt.Fprint(stdout, clientsText(clients))
		return err
	}
	text := fmt.Sprintf("Server at %v", c.Server())
	if done != "" {
		text += ": " + panel.Printable(done)
	}
	state := panel.Printable(string(status.State))
	if status.ByHand {
		state += ", set by hand"
	}
	_, err = fmt.Fprintln(stdout, text+format.Summary(12,
		"state", state,
		"interval", status.Interval.String(),
		"sent", "#"+fmt.Sprint(status.LastID),
		"clients", format.Number(status.Clients),
		"running", format.Short(status.Runtime),
		"epoch", status.Epoch.String(),
	))
	return err
}

func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted before the server has answered")
	}
	return err
}

func clientsText(clients []udpkit.ControlClient) string {
	if len(clients) == 0 {
		return "The server knows no client.\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-24s %-22s %10s %7s %10s\n", "client", "address", "last", "lost", "round trip")
	for _, c := range clients {
		fmt.Fprintf(&b, "%s %-22v %10s %7s %10s\n", console.Pad(panel.Printable(c.ID), 24), c.Addr, fmt.Sprintf("#%d", c.LastID), format.Percent(c.Loss, 1), format.Short(c.RTT))
	}
	return b.String()
}

// controlStatus and controlClient are lines of JSON.
type controlStatus struct {
	Server string `json:"server"`
	udpkit.ControlStatus
}

type controlClient struct{ udpkit.ControlClient }

func (controlStatus) Kind() string { return "status" }
func (controlClient) Kind() string { return "client" }
