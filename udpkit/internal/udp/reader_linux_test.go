package udp

import (
	"bytes"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// Datagrams that the sender has sent in one piece arrive as they would one by one, with and without
// UDP_GRO: also the short last one, and the limit holds for each of them.
func TestCoalesced(t *testing.T) {
	payload := make([]byte, 10*120+50)
	for i := range payload {
		payload[i] = byte(i / 7)
	}
	for _, cfg := range []ReaderConfig{
		{Size: 200}, {Size: 200, Coalesce: true}, {Size: 120, Coalesce: true}, {Size: 60, Coalesce: true}, {Size: 60},
		{Size: 49, Coalesce: true, Single: true},
	} {
		conn, sender := pair(t, "udp4")
		r := newReader(t, conn, cfg)
		for range 20 { // more than a batch
			testenv.SendSegments(t, sender, payload, 120)
		}
		_, err := sender.Write([]byte("alone"))
		require.NoError(t, err)
		for range 20 {
			for rest := payload; len(rest) > 0; {
				size := min(120, len(rest))
				d := next(t, r, false)
				require.Equal(t, rest[:min(size, cfg.Size)], d.Payload, "%+v", cfg)
				require.Equal(t, size > cfg.Size, d.Truncated, "%+v", cfg)
				require.Equal(t, addr(sender), d.Source)
				rest = rest[size:]
			}
		}
		assert.Equal(t, "alone", string(next(t, r, false).Payload))
		require.Same(t, ErrWouldBlock, r.Read(false))
	}
}

// A socket that was put into the mode by someone else is read right all the same.
func TestCoalescedAlready(t *testing.T) {
	conn, sender := pair(t, "udp4")
	newReader(t, conn, ReaderConfig{Size: 10, Coalesce: true})
	r := newReader(t, conn, ReaderConfig{Size: 10})
	testenv.SendSegments(t, sender, bytes.Repeat([]byte("x"), 20), 10)
	assert.Len(t, next(t, r, false).Payload, 10)
	assert.True(t, r.Buffered())
	assert.Len(t, next(t, r, false).Payload, 10)
	assert.False(t, r.Buffered())
}

func TestDropped(t *testing.T) {
	conn, sender := pair(t, "udp4")
	require.NoError(t, conn.SetReadBuffer(4096))
	r := newReader(t, conn, ReaderConfig{Size: 100})
	count, ok := r.Dropped()
	require.True(t, ok)
	require.Zero(t, count)
	const sent = 1000
	for range sent {
		_, err := sender.Write(make([]byte, 100))
		require.NoError(t, err)
	}
	read := 0
	for r.Read(false) == nil {
		for r.Next() != nil {
			read++
		}
	}
	count, _ = r.Dropped()
	assert.EqualValues(t, sent-read, count)
	assert.NotZero(t, count)
}

func TestMemory(t *testing.T) {
	for _, cfg := range []ReaderConfig{{Size: 1025}, {Size: 1025, Coalesce: true}, {Size: 65535}, {Size: 1}, {Size: 65535, Coalesce: true}} {
		conn, _ := pair(t, "udp4")
		r := newReader(t, conn, cfg)
		assert.LessOrEqual(t, len(r.buffers), maxMemory, cfg)
		assert.Positive(t, len(r.messages), cfg)
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	for _, cfg := range []ReaderConfig{{Size: 100}, {Size: 100, Coalesce: true}, {Size: 100, Back: true}} {
		conn, sender := everywhere(t, "udp4")
		r := newReader(t, conn, cfg)
		b := make([]byte, 50)
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			for range 10 {
				_, _ = sender.Write(b)
			}
			for range 10 {
				next(t, r, true)
				r.Back()
			}
		}))
	}
}

// BenchmarkReader reads what a sender has put into the socket before, which is not in the figure:
// 120 bytes each, one by one or in pieces of 100. "plain" is package net.
func BenchmarkReader(b *testing.B) {
	const size, count = 120, 200
	var back Path
	single := func(b *testing.B, sender *net.UDPConn) {
		for range count {
			if _, err := sender.Write(make([]byte, size)); err != nil {
				b.Fatal(err)
			}
		}
	}
	pieces := func(b *testing.B, sender *net.UDPConn) {
		for range count / 100 {
			testenv.SendSegments(b, sender, make([]byte, 100*size), size)
		}
	}
	run := func(name string, cfg ReaderConfig, send func(*testing.B, *net.UDPConn)) {
		b.Run(name, func(b *testing.B) {
			conn, sender := everywhere(b, "udp4")
			require.NoError(b, conn.SetReadBuffer(4<<20))
			buf := make([]byte, size)
			var r *Reader
			if cfg.Size > 0 {
				r = newReader(b, conn, cfg)
			}
			b.ReportAllocs()
			for done := 0; done < b.N; done += count {
				b.StopTimer()
				send(b, sender)
				b.StartTimer()
				for range count {
					if r == nil {
						if _, _, err := conn.ReadFromUDPAddrPort(buf); err != nil {
							b.Fatal(err)
						}
						continue
					}
					for r.Next() == nil {
						if err := r.Read(true); err != nil {
							b.Fatal(err)
						}
					}
					if cfg.Back {
						back = r.Back()
					}
				}
			}
		})
	}
	run("plain", ReaderConfig{}, single)
	run("one at a time", ReaderConfig{Size: 1025, Single: true}, single)
	run("batch", ReaderConfig{Size: 1025}, single)
	run("batch, the way back", ReaderConfig{Size: 1025, Back: true}, single)
	run("batch, UDP_GRO", ReaderConfig{Size: 1025, Coalesce: true}, single)
	run("batch, UDP_GRO, the way back", ReaderConfig{Size: 1025, Coalesce: true, Back: true}, single)
	run("plain, UDP_SEGMENT", ReaderConfig{}, pieces)
	run("batch, UDP_SEGMENT", ReaderConfig{Size: 1025}, pieces)
	run("batch, UDP_GRO, UDP_SEGMENT", ReaderConfig{Size: 1025, Coalesce: true}, pieces)
	run("batch, UDP_GRO, UDP_SEGMENT, the way back", ReaderConfig{Size: 1025, Coalesce: true, Back: true}, pieces)
	_ = back
}
