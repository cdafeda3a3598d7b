package udp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func listen(t *testing.T, addr string, opt Options) *net.UDPConn {
	t.Helper()
	conn, err := Listen(t.Context(), netip.MustParseAddrPort(addr), opt)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func addrOf(conn *net.UDPConn) netip.AddrPort { return conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func TestListen(t *testing.T) {
	conn := listen(t, "127.0.0.1:0", Options{})
	assert.NotZero(t, addrOf(conn).Port())
	assert.Equal(t, netip.MustParseAddr("127.0.0.1"), addrOf(conn).Addr())

	conn = listen(t, "[::ffff:127.0.0.1]:0", Options{})
	assert.Equal(t, netip.MustParseAddr("127.0.0.1"), addrOf(conn).Addr(), "a mapped address is an IPv4 address")
}

func TestListen6(t *testing.T) {
	conn, err := Listen(t.Context(), netip.MustParseAddrPort("[::1]:0"), Options{Reuse: true})
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	defer conn.Close()
	assert.Equal(t, netip.IPv6Loopback(), addrOf(conn).Addr())
}

func TestReuse(t *testing.T) {
	first := listen(t, "127.0.0.1:0", Options{Reuse: true})
	second := listen(t, addrOf(first).String(), Options{Reuse: true})
	assert.Equal(t, addrOf(first), addrOf(second))

	_, err := Listen(t.Context(), addrOf(first), Options{})
	require.Error(t, err, "who does not ask does not get")
	assert.True(t, AddrInUse(err))
	assert.ErrorContains(t, err, addrOf(first).String())
}

func TestAddrInUse(t *testing.T) {
	taken := listen(t, "127.0.0.1:0", Options{})
	for _, reuse := range []bool{false, true} {
		_, err := Listen(t.Context(), addrOf(taken), Options{Reuse: reuse})
		if runtime.GOOS == "windows" && reuse {
			continue // there it is enough if the second asks
		}
		require.Error(t, err)
		assert.True(t, AddrInUse(err))
	}
	_, err := Listen(t.Context(), netip.MustParseAddrPort("192.0.2.1:0"), Options{})
	require.Error(t, err, "not an address of this host")
	assert.False(t, AddrInUse(err))
	assert.False(t, AddrInUse(nil))
}

func TestListenRefuses(t *testing.T) {
	_, err := Listen(t.Context(), netip.AddrPort{}, Options{})
	assert.Error(t, err)
	_, err = Listen(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"), Options{ReadBuffer: -1})
	assert.Error(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	conn, err := Listen(ctx, netip.MustParseAddrPort("127.0.0.1:0"), Options{})
	if err == nil { // opening does not wait, and so need not look at ctx
		_ = conn.Close()
	}
}

func TestReadBuffer(t *testing.T) {
	size, err := ReadBuffer(listen(t, "127.0.0.1:0", Options{ReadBuffer: 64 << 10}))
	require.NoError(t, err)
	assert.Equal(t, 64<<10, size)

	// More than any system grants is no error: one gets what there is.
	size, err = ReadBuffer(listen(t, "127.0.0.1:0", Options{ReadBuffer: 1 << 30}))
	require.NoError(t, err)
	assert.Greater(t, size, 64<<10)

	conn := listen(t, "127.0.0.1:0", Options{})
	size, err = ReadBuffer(conn)
	require.NoError(t, err)
	assert.Positive(t, size)
	require.NoError(t, conn.Close())
	_, err = ReadBuffer(conn)
	assert.ErrorIs(t, err, net.ErrClosed)
	_, err = ReadBuffer(new(net.UDPConn))
	assert.Error(t, err)
}

// TestTaken: whoever finds a port taken is told what to do.
func TestTaken(t *testing.T) {
	conn := listen(t, "127.0.0.1:0", Options{})
	for reuse, want := range map[bool]string{
		false: "port %d is taken by another program; end it or choose another port: ",
		true:  "port %d is taken by another program that does not share it; end it or choose another port: ",
	} {
		if reuse && runtime.GOOS == "windows" {
			continue // there whoever shares takes it
		}
		_, err := Listen(t.Context(), addrOf(conn), Options{Reuse: reuse})
		require.True(t, AddrInUse(err))
		assert.ErrorContains(t, err, fmt.Sprintf(want, addrOf(conn).Port()))
	}
}
