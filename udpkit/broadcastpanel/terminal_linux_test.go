package broadcastpanel_test

import (
	"context"
	"fmt"
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

// onTerminal runs a client on a terminal until the screen has shown all parts, and returns what it
// showed.
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

// TestServerOnTerminal: a server's messages and acknowledgements are counts in a line that changes
// in place.
func TestServerOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	for _, verbose := range []bool{false, true} {
		client, targets := startClient(t, udpkit.ClientConfig{ID: "c1"}, broadcastpanel.Options{})
		term := paneltest.OpenTerminal(t)
		term.Resize(t, 100)
		server := startServer(t, udpkit.ServerConfig{Targets: targets, Interval: 150 * time.Millisecond, States: []udpkit.State{"UP"}},
			broadcastpanel.Options{Out: term.Program, Verbose: verbose})
		term.Screen.Until(t, "; #4 UP, 1 client, 4 acknowledged, 0 % lost")
		server.stop()
		require.NoError(t, <-server.err)
		term.Screen.Until(t, "Ended: interrupted")
		lines, _, _ := term.Screen.Lines()
		text := strings.Join(lines, "\n")
		require.NotContains(t, text, "next message")
		if verbose {
			require.Contains(t, text, "#4 sent to 1 target")
			require.Contains(t, text, "#4 by c1 at")
		} else {
			require.Equal(t, 1, strings.Count(text, " c1 "), text)
			require.Contains(t, text, "c1 at 127.0.0.1:")
			require.NotContains(t, text, "#")
		}
		client.end(t)
	}
}

// TestMonitorOnTerminal: the table changes in place, and fits however many servers there are.
func TestMonitorOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	term := paneltest.OpenTerminal(t)
	term.Resize(t, 100)
	m := startMonitor(t, broadcastpanel.MonitorOptions{Out: term.Program, Every: 20 * time.Millisecond})
	for i := range 60 {
		m.send(fmt.Sprintf(`{"timestamp":"now","state":"UP","message_id":1,"epoch":"%016x"}`, i+1))
	}
	term.Screen.Until(t, "60 servers up")
	term.Screen.Until(t, "and 4")
	m.send(`{"timestamp":"now","state":"UP","message_id":1,"epoch":"0000000000000100"}`)
	term.Screen.Until(t, "61 servers up")
	lines, _, _ := term.Screen.Lines()
	require.Equal(t, 1, strings.Count(strings.Join(lines, "\n"), "servers up"), "in place")
	m.end(t)
	term.Screen.Until(t, "Ended: interrupted")
}
