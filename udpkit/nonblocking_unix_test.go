//go:build unix

package udpkit

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The system call for this system and the portable one give the same, whichever is in use here.
func TestTryRead(t *testing.T) {
	for _, network := range []string{"udp4", "udp6"} {
		loopback := map[string]net.IP{"udp4": net.IPv4(127, 0, 0, 1), "udp6": net.IPv6loopback}[network]
		conn, err := net.ListenUDP(network, &net.UDPAddr{IP: loopback})
		if err != nil && network == "udp6" {
			t.Log("no IPv6 here: ", err)
			continue
		}
		require.NoError(t, err)
		defer conn.Close()
		peer, err := net.DialUDP(network, nil, conn.LocalAddr().(*net.UDPAddr))
		require.NoError(t, err)
		defer peer.Close()
		s, cancel := testSession(t)
		defer cancel()
		s.conn = conn
		r, err := newTryReader(s)
		require.NoError(t, err)
		for name, receive := range map[string]func(uintptr){"of this system": r.recvmsg, "portable": r.recvmsgPortable} {
			r.receive = receive
			_, err = r.tryRead()
			require.Same(t, errWouldBlock, err, name)
			for _, size := range []int{0, 3, 100, 101} {
				_, err := peer.Write(make([]byte, size))
				require.NoError(t, err)
				d, err := r.tryRead()
				require.NoError(t, err)
				assert.Len(t, d.Payload, min(size, 100), name)
				assert.Equal(t, size > 100, d.Truncated, name)
				assert.Equal(t, peer.LocalAddr().(*net.UDPAddr).AddrPort(), d.Source, name)
			}
			_, err = r.tryRead()
			require.Same(t, errWouldBlock, err, name)
		}
		require.NoError(t, conn.Close())
		_, err = r.tryRead()
		require.ErrorIs(t, err, net.ErrClosed)
	}
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
