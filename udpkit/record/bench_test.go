package record_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

// asSender has this binary send to the address in it.
const asSender = "UDPKIT_TEST_SEND_TO"

const rate = 50_000 // datagrams a second

func TestMain(m *testing.M) {
	if to := os.Getenv(asSender); to != "" {
		if err := sendAt(rate, to); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// sendAt sends messages at a rate, as many as are asked for by the only argument.
func sendAt(rate int, to string) error {
	conn, err := net.Dial("udp4", to)
	if err != nil {
		return err
	}
	defer conn.Close()
	count, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return err
	}
	begun := time.Now()
	for id := 1; id <= count; id++ {
		if _, err := fmt.Fprintf(conn, `{"timestamp": "2024-05-01T12:00:00.000000", "state": "UP", "message_id": %d, "epoch": "00000000000000aa"}`, id); err != nil {
			return err
		}
		if id%50 == 0 {
			time.Sleep(time.Until(begun.Add(time.Duration(id) * time.Second / time.Duration(rate))))
		}
	}
	return nil
}

// BenchmarkRecord is what recording costs a client that gets 50,000 datagrams a second and
// acknowledges each, of which both are recorded: the processor time of the client alone, in percent
// of one processor, with and without. The sender is a process of its own. What is lost on a busy
// machine is no work: the time is that of the datagrams that came, for 50,000 of them.
func BenchmarkRecord(b *testing.B) {
	for _, with := range []bool{false, true} {
		b.Run(fmt.Sprintf("record=%v", with), func(b *testing.B) {
			cfg := udpkit.ClientConfig{ID: "ann", Listen: at("127.0.0.1:0"), NoRepair: true}
			unrecorded := func() uint64 { return 0 }
			if with {
				f, err := record.Create(filepath.Join(b.TempDir(), "recording.pcapng"))
				require.NoError(b, err)
				defer f.Close()
				cfg.Record = f
				unrecorded = func() uint64 { n, _ := f.Missed(); return n }
			}
			client, err := udpkit.NewClient(cfg)
			require.NoError(b, err)
			defer client.Close()
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- client.Run(ctx) }()
			sender := exec.CommandContext(b.Context(), os.Args[0], strconv.Itoa(b.N))
			sender.Env = append(os.Environ(), asSender+"="+client.Addr().String())
			sender.Stderr = os.Stderr
			b.ResetTimer()
			begun := time.Now()
			before, _ := measure.CPU()
			require.NoError(b, sender.Run())
			for last := uint64(0); ; time.Sleep(10 * time.Millisecond) { // until no more comes
				received := client.Stats().Received
				if received == last {
					break
				}
				last = received
			}
			after, ok := measure.CPU()
			took := time.Since(begun)
			b.StopTimer()
			cancel()
			require.NoError(b, <-ended)
			if !ok {
				b.Skip("the processor time is not known here")
			}
			received := client.Stats().Received
			b.ReportMetric(100*float64(after-before)*rate/float64(received)/float64(time.Second), "cpu-%")
			b.ReportMetric(float64(b.N)/took.Seconds(), "datagrams/s")
			b.ReportMetric(float64(uint64(b.N)-received), "lost")
			b.ReportMetric(float64(unrecorded()), "unrecorded")
		})
	}
}
