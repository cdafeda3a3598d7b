package console

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// Editor is a terminal: a line is typed at the bottom while others, which are written to it, appear
// above. It is a Source, and a Display whose status stands above the line. In the background of a
// shell it leaves the keyboard alone, and only shows lines.
//
// Each change draws the line again as a whole: what stands there is what is sent, however wide its
// characters are and whatever has become of the window.
type Editor struct {
	*Screen
	in *os.File

	// For Next only.
	keys    []byte // read, and not taken yet
	history []string

	// The rest is guarded by the screen's mutex.
	was      *term.State // the terminal before; nil until the keyboard was taken once
	taken    bool        // the keyboard is ours
	restored bool
	reading  bool // a line is typed
	line     string
	at       int // the cursor, in bytes of line
	over     int // bytes that were too many
	prompt   string
	status   string
	above    string // what was drawn above the cursor's line
	before   string // what was drawn from there to the cursor
}

// NewEditor takes the keyboard from the system's own line editor: Ctrl-C then is a key as others
// are. It returns nil if in and out are not both a terminal that can be steered. Restore it.
func NewEditor(in io.Reader, out io.Writer) (*Editor, error) {
	input, _ := in.(*os.File)
	output := fileOf(out)
	if !IsTerminal(input) || !IsTerminal(output) || os.Getenv("TERM") == "dumb" || !understandsEscapes(output) {
		return nil, nil
	}
	e := &Editor{Screen: NewScreen(out), in: input, prompt: "> "}
	if InForeground(input) {
		if err := e.take(); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// SetPrompt sets what stands before the line, "> " if it is not called.
func (e *Editor) SetPrompt(prompt string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.prompt = prompt
}

// take takes the keyboard if it is not taken, once the program is in the foreground.
func (e *Editor) take() error {
	awaitForeground(e.in)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.taken || e.restored {
		return nil
	}
	was, err := term.MakeRaw(int(e.in.Fd()))
	if err != nil {
		return fmt.Errorf("the keyboard cannot be read key by key: %w", err)
	}
	if e.was == nil {
		e.was = was
	}
	e.taken = true
	e.redraw()
	return nil
}

// leave leaves the keyboard to the shell.
func (e *Editor) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.taken, e.above, e.before = false, "", ""
}

// Restore sets the terminal back to what it was.
func (e *Editor) Restore() error { return e.giveBack(true) }

// giveBack sets the terminal back, for good or until it is taken again.
func (e *Editor) giveBack(forGood bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	mine := e.taken && InForeground(e.in) // else it is the shell's already
	if mine {
		_, _ = io.WriteString(e.out, e.erase()) // if it fails, so does the next line
	}
	e.taken, e.restored, e.above, e.before = false, forGood, "", ""
	if !mine {
		return nil
	}
	if err := term.Restore(int(e.in.Fd()), e.was); err != nil {
		return fmt.Errorf("the terminal cannot be set back; type: reset: %w", err)
	}
	return nil
}

// Patient is false.
func (*Editor) Patient() bool { return false }

// Write writes whole lines above the line being typed.
func (e *Editor) Write(lines []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.taken {
		return e.out.Write(lines)
	}
	erase := e.erase()
	raw := strings.ReplaceAll(string(lines), "\n", "\r\n")
	n, err := io.WriteString(e.out, erase+raw+e.draw())
	if n >= len(erase)+len(raw) {
		return len(lines), err
	}
	whole := raw[:max(0, n-len(erase))]
	return len(whole) - strings.Count(whole, "\r"), err // the lines have none of their own
}

// Print writes lines, and a newline behind them, above the line being typed.
func (e *Editor) Print(lines string) error { return Print(e, lines) }

// HasStatus reports whether Status shows anything.
func (e *Editor) HasStatus() bool { return InForeground(e.in) }

// Status shows a sign and a text above the line being typed.
func (e *Editor) Status(sign, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = sign + " " + text
	e.redraw()
}

// Clear takes the line and the status away, for good.
func (e *Editor) Clear() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	erase := e.erase()
	e.reading, e.restored = false, true
	_, err := io.WriteString(e.out, erase)
	return err
}

