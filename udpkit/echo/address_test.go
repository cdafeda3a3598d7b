package echo_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
)

// loopbacks are the loopback addresses of this system: Linux and Windows have a whole network of
// them.
func loopbacks(t *testing.T) []netip.Addr {
	t.Helper()
	list := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	second := netip.MustParseAddr("127.0.0.2")
	if probe, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(second, 0))); err == nil {
		require.NoError(t, probe.Close())
		list = append(list, second)
	}
	return list
}

// A server on all addresses answers from the one that was asked: the clients' sockets are connected
// and take nothing else.
func TestAnswersFromTheAddressAsked(t *testing.T) {
	everywhere := netip.MustParseAddrPort("0.0.0.0:0")
	server, err := echo.NewServer(echo.ServerConfig{Listen: everywhere})
	require.NoError(t, err)
	start(t, server)
	for _, asked := range loopbacks(t) {
		require.Equal(t, "hello", send(t, netip.AddrPortFrom(asked, server.Addr().Port()), "hello"))
	}
	for _, mode := range echo.Modes() {
		responder, err := echo.NewResponder(echo.ResponderConfig{Listen: everywhere, Mode: mode})
		require.NoError(t, err)
		start(t, responder)
		for _, asked := range loopbacks(t) {
			require.Equal(t, echo.Acknowledgement, send(t, netip.AddrPortFrom(asked, responder.Addr().Port()), "hello"))
		}
	}
}

// "::" is all addresses, of IPv4 too.
func TestBothFamilies(t *testing.T) {
	server, err := echo.NewServer(echo.ServerConfig{Listen: netip.MustParseAddrPort("[::]:0")})
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	start(t, server)
	for _, asked := range append(loopbacks(t), netip.IPv6Loopback()) {
		require.Equal(t, "hello", send(t, netip.AddrPortFrom(asked, server.Addr().Port()), "hello"), asked)
	}
}
