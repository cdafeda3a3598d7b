package udp

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
)

// sink is a socket that counts what comes.
func sink(t testing.TB, network string) *net.UDPConn {
	conn, _ := pair(t, network)
	require.NoError(t, conn.SetReadBuffer(4<<20))
	return conn
}

func newWriter(t testing.TB, conn *net.UDPConn) *Writer {
	t.Helper()
	w, err := NewWriter(conn)
	require.NoError(t, err)
	return w
}

// Datagrams of all lengths, in one part or two, to several addresses arrive whole, each at its own,
// in order.
func TestWriter(t *testing.T) {
	for _, network := range []string{"udp4", "udp6"} {
		from := sink(t, network)
		w := newWriter(t, from)
		var sinks []*net.UDPConn
		for range 3 {
			sinks = append(sinks, sink(t, network))
		}
		const each = 200
		for round, mixed := range []bool{true, true, false, true} {
			want := make([][]string, len(sinks))
			var wantTo []netip.AddrPort
			for i := range each * len(sinks) {
				at := i / each // runs to one address
				if round == 1 {
					at = i % len(sinks) // or alternating
				}
				payload := fmt.Sprintf("%03d %040d", i, i) // more than fit into one call
				if mixed {
					// Equal lengths with a shorter or a longer one now and then, an empty one too.
					payload = fmt.Sprintf("%03d %0*d", i, []int{40, 40, 40, 40, 40, 40, 40, 20, 40, 60}[i%10], i)
					if i%17 == 0 {
						payload = ""
					}
				}
				want[at] = append(want[at], payload)
				wantTo = append(wantTo, addr(sinks[at]))
				if i%7 < 3 {
					w.Add([]byte(payload), Path{To: addr(sinks[at])})
					continue
				}
				cut := i % 5 * len(payload) / 4 // none of it, and all of it, too
				head, body := []byte(payload[:cut]), []byte(payload[cut:])
				w.AddParts(head, body, Path{To: addr(sinks[at])})
				clear(head)
				clear(body)
			}
			var gotTo []netip.AddrPort
			w.Flush(func(path Path, err error) {
				require.NoError(t, err)
				gotTo = append(gotTo, path.To)
			})
			require.Equal(t, wantTo, gotTo)
			for at, payloads := range want {
				buf := make([]byte, 2000)
				for _, payload := range payloads {
					n, source, err := sinks[at].ReadFromUDPAddrPort(buf)
					require.NoError(t, err)
					require.Equal(t, payload, string(buf[:n]))
					require.Equal(t, addr(from), source)
				}
			}
		}
		for _, parts := range [][2]string{{"head", "body"}, {"", "all"}, {"all", ""}, {"", ""}} { // alone
			w.AddParts([]byte(parts[0]), []byte(parts[1]), Path{To: addr(sinks[0])})
			w.Flush(func(_ Path, err error) { require.NoError(t, err) })
			buf := make([]byte, 2000)
			n, err := sinks[0].Read(buf)
			require.NoError(t, err)
			require.Equal(t, parts[0]+parts[1], string(buf[:n]))
		}
		w.Flush(func(Path, error) { assert.Fail(t, "there is nothing left") })
	}
}

// The longest datagrams go in pieces too, as many as fit into one.
func TestWriterLong(t *testing.T) {
	from, to := sink(t, "udp4"), sink(t, "udp4")
	w := newWriter(t, from)
	for _, size := range []int{65507, 32753, 1200} {
		n := 2 * 65507 / size
		for range n {
			w.AddParts(make([]byte, 12), make([]byte, size-12), Path{To: addr(to)})
		}
		w.Flush(func(_ Path, err error) { require.NoError(t, err) })
		for range n {
			got, err := to.Read(make([]byte, 65536))
			require.NoError(t, err)
			require.Equal(t, size, got)
		}
	}
}

