package udp

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair returns a socket on loopback and one that sends to it.
func pair(t testing.TB, network string) (conn, sender *net.UDPConn) {
	t.Helper()
	loopback := map[string]net.IP{"udp4": net.IPv4(127, 0, 0, 1), "udp6": net.IPv6loopback}[network]
	conn, err := net.ListenUDP(network, &net.UDPAddr{IP: loopback})
	if err != nil && network == "udp6" {
		t.Skip("no IPv6 here: ", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	sender, err = net.DialUDP(network, nil, conn.LocalAddr().(*net.UDPAddr))
	require.NoError(t, err)
	t.Cleanup(func() { _ = sender.Close() })
	return conn, sender
}

// everywhere returns a socket that is bound to all addresses and one that sends to it on loopback.
func everywhere(t testing.TB, network string) (conn, sender *net.UDPConn) {
	t.Helper()
	conn, err := net.ListenUDP(network, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	loopback := map[string]net.IP{"udp4": net.IPv4(127, 0, 0, 1), "udp6": net.IPv6loopback}[network]
	sender, err = net.DialUDP(network, nil, &net.UDPAddr{IP: loopback, Port: int(addr(conn).Port())})
	require.NoError(t, err)
	t.Cleanup(func() { _ = sender.Close() })
	return conn, sender
}

func newReader(t testing.TB, conn *net.UDPConn, cfg ReaderConfig) *Reader {
	t.Helper()
	r, err := NewReader(conn, cfg)
	require.NoError(t, err)
	return r
}

func addr(conn *net.UDPConn) netip.AddrPort { return conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// next reads as the receivers do.
func next(t testing.TB, r *Reader, wait bool) Datagram {
	t.Helper()
	d := r.Next()
	for d == nil {
		require.NoError(t, r.Read(wait))
		d = r.Next()
	}
	return *d
}

func TestRead(t *testing.T) {
	for _, network := range []string{"udp4", "udp6"} {
		for _, wait := range []bool{true, false} {
			if !wait && runtime.GOOS == "windows" {
				continue
			}
			for _, cfg := range []ReaderConfig{{Size: 100}, {Size: 100, Coalesce: true}, {Size: 100, Single: true}} {
				t.Run(fmt.Sprint(network, wait, cfg), func(t *testing.T) {
					conn, sender := pair(t, network)
					r := newReader(t, conn, cfg)
					require.Nil(t, r.Next())
					if !wait {
						require.Same(t, ErrWouldBlock, r.Read(false))
					}
					for round := range 3 {
						before := time.Now()
						sizes := []int{0, 3, 100, 101, 5000, 100, 0, 1}
						for _, size := range sizes {
							_, err := sender.Write(make([]byte, size))
							require.NoError(t, err)
						}
						for _, size := range sizes {
							d := next(t, r, wait)
							assert.Len(t, d.Payload, min(size, 100), round)
							assert.Equal(t, size > 100, d.Truncated)
							assert.Equal(t, addr(sender), d.Source)
							assert.WithinRange(t, d.Received, before, time.Now())
						}
						assert.False(t, r.Buffered())
					}
				})
			}
		}
	}
}

func TestReadEnds(t *testing.T) {
	conn, _ := pair(t, "udp4")
	r := newReader(t, conn, ReaderConfig{Size: 100})
	require.NoError(t, conn.SetReadDeadline(time.Unix(1, 0)))
	require.ErrorIs(t, r.Read(true), os.ErrDeadlineExceeded)
	require.NoError(t, conn.SetReadDeadline(time.Time{}))
	ended := make(chan error)
	go func() { ended <- r.Read(true) }()
	require.NoError(t, conn.Close())
	require.ErrorIs(t, <-ended, net.ErrClosed)
	if runtime.GOOS != "windows" {
		require.ErrorIs(t, r.Read(false), net.ErrClosed)
	}
	require.Nil(t, r.Next())
	_, ok := r.Dropped()
	require.False(t, ok)
	_, err := NewReader(new(net.UDPConn), ReaderConfig{Size: 1})
	require.Error(t, err)
}

func TestZoneNames(t *testing.T) {
	interfaces, err := net.Interfaces()
	require.NoError(t, err)
	var zones zoneNames
	assert.Empty(t, zones.name(0))
	for _, ifi := range interfaces {
		assert.Equal(t, ifi.Name, zones.name(uint32(ifi.Index)))
		assert.Equal(t, ifi.Name, zones.name(uint32(ifi.Index)))
	}
	assert.Equal(t, "4000000000", zones.name(4_000_000_000))
	assert.Empty(t, zones.name(0))
}
