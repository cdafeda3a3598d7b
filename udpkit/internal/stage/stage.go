// Package stage is what roles have in common that are shown while they run: what happens is shown
// before anybody else hears of it, and the first failure to do so ends the role.
package stage

import (
	"context"
	"errors"
	"sync"
)

// Stage is where one run of a role is shown. Its methods may be called by any goroutine.
type Stage struct {
	callers context.Context
	cancel  context.CancelFunc

	mu     sync.Mutex
	err    error  // the first failure
	why    string // the first reason to end
	closed bool
}

// New returns a stage of a role, and the context to run the role with. It ends with ctx, and by a
// failure.
func New(ctx context.Context) (*Stage, context.Context) {
	s := &Stage{callers: ctx}
	ctx, s.cancel = context.WithCancel(ctx)
	return s, ctx
}

// Chain returns an OnEvent that shows an event before it calls the caller's, which may be nil.
func Chain[E any](s *Stage, show func(E) error, callers func(E)) func(E) {
	return func(e E) {
		s.Show(func() error { return show(e) })
		if callers != nil {
			callers(e)
		}
	}
}

// Show shows something, unless the stage is closed.
func (s *Stage) Show(show func() error) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if !closed {
		s.Fail(show())
	}
}

// Fail keeps the first failure and ends the role: a record with holes in it, or a panel that stands
// still, would deceive.
func (s *Stage) Fail(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.cancel()
}

// Failure returns the first failure.
func (s *Stage) Failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// End ends the role.
func (s *Stage) End() { s.cancel() }

// Because keeps the first reason why the role will end, in a few words.
func (s *Stage) Because(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == "" {
		s.why = why
	}
}

// Close ends the role and the stage: after it nothing is shown but by who has closed it.
func (s *Stage) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
}

// Why says in a few words why the role has ended: by a failure to show, for the reason that was
// kept, because of its context, or as otherwise says.
func (s *Stage) Why(otherwise string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch ended := s.callers.Err(); {
	case s.err != nil:
		return "by a failure to show or to write"
	case s.why != "":
		return s.why
	case errors.Is(ended, context.DeadlineExceeded):
		return "time is up"
	case ended != nil:
		return "interrupted"
	}
	return otherwise
}
