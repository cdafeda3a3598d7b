package relay_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// A relay on all addresses serves its clients from the one that each has asked, and tells them its
// end from there: their sockets are connected and take nothing else.
func TestServesFromTheAddressAsked(t *testing.T) {
	const messages = 300
	s := serve(t, relay.ServerConfig{Listen: netip.MustParseAddrPort("0.0.0.0:0")})
	asked := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}
	if probe, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(asked[1], 0))); err != nil {
		asked = asked[:1] // of a whole network Linux and Windows have all, others one
	} else {
		require.NoError(t, probe.Close())
	}
	var readers []reader
	for i, a := range asked {
		at := netip.AddrPortFrom(a, s.Addr().Port())
		readers = append(readers, newReader(t, at, fmt.Sprint("reader-", i), relay.ReaderConfig{}))
		newWriter(t, at, fmt.Sprint("writer-", i)).write(t, 1, messages)
	}
	for _, r := range readers {
		whole(t, r.read(t, messages*len(asked)), 1, messages*len(asked))
	}
	s.end(t)
	assert.Zero(t, s.Stats().SendErrors)
	for _, r := range readers {
		assert.Regexp(t, "has ended|nothing listens", wait(t, r.journal, down).Text)
	}
}

// "::" is all addresses, of IPv4 too.
func TestBothFamilies(t *testing.T) {
	if probe, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback}); err != nil {
		t.Skip("no IPv6 here: ", err)
	} else {
		require.NoError(t, probe.Close())
	}
	s := serve(t, relay.ServerConfig{Listen: netip.MustParseAddrPort("[::]:0")})
	for i, asked := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()} {
		newWriter(t, netip.AddrPortFrom(asked, s.Addr().Port()), fmt.Sprint("writer-", i)).write(t, 1, 10)
	}
}