// redraw draws again what is at the bottom; the caller holds mu. If it fails, so does the next
// line, which tells.
func (e *Editor) redraw() {
	if e.taken && e.reading {
		erase := e.erase()
		_, _ = io.WriteString(e.out, erase+e.draw())
	}
}

// erase returns what takes away what was drawn; the caller holds mu: the cursor goes back to where
// that began. A window that has become narrower has wrapped it anew.
func (e *Editor) erase() string {
	if e.above+e.before == "" {
		return ""
	}
	width, height := e.size()
	row, _ := place(e.before, width)
	if e.above != "" {
		above, _ := place(e.above, width)
		row += above + 1
	}
	e.above, e.before = "", ""
	return "\r" + up(min(row, height-1)) + "\x1b[J"
}

func up(rows int) string {
	if rows <= 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA", rows)
}

// draw returns the status and the line, with the cursor in its place; the caller holds mu.
func (e *Editor) draw() string {
	if !e.taken || !e.reading {
		return ""
	}
	width, height := e.size()
	var b strings.Builder
	if e.status != "" && height > 1 {
		e.above = Cut(e.status, width-1)
		b.WriteString(e.Paint(Faint, e.above) + "\r\n")
		height--
	}
	before, after := Unjoined(e.line[:e.at]), Unjoined(e.line[e.at:])
	if rows, _ := place(e.prompt+before+after, width); rows >= height {
		before, after = part(before, after, height*(width-1)-Width(e.prompt), width)
	}
	e.before = e.prompt + before
	b.WriteString(e.before + after)
	end, column := place(e.before+after, width)
	if column == 0 && end > 0 {
		b.WriteString(" \r\x1b[K") // terminals go to the next row with the next character only
	}
	if after != "" {
		// Written again rather than moved over, the cursor stands right even where the terminal is
		// of another opinion about a width.
		b.WriteString(up(end) + "\r" + e.before)
		if row, column := place(e.before, width); column == 0 && row > 0 {
			b.WriteString("\r\n")
		}
	}
	return b.String()
}

// part returns of a line that is higher than the window what is around the cursor.
func part(before, after string, columns, width int) (string, string) {
	room := columns - min(Width(after), width)
	if over := Width(before) - room; over > 0 {
		_, before = split(before, over+2) // the sign, and half of a wide character
		before = "…" + before
	}
	return before, Cut(after, columns-Width(before))
}

// Next returns what was typed. Ctrl-C is an ErrInterrupted, Ctrl-D in an empty line an io.EOF.
func (e *Editor) Next() (string, error) {
	if err := e.take(); err != nil { // the prompt is for the foreground
		return "", err
	}
	e.mu.Lock()
	e.reading = !e.restored
	e.redraw()
	e.mu.Unlock()
	recent := len(e.history) // the line of the history that stands there
	buffer := make([]byte, 4096)
	for {
		line, err, done := e.edit(&recent)
		if done {
			return line, err
		}
		if err := e.take(); err != nil {
			return "", err
		}
		n, err := e.in.Read(buffer)
		if leftForeground(e.in, err) {
			e.leave()
			continue
		}
		e.keys = append(e.keys, buffer[:n]...)
		if err != nil {
			return "", err
		}
	}
}

// The keys that are not characters, by the byte or the end of the escape that they send.
const (
	ctrlC = 'C' - '@'
	ctrlD = 'D' - '@'
	ctrlZ = 'Z' - '@'
)

