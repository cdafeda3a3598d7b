package udpkit_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// TestClientRecordsBroadcasts: of a broadcast a client records where it was sent to, in each style
// of receiving.
func TestClientRecordsBroadcasts(t *testing.T) {
	for _, style := range udpkit.Styles() {
		t.Run(string(style), func(t *testing.T) {
			tape := new(tape)
			client, err := udpkit.NewClient(udpkit.ClientConfig{ID: "ann", Receiver: style, Listen: netip.MustParseAddrPort("0.0.0.0:0"), Record: tape})
			require.NoError(t, err)
			defer client.Close()
			go client.Run(t.Context())
			server, err := net.ListenUDP("udp4", nil)
			require.NoError(t, err)
			defer server.Close()
			var want []string
			for i, to := range []string{"127.255.255.255", "127.0.0.1", "127.1.2.3"} {
				addr := netip.AddrPortFrom(netip.MustParseAddr(to), client.Addr().Port())
				_, err = server.WriteToUDPAddrPort(fmt.Appendf(nil, `{"timestamp": "t", "state": "UP", "message_id": %d}`, i+1), addr)
				require.NoError(t, err)
				want = append(want, addr.String())
			}
			var got []string
			for _, r := range tape.until(t, 6) {
				if !r.Sent {
					got = append(got, r.To.String())
				}
			}
			assert.ElementsMatch(t, want, got)
		})
	}
}
