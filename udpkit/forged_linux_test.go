package udpkit_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// TestForgedSources: messages that no host can have sent are delivered, and nothing goes out to
// where they seem to come from.
func TestForgedSources(t *testing.T) {
	if !testenv.Alone(t) {
		return
	}
	forge := testenv.Forge(t)
	const port = 5000
	everywhere := netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	victim, err := udp.Listen(context.Background(), everywhere, udp.Options{})
	require.NoError(t, err)
	defer victim.Close()

	client, log, stop := newClient(t, 0, udpkit.ClientConfig{ID: "ann"})
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), client.Addr().Port())
	sources := []string{
		"127.0.0.1:0", "224.0.0.1:5000", "255.255.255.255:5000", "127.255.255.255:5000", "10.9.8.255:5000",
		"127.0.0.1:5000", // the only one that may be answered
	}
	for i, source := range sources {
		forge(netip.MustParseAddrPort(source), to, fmt.Appendf(nil, `{"timestamp":"2026-11-21T12:00:00Z","state":"ACTIVE","message_id":%d}`, i+1))
		e := wait(t, log, func(e udpkit.MessageEvent) bool { return e.MessageID == uint64(i+1) })
		assert.Equal(t, source, e.Server.String())
	}
	require.NoError(t, stop())
	sum := client.Stats()
	assert.EqualValues(t, 6, sum.Received)
	assert.EqualValues(t, 1, sum.Acknowledged)
	assert.EqualValues(t, 5, sum.AckErrors)
	assert.Len(t, all[udpkit.ErrorEvent](log), 1, "told once")

	_, err = peer(t).WriteTo([]byte("the last"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	require.NoError(t, err)
	var got []string
	for buf := make([]byte, 100); len(got) == 0 || got[len(got)-1] != "the last"; {
		n, err := victim.Read(buf)
		require.NoError(t, err)
		got = append(got, string(buf[:n]))
	}
	assert.Equal(t, []string{"Client ann received message 6", "the last"}, got)
}
