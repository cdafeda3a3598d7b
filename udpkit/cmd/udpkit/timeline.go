package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/sequence"
)

func timelineCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "timeline FILE...",
		Short: "Draw who sent what to whom, as a page for a browser",
		Example: "  udpkit server --record server.pcapng" + "\n" +
			"  udpkit client --record client.pcapng" + "\n" +
			"  udpkit timeline server.pcapng client.pcapng > page.html",
		Long: "Write a page for a browser (HTML, without scripts) that shows the datagrams of recordings as arrows between\n" +
			"addresses, in the order of time, each with its bytes explained. The files are what --record has made, or tcpdump\n" +
			"or Wireshark. Those of a server and of its clients are put together, and what did not arrive is a broken arrow.\n" +
			"For that their clocks have to agree. It shows at most 60 datagrams of at most 8 addresses, the first ones.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("name the files of the recordings")}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return sequence.Write(stdout, args...) },
	}
}
