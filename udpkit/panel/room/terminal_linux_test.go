package room_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel/room"
)

// terminal is a pseudo terminal: the person's end, and the program's.
type terminal struct {
	*os.File // what the person types into, and sees
	program  *os.File
	screen   *screen
	done     chan struct{}
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	raw, err := person.SyscallConn()
	require.NoError(t, err)
	var number int
	var failed error
	require.NoError(t, raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	require.NoError(t, failed)
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(int(program.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 40}))
	term := &terminal{File: person, program: program, screen: newScreen(40), done: make(chan struct{})}
	go func() {
		defer close(term.done)
		b := make([]byte, 4096)
		for {
			n, err := person.Read(b)
			if err != nil {
				return
			}
			term.screen.write(b[:n])
		}
	}()
	t.Cleanup(func() {
		_, _ = person.WriteString("\r\x04") // for a read that is left
		_ = program.Close()
		<-term.done
		_ = person.Close()
	})
	return term
}

// screen is what a person sees: as much of a terminal as the editor uses.
type screen struct {
	buffer
	width int
}

func newScreen(width int) *screen { return &screen{width: width} }

func (s *screen) write(b []byte) { _, _ = s.Write(b) }

var control = regexp.MustCompile(`^\x1b\[([0-9]*)([A-DK])`)

// lines returns the screen's lines, and where the cursor is.
func (s *screen) lines() (lines []string, x, y int) {
	rows := [][]rune{nil}
	put := func(r rune) {
		if x == s.width { // as terminals do: the line wraps with the next character
			x, y = 0, y+1
		}
		for len(rows) <= y {
			rows = append(rows, nil)
		}
		for len(rows[y]) <= x {
			rows[y] = append(rows[y], ' ')
		}
		rows[y][x] = r
		x++
	}
	for rest := s.String(); rest != ""; {
		if m := control.FindStringSubmatch(rest); m != nil {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				n = 1
			}
			switch m[2] {
			case "A":
				y = max(0, y-n)
			case "B":
				y += n
			case "C":
				x += n
			case "D":
				x = max(0, x-n)
			case "K":
				if y < len(rows) && x < len(rows[y]) {
					rows[y] = rows[y][:x]
				}
			}
			rest = rest[len(m[0]):]
			continue
		}
		r := []rune(rest[:min(len(rest), 8)])[0]
		rest = rest[len(string(r)):]
		switch r {
		case '\r':
			x = 0
		case '\n':
			y++
		case '\a', '\x1b':
			lines = append(lines, fmt.Sprintf("not understood: %q", rest[:min(len(rest), 10)]))
		default:
			put(r)
		}
	}
	for _, row := range rows {
		lines = append(lines, strings.TrimRight(string(row), " "))
	}
	return lines, x, y
}

func (s *screen) until(t *testing.T, line string) {
	t.Helper()
	require.Eventually(t, func() bool {
		lines, _, _ := s.lines()
		return strings.Contains(strings.Join(lines, "\n"), line)
	}, patience, 5e6, "never on the screen: %q", line)
}

// TestEditor: messages that come while a line is typed, also one that is longer
// than the window is wide, leave it as it is, cursor and all.
func TestEditor(t *testing.T) {
	t.Setenv("TERM", "xterm")
	server := startRole(t, netip.AddrPort{}, room.Options{})
	term := openTerminal(t)
	before, err := unix.IoctlGetTermios(int(term.program.Fd()), unix.TCGETS)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- room.Client(ctx, chat.ClientConfig{Server: server.addr, Name: "ann"}, room.Options{In: term.program, Out: term.program})
	}()
	term.screen.until(t, "is now ann")
	for _, typed := range []string{"half a line", "a line that is much longer than this terminal is wide"} {
		_, err := term.WriteString(typed + "\x1b[D\x1b[D") // two steps back
		require.NoError(t, err)
		term.screen.until(t, typed[len(typed)-10:])
		for i := range 5 {
			text := fmt.Sprintf("message %d beside %d letters, longer than the window", i, len(typed))
			server.says(t, text)
			wrapped := "message " + fmt.Sprint(i) + " beside " + fmt.Sprint(len(typed))
			require.Eventually(t, func() bool {
				lines, _, _ := term.screen.lines()
				return strings.Contains(strings.Join(lines, ""), wrapped)
			}, patience, 5e6)
		}
		prompt := "> " + typed
		require.Eventually(t, func() bool {
			lines, x, y := term.screen.lines()
			position := len(prompt) - 2
			whole := strings.Join(lines[y-position/40:], "")
			return whole == prompt && x == position%40
		}, patience, 5e6, "the typed line is corrupted")
		_, err = term.WriteString("\x05!\r") // to the end, and Enter
		require.NoError(t, err)
		server.out.shows(t, "ann: "+typed+"!\n")
	}
	lines, _, _ := term.screen.lines()
	for i := range 5 {
		assert.Equal(t, 2, strings.Count(strings.Join(lines, ""), fmt.Sprintf("message %d beside", i)), "once each, and nothing over it")
	}
	assert.NotContains(t, strings.Join(lines, "\n"), "not understood")

	_, err = term.WriteString("\x03") // Ctrl-C is a key now
	require.NoError(t, err)
	require.NoError(t, <-ended)
	term.screen.until(t, "Ended: interrupted")
	after, err := unix.IoctlGetTermios(int(term.program.Fd()), unix.TCGETS)
	require.NoError(t, err)
	assert.Equal(t, before, after, "the terminal is as it was")
	server.says(t, "exit")
	server.end(t)
}

// TestHostileOnTerminal: nothing that somebody sends steers the terminal.
func TestHostileOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	server := startRole(t, netip.AddrPort{}, room.Options{})
	term := openTerminal(t)
	ended := make(chan error, 1)
	go func() {
		ended <- room.Client(t.Context(), chat.ClientConfig{Server: server.addr}, room.Options{In: term.program, Out: term.program})
	}()
	term.screen.until(t, "exit leaves")
	server.says(t, "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe \u009b31m end")
	term.screen.until(t, "end")
	shown := term.screen.String()
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
	server := startRole(t, netip.AddrPort{}, room.Options{})
	term := openTerminal(t)
	ended := make(chan error, 1)
	go func() {
		ended <- room.Client(t.Context(), chat.ClientConfig{Server: server.addr}, room.Options{In: term.program, Out: term.program})
	}()
	term.screen.until(t, "you are")
	_, err := term.WriteString("hello\nexit\n")
	require.NoError(t, err)
	require.NoError(t, <-ended)
	server.out.shows(t, ": hello\n")
	assert.NotContains(t, term.screen.String(), "\x1b")
	server.stop()
	server.end(t)
}
