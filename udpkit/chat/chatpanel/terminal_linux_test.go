package chatpanel_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/chat/chatpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
)

// TestEditor: messages that come while a line is typed, also one that is longer than the window is
// wide, leave it as it is, cursor and all.
func TestEditor(t *testing.T) {
	t.Setenv("TERM", "xterm")
	server := startRole(t, netip.AddrPort{}, chatpanel.Options{})
	term := paneltest.OpenTerminal(t)
	before, err := unix.IoctlGetTermios(int(term.Program.Fd()), unix.TCGETS)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- chatpanel.Client(ctx, chat.ClientConfig{Server: server.addr, Name: "ann"}, chatpanel.Options{In: term.Program, Out: term.Program})
	}()
	term.Screen.Until(t, "is now ann")
	for _, typed := range []string{"half a line", "a line that is much longer than this terminal is wide"} {
		_, err := term.WriteString(typed + "\x1b[D\x1b[D") // two steps back
		require.NoError(t, err)
		term.Screen.Until(t, typed[len(typed)-10:])
		for i := range 5 {
			text := fmt.Sprintf("message %d beside %d letters, longer than the window", i, len(typed))
			server.says(t, text)
			wrapped := "message " + fmt.Sprint(i) + " beside " + fmt.Sprint(len(typed))
			require.Eventually(t, func() bool {
				lines, _, _ := term.Screen.Lines()
				return strings.Contains(strings.Join(lines, ""), wrapped)
			}, paneltest.Patience, 5e6)
		}
		prompt := "> " + typed
		require.Eventually(t, func() bool {
			lines, x, y := term.Screen.Lines()
			position := len(prompt) - 2
			whole := strings.Join(lines[y-position/40:], "")
			return whole == prompt && x == position%40
		}, paneltest.Patience, 5e6, "the typed line is corrupted")
		_, err = term.WriteString("\x05!\r") // to the end, and Enter
		require.NoError(t, err)
		server.out.Shows(t, "ann: "+typed+"!\n")
	}
	lines, _, _ := term.Screen.Lines()
	for i := range 5 {
		assert.Equal(t, 2, strings.Count(strings.Join(lines, ""), fmt.Sprintf("message %d beside", i)), "once each, and nothing over it")
	}
	assert.NotContains(t, strings.Join(lines, "\n"), "not understood")

	_, err = term.WriteString("\x03") // Ctrl-C is a key now
	require.NoError(t, err)
	require.NoError(t, <-ended)
	term.Screen.Until(t, "Ended: interrupted")
	after, err := unix.IoctlGetTermios(int(term.Program.Fd()), unix.TCGETS)
	require.NoError(t, err)
	assert.Equal(t, before, after, "the terminal is as it was")
	server.says(t, "exit")
	server.end(t)
}

// TestHostileOnTerminal: nothing that somebody sends steers the terminal.
func TestHostileOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	server := startRole(t, netip.AddrPort{}, chatpanel.Options{})
	term := paneltest.OpenTerminal(t)
	ended := make(chan error, 1)
	go func() {
		ended <- chatpanel.Client(t.Context(), chat.ClientConfig{Server: server.addr}, chatpanel.Options{In: term.Program, Out: term.Program})
	}()
	term.Screen.Until(t, "exit leaves")
	server.says(t, "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe \u009b31m end")
	term.Screen.Until(t, "end")
	shown := term.Screen.String()
	for _, bad := range []string{"\x1b[2J", "\x1b]", "\x07", "\u202e", "\u009b"} {
		assert.NotContains(t, shown, bad)
	}
	server.stop()
	server.end(t)
	require.NoError(t, <-ended)
	_, err := term.WriteString("\r") // for the read that was waiting
	require.NoError(t, err)
}

func TestDumbTerminal(t *testing.T) {
	t.Setenv("TERM", "dumb")
	server := startRole(t, netip.AddrPort{}, chatpanel.Options{})
	term := paneltest.OpenTerminal(t)
	ended := make(chan error, 1)
	go func() {
		ended <- chatpanel.Client(t.Context(), chat.ClientConfig{Server: server.addr}, chatpanel.Options{In: term.Program, Out: term.Program})
	}()
	term.Screen.Until(t, "you are")
	_, err := term.WriteString("hello\nexit\n")
	require.NoError(t, err)
	require.NoError(t, <-ended)
	server.out.Shows(t, ": hello\n")
	assert.NotContains(t, term.Screen.String(), "\x1b")
	server.stop()
	server.end(t)
}
