package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/bench"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

func benchCommand() *cobra.Command {
	var (
		cfg    bench.Config
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure receivers, senders and the relay on this machine, beside C, Python and NATS",
		Example: "  udpkit bench" + "\n" +
			"  udpkit bench --only \"udpkit selector\" --rounds 1",
		Long: "Measure every receiver style on this machine, side by side with the loops of the standard library, C and Python,\n" +
			"every way to send to many beside C, and the relay beside NATS: each in a process of its own, on loopback only, in\n" +
			"rounds that take turns. It takes ten minutes; leave the machine alone meanwhile. What cannot be measured here is\n" +
			"listed with the reason. On standard error stands how far it is: in a line that changes in place on a terminal, in a\n" +
			"line for each step elsewhere.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("bench: %w", err)
			}
			cfg.Self = []string{self, "bench", "subject", "--"}
			far := console.NewProgress(panel.Output(cmd.Context(), progress))
			cfg.Progress = far.Step
			report, err := bench.Run(cmd.Context(), cfg)
			far.End()
			if report == nil {
				return err
			}
			out := panel.Output(cmd.Context(), stdout)
			if asJSON {
				return errors.Join(err, json.NewEncoder(out).Encode(report))
			}
			return errors.Join(err, report.WriteText(out))
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&asJSON, "json", false, "print one JSON object")
	flags.IntVar(&cfg.Rounds, "rounds", bench.DefaultRounds, "how often everything is measured")
	flags.DurationVar(&cfg.Time, "time", bench.DefaultTime, "how long a receiver is measured at a time")
	flags.DurationVar(&cfg.Idle, "idle", bench.DefaultIdle, "how long idle receivers are watched")
	flags.StringSliceVar(&cfg.Only, "only", nil, "measure only the receivers whose `names` contain one of these")
	completeWith(cmd, "only", bench.Names()...)
	cmd.AddCommand(&cobra.Command{
		Use:    "subject",
		Hidden: true,
		Args:   cobra.ArbitraryArgs,
		RunE:   func(cmd *cobra.Command, args []string) error { return bench.Subject(cmd.Context(), args, os.Stdout) },
	})
	return cmd
}
