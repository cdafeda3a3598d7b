package relaypanel

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// TestPageFailures: a failure is shown with its last cause, until it is over, whatever else fails.
func TestPageFailures(t *testing.T) {
	p := &page{view: &view{}}
	for _, step := range []struct {
		what, text string
		ended      bool
		shown      []string
	}{
		{"storing", "the disk is full", false, []string{"the disk is full"}},
		{"reading", "no answer", false, []string{"the disk is full", "no answer"}},
		{"storing", "permission denied\x1b[2J", false, []string{"no answer", "permission denied\\x1b[2J"}},
		{"storing", "stored again", true, []string{"no answer"}},
		{"reading", "read again", true, nil},
	} {
		p.fail(relay.ErrorEvent{What: step.what, Text: step.text, Ended: step.ended})
		var shown []string
		for _, e := range p.Failures {
			shown = append(shown, e.Text)
		}
		assert.Equal(t, step.shown, shown)
	}
	require.Len(t, p.Lines, 2)
	assert.Equal(t, "stored again", p.Lines[0].Notice)
}

// TestPageUntrusted: what a key has refused is in the small print, and nothing of it if that is
// nothing.
func TestPageUntrusted(t *testing.T) {
	ring := testenv.Ring(t)
	server, err := relay.NewServer(relay.ServerConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0"), Key: ring})
	require.NoError(t, err)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- server.Run(ctx) }()
	p := &page{Live: new(panel.Live), view: &view{server: server}}
	p.picture()
	assert.NotContains(t, p.Small, "believed")
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server.Addr()))
	require.NoError(t, err)
	defer conn.Close()
	for range 2 {
		_, err = conn.Write([]byte("a note"))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return server.Stats().Untrusted.Unsigned == 2 }, paneltest.Patience, time.Millisecond)
	p.picture()
	assert.Contains(t, p.Small, " · not believed: 2 unsigned")
	cancel()
	require.NoError(t, <-ended)
}
