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
	left    string // why a person has left
}

// write runs the writer until the lines have ended and are stored, or ctx ends, and returns why it
// ended, "" for ctx or a person.
func (p *pen) write(source console.Source) (why string, err error) {
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
	// Nothing can interrupt a read from a keyboard, so nobody waits for this.
	go func() { ended <- p.lines(source) }()
	select {
	case <-p.ctx.Done():
	case err = <-ended:
		if why = "all is written"; source.Patient() {
			_ = p.writer.Flush(p.ctx) // the count below tells
		}
	case runErr := <-ran:
		ran <- runErr
	}
	if p.ctx.Err() != nil || !source.Patient() {
		why = ""
		if p.ctx.Err() == nil {
			p.mu.Lock()
			why = p.left
			p.mu.Unlock()
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), farewell)
		_ = p.writer.Flush(ctx)
		cancel()
	}
	p.ending()
	stop()
	if err = both(err, <-ran); err != nil {
		why = "by a failure"
	}
	return why, both(err, p.missing(source.Patient()))
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

// lines gives each line to the writer until they end, or ctx does. An error is that of a source
// that cannot be read.
func (p *pen) lines(source console.Source) error {
	for number := uint64(1); ; number++ {
		line, err := source.Next()
		tooLong := errors.Is(err, console.ErrLineTooLong)
		if tooLong {
			err = fmt.Errorf("%w, a message has at most %d", err, relay.MaxText)
		}
		switch {
		case p.ctx.Err() != nil:
			return nil
		case err != nil && !tooLong:
			if source.Patient() && !errors.Is(err, io.EOF) {
				return fmt.Errorf("the lines to write cannot be read: %w", err)
			}
			p.mu.Lock()
			p.left = console.Farewell(err)
			p.mu.Unlock()
			return nil
		case line == "" && !tooLong && !source.Patient():
			continue // somebody has pressed Enter
		case !tooLong:
			err = relay.CheckText(line)
		}
		message, ok := p.take(err == nil)
		if !ok {
			return nil
		}
		if err != nil {
			text := strings.TrimPrefix(err.Error(), relay.ErrConfig.Error()+": ")
			p.Show(func() error { return p.show.event(refusedEvent{Line: number, Text: text, At: time.Now()}) })
			continue
		}
		p.Show(func() error { p.show.wrote(message, line); return nil })
		if _, err := p.writer.Send(p.ctx, line); err != nil {
			return nil // ctx has ended, or Run, whose error is known
		}
	}
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

// silence is a source that has no lines, and ends with the context.
type silence struct{ context.Context }

func (s silence) Next() (string, error) {
	<-s.Done()
	return "", io.EOF
}

func (silence) Patient() bool { return true }

// echo knows whether what a Join has written has come back to it.
type echo struct {
	served chan struct{} // closed: it reads what is written from now on

	mu     sync.Mutex
	up     bool
	stored uint64 // the last sequence number of what it wrote
	read   uint64 // the last that it read
	news   chan struct{}
}

func newEcho() *echo { return &echo{served: make(chan struct{}), news: make(chan struct{}, 1)} }

func (e *echo) event(of relay.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch of := of.(type) {
	case linkEvent:
		if of.Up && of.Role == relay.RoleReader && !e.up {
			e.up = true
			close(e.served)
		}
		return
	case relay.StoredEvent:
		e.stored = max(e.stored, of.Seq)
	case relay.MessageEvent:
		e.read = of.Seq
	case relay.GapEvent:
		e.read = of.To
	default:
		return
	}
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// wait waits until all has come back, but no longer than a farewell takes.
func (e *echo) wait(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	for {
		e.mu.Lock()
		back := e.read >= e.stored
		e.mu.Unlock()
		if back {
			return
		}
		select {
		case <-e.news:
		case <-ctx.Done():
			return
		}
	}
}
