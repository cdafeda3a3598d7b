package udpkit_test

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestReceiverCoalesced is for senders with UDP_SEGMENT: whether the kernel takes their datagrams
// apart or the receiver does, a handler sees the same.
func TestReceiverCoalesced(t *testing.T) {
	for _, style := range udpkit.Styles() {
		for _, coalesce := range []bool{false, true} {
			cfg := udpkit.ReceiverConfig{BufferSize: 100, Coalesce: coalesce, PollInterval: time.Millisecond}
			r := receive(t, newReceiver(t, style, cfg), nil, nil)
			for _, size := range []int{100, 30, 110, 1} {
				payload := bytes.Repeat([]byte("0123456789"), 40)[:3*size+size/2]
				testenv.SendSegments(t, r.sender, payload, size)
				for rest := payload; len(rest) > 0; rest = rest[min(size, len(rest)):] {
					d := r.next()
					want := rest[:min(size, len(rest))]
					require.Equal(t, string(want[:min(len(want), 100)]), string(d.Payload), "%s, %v", style, coalesce)
					require.Equal(t, len(want) > 100, d.Truncated)
				}
			}
			r.cancel()
			assert.Zero(t, r.receiver.Dropped())
		}
	}
}

// What is left of a piece when Receive ends comes with the next Receive, in all styles but Channel,
// which counts it.
func TestReceiverCoalescedReadAhead(t *testing.T) {
	const sent = 300
	for _, style := range udpkit.Styles() {
		receiver := newReceiver(t, style, udpkit.ReceiverConfig{BufferSize: 100, Coalesce: true, PollInterval: time.Millisecond})
		conn := rxListen(t)
		require.ErrorIs(t, receiver.Receive(cancelled(), conn, func(udpkit.Datagram) {}), context.Canceled)
		sender := rxDial(t, conn)
		for range sent / 50 {
			testenv.SendSegments(t, sender, make([]byte, 50*20), 20)
		}
		got := 0
		for got+int(receiver.Dropped()) < sent {
			ctx, cancel := context.WithCancel(context.Background())
			n := 0
			err := receiver.Receive(ctx, conn, func(udpkit.Datagram) {
				got++
				if n++; n == 70 || got+int(receiver.Dropped()) == sent {
					cancel()
				}
			})
			require.ErrorIs(t, err, context.Canceled)
		}
		assert.Equal(t, sent, got+int(receiver.Dropped()), style)
		if style != udpkit.Channel {
			assert.Zero(t, receiver.Dropped(), style)
		}
	}
}

// BenchmarkDrainSegments is BenchmarkDrain for a sender with UDP_SEGMENT, 100 datagrams in a piece.
func BenchmarkDrainSegments(b *testing.B) {
	const waiting, piece = 1000, 100
	payload := make([]byte, piece*120)
	send := func(sender *net.UDPConn) {
		for range waiting / piece {
			testenv.SendSegments(b, sender, payload, 120)
		}
	}
	for _, style := range udpkit.Styles() {
		for name, coalesce := range map[string]bool{"": false, ", coalesced": true} {
			b.Run(string(style)+name, func(b *testing.B) {
				cfg := udpkit.ReceiverConfig{BufferSize: 2048, Coalesce: coalesce}
				drain := drainWith(b, style, cfg, waiting)
				benchmarkDrain(b, waiting, send, drain)
			})
		}
	}
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
