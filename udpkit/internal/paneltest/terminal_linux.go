package paneltest

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Terminal is a pseudo terminal of 40 columns: the person's end, which is typed into, and the
// program's.
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
	term := &Terminal{File: person, Program: program, Screen: new(Screen), done: make(chan struct{})}
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

// Screen is what a person sees: as much of a terminal as the editor uses. It knows which characters
// are wide, and wraps what stands there anew when its width changes.
type Screen struct{ Buffer }

var control = regexp.MustCompile(`^\x1b\[([0-9;]*)([A-DHJKmt])`)

// resized, with a width, stands in a Screen's buffer where the window was changed.
const resized = "\x1b[8;24;%dt"

// wide are the blocks of the characters that take two columns.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{{0x1100, 0x115f, 1}, {0x2e80, 0xa4cf, 1}, {0xac00, 0xd7a3, 1}, {0xf900, 0xfaff, 1}, {0xfe30, 0xfe6f, 1}, {0xff00, 0xff60, 1}},
	R32: []unicode.Range32{{0x1f300, 0x1faff, 1}},
}

// second stands in the second column of a wide character.
const second = ""

// grid is the cells of a screen.
type grid struct {
	width int
	rows  [][]string // a character in each cell, with its accents
	wraps []bool     // the row goes on in the next
	x, y  int
}

func (g *grid) row() *[]string {
	for len(g.rows) <= g.y {
		g.rows, g.wraps = append(g.rows, nil), append(g.wraps, false)
	}
	return &g.rows[g.y]
}

func (g *grid) put(r rune) {
	columns := 1
	switch row := g.row(); {
	case unicode.Is(wide, r):
		columns = 2
	case unicode.Is(unicode.Mn, r) && 0 < g.x && g.x <= len(*row):
		at := g.x - 1
		if (*row)[at] == second {
			at--
		}
		(*row)[at] += string(r)
		return
	}
	if g.x+columns > g.width { // as terminals do: the line wraps with the next character
		g.row()
		g.wraps[g.y] = true
		g.x, g.y = 0, g.y+1
	}
	row := g.row()
	for len(*row) < g.x+columns {
		*row = append(*row, " ")
	}
	(*row)[g.x] = string(r)
	if columns == 2 {
		(*row)[g.x+1] = second
	}
	g.x += columns
}

// resize wraps all lines anew, and keeps the cursor where it was in the text.
func (g *grid) resize(width int) {
	g.row()
	after := grid{width: width}
	x, y := 0, 0
	for at, row := range g.rows {
		for column, cell := range row {
			if at == g.y && column == g.x {
				x, y = after.x, after.y
			}
			for _, r := range cell {
				after.put(r)
			}
		}
		after.row()
		if at == g.y && g.x >= len(row) {
			x, y = after.x, after.y
		}
		if !g.wraps[at] {
			after.x, after.y = 0, after.y+1
		}
	}
	if x == width {
		x, y = 0, y+1
	}
	after.x, after.y = x, y
	*g = after
}

// Lines returns the screen's lines, and where the cursor is.
func (s *Screen) Lines() (lines []string, x, y int) {
	g := &grid{width: 40}
	for rest := s.String(); rest != ""; {
		if m := control.FindStringSubmatch(rest); m != nil {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				n = 1
			}
			row := g.row()
			switch m[2] {
			case "A":
				g.y = max(0, g.y-n)
			case "B":
				g.y += n
			case "C":
				g.x += n
			case "D":
				g.x = max(0, g.x-n)
			case "J":
				g.rows, g.wraps = g.rows[:g.y+1], g.wraps[:g.y+1]
				fallthrough
			case "K":
				*row = (*row)[:min(g.x, len(*row))]
				g.wraps[g.y] = false
			case "t":
				var width int
				_, _ = fmt.Sscanf(m[0], resized, &width)
				g.resize(width)
			}
			rest = rest[len(m[0]):]
			continue
		}
		r, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		switch r {
		case '\r':
			g.x = 0
		case '\n':
			g.y++
		case '\a', '\x1b':
			lines = append(lines, fmt.Sprintf("not understood: %q", rest[:min(len(rest), 10)]))
		default:
			g.put(r)
		}
	}
	g.row()
	for _, row := range g.rows {
		lines = append(lines, strings.TrimRight(strings.Join(row, ""), " "))
	}
	return lines, g.x, g.y
}

// Resize gives the window another width.
func (t *Terminal) Resize(test *testing.T, columns int) {
	test.Helper()
	fmt.Fprintf(t.Screen, resized, columns)
	require.NoError(test, unix.IoctlSetWinsize(int(t.Program.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(columns)}))
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
