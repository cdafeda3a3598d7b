package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"golang.org/x/term"
)

// Editor is a terminal: a line is typed at the bottom while others, which are
// written to it, appear above. It is a Source. Package term redraws the line after
// each; only the width of wide characters is not known to it. In the background of a
// shell it leaves the keyboard alone, and only shows lines.
type Editor struct {
	*term.Terminal
	in  *os.File
	out io.Writer

	mu       sync.Mutex
	was      *term.State // the terminal before; nil until the keyboard was taken once
	taken    bool        // the keyboard is ours
	restored bool
}

// keyboard is what package term reads keys from and writes escapes to.
type keyboard struct {
	*Editor
	screen *os.File
}

func (k *keyboard) Write(p []byte) (int, error) { return k.out.Write(p) }

// Read returns keys, before which the window may have got another size.
func (k *keyboard) Read(p []byte) (int, error) {
	for {
		if err := k.take(); err != nil {
			return 0, err
		}
		n, err := k.in.Read(p)
		if leftForeground(k.in, err) {
			k.leave()
			continue
		}
		if raw, rawErr := k.screen.SyscallConn(); rawErr == nil {
			// Unlike Fd, Control minds that the file may be closed meanwhile.
			_ = raw.Control(func(fd uintptr) {
				if width, height, sizeErr := term.GetSize(int(fd)); sizeErr == nil && width > 0 {
					_ = k.SetSize(width, height) // fails as the next line does
				}
			})
		}
		if stop := bytes.IndexByte(p[:n], ctrlZ); stop >= 0 && runtime.GOOS != "windows" {
			n = stop // what was typed behind it was for the shell, most often
			if err := k.giveBack(false); err != nil {
				return n, err
			}
			suspend()
			if n == 0 && err == nil {
				continue
			}
		}
		return n, err
	}
}

// ctrlZ is the key.
const ctrlZ = 'Z' - '@'

// NewEditor takes the keyboard from the system's own line editor: Ctrl-C then is a
// key as others are. It returns nil if in and out are not both a terminal that can
// be steered. Restore it.
func NewEditor(in io.Reader, out io.Writer) (*Editor, error) {
	input, _ := in.(*os.File)
	output := fileOf(out)
	if input == nil || output == nil || !term.IsTerminal(int(input.Fd())) || !term.IsTerminal(int(output.Fd())) ||
		os.Getenv("TERM") == "dumb" || !understandsEscapes(output) {
		return nil, nil
	}
	e := &Editor{in: input, out: out}
	e.Terminal = term.NewTerminal(&keyboard{e, output}, "> ")
	if InForeground(input) {
		if err := e.take(); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// take takes the keyboard if it is not taken, once the program is in the foreground.
func (e *Editor) take() error {
	awaitForeground(e.in)
	e.mu.Lock()
	if e.taken || e.restored {
		e.mu.Unlock()
		return nil
	}
	was, err := term.MakeRaw(int(e.in.Fd()))
	if err != nil {
		e.mu.Unlock()
		return fmt.Errorf("the keyboard cannot be read key by key: %w", err)
	}
	if e.was == nil {
		e.was = was
	}
	e.taken = true
	e.mu.Unlock()
	_, _ = e.Terminal.Write(nil) // draws the line again; if it fails, so does the next
	return nil
}

// leave leaves the keyboard to the shell.
func (e *Editor) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.taken = false
}

// Restore sets the terminal back to what it was.
func (e *Editor) Restore() error { return e.giveBack(true) }

// giveBack sets the terminal back, for good or until it is taken again.
func (e *Editor) giveBack(forGood bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	mine := e.taken && InForeground(e.in) // else it is the shell's already
	e.taken, e.restored = false, forGood
	if !mine {
		return nil
	}
	if err := term.Restore(int(e.in.Fd()), e.was); err != nil {
		return fmt.Errorf("the terminal cannot be set back; type: reset: %w", err)
	}
	return nil
}

// Next returns what was typed; Ctrl-C and Ctrl-D say farewell.
func (e *Editor) Next() (string, error) {
	if err := e.take(); err != nil { // the prompt is for the foreground
		return "", err
	}
	line, err := e.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return line, err
}

// Write writes whole lines above the line being typed.
func (e *Editor) Write(lines []byte) (int, error) {
	e.mu.Lock()
	shared := !e.taken
	e.mu.Unlock()
	if shared {
		return e.out.Write(lines)
	}
	return e.Terminal.Write(lines)
}

// Patient is false.
func (*Editor) Patient() bool { return false }

// Print writes lines, and a newline behind them, above the line being typed.
func (e *Editor) Print(lines string) error {
	if _, err := io.WriteString(e, lines+"\n"); err != nil {
		return fmt.Errorf("cannot show what happens: %w", err)
	}
	return nil
}
