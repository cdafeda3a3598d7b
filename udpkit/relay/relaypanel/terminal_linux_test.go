package relaypanel_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/relaypanel"
)

// TestJoinOnTerminal: messages that come while a line is typed, also one that is longer than the
// window is wide, leave it as it is, cursor and all.
func TestJoinOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	_, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	term := paneltest.OpenTerminal(t)
	before, err := unix.IoctlGetTermios(int(term.Program.Fd()), unix.TCGETS)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		ended <- relaypanel.Join(t.Context(), relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: "ann"}, relaypanel.Options{In: term.Program, Out: term.Program})
	}()
	term.Screen.Until(t, "writer: served")
	bob := startReader(t, relay.ReaderConfig{Servers: []string{addr.String()}, Username: "bob"}, relaypanel.Options{})
	seq := 0
	for _, typed := range []string{"half a line", "a line that is much longer than this terminal is wide"} {
		term.Types(t, typed+"\x1b[D\x1b[D") // two steps back
		term.Screen.Until(t, typed[len(typed)-10:])
		for i := range 3 {
			seq++
			text := fmt.Sprintf("message %d, which does not fit into the window", i)
			write(t, addr, "carl", text)
			term.Screen.Until(t, fmt.Sprintf("#%d  carl: %s", seq, text))
		}
		prompt := "> " + typed
		require.Eventually(t, func() bool {
			lines, x, y := term.Screen.Lines()
			position := len(prompt) - 2
			whole := strings.Join(lines[y-position/40:], "")
			return whole == prompt && x == position%40
		}, paneltest.Patience, 5*time.Millisecond, "the typed line is corrupted")
		term.Types(t, "\x05!\r") // to the end, and Enter
		seq++
		term.Screen.Until(t, fmt.Sprintf("#%d  ann (you): %s!", seq, typed))
		bob.out.Shows(t, fmt.Sprintf("#%d  ann: %s!\n", seq, typed))
	}
	lines, _, _ := term.Screen.Lines()
	for i := 1; i <= seq; i++ {
		assert.Equal(t, 1, strings.Count(strings.Join(lines, ""), fmt.Sprintf("  #%d  ", i)), "each once, and nothing over it")
	}
	assert.NotContains(t, strings.Join(lines, "\n"), "not understood")

	term.Types(t, "\x03") // Ctrl-C is a key now
	require.NoError(t, <-ended)
	term.Screen.Until(t, "Ended: interrupted")
	after, err := unix.IoctlGetTermios(int(term.Program.Fd()), unix.TCGETS)
	require.NoError(t, err)
	assert.Equal(t, before, after, "the terminal is as it was")
}

// TestWriterOnTerminal: a person is told what has become of each line, and nothing that somebody
// else has written steers the terminal.
func TestWriterOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	_, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	term := paneltest.OpenTerminal(t)
	ended := make(chan error, 1)
	go func() {
		ended <- relaypanel.Writer(t.Context(), relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, relaypanel.Options{In: term.Program, Out: term.Program})
	}()
	term.Screen.Until(t, "served")
	term.Types(t, "\rhello\r") // an empty line is no message
	term.Screen.Until(t, "stored as #1 after ")
	term.Types(t, strings.Repeat("x", relay.MaxText+1)+"\r")
	term.Screen.Until(t, "! line 3 is not sent: text too long")
	term.Types(t, "exit\r") // as good a text as any
	term.Screen.Until(t, "stored as #2 after ")
	term.Types(t, "\x04")
	require.NoError(t, <-ended, "the person has seen which line was refused")
	term.Screen.Until(t, "stored     2 of 2 messages")

	go func() {
		ended <- relaypanel.Join(t.Context(), relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: "bob"}, relaypanel.Options{In: term.Program, Out: term.Program})
	}()
	term.Screen.Until(t, "#2  ann: exit")
	write(t, addr, "ann", "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe \u009b31m end")
	term.Screen.Until(t, "end")
	term.Types(t, "\x03")
	require.NoError(t, <-ended)
	shown := term.Screen.String()
	for _, bad := range []string{"\x1b[2J", "\x1b]", "\x07", "\u202e", "\u009b"} {
		assert.NotContains(t, shown, bad)
	}
}

// TestServerOnTerminal: below the lines stands how things are.
func TestServerOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	term := paneltest.OpenTerminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	addr := make(chan relay.StartEvent, 1)
	go func() {
		ended <- relaypanel.Server(ctx, relay.ServerConfig{Listen: anyPort, OnEvent: func(e relay.Event) {
			if e, ok := e.(relay.StartEvent); ok {
				addr <- e
			}
		}}, relaypanel.Options{Out: term.Program})
	}()
	at := (<-addr).Local
	term.Screen.Until(t, "* 0 readers, 0 writers; 0 stored/s, 0 …")
	write(t, at, "ann", "one", "two")
	startReader(t, relay.ReaderConfig{Servers: []string{at.String()}, Username: "bob"}, relaypanel.Options{})
	term.Screen.Until(t, "* 1 reader, ")
	cancel()
	require.NoError(t, <-ended)
	term.Screen.Until(t, "log        #1 to #2")
	lines, _, _ := term.Screen.Lines()
	text := strings.Join(lines, "\n")
	assert.NotContains(t, text, "stored/s", "the status is gone in the end")
	assert.Contains(t, strings.Join(lines, ""), "writer ann at 127.0.0.1:")
}

func TestDumbTerminal(t *testing.T) {
	t.Setenv("TERM", "dumb")
	_, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	term := paneltest.OpenTerminal(t)
	ended := make(chan error, 1)
	go func() {
		ended <- relaypanel.Join(t.Context(), relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: "ann"}, relaypanel.Options{In: term.Program, Out: term.Program})
	}()
	term.Screen.Until(t, "reads and writes")
	term.Types(t, "hello\n")
	term.Screen.Until(t, "#1  ann (you): hello")
	term.Types(t, "\x04") // the end of the input
	require.NoError(t, <-ended)
	assert.NotContains(t, term.Screen.String(), "\x1b")
}
