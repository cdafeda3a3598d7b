package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

func replayCommand() *cobra.Command {
	cfg := record.ReplayConfig{Speed: 1}
	to := ""
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Play a recording to a client",
		Example: "  udpkit server --record today.pcapng" + "\n" +
			"  udpkit replay today.pcapng --speed 2" + "\n" +
			"  udpkit replay today.pcapng --speed 0 --to 192.0.2.7" + "\n" +
			"  tcpdump -i any -w capture.pcap udp port 37020   # may be played too",
		Long: "Play what servers have sent to a port, from a file that --record has made, or tcpdump or Wireshark (pcap or\n" +
			"pcapng), to the clients of this machine, or to another address. It takes the time that it took, divided by\n" +
			"--speed; with --speed 0 it waits for nothing but the client's answers.\n\n" +
			"Signed and sealed messages are stale after a while, and a client with a key refuses them then.",
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if cfg.To, err = parseTarget(cmd.Context(), to); err != nil {
				return err
			}
			if cfg.To.Port() == 0 {
				cfg.To = netip.AddrPortFrom(cfg.To.Addr(), cfg.Port)
			}
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer file.Close()
			stats, err := record.Replay(cmd.Context(), file, cfg)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			left := ""
			if stats.Partial > 0 {
				left = fmt.Sprintf("; %s left out, of which the capture has only a part", format.Plural(stats.Partial, "datagram"))
			}
			_, err = fmt.Fprintf(stdout, "%s of %s played to %v, %s%s\n", format.Plural(stats.Sent, "datagram"),
				format.Plural(stats.Sources, "sender"), cfg.To, format.Plural(stats.Answers, "answer"), left)
			return err
		},
	}
	flags := cmd.Flags()
	flags.Uint16Var(&cfg.Port, "port", udpkit.DefaultPort, "play those who have sent to this UDP `port`, to the same port")
	flags.StringVar(&to, "to", udp.LoopbackBroadcast.String(), "`HOST` or HOST:PORT to play to; the default is all clients of this machine")
	flags.Var((*speed)(&cfg.Speed), "speed", "how much `faster` than it was (0: as fast as the client answers)")
	return cmd
}

// oneFile takes one argument.
func oneFile(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return usageError{errors.New("name the file of the recording")}
	case 1:
		return nil
	}
	return usageError{fmt.Errorf("unexpected argument %q", args[1])}
}

// speed is a flag for record.ReplayConfig.Speed.
type speed float64

func (s *speed) String() string { return strconv.FormatFloat(float64(*s), 'g', -1, 64) }

func (s *speed) Type() string { return "number" }

// Set implements pflag.Value.
func (s *speed) Set(text string) error {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f == 0 || f >= 1e-3 && f <= 1e6) {
		return errors.New("neither 0 nor a number from 0.001 to 1000000")
	}
	*s = speed(f)
	return nil
}
