package broadcastpanel_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/broadcastpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
)

// TestStateTyped: what happens while a state is typed on a terminal, and the waiting indicator
// above, leave what is typed as it is; and Ctrl-C, a key now, ends the server.
func TestStateTyped(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	client, targets := startClient(t, udpkit.ClientConfig{}, broadcastpanel.Options{})
	term := paneltest.OpenTerminal(t)
	server := startServer(t, udpkit.ServerConfig{Targets: targets, Interval: 300 * time.Millisecond},
		broadcastpanel.Options{Out: term.Program, Input: term.Program})
	wait[udpkit.SentEvent](t, server)
	term.Types(t, "main日本")
	bottom := func(indicator, line string) {
		t.Helper()
		require.Eventually(t, func() bool {
			lines, x, y := term.Screen.Lines()
			return y > 0 && y == len(lines)-1 && lines[y] == line && x == 10 && strings.Contains(lines[y-1], indicator)
		}, paneltest.Patience, time.Millisecond, "never: %s", line)
	}
	for range 3 {
		bottom("next message in", "> main日本")
		wait[udpkit.SentEvent](t, server)
	}
	bottom("next message in", "> main日本")
	term.Types(t, "\r")
	term.Screen.Until(t, "state by hand: main日本")
	for wait[udpkit.SentEvent](t, server).State != "main日本" {
	}
	term.Types(t, "\x03")
	require.NoError(t, <-server.err)
	term.Screen.Until(t, "Ended: interrupted")
	lines, _, _ := term.Screen.Lines()
	require.NotContains(t, strings.Join(lines, "\n"), "next message in", "nothing of the indicator is left")
	client.end(t)
}
