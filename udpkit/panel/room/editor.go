package room

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// editor is a terminal: a line is typed at the bottom while others appear above
// it. Package term redraws the line after each; only the width of wide characters
// is not known to it.
type editor struct {
	*term.Terminal
	in  *os.File
	was *term.State
}

// console is what package term reads keys from and writes escapes to.
type console struct {
	in, out *os.File
	editor  *editor
}

func (c *console) Write(p []byte) (int, error) { return c.out.Write(p) }

// Read returns keys, before which the window may have got another size.
func (c *console) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	if raw, rawErr := c.out.SyscallConn(); rawErr == nil {
		// Unlike Fd, Control minds that the file may be closed meanwhile.
		_ = raw.Control(func(fd uintptr) {
			if width, height, sizeErr := term.GetSize(int(fd)); sizeErr == nil && width > 0 {
				_ = c.editor.SetSize(width, height) // fails as the next line does
			}
		})
	}
	return n, err
}

// newEditor returns nil if in and out are not both a terminal that can be steered.
func newEditor(in io.Reader, out io.Writer) *editor {
	input, _ := in.(*os.File)
	output, _ := out.(*os.File)
	if input == nil || output == nil || !term.IsTerminal(int(input.Fd())) || !term.IsTerminal(int(output.Fd())) ||
		os.Getenv("TERM") == "dumb" || !understandsEscapes(output) {
		return nil
	}
	e := &editor{in: input}
	e.Terminal = term.NewTerminal(&console{input, output, e}, "> ")
	return e
}

// raw takes the keyboard from the system's own line editor. Ctrl-C then is a key
// as others are.
func (e *editor) raw() (err error) {
	if e.was, err = term.MakeRaw(int(e.in.Fd())); err != nil {
		return fmt.Errorf("the keyboard cannot be read key by key: %w", err)
	}
	return nil
}

func (e *editor) restore() error {
	if err := term.Restore(int(e.in.Fd()), e.was); err != nil {
		return fmt.Errorf("the terminal cannot be set back; type: reset: %w", err)
	}
	return nil
}

// next returns what was typed; Ctrl-C and Ctrl-D say farewell.
func (e *editor) next() (string, error) {
	line, err := e.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return line, err
}

func (*editor) patient() bool { return false }
