package paneltest

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Terminal is a pseudo terminal of 40 columns: the person's end, which is typed
// into, and the program's.
type Terminal struct {
	*os.File
	Program *os.File
	Screen  *Screen
	done    chan struct{}
}

// OpenTerminal opens a terminal and watches its screen.
func OpenTerminal(t *testing.T) *Terminal {
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
	term := &Terminal{File: person, Program: program, Screen: &Screen{width: 40}, done: make(chan struct{})}
	go func() {
		defer close(term.done)
		b := make([]byte, 4096)
		for {
			n, err := person.Read(b)
			if err != nil {
				return
			}
			_, _ = term.Screen.Write(b[:n])
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

// Screen is what a person sees: as much of a terminal as the editor uses.
type Screen struct {
	Buffer
	width int
}

var control = regexp.MustCompile(`^\x1b\[([0-9]*)([A-DK])`)

// Lines returns the screen's lines, and where the cursor is.
func (s *Screen) Lines() (lines []string, x, y int) {
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

// Until waits for a text on the screen, wherever its lines wrap.
func (s *Screen) Until(t *testing.T, text string) {
	t.Helper()
	squeeze := func(text string) string { return strings.ReplaceAll(text, " ", "") } // a line may wrap at a space
	require.Eventually(t, func() bool {
		lines, _, _ := s.Lines()
		return strings.Contains(squeeze(strings.Join(lines, "")), squeeze(text))
	}, Patience, 5*time.Millisecond, "never on the screen: %q", text)
}

// Types types keys.
func (t *Terminal) Types(test *testing.T, keys string) {
	test.Helper()
	_, err := t.WriteString(keys)
	require.NoError(test, err)
}
