package sqlite_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

// BenchmarkAppend appends one call after the other, as a server does.
func BenchmarkAppend(b *testing.B) {
	for _, sync := range []sqlite.Sync{sqlite.SyncAlways, sqlite.SyncPeriodic} {
		for _, batch := range []int{1, 8, 64, 256, 1000} {
			b.Run(fmt.Sprintf("sync=%s/batch=%d", sync, batch), func(b *testing.B) {
				s := open(b, sqlite.Config{Dir: b.TempDir(), Sync: sync})
				run, next, text := relay.NewID(), uint64(1), strings.Repeat(".", 120)
				records := make([]relay.Record, batch)
				for b.Loop() {
					for i := range records {
						records[i] = relay.Record{Run: run, Number: next, Username: "ann", Text: text, At: time.Now()}
						next++
					}
					_, err := s.Append(context.Background(), records)
					require.NoError(b, err)
				}
				b.ReportMetric(float64(next)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}

// BenchmarkRead reads a log from the oldest message to the newest.
func BenchmarkRead(b *testing.B) {
	const messages = 10_000
	s := open(b, sqlite.Config{Dir: b.TempDir()})
	_, err := s.Append(b.Context(), logtest.Records(relay.NewID(), 1, messages))
	require.NoError(b, err)
	for b.Loop() {
		require.Len(b, logtest.All(b, s), messages)
	}
	b.ReportMetric(float64(b.N)*messages/b.Elapsed().Seconds(), "messages/s")
}
