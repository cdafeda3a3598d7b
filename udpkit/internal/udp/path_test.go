package udp

import (
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ask sends from a connected socket, which takes answers only from the address that it has asked.
func ask(t *testing.T, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write([]byte("question"))
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	return conn
}

// checkWayBack asks a server on all addresses at one of them, and has it answer in each way.
func checkWayBack(t *testing.T, conn *net.UDPConn, asked netip.Addr) {
	t.Helper()
	w := newWriter(t, conn)
	for _, cfg := range []ReaderConfig{{Size: 100, Back: true}, {Size: 100, Back: true, Single: true}} {
		r := newReader(t, conn, cfg)
		client := ask(t, netip.AddrPortFrom(asked, addr(conn).Port()))
		require.Equal(t, addr(client), next(t, r, true).Source)
		back := r.Back()
		assert.Equal(t, Path{To: addr(client), From: asked.WithZone("")}, back)

		require.NoError(t, Send(conn, []byte("by Send"), back))
		const several = 100
		for range several {
			w.AddParts([]byte("by "), []byte("Writer"), back)
		}
		w.Flush(func(path Path, err error) {
			assert.NoError(t, err)
			assert.Equal(t, back, path)
		})
		b := make([]byte, 100)
		for i := range 1 + several {
			n, err := client.Read(b)
			require.NoError(t, err, "answer %d", i)
			assert.Equal(t, map[bool]string{true: "by Send", false: "by Writer"}[i == 0], string(b[:n]))
		}
	}
}

func TestBack(t *testing.T) {
	loopback, second := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	conn := listen(t, "0.0.0.0:0", Options{})
	checkWayBack(t, conn, loopback)
	if probe, err := Listen(t.Context(), netip.AddrPortFrom(second, 0), Options{}); err != nil {
		t.Log("this system has one loopback address only: ", err)
	} else {
		require.NoError(t, probe.Close())
		checkWayBack(t, conn, second)
	}

	conn = listen(t, "127.0.0.1:0", Options{}) // the answer leaves from there in any case
	r := newReader(t, conn, ReaderConfig{Size: 100, Back: true})
	client := ask(t, addr(conn))
	next(t, r, true)
	assert.Equal(t, Path{To: addr(client)}, r.Back())
}

func TestBack6(t *testing.T) {
	conn, err := Listen(t.Context(), netip.MustParseAddrPort("[::]:0"), Options{})
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	defer conn.Close()
	checkWayBack(t, conn, netip.IPv6Loopback())
	checkWayBack(t, conn, netip.MustParseAddr("127.0.0.1")) // "::" is for both families

	only := listen(t, "[::]:0", Options{IPv6Only: true})
	client, err := net.Dial("udp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addr(only).Port()).String())
	require.NoError(t, err)
	defer client.Close()
	if runtime.GOOS == "linux" { // others do not say
		_, _ = client.Write([]byte("question"))
		require.Eventually(t, func() bool {
			_, err := client.Write([]byte("question"))
			return err != nil
		}, 30*time.Second, time.Millisecond, "nobody listens there")
	}
}
