package weather

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSources: more are refused than can be known, until some have been idle for a minute.
func TestSources(t *testing.T) {
	behind, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer behind.Close()
	f, err := New(Config{Listen: netip.MustParseAddrPort("127.0.0.1:0"), To: behind.LocalAddr().(*net.UDPAddr).AddrPort()})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, f.Close())
	}()
	stranger := func() *net.UDPConn {
		conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(f.Addr()))
		require.NoError(t, err)
		_, err = conn.Write([]byte("hello"))
		require.NoError(t, err)
		return conn
	}
	first := stranger()
	defer first.Close()
	for sent := uint64(1); f.Report().Refused == 0; sent++ {
		require.NoError(t, stranger().Close())
		require.Eventually(t, func() bool { r := f.Report(); return r.There.Received+r.Refused > sent }, 30*time.Second, 100*time.Microsecond)
		require.Less(t, sent, uint64(3*MaxSources))
	}
	r := f.Report()
	if r.Sources < MaxSources {
		t.Logf("the system has no more sockets than %d", r.Sources)
	}
	require.LessOrEqual(t, r.Sources, MaxSources)
	assert.EqualValues(t, r.Sources, r.Seen)

	f.forget(time.Now().Add(IdleTime / 2))
	require.Equal(t, r.Sources, f.Report().Sources)
	f.forget(time.Now().Add(IdleTime + time.Second))
	require.Zero(t, f.Report().Sources)
	require.EqualValues(t, r.Sources, f.Report().Forgotten)
	_, err = first.Write([]byte("here again"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return f.Report().Sources == 1 }, 30*time.Second, time.Millisecond)
}
