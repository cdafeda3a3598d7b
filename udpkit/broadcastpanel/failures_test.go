package broadcastpanel

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// Failures of two interfaces are two, although they have one broadcast address.
func TestFailuresOfInterfaces(t *testing.T) {
	to := netip.MustParseAddrPort("169.254.255.255:37020")
	var f failures
	for _, card := range []string{"va", "vb", "va"} {
		f.take(udpkit.ErrorEvent{Text: "sendmsg: operation not permitted", Peer: to, Interface: card})
	}
	require.Len(t, f, 2)
	require.Equal(t, "va: 169.254.255.255:37020: sendmsg: operation not permitted", failureText(f[1]))
	f.take(udpkit.ErrorEvent{Peer: to, Interface: "va", Ended: true})
	require.Len(t, f, 1)
	require.Equal(t, "vb", f[0].Interface)
}

// TestClientPage: what senders put into their messages is shown, never interpreted.
func TestClientPage(t *testing.T) {
	v := clientView{page: page{Live: new(panel.Live)}}
	var err error
	v.client, err = udpkit.NewClient(udpkit.ClientConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	require.NoError(t, err)
	defer v.client.Close()
	v.take(udpkit.MessageEvent{State: "A", Data: json.RawMessage(`{"<b>":1}`), Datagram: []byte("x")})
	require.Nil(t, v.Rows[0].Message.Datagram, "it is the receiver's")
	for range 2 {
		v.take(udpkit.RefusedEvent{From: netip.MustParseAddrPort("10.0.0.7:5000"), Reason: "not a JSON object", Count: 5})
	}
	var page strings.Builder
	require.NoError(t, pageTemplate.ExecuteTemplate(&page, "client", v.picture()))
	require.Contains(t, page.String(), "{&#34;&lt;b&gt;&#34;:1}")
	require.Contains(t, page.String(), "refused 10 datagrams from 10.0.0.7:5000: not a JSON object")
	require.NotContains(t, page.String(), "<b>\"")
}