// edit takes the keys that were read, and reports whether the line is done.
func (e *Editor) edit(recent *int) (line string, err error, done bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer e.redraw()
	for len(e.keys) > 0 {
		key, text, size := nextKey(e.keys)
		if size == 0 {
			return "", nil, false // the rest is to come
		}
		e.keys = e.keys[size:]
		switch key {
		case "":
			if text = typed([]rune(text)[0]); len(e.line)+len(text) > MaxLine {
				e.over += len(text)
				break
			}
			e.line, e.at = e.line[:e.at]+text+e.line[e.at:], e.at+len(text)
		case "\r", "\n":
			return e.entered()
		case string(rune(ctrlC)):
			return e.farewell(ErrInterrupted)
		case string(rune(ctrlD)):
			if e.line == "" {
				return e.farewell(io.EOF)
			}
			e.remove(e.at, e.right())
		case string(rune(ctrlZ)):
			if runtime.GOOS != "windows" {
				e.keys = nil // what was typed behind it was for the shell, most often
				e.mu.Unlock()
				if err = e.giveBack(false); err == nil {
					suspend()
				}
				e.mu.Lock()
				return "", err, err != nil
			}
		case "\x1b[A", "\x10":
			e.recall(recent, *recent-1)
		case "\x1b[B", "\x0e":
			e.recall(recent, *recent+1)
		case "\x1b[D", "\x02":
			e.at = e.left()
		case "\x1b[C", "\x06":
			e.at = e.right()
		case "\x1bb", "\x1b[1;3D", "\x1b[1;5D":
			e.at = e.word()
		case "\x1bf", "\x1b[1;3C", "\x1b[1;5C":
			rest := e.line[e.at:]
			rest = strings.TrimLeft(rest, " ")
			e.at = len(e.line) - len(rest) + len(strings.SplitN(rest, " ", 2)[0])
		case "\x1b[H", "\x1b[1~", "\x01":
			e.at = 0
		case "\x1b[F", "\x1b[4~", "\x05":
			e.at = len(e.line)
		case "\x7f", "\b":
			e.remove(e.left(), e.at)
		case "\x1b[3~":
			e.remove(e.at, e.right())
		case "\x17":
			e.remove(e.word(), e.at)
		case "\x15":
			e.remove(0, e.at)
		case "\x0b":
			e.remove(e.at, len(e.line))
		case "\x0c":
			e.above, e.before = "", ""
			_, _ = io.WriteString(e.out, "\x1b[2J\x1b[H")
		}
	}
	return "", nil, false
}

// entered takes the line, which stays where it was typed.
func (e *Editor) entered() (line string, err error, done bool) {
	line, over := e.line, e.over
	shown := e.erase()
	if e.taken {
		shown += e.prompt + Unjoined(line) + "\r\n"
	}
	e.line, e.at, e.over, e.reading = "", 0, 0, false
	_, _ = io.WriteString(e.out, shown)
	if over > 0 {
		return "", fmt.Errorf("%w: %d bytes", ErrLineTooLong, len(line)+over), true
	}
	const many = 100
	if line != "" {
		e.history = append(e.history, line)
		e.history = e.history[max(0, len(e.history)-many):]
	}
	return line, nil, true
}

func (e *Editor) farewell(why error) (line string, err error, done bool) {
	erase := e.erase()
	e.line, e.at, e.over, e.reading = "", 0, 0, false
	_, _ = io.WriteString(e.out, erase)
	return "", why, true
}

func (e *Editor) remove(from, to int) { e.line, e.at = e.line[:from]+e.line[to:], from }

// left returns where the sign before the cursor begins.
func (e *Editor) left() (at int) {
	for rest := e.line[:e.at]; rest != ""; {
		var sign string
		sign, rest, _, _ = uniseg.FirstGraphemeClusterInString(rest, -1)
		at = e.at - len(rest) - len(sign)
	}
	return at
}

// right returns where the sign at the cursor ends.
func (e *Editor) right() int {
	sign, _, _, _ := uniseg.FirstGraphemeClusterInString(e.line[e.at:], -1)
	return e.at + len(sign)
}

// word returns where the word before the cursor begins.
func (e *Editor) word() int {
	return strings.LastIndexByte(strings.TrimRight(e.line[:e.at], " "), ' ') + 1
}

// recall puts another line of the history in the place of this one; behind the newest is an empty
// one.
func (e *Editor) recall(recent *int, which int) {
	if which < 0 || which > len(e.history) {
		return
	}
	*recent, e.line, e.over = which, "", 0
	if which < len(e.history) {
		e.line = e.history[which]
	}
	e.at = len(e.line)
}
