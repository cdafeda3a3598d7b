package relay_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// BenchmarkFanout measures a delivery of a message of 120 bytes from a writer through a server to
// readers, all in this process and with all that they do: a number of messages is under way, and
// the next when all readers have them. "udpkit bench" measures a server alone.
func BenchmarkFanout(b *testing.B) {
	for _, readers := range []int{8, 64} {
		for _, inFlight := range []int{1, 8, 64, 256} {
			b.Run(fmt.Sprintf("%d readers, %d in flight", readers, inFlight), func(b *testing.B) { fanout(b, readers, inFlight, nil, false) })
		}
	}
}

// BenchmarkFanoutKey is BenchmarkFanout with a shared key, beside none.
func BenchmarkFanoutKey(b *testing.B) {
	ring := testenv.Ring(b)
	for _, inFlight := range []int{1, 256} {
		b.Run(fmt.Sprintf("%d in flight, no key", inFlight), func(b *testing.B) { fanout(b, 64, inFlight, nil, false) })
		b.Run(fmt.Sprintf("%d in flight, signed", inFlight), func(b *testing.B) { fanout(b, 64, inFlight, ring, false) })
		b.Run(fmt.Sprintf("%d in flight, sealed", inFlight), func(b *testing.B) { fanout(b, 64, inFlight, ring, true) })
	}
}

func fanout(b *testing.B, readers, inFlight int, ring *key.Ring, seal bool) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	s, err := relay.NewServer(relay.ServerConfig{Listen: anyPort, Key: ring, Seal: seal})
	require.NoError(b, err)
	defer s.Close()
	ended := make(chan error, readers+2)
	go func() { ended <- s.Run(ctx) }()
	var missing atomic.Int64 // deliveries
	all, ready := make(chan struct{}), make(chan struct{}, readers+1)
	on := func(e relay.Event) {
		switch e := e.(type) {
		case relay.LinkEvent:
			if e.Up {
				ready <- struct{}{}
			}
		case relay.MessageEvent:
			if missing.Add(-1) == 0 {
				all <- struct{}{}
			}
		}
	}
	w, err := relay.NewWriter(relay.WriterConfig{Servers: []string{s.Addr().String()}, Username: "writer", Key: ring, Seal: seal, OnEvent: on})
	require.NoError(b, err)
	defer w.Close()
	go func() { ended <- w.Run(ctx) }()
	for i := range readers {
		r, err := relay.NewReader(relay.ReaderConfig{Servers: []string{s.Addr().String()}, Username: fmt.Sprint("reader", i), Key: ring, Seal: seal, OnEvent: on})
		require.NoError(b, err)
		defer r.Close()
		go func() { ended <- r.Run(ctx) }()
	}
	for range readers + 1 {
		<-ready
	}
	text := strings.Repeat(".", 120)
	b.ReportAllocs()
	b.ResetTimer()
	before, _ := measure.CPU()
	for n := 0; n < b.N; n += inFlight * readers {
		missing.Store(int64(inFlight * readers))
		for range inFlight {
			_, err := w.Send(ctx, text)
			require.NoError(b, err)
		}
		<-all
	}
	b.StopTimer()
	after, _ := measure.CPU()
	b.ReportMetric(float64(after-before)/float64(b.N), "cpu-ns/op")
	cancel()
	for range readers + 2 {
		require.NoError(b, <-ended)
	}
}
