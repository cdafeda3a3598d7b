package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/broadcastpanel"
)

func topCommand() *cobra.Command {
	var (
		cfg    udpkit.MonitorConfig
		opt    broadcastpanel.MonitorOptions
		sort   string
		secret keyFlags
	)
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show all servers that broadcast, and send nothing",
		Example: "  udpkit top" + "\n" +
			"  udpkit top --sort missed" + "\n" +
			"  udpkit top --max-runtime 30 --json",
		Long: "Show all servers whose broadcasts come here: a row for each run, with its rate, jitter, losses and restarts, and\n" +
			"below what was refused. Nothing is sent: nothing is acknowledged, and nothing asked for that is missing. On a\n" +
			"terminal the table changes in place; elsewhere it is printed once, in the end.\n\n" +
			"With --key-file only what is signed with the key counts. Without it what is encrypted is refused.\n" +
			"For beacons there is udpkit beacon --silent.",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Key, err = secret.ring(cmd.Context()); err != nil {
				return err
			}
			opt.Out, opt.Sort = stdout, broadcastpanel.SortKey(sort)
			return broadcastpanel.Monitor(cmd.Context(), cfg, opt)
		},
	}
	flags := cmd.Flags()
	flags.Uint16Var(&cfg.Port, "port", udpkit.DefaultPort, "UDP `port` that the servers broadcast to; it is shared")
	flags.StringVar(&sort, "sort", string(broadcastpanel.SortAddress), "`what` to sort by: "+strings.Join(texts(broadcastpanel.SortKeys()), ", "))
	flags.DurationVar(&opt.Every, "every", time.Second, "time between two pictures")
	flags.StringVar(&secret.file, "key-file", "", "believe only what is signed with the key in this `file`; see udpkit key new")
	addRunFlags(cmd, &opt.JSON, &opt.MaxRuntime)
	completeWith(cmd, "sort", broadcastpanel.SortKeys()...)
	return cmd
}
