package broadcastpanel

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// Failures of two interfaces are two, although they have one broadcast address.
func TestFailuresOfInterfaces(t *testing.T) {
	to := netip.MustParseAddrPort("169.254.255.255:37020")
	var f failures
	for _, card := range []string{"va", "vb", "va"} {
		f.take(udpkit.ErrorEvent{Text: "sendmsg: operation not permitted", Peer: to, Interface: card})
	}
	require.Len(t, f.list, 2)
	require.Equal(t, "va: 169.254.255.255:37020: sendmsg: operation not permitted", failureText(f.list[1]))
	f.take(udpkit.ErrorEvent{Peer: to, Interface: "va", Ended: true})
	require.Len(t, f.list, 1)
	require.Equal(t, "vb", f.list[0].Interface)
}
