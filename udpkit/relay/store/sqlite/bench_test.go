package sqlite_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

func TestCompare(t *testing.T) {
	for range 2 {
		for _, batch := range []int{1, 8, 64, 256, 1000} {
			for _, kind := range []string{"nats", "sqlite"} {
				var log relay.Log
				var closer func() error
				if kind == "nats" {
					s, err := store.Open(context.Background(), store.Config{Dir: t.TempDir()})
					require.NoError(t, err)
					log, closer = s, s.Close
				} else {
					s, err := sqlite.Open(context.Background(), sqlite.Config{Dir: t.TempDir()})
					require.NoError(t, err)
					log, closer = s, s.Close
				}
				run, number, text := relay.NewID(), uint64(0), strings.Repeat(".", 120)
				cpu := func() time.Duration {
					var u syscall.Rusage
					_ = syscall.Getrusage(0, &u)
					return time.Duration(u.Utime.Nano() + u.Stime.Nano())
				}
				begun, used := time.Now(), cpu()
				for time.Since(begun) < 2*time.Second {
					records := make([]relay.Record, batch)
					for i := range records {
						number++
						records[i] = relay.Record{Run: run, Number: number, Username: "writer", Text: text, At: time.Now()}
					}
					_, err := log.Append(context.Background(), records)
					require.NoError(t, err)
				}
				fmt.Printf("%6s %5d %8.0f/s %6.2f us\n", kind, batch, float64(number)/time.Since(begun).Seconds(), float64((cpu()-used).Nanoseconds())/1000/float64(number))
				require.NoError(t, closer())
			}
		}
	}
}

func BenchmarkBatch(b *testing.B) {
	for _, n := range []int{1, 8, 64, 256, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := open(b, sqlite.Config{Dir: b.TempDir()})
			run, number, text := relay.NewID(), uint64(0), strings.Repeat(".", 120)
			cpu := func() time.Duration {
				var u syscall.Rusage
				_ = syscall.Getrusage(0, &u)
				return time.Duration(u.Utime.Nano() + u.Stime.Nano())
			}
			used := cpu()
			for b.Loop() {
				records := make([]relay.Record, n)
				for i := range records {
					number++
					records[i] = relay.Record{Run: run, Number: number, Username: "writer", Text: text, At: time.Now()}
				}
				_, err := s.Append(b.Context(), records)
				require.NoError(b, err)
			}
			b.ReportMetric(float64((cpu()-used).Nanoseconds())/1000/float64(number), "cpu-us/record")
			b.ReportMetric(float64(number)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
