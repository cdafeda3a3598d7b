package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit/dissect"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

func decodeCommand() *cobra.Command {
	port, asJSON := uint16(0), false
	cmd := &cobra.Command{
		Use:   "decode FILE",
		Short: "Print what is in a recording",
		Example: "  udpkit client --record today.pcapng" + "\n" +
			"  udpkit decode today.pcapng" + "\n" +
			"  udpkit decode today.pcapng --json | jq 'select(.verdict)'",
		Long: "Print the datagrams of a file that --record has made, or tcpdump or Wireshark (pcap or pcapng), a line each: its\n" +
			"number in the file, its time, whether it was sent or received, from where to where, what it is, and what the program\n" +
			"has made of it. What a capture has seen as one before the sender's system has parted it has several lines.\n" +
			"Nothing is verified: with a key, whoever signed it is not known here.",
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer file.Close()
			show := textLine(stdout)
			if asJSON {
				out := console.NewJSON(stdout)
				show = func(d decoded) error { return out.Event(d) }
			}
			for p, err := range record.Read(file) {
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				if cmd.Context().Err() != nil {
					return nil
				}
				if port != 0 && p.From.Port() != port && p.To.Port() != port {
					continue
				}
				way := "captured"
				if p.Sent {
					way = "sent"
				} else if p.Received {
					way = "received"
				}
				for _, payload := range dissect.Split(p.Payload) {
					d := dissect.Of(payload)
					if err := show(decoded{p.Number, p.At, way, p.From, p.To, d.Kind, string(d.Protection), p.Truncated, d.Fields, p.Verdict}); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	cmd.Flags().Uint16Var(&port, "port", 0, "only from or to this UDP `port` (0: all)")
	addJSONFlag(cmd, &asJSON)
	return cmd
}

// decoded is a line of JSON.
type decoded struct {
	Number     int            `json:"number"`
	At         time.Time      `json:"at"`
	Way        string         `json:"way"`
	From       netip.AddrPort `json:"from"`
	To         netip.AddrPort `json:"to"`
	Is         string         `json:"is"`
	Protection string         `json:"protection,omitempty"`
	Truncated  bool           `json:"truncated,omitempty"`
	Fields     dissect.Fields `json:"fields"`
	Verdict    string         `json:"verdict,omitempty"`
}

// Kind implements the journal's events.
func (decoded) Kind() string { return "datagram" }

// textLine returns what prints a datagram as a line of text.
func textLine(out io.Writer) func(decoded) error {
	return func(d decoded) error {
		what := d.Is
		if d.Protection != "" && d.Protection != d.Is {
			what += " (" + d.Protection + ")"
		}
		if d.Truncated {
			what += " (cut)"
		}
		line := fmt.Sprintf("%6d  %s  %-8s  %v > %v  %s  %v", d.Number, d.At.Local().Format("15:04:05.000000000"), d.Way, d.From, d.To, what, d.Fields)
		if d.Verdict != "" {
			line += fmt.Sprintf("  [%q]", d.Verdict)
		}
		_, err := fmt.Fprintln(out, line)
		return err
	}
}
