package chat_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
)

// "::" is all addresses, of IPv4 too.
func TestBothFamilies(t *testing.T) {
	s, err := chat.NewServer(chat.ServerConfig{Listen: netip.MustParseAddrPort("[::]:0")})
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	defer s.Close()
	for _, address := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()} {
		conn, err := net.Dial("tcp", netip.AddrPortFrom(address, s.Addr().Port()).String())
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
}
