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
	// Next returns a line without its newline. After an ErrLineTooLong the next line follows; any
	// other error ends the source: io.EOF, ErrInterrupted, or a failure.
	Next() (string, error)
	// Patient reports whether all that was said before the end must be delivered however long it
	// takes, as with a file. A person rather leaves.
	Patient() bool
}

// MaxLine is the longest line in bytes that a source returns, far above what any role takes.
const MaxLine = 64 << 10

// ErrLineTooLong marks a line that was read and thrown away.
var ErrLineTooLong = errors.New("line too long")

// ErrInterrupted ends a source when somebody types Ctrl-C.
var ErrInterrupted = errors.New("interrupted")

// Farewell says in a few words why a role ends, given the error that ended its source.
func Farewell(err error) string {
	if errors.Is(err, ErrInterrupted) {
		return "interrupted"
	}
	return "at the end of the input"
}

// reader reads lines from anything.
type reader struct{ in *bufio.Reader }

// NewReader returns a source of what in has, see Input. A last line needs no newline.
func NewReader(in io.Reader) Source { return reader{bufio.NewReaderSize(Input(in), MaxLine+2)} }

// Input returns a reader of the text in, see Keys, without the mark that some programs begin a text
// with, the BOM.
func Input(in io.Reader) io.Reader { return &input{in: bufio.NewReader(Keys(in))} }

type input struct {
	in    *bufio.Reader
	begun bool
}

func (i *input) Read(p []byte) (int, error) {
	const mark = "\ufeff"
	if !i.begun {
		// One byte, unless it is the mark's: a person may have typed no more.
		first, err := i.in.Peek(1)
		if err != nil {
			return 0, err
		}
		if i.begun = true; first[0] == mark[0] {
			if first, _ = i.in.Peek(len(mark)); string(first) == mark {
				_, _ = i.in.Discard(len(mark)) // it is there
			}
		}
	}
	return i.in.Read(p)
}

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

// NewLines returns a reader of the lines of a source, each with a newline.
func NewLines(from Source) io.Reader { return &sourceReader{from: from} }

type sourceReader struct {
	from Source
	line []byte // read, and not taken yet
}

func (s *sourceReader) Read(p []byte) (int, error) {
	if len(s.line) == 0 {
		line, err := s.from.Next()
		if errors.Is(err, ErrInterrupted) {
			err = io.EOF
		}
		if err != nil {
			return 0, err
		}
		s.line = append([]byte(line), '\n')
	}
	n := copy(p, s.line)
	s.line = s.line[n:]
	return n, nil
}

// inputBox asks for a line in the notebook, below the panel.
type inputBox struct {
	prompt string
	stdin  *bufio.Reader
}

// NewInputBox returns the input box of the cell in which the program runs. There must be a browser:
// nobody else could answer.
//
// Jupyter lists below the panel what was typed, and in a page that looks like what the program
// prints. The panel has it already, and hides that list, see panel/styles.html. What the program
// prints from now on goes to standard error, lest it be hidden, too.
func NewInputBox(prompt string) Source {
	os.Stdout = os.Stderr
	return &inputBox{prompt, bufio.NewReader(os.Stdin)}
}

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
