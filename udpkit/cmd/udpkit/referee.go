package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/gonb-labs/udp-notebooks/udpkit/referee"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
)

// errConvicted has the command exit with 1. What was found is printed.
var errConvicted = errors.New("the program breaks a rule")

func refereeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "referee SYSTEM -- COMMAND...",
		Short: "Judge your own program, in any language: play the other side and a bad network to it",
		Example: "  udpkit referee broadcast --loss 20% --restart --rounds 20 -- python3 client.py" + "\n" +
			"  udpkit referee echo --side server --forge -- ./server --port {port}" + "\n" +
			"  udpkit referee broadcast --rules                  what a program has to do, and how it is seen",
		Long: "Judge a program that plays one side of a system: run it, play the other side and the network between, and say\n" +
			"what went wrong with the number of the datagram. {address} and {port} in COMMAND are replaced by where the other\n" +
			"side is, or the program is to listen; UDPKIT_ADDRESS and UDPKIT_PORT say the same. A beacon sends to {port}, and\n" +
			"listens at {listen}, UDPKIT_LISTEN. A program with a port of its own is judged at that of the course's documents,\n" +
			"or at --port.\n\n" +
			"The first round that finds something is the last one: its seed, which plays it again, its recording and its\n" +
			"timeline are told. The program runs with your rights. The referee sends nothing beyond this machine; a program\n" +
			"that broadcasts by itself does.",
	}
	for _, system := range referee.Systems() {
		cmd.AddCommand(refereeSystem(system))
	}
	return cmd
}

func refereeSystem(system string) *cobra.Command {
	var (
		cfg    referee.Config
		side   string
		rules  bool
		asJSON bool
	)
	sides := referee.Sides(system)
	cmd := &cobra.Command{
		Use:   system + " -- COMMAND...",
		Short: "Judge a program of the " + system + " system: " + sideNames(sides),
		Example: fmt.Sprintf("  udpkit referee %s --loss 20%% --forge --rounds 20 -- python3 program.py", system) + "\n" +
			fmt.Sprintf("  udpkit referee %s --side %s --rules", system, sides[len(sides)-1]),
		Args: func(cmd *cobra.Command, args []string) error {
			switch at := cmd.ArgsLenAtDash(); {
			case at > 0 || at < 0 && len(args) > 0:
				return usageError{fmt.Errorf("%q stands before --, behind which the program stands; a value of --reorder is written --reorder=20%%", args[0])}
			case !rules && len(args) == 0:
				return usageError{errors.New("the program to judge stands behind --: there is none")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			out := panel.Output(cmd.Context(), stdout)
			cfg.System, cfg.Side, cfg.Command = system, referee.Side(side), args
			if rules {
				return printRules(out, system, cfg.Side, asJSON)
			}
			cfg.OnRound = func(r referee.Round) {
				if asJSON {
					_ = json.NewEncoder(out).Encode(r) // a failure is that of the verdict, too
				} else if len(r.Findings) == 0 {
					fmt.Fprintf(out, "seed %d: %s sent, %d received, %d lost, %s printed, %s\n", r.Seed, format.Plural(r.Sent, "datagram"), r.Received, r.Lost, format.Plural(r.Lines, "line"), format.Short(r.Took))
				}
			}
			verdict, err := referee.Run(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(out).Encode(verdict)
			} else {
				err = printVerdict(out, verdict)
			}
			if err == nil && !verdict.Passed() {
				err = errConvicted
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&side, "side", string(sides[0]), "the `side` that the program plays: "+sideNames(sides))
	for _, one := range weather.List() {
		if one.Name == "rate" || one.Name == "after" {
			continue
		}
		flags.Func(one.Name, one.Usage, func(text string) error { return one.Set(&cfg.Weather, text) })
	}
	flags.Lookup("reorder").NoOptDefVal = "20%"
	flags.BoolVar(&cfg.Restart, "restart", false, "the other side ends, and begins anew")
	flags.BoolVar(&cfg.Second, "second", false, "another one of the other side plays at the same time")
	flags.BoolVar(&cfg.Forge, "forge", false, "strangers send what is no message, and messages that are forged")
	flags.Uint64Var(&cfg.Seed, "seed", 1, "`number` of the first round, which decides what happens to what; each round has the next one")
	flags.IntVar(&cfg.Rounds, "rounds", 1, "play `N` rounds, unless one finds something")
	flags.Uint16Var(&cfg.Port, "port", 0, "`port` of the program, or of the other side (default: that of the documents, or a free one for {port})")
	flags.DurationVar(&cfg.Patience, "patience", referee.DefaultPatience, "how long what must come may take")
	flags.StringVar(&cfg.Recordings, "recordings", ".", "`directory` for the recording and the timeline of the round that found something")
	flags.BoolVar(&rules, "rules", false, "print what a program has to do, and what the referee looks for in what it prints")
	flags.BoolVar(&asJSON, "json", false, "print a JSON object for each round and one for the verdict, one on a line")
	return cmd
}

func sideNames(sides []referee.Side) string {
	var names []string
	for _, s := range sides {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

func printRules(out io.Writer, system string, side referee.Side, asJSON bool) error {
	rules, shows := referee.Rules(system, side)
	if asJSON {
		return json.NewEncoder(out).Encode(struct {
			Rules []referee.Rule `json:"rules"`
			Shows string         `json:"shows"`
		}{rules, shows})
	}
	for _, r := range rules {
		fmt.Fprintf(out, "%-13s %s\n", r.Name, r.Text)
	}
	_, err := fmt.Fprintf(out, "\nIn what it prints, %s.\n", shows)
	return err
}

func printVerdict(out io.Writer, v referee.Verdict) error {
	var b strings.Builder
	if v.Passed() {
		fmt.Fprintf(&b, "%s: no rule is broken\n", format.Plural(v.Rounds, "round"))
	}
	for _, f := range v.Findings {
		fmt.Fprintf(&b, "%s: %s\n", f.Rule, panel.Printable(f.Text))
	}
	if !v.Passed() {
		fmt.Fprintf(&b, "  play it again: --seed %d\n", v.Seed)
	}
	if v.Recording != "" {
		fmt.Fprintf(&b, "  recording: %s\n  timeline: %s\n", v.Recording, v.Timeline)
	}
	for _, l := range v.Output {
		fmt.Fprintf(&b, "  > %s\n", l)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
