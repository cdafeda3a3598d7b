package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/dissect"
)

func dissectorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dissector",
		Short: "Print a dissector for Wireshark",
		Example: "  udpkit dissector > ~/.local/lib/wireshark/plugins/udpkit.lua   # of Linux and macOS" + "\n" +
			"  tshark -X lua_script:udpkit.lua -r today.pcapng -T json -j udpkit" + "\n" +
			"  tshark -X lua_script:udpkit.lua -r today.pcapng -Y 'udpkit.expert.gap || udpkit.expert.late'",
		Long: "Print a dissector, in Lua, with which Wireshark and tshark (4.0 or later) show what udpkit decode does, in a\n" +
			"recording or live, and what becomes of a run: gaps, duplicates, what is late, and what was sent again. Wireshark\n" +
			"says under Help > About > Folders where its personal Lua plugins are.\n\n" +
			"It knows the ports that the programs have unless told otherwise (the preference udpkit.ports), what is\n" +
			"unmistakable on all others, and the rest by Decode As. Nothing is verified or decrypted. From version 4.4 on\n" +
			"they run no scripts as root.",
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(stdout, dissect.Wireshark())
			return err
		},
	}
}
