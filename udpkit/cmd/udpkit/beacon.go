package main

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/beacon/beaconpanel"
)

func beaconCommand() *cobra.Command {
	var (
		cfg     beacon.Config
		group   string
		targets []string
		opt     beaconpanel.Options
		secret  keyFlags
	)
	cmd := &cobra.Command{
		Use:   "beacon",
		Short: "Say HELLO to the network, and show who else is there",
		Example: "  udpkit beacon --name ann" + "\n" +
			"  udpkit beacon --interface eth0" + "\n" +
			"  udpkit beacon --group ipv4" + "\n" +
			"  udpkit beacon --key-file class.key" + "\n" +
			"  udpkit beacon --silent   # only listen",
		Long: "Say HELLO every 0.8 seconds by broadcast or multicast, and show a table of those who do the same:\n" +
			"how often and how regularly each is heard, and how often it was started before under this name.\n" +
			"In a terminal the table is drawn in place, elsewhere each change is a line.",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Group, err = parseGroup(group); err != nil {
				return err
			}
			for _, t := range targets {
				addr, err := parseTarget(cmd.Context(), t)
				if err != nil {
					return err
				}
				cfg.Targets = append(cfg.Targets, addr)
			}
			if cfg.Key, err = secret.ring(cmd.Context()); err != nil {
				return err
			}
			cfg.Seal = secret.seal
			var sum beacon.Stats
			cfg.OnEvent = func(e beacon.Event) {
				if e, ok := e.(beacon.Stats); ok {
					sum = e
				}
			}
			opt.Out = stdout
			err = beaconpanel.Run(cmd.Context(), cfg, opt)
			if err == nil && sum.Sent > 0 && sum.Heard == 0 && sum.SendErrors >= sum.Sent {
				err = errors.New("nothing went out: each send has failed")
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.Name, "name", "", "the `name` that others see (default a random one)")
	flags.StringVar(&group, "group", "", "multicast to this `group` instead of broadcasting: an address, or ipv4 or ipv6 for "+
		beacon.DefaultGroup4.String()+" or "+beacon.DefaultGroup6.String())
	flags.StringSliceVar(&targets, "target", nil, "send to these `addresses`, HOST or HOST:PORT,..., instead of broadcasting on every interface")
	flags.StringSliceVar(&cfg.Interfaces, "interface", nil, "use only the interfaces of these `names`")
	flags.DurationVar(&cfg.Interval, "interval", beacon.DefaultInterval, "time between two HELLOs, at least 1ms")
	flags.DurationVar(&cfg.Expiry, "expiry", 0, "how long a peer may be silent (default 5 intervals, at least 4s)")
	flags.Uint16Var(&cfg.Port, "port", beacon.DefaultPort, "UDP `port`; any number of beacons share it")
	flags.BoolVar(&cfg.Silent, "silent", false, "send nothing, and show who is there")
	secret.add(cmd)
	addRecordFlag(cmd, &opt.Record)
	addRunFlags(cmd, &opt.JSON, &cfg.MaxRuntime)
	completeWith(cmd, "group", "ipv4", "ipv6")
	return cmd
}

func parseGroup(s string) (netip.Addr, error) {
	switch s {
	case "":
		return netip.Addr{}, nil
	case "ipv4":
		return beacon.DefaultGroup4, nil
	case "ipv6":
		return beacon.DefaultGroup6, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, usageError{fmt.Errorf("group %q is neither an IP address nor ipv4 or ipv6", s)}
	}
	return a, nil
}