// A datagram that cannot be sent does not keep the others back.
func TestWriterErrors(t *testing.T) {
	from, to := sink(t, "udp4"), sink(t, "udp4")
	w := newWriter(t, from)
	tooLong := make([]byte, 70_000)
	type result struct {
		to     netip.AddrPort
		failed bool
	}
	want := []result{
		{addr(to), false}, {netip.AddrPort{}, true}, {addr(to), true}, {netip.MustParseAddrPort("[::1]:9"), true}, {addr(to), false},
		{netip.MustParseAddrPort("255.255.255.255:0"), true}, {addr(to), false}, {addr(to), false},
	}
	for i, r := range want {
		payload := []byte("datagram")
		if i == 2 {
			payload = tooLong
		}
		w.AddParts(payload[:3], payload[3:], Path{To: r.to})
	}
	var got []result
	w.Flush(func(path Path, err error) { got = append(got, result{path.To, err != nil}) })
	assert.Equal(t, want, got)
	for range 4 {
		require.NoError(t, to.SetReadDeadline(time.Now().Add(10*time.Second)))
		_, _, err := to.ReadFromUDPAddrPort(make([]byte, 100))
		require.NoError(t, err)
	}

	require.NoError(t, from.Close())
	w.Add([]byte("x"), Path{To: addr(to)})
	w.Add([]byte("x"), Path{To: addr(to)})
	failed := 0
	w.Flush(func(_ Path, err error) {
		assert.ErrorIs(t, err, net.ErrClosed)
		failed++
	})
	assert.Equal(t, 2, failed)
	_, err := NewWriter(new(net.UDPConn))
	assert.Error(t, err)
}

func TestWriterAllocatesNothing(t *testing.T) {
	conn, to := listen(t, "0.0.0.0:0", Options{}), addr(sink(t, "udp4"))
	w := newWriter(t, conn)
	b := make([]byte, 100)
	done := func(_ Path, err error) { require.NoError(t, err) }
	for _, path := range []Path{{To: to}, {To: to, From: netip.MustParseAddr("127.0.0.2")}} {
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			for range 10 {
				w.Add(b, path)
				w.AddParts(b[:12], b[12:], path)
			}
			w.Flush(done)
			w.AddParts(b[:12], b[12:], path)
			w.Flush(done)
		}))
		assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { require.NoError(t, Send(conn, b, path)) }), 1.0)
	}
}

// BenchmarkWriter sends to many addresses, or many datagrams to one. "plain" is package net.
func BenchmarkWriter(b *testing.B) {
	for _, targets := range []int{1, 4, 64} {
		for _, each := range []int{1, 16} {
			from := sink(b, "udp4")
			w := newWriter(b, from)
			var to []netip.AddrPort
			for range targets {
				to = append(to, addr(sink(b, "udp4")))
			}
			payload := make([]byte, 120)
			name := fmt.Sprintf("%d targets, %d each", targets, each)
			b.Run(name+"/plain", func(b *testing.B) {
				b.ReportAllocs()
				for n := 0; n < b.N; n += targets * each {
					for _, to := range to {
						for range each {
							_, _ = from.WriteToUDPAddrPort(payload, to)
						}
					}
				}
			})
			b.Run(name+"/batch", func(b *testing.B) {
				b.ReportAllocs()
				for n := 0; n < b.N; n += targets * each {
					for _, to := range to {
						for range each {
							w.Add(payload, Path{To: to})
						}
					}
					w.Flush(func(Path, error) {})
				}
			})
		}
	}
}

// BenchmarkWriterParts is what a relay does: the same body with a head of its own for each of many
// targets. "one part" is the least that is possible: the same datagrams for all, in one piece
// already.
func BenchmarkWriterParts(b *testing.B) {
	const targets, each, size, headSize = 64, 16, 1200, 12
	from := sink(b, "udp4")
	w := newWriter(b, from)
	var to []netip.AddrPort
	for range targets {
		sink := sink(b, "udp4")
		newReader(b, sink, ReaderConfig{Size: size, Coalesce: true}) // as readers have it: the kernel takes no piece apart
		to = append(to, addr(sink))
	}
	datagrams, head := make([]byte, each*size), make([]byte, headSize)
	for _, way := range []struct {
		name string
		add  func(target, i int)
	}{
		{"parts", func(target, i int) {
			w.AddParts(head, datagrams[i*size+headSize:][:size-headSize], Path{To: to[target]})
		}},
		{"one part", func(target, i int) { w.Add(datagrams[i*size:][:size], Path{To: to[target]}) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			round := func() {
				for target := range targets {
					for i := range each {
						way.add(target, i)
					}
				}
				w.Flush(func(Path, error) {})
			}
			for range 600 { // until nobody has room: filling it is dearer
				round()
			}
			b.ResetTimer()
			before, _ := measure.CPU()
			for n := 0; n < b.N; n += targets * each {
				round()
			}
			after, _ := measure.CPU()
			b.ReportMetric(float64(after-before)/float64(b.N), "cpu-ns/op")
		})
	}
}
