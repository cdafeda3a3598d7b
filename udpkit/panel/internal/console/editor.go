package console

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// Editor is a terminal: a line is typed at the bottom while others, which are
// written to it, appear above. It is a Source. Package term redraws the line after
// each; only the width of wide characters is not known to it.
type Editor struct {
	*term.Terminal
	in  *os.File
	was *term.State
}

// keyboard is what package term reads keys from and writes escapes to.
type keyboard struct {
	in, screen *os.File
	out        io.Writer // writes to screen
	editor     *Editor
}

func (k *keyboard) Write(p []byte) (int, error) { return k.out.Write(p) }

// Read returns keys, before which the window may have got another size.
func (k *keyboard) Read(p []byte) (int, error) {
	n, err := k.in.Read(p)
	if raw, rawErr := k.screen.SyscallConn(); rawErr == nil {
		// Unlike Fd, Control minds that the file may be closed meanwhile.
		_ = raw.Control(func(fd uintptr) {
			if width, height, sizeErr := term.GetSize(int(fd)); sizeErr == nil && width > 0 {
				_ = k.editor.SetSize(width, height) // fails as the next line does
			}
		})
	}
	return n, err
}

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
	e := &Editor{in: input}
	e.Terminal = term.NewTerminal(&keyboard{input, output, out, e}, "> ")
	var err error
	if e.was, err = term.MakeRaw(int(input.Fd())); err != nil {
		return nil, fmt.Errorf("the keyboard cannot be read key by key: %w", err)
	}
	return e, nil
}

// Restore sets the terminal back to what it was.
func (e *Editor) Restore() error {
	if err := term.Restore(int(e.in.Fd()), e.was); err != nil {
		return fmt.Errorf("the terminal cannot be set back; type: reset: %w", err)
	}
	return nil
}

// Next returns what was typed; Ctrl-C and Ctrl-D say farewell.
func (e *Editor) Next() (string, error) {
	line, err := e.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return line, err
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
