package console

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/term"
)

// Display takes lines: a Screen, or an Editor. It is safe for concurrent use.
type Display interface {
	io.Writer // of whole lines
	// Print writes lines, and a newline behind them.
	Print(lines string) error
	// HasStatus reports whether Status shows anything.
	HasStatus() bool
	// Status shows a sign and a text below the lines, in the place of the ones before.
	Status(sign, text string)
	// Clear takes away what stands below the lines.
	Clear() error
	// Window returns how large the terminal is, 0 if escapes cannot draw on it: there is none, or
	// it is in the hands of a shell.
	Window() (width, height int)
	// Paint returns text in a colour where there are colours.
	Paint(color, text string) string
}

// Open returns what shows lines on out, where the lines of in come from (nil if in is nil), and
// what sets the terminal back in the end. If both are a terminal, all is one Editor.
func Open(in io.Reader, out io.Writer) (show Display, lines Source, restore func() error, err error) {
	restore = func() error { return nil }
	if in == nil {
		return NewScreen(out), nil, restore, nil
	}
	e, err := NewEditor(in, out)
	if e == nil {
		return NewScreen(out), NewReader(in), restore, err
	}
	return e, e, e.Restore, err
}

// Screen takes lines. If it is a terminal, there can be a status below them, which changes in
// place. It is safe for concurrent use.
type Screen struct {
	out      io.Writer
	terminal *os.File // nil if it is none
	escapes  bool     // it takes them for what they are

	mu    sync.Mutex
	drawn int // columns that the status takes at the moment
}

// NewScreen returns a Screen that writes to out. Colours appear if it is a terminal; NO_COLOR turns
// them off.
func NewScreen(out io.Writer) *Screen {
	s := &Screen{out: out}
	if file := fileOf(out); os.Getenv("TERM") != "dumb" && IsTerminal(file) {
		s.terminal = file
	}
	// The console that Windows had before its Terminal shows escapes as they are.
	s.escapes = s.terminal != nil && (runtime.GOOS != "windows" || os.Getenv("WT_SESSION") != "")
	return s
}

// The colours of text, as parameters of the SGR escape.
const (
	Red    = "31"
	Green  = "32"
	Yellow = "33"
	Blue   = "34"
	Bold   = "1"
	Faint  = "2"
)

// Paint returns text in a colour where the screen has colours.
func (s *Screen) Paint(color, text string) string {
	if !s.escapes || color == "" || os.Getenv("NO_COLOR") != "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// HasStatus reports whether Status shows anything. In the background of a shell it would be in the
// way of what is typed there.
func (s *Screen) HasStatus() bool { return s.terminal != nil && InForeground(s.terminal) }

// Window returns how large the terminal is, 0 if escapes cannot draw on it.
func (s *Screen) Window() (width, height int) {
	if !s.escapes || !s.HasStatus() {
		return 0, 0
	}
	return s.size()
}

// Print writes lines, and a newline behind them, where the status was.
func (s *Screen) Print(lines string) error { return Print(s, lines) }

// Print writes lines, and a newline behind them.
func Print(out io.Writer, lines string) error { return Write(out, lines+"\n") }

// Write writes whole lines.
func Write(out io.Writer, lines string) error {
	if _, err := io.WriteString(out, lines); err != nil {
		return fmt.Errorf("cannot show what happens: %w", err)
	}
	return nil
}

// size returns the window's.
func (s *Screen) size() (width, height int) {
	width, height = 80, 24
	withFd(s.terminal, func(fd int) {
		if w, h, err := term.GetSize(fd); err == nil && w > 0 && h > 0 {
			width, height = w, h
		}
	})
	return width, height
}

// IsTerminal reports whether something that is read or written is one.
func IsTerminal(of any) (is bool) {
	file, ok := of.(*os.File)
	return ok && withFd(file, func(fd int) { is = term.IsTerminal(fd) }) && is
}

// withFd calls do with the number of a file, unless it is closed. Unlike Fd it minds that it may be
// closed meanwhile, and leaves a pipe as it is, which Fd would have block.
func withFd(file *os.File, do func(fd int)) bool {
	raw, err := file.SyscallConn()
	return err == nil && raw.Control(func(fd uintptr) { do(int(fd)) }) == nil
}

// Write writes whole lines where the status was.
func (s *Screen) Write(lines []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	erase := s.erase()
	n, err := s.out.Write(append([]byte(erase), lines...))
	return max(0, n-len(erase)), err
}

// Status draws a sign and a text below the lines, in the place of the status before.
func (s *Screen) Status(sign, text string) {
	if !s.HasStatus() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// What went on in the next line could not be erased.
	width, _ := s.size()
	text = Cut(text, width-2-Width(sign))
	erase := s.erase()
	s.drawn = Width(sign + " " + text)
	// If it fails, so does the next line, which tells.
	_, _ = io.WriteString(s.out, erase+sign+" "+s.Paint(Faint, text))
}

// Clear takes the status away.
func (s *Screen) Clear() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := io.WriteString(s.out, s.erase())
	return err
}

// erase returns what clears the line of the status, with what was typed behind it, such as the ^C
// of an interrupt. It has nothing but spaces: any terminal understands them.
func (s *Screen) erase() string {
	if s.drawn == 0 || !InForeground(s.terminal) { // then the last line is the shell's
		s.drawn = 0
		return ""
	}
	width, _ := s.size()
	blank := "\r" + strings.Repeat(" ", max(s.drawn, width-1)) + "\r"
	s.drawn = 0
	return blank
}
