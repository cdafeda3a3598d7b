package jetstream_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/jetstream"
)

// BenchmarkAppendCluster appends one call after the other, as a server does, at NATS servers on
// 127.0.0.1 that sync always.
func BenchmarkAppendCluster(b *testing.B) {
	for _, n := range []int{1, 3} {
		c := newCluster(b, n)
		for _, batch := range []int{1, 16, 256} {
			b.Run(fmt.Sprintf("servers=%d/batch=%d", n, batch), func(b *testing.B) {
				benchmarkAppend(b, open(b, c.config(fmt.Sprintf("log-%d-%d", n, batch), 0)), batch)
			})
		}
	}
}

func benchmarkAppend(b *testing.B, s *jetstream.Log, batch int) {
	run, next := relay.NewID(), uint64(1)
	for b.Loop() {
		_, err := s.Append(b.Context(), logtest.Records(run, next, batch))
		require.NoError(b, err)
		next += uint64(batch)
	}
	b.ReportMetric(float64(next)/b.Elapsed().Seconds(), "messages/s")
}
