package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// ErrLost marks output that nobody has taken although the program had to end.
var ErrLost = errors.New("nobody reads the output, and the end of it is lost")

// giveUp is how long a program that ends waits for its output to be taken, in all. A relay's client
// needs another second to take leave, and all must be over within three.
const giveUp = 1500 * time.Millisecond

// Output is an io.Writer that can be waited for in vain, such as a pipe that nobody reads. As long
// as the program runs a Write waits, so that nothing is lost. It is safe for concurrent use.
type Output struct {
	out   io.Writer
	ended <-chan struct{} // closed: the program has to end

	mu   sync.Mutex
	left time.Duration // to wait after that
	lost bool
}

// NewOutput returns an Output that writes to out, nil for os.Stdout. After the end of ctx it waits
// no longer than 1.5 s in all; what is written then is lost, each Write returns ErrLost, and one
// that waits is left waiting.
func NewOutput(ctx context.Context, out io.Writer) *Output {
	if out == nil {
		out = os.Stdout
	}
	return &Output{out: out, ended: ctx.Done(), left: giveUp}
}

// Write writes to the output. When it fails with ErrLost some of p may have been taken, or may be
// later.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost {
		return 0, ErrLost
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	mine := bytes.Clone(p) // p is the caller's again if this gives up
	go func() {
		n, err := o.out.Write(mine)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return r.n, r.err
	case <-o.ended:
	}
	begun := time.Now()
	timer := time.NewTimer(max(o.left, 0))
	defer timer.Stop()
	select {
	case r := <-done:
		o.left -= time.Since(begun)
		return r.n, r.err
	case <-timer.C:
		o.lost = true
		return 0, ErrLost
	}
}

// fileOf returns the file that out writes to, nil if it is none.
func fileOf(out io.Writer) *os.File {
	if o, ok := out.(*Output); ok {
		out = o.out
	}
	file, _ := out.(*os.File)
	return file
}
