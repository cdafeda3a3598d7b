package broadcastpanel_test

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/broadcastpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
)

// onTerminal runs a client on a terminal until the screen has shown all parts,
// and returns what it showed.
func onTerminal(t *testing.T, parts ...string) string {
	t.Helper()
	term := paneltest.OpenTerminal(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- broadcastpanel.Client(ctx, udpkit.ClientConfig{
			Listen: netip.AddrPortFrom(loopback, 0), Timeout: 100 * time.Millisecond,
		}, broadcastpanel.Options{Out: term.Program})
	}()
	for _, part := range parts {
		term.Screen.Shows(t, part)
	}
	stop()
	require.NoError(t, <-ended)
	_, err := io.WriteString(term.Program, "next prompt")
	require.NoError(t, err)
	term.Screen.Shows(t, "next prompt")
	return term.Screen.String()
}

func TestTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	text := onTerminal(t, "\r⠹ ", "silence")
	require.Contains(t, text, "\x1b[33msilence", "a colour")
	require.Contains(t, text, "\r⠹ ", "drawn in place")
	// What is left of the screen's lines has no indicator in it.
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		visible := line[strings.LastIndex(line, "\r")+1:]
		require.NotContains(t, visible, "waiting")
	}
	require.True(t, strings.HasSuffix(text, "next prompt"))
}

func TestNoColor(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	text := onTerminal(t, "waiting for a message", "silence")
	require.NotContains(t, text, "\x1b")
}

func TestDumbTerminal(t *testing.T) {
	t.Setenv("TERM", "dumb")
	text := onTerminal(t, "silence")
	require.NotContains(t, text, "waiting")
	require.NotContains(t, text, "\x1b")
}
