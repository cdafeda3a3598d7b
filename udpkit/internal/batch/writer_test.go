package batch

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

// Datagrams of all lengths to several addresses arrive whole, each at its own, in order.
func TestWriter(t *testing.T) {
	for _, network := range []string{"udp4", "udp6"} {
		from := sink(t, network)
		w := newWriter(t, from)
		var sinks []*net.UDPConn
		for range 3 {
			sinks = append(sinks, sink(t, network))
		}
		for round := range 3 {
			want := make([][]string, len(sinks))
			var wantTo []netip.AddrPort
			for i := range 300 {
				at := i / 100 // runs to one address
				if round == 1 {
					at = i % 3 // or alternating
				}
				// Equal lengths with a shorter or a longer one now and then, an empty one too.
				payload := fmt.Sprintf("%03d %0*d", i, []int{40, 40, 40, 40, 40, 40, 40, 20, 40, 60}[i%10], i)
				if i%17 == 0 {
					payload = ""
				}
				want[at] = append(want[at], payload)
				wantTo = append(wantTo, addr(sinks[at]))
				w.Add([]byte(payload), addr(sinks[at]))
			}
			var gotTo []netip.AddrPort
			w.Flush(func(to netip.AddrPort, err error) {
				require.NoError(t, err)
				gotTo = append(gotTo, to)
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
		w.Flush(func(netip.AddrPort, error) { assert.Fail(t, "there is nothing left") })
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
		w.Add(payload, r.to)
	}
	var got []result
	w.Flush(func(to netip.AddrPort, err error) { got = append(got, result{to, err != nil}) })
	assert.Equal(t, want, got)
	for range 4 {
		require.NoError(t, to.SetReadDeadline(time.Now().Add(10*time.Second)))
		_, _, err := to.ReadFromUDPAddrPort(make([]byte, 100))
		require.NoError(t, err)
	}

	require.NoError(t, from.Close())
	w.Add([]byte("x"), addr(to))
	w.Add([]byte("x"), addr(to))
	failed := 0
	w.Flush(func(_ netip.AddrPort, err error) {
		assert.ErrorIs(t, err, net.ErrClosed)
		failed++
	})
	assert.Equal(t, 2, failed)
	_, err := NewWriter(new(net.UDPConn))
	assert.Error(t, err)
}

func TestWriterAllocatesNothing(t *testing.T) {
	w, to := newWriter(t, sink(t, "udp4")), addr(sink(t, "udp4"))
	b := make([]byte, 100)
	done := func(netip.AddrPort, error) {}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for range 10 {
			w.Add(b, to)
		}
		w.Flush(done)
	}))
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
							w.Add(payload, to)
						}
					}
					w.Flush(func(netip.AddrPort, error) {})
				}
			})
		}
	}
}
