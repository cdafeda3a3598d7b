package sqlite_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

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
