package chat

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// What ends a Reader beside the connection's own errors.
var (
	// ErrLineTooLong is for a message of more bytes than allowed.
	ErrLineTooLong = errors.New("the line is too long")
	// ErrIdle is for a connection that has sent no whole message for too long.
	ErrIdle = errors.New("no message for too long")
)

// DefaultPause is how long a Reader waits for the rest of a message without a newline: longer than
// what was sent at once is on its way, shorter than two messages of a person are apart.
const DefaultPause = 200 * time.Millisecond

// ReaderConfig configures a Reader. The zero value works; it is copied.
type ReaderConfig struct {
	// MaxLine is the longest message in bytes, without its newline. Default MaxLine.
	MaxLine int
	// Pause is the silence after which what has come is a message although it has no newline.
	// Default DefaultPause; negative for never.
	Pause time.Duration
	// KeepPause is for a connection that carries messages of several senders, as from a server that
	// relays what it gets: a newline of one says nothing of the next. Without it the first newline
	// ends the pauses, so that no slow network cuts a line in two.
	KeepPause bool
	// Idle is how long the next whole message may take. Bytes of a message that does not end do not
	// count as a sign of life. 0 means no limit.
	Idle time.Duration
}

// DeadlineReader is the part of a net.Conn that a Reader needs.
type DeadlineReader interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// Reader finds the messages in a stream of bytes, which has no boundaries of its own: what was sent
// at once may arrive in pieces, and what was sent in pieces at once. It holds at most one message
// and never asks for more. It is for one goroutine.
type Reader struct {
	conn DeadlineReader
	cfg  ReaderConfig
	buf  []byte    // what has come and was not returned, in the capacity of one line
	last time.Time // when the last byte came
	end  error     // what the stream ended with, once buf is returned

	commands telnet
}

// NewReader returns a Reader of conn, whose read deadline it sets.
func NewReader(conn DeadlineReader, cfg ReaderConfig) *Reader {
	if cfg.MaxLine <= 0 {
		cfg.MaxLine = MaxLine
	}
	cfg.Pause = cmp.Or(cfg.Pause, DefaultPause)
	return &Reader{conn: conn, cfg: cfg, buf: make([]byte, 0, cfg.MaxLine+len("\r\n")+1)}
}

// Next returns the next message, after Clean. A message without any text is left out, and so are
// the commands of Telnet clients (RFC 854). What came before the stream's orderly end is a message
// too; of a connection that broke, half a line is none. An error is io.EOF at the stream's end,
// ErrLineTooLong, ErrIdle, or the connection's, and is final.
func (r *Reader) Next() (string, error) {
	begun := time.Now()
	for looked := 0; ; {
		if i := bytes.IndexByte(r.buf[looked:], '\n'); i >= 0 {
			if !r.cfg.KeepPause {
				r.cfg.Pause = -1
			}
			text, err := r.take(looked+i, 1)
			if text != "" || err != nil {
				return text, err
			}
			begun, looked = time.Now(), 0 // an empty line is a sign of life
			continue
		}
		looked = len(r.buf)
		if errors.Is(r.end, io.EOF) && len(r.buf) > 0 {
			if text, err := r.take(len(r.buf), 0); text != "" || err != nil {
				return text, err
			}
		}
		if r.end != nil {
			return "", r.end
		}
		if len(r.buf)+1 >= cap(r.buf) {
			return "", r.tooLong()
		}
		pause, err := r.read(begun)
		if err != nil {
			return "", err
		}
		if pause {
			if text, err := r.take(len(r.buf), 0); text != "" || err != nil {
				return text, err
			}
			looked = 0
		}
	}
}

// read adds what comes to buf, or reports that the pause is over.
func (r *Reader) read(begun time.Time) (pause bool, err error) {
	var deadline time.Time
	if r.cfg.Idle > 0 {
		deadline = begun.Add(r.cfg.Idle)
	}
	waits := len(r.buf) > 0 && r.cfg.Pause > 0
	if waits {
		if end := r.last.Add(r.cfg.Pause); deadline.IsZero() || end.Before(deadline) {
			deadline = end
		} else {
			waits = false
		}
	}
	// A pipe whose other end is closed takes no deadline (net.Pipe); reading from it does not wait,
	// and tells how it ended.
	if err := r.conn.SetReadDeadline(deadline); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return false, fmt.Errorf("read deadline: %w", err)
	}
	raw := r.buf[len(r.buf)+1 : cap(r.buf)] // filter may return a byte more
	n, err := r.conn.Read(raw)
	if n > 0 {
		r.buf = r.commands.filter(r.buf, raw[:n])
		r.last = time.Now()
	}
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded) && n > 0:
	case errors.Is(err, os.ErrDeadlineExceeded) && waits:
		return true, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, ErrIdle
	default:
		r.end = err
	}
	return false, nil
}

// take removes the first n bytes and the newline after them, and returns them as a message.
func (r *Reader) take(n, newline int) (string, error) {
	line := bytes.TrimSuffix(r.buf[:n], []byte("\r"))
	if len(line) > r.cfg.MaxLine {
		return "", r.tooLong()
	}
	text := Clean(string(line))
	r.buf = r.buf[:copy(r.buf, r.buf[n+newline:])]
	if len(bytes.TrimSpace([]byte(text))) == 0 {
		return "", nil
	}
	return text, nil
}

func (r *Reader) tooLong() error {
	return fmt.Errorf("%w: more than %d bytes", ErrLineTooLong, r.cfg.MaxLine)
}
