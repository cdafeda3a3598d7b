package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/janpfeifer/gonb/gonbui"
)

// Source is where lines come from. Calls are not concurrent.
type Source interface {
	// Next returns a line without its newline. After an ErrLineTooLong the next
	// line follows; any other error is a farewell, such as io.EOF.
	Next() (string, error)
	// Patient reports whether all that was said before the end must be delivered
	// however long it takes, as with a file. A person rather leaves.
	Patient() bool
}

// MaxLine is the longest line in bytes that a source returns, far above what any
// role takes.
const MaxLine = 64 << 10

// ErrLineTooLong marks a line that was read and thrown away.
var ErrLineTooLong = errors.New("line too long")

// reader reads lines from anything.
type reader struct{ in *bufio.Reader }

// NewReader returns a source of what in has, see Keys. A last line needs no newline.
func NewReader(in io.Reader) Source { return reader{bufio.NewReaderSize(Keys(in), MaxLine+2)} }

func (r reader) Next() (string, error) {
	line, err := r.in.ReadSlice('\n')
	length := len(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = r.in.ReadSlice('\n')
		length += len(line)
	}
	if err != nil && (length == 0 || !errors.Is(err, io.EOF)) {
		return "", err
	}
	text := trim(string(line))
	if length > len(line) {
		return "", fmt.Errorf("%w: %d bytes", ErrLineTooLong, length-(len(line)-len(text)))
	}
	return text, nil
}

func (reader) Patient() bool { return true }

// trim removes the end of a line, as Unix or Windows writes it.
func trim(line string) string { return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r") }

// inputBox asks for a line in the notebook, below the panel.
type inputBox struct {
	prompt string
	stdin  *bufio.Reader
}

// NewInputBox returns the input box of the cell in which the program runs. There
// must be a browser: nobody else could answer.
func NewInputBox(prompt string) Source { return &inputBox{prompt, bufio.NewReader(os.Stdin)} }

func (b *inputBox) Next() (string, error) {
	gonbui.RequestInput(b.prompt, false)
	line, err := b.stdin.ReadString('\n')
	return trim(line), err
}

func (*inputBox) Patient() bool { return false }

// List is a source of lines that are there already.
type List []string

// Next takes the first line.
func (l *List) Next() (string, error) {
	if len(*l) == 0 {
		return "", io.EOF
	}
	line := (*l)[0]
	*l = (*l)[1:]
	return line, nil
}

// Patient is true.
func (*List) Patient() bool { return true }
