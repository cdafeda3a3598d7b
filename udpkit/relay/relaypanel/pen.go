package relaypanel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// pen writes the lines of a source with a writer.
type pen struct {
	*session
	writer *relay.Writer
	begin  <-chan struct{} // closed when the writer may begin
	ending func()          // called when all is written that will be, before the writer ends

	mu      sync.Mutex
	closed  bool   // no line is taken any more
	taken   uint64 // lines for the writer
	refused uint64 // other lines
}

// write runs the writer until the lines have ended and are stored, or ctx ends, and returns why it
// ended, "" for ctx. Without a source that is for ctx to end.
func (p *pen) write(source console.Source) (why string, err error) {
	patient := source == nil || source.Patient()
	// The writer outlives ctx, to store what was written before.
	ctx, stop := context.WithCancel(context.WithoutCancel(p.ctx))
	defer stop()
	ran, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		select {
		case <-p.begin:
		case <-ctx.Done():
		}
		ran <- p.writer.Run(ctx)
	}()
	p.listen(source, ended)
	select {
	case <-p.ctx.Done():
	case err = <-ended:
		if why = "all is written"; patient {
			_ = p.writer.Flush(p.ctx) // the count below tells
		} else {
			why, err = console.Farewell(err), nil
		}
	case runErr := <-ran:
		ran <- runErr
	}
	if p.ctx.Err() != nil {
		why = ""
	}
	if p.ctx.Err() != nil || !patient {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), farewell)
		_ = p.writer.Flush(ctx)
		cancel()
	}
	p.ending()
	stop()
	if err = both(err, <-ran); err != nil {
		why = "by a failure"
	}
	return why, both(err, p.missing(patient))
}

// Numbered returns n lines, each with its number, for Options.Say.
func Numbered(n int) []string {
	lines := make([]string, max(0, n))
	for i := range lines {
		lines[i] = fmt.Sprintf("line %d", i+1)
	}
	return lines
}

// both returns two errors as one of one line.
func both(first, second error) error {
	if first == nil || second == nil {
		return errors.Join(first, second)
	}
	return fmt.Errorf("%w; %w", first, second)
}

// missing returns an error if not all lines are stored.
func (p *pen) missing(patient bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var what []string
	if n := p.taken - min(p.taken, p.writer.Stats().Stored); n > 0 {
		what = append(what, fmt.Sprintf("%d of %s not known to be stored", n, format.Plural(p.taken+p.refused, "line")))
	}
	if p.refused > 0 && patient {
		what = append(what, fmt.Sprintf("%d of %s refused", p.refused, format.Plural(p.taken+p.refused, "line")))
	}
	if len(what) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrNotStored, strings.Join(what, ", "))
}

// listen gives each line to the writer until they end, and tells ended why they cannot be read.
func (p *pen) listen(source console.Source, ended chan<- error) {
	number := uint64(0)
	give := func(line string, err error) (last bool) {
		message, ok := p.take(err == nil)
		switch {
		case !ok:
			return true
		case err != nil:
			text := strings.TrimPrefix(err.Error(), relay.ErrConfig.Error()+": ")
			p.Show(func() error { return p.show.event(refusedEvent{Line: number, Text: text, At: time.Now()}) })
			return false
		}
		p.Show(func() error { p.show.wrote(message, line); return nil })
		_, err = p.writer.Send(p.ctx, line)
		return err != nil // ctx has ended, or Run, whose error is known
	}
	p.Listen(source, func(line string) (last bool) {
		if number++; line == "" && !source.Patient() {
			return false // somebody has pressed Enter
		}
		return give(line, relay.CheckText(line))
	}, func(tooLong error) {
		number++
		give("", fmt.Errorf("%w, a message has at most %d", tooLong, relay.MaxText))
	}, func(err error) {
		switch {
		case !source.Patient():
		case errors.Is(err, io.EOF):
			err = nil
		case err != nil:
			err = fmt.Errorf("the lines to write cannot be read: %w", err)
		}
		ended <- err
	})
}

// take counts a line and returns the number of its message, unless the pen is closed.
func (p *pen) take(valid bool) (message uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, false
	}
	if valid {
		p.taken++
	} else {
		p.refused++
	}
	return p.taken, true
}
