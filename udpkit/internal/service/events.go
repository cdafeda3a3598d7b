package service

import (
	"sync/atomic"
	"time"
)

const (
	// Queue is how many events wait for a callback that is slow.
	Queue = 4096
	// patience is how long the end of a run waits until the callback has been told of them.
	patience = 500 * time.Millisecond
)

// Events tells the events of a role to a callback, one call at a time and in order, on a goroutine
// of its own, so that a slow one delays nothing. Its methods are safe for concurrent use, but Begin
// and End are called once each.
type Events[E any] struct {
	tell    func(E) // nil: nobody listens
	queue   chan E
	ending  chan time.Time
	ended   chan struct{}
	dropped atomic.Uint64
}

// NewEvents returns the events that tell is called for. If it is nil, nothing is done for any.
func NewEvents[E any](tell func(E)) *Events[E] {
	e := &Events[E]{tell: tell}
	if tell != nil {
		e.queue, e.ending, e.ended = make(chan E, Queue), make(chan time.Time, 1), make(chan struct{})
	}
	return e
}

// Begin tells the first event, before it returns, and then those that are emitted.
func (e *Events[E]) Begin(first E) {
	if e.tell == nil {
		return
	}
	e.tell(first)
	go e.dispatch()
}

// Emit has an event told, or counts it as dropped if too many wait. It never blocks.
func (e *Events[E]) Emit(event E) {
	if e.tell == nil {
		return
	}
	select {
	case e.queue <- event:
	default:
		e.dropped.Add(1)
	}
}

// End waits until what was emitted is told, or for half a second: then the rest is dropped. It
// tells the last event, made when nothing more is dropped, and returns. A call that does not return
// holds it up.
func (e *Events[E]) End(last func() E) {
	if e.tell == nil {
		return
	}
	e.ending <- time.Now().Add(patience)
	<-e.ended
	e.tell(last())
}

// Dropped returns how many events were not told.
func (e *Events[E]) Dropped() uint64 { return e.dropped.Load() }

func (e *Events[E]) dispatch() {
	defer close(e.ended)
	var until time.Time // zero: for as long as it takes
	for until.IsZero() {
		select {
		case until = <-e.ending:
			continue
		default: // the end goes first
		}
		select {
		case until = <-e.ending:
		case event := <-e.queue:
			e.tell(event)
		}
	}
	for len(e.queue) > 0 && time.Now().Before(until) {
		e.tell(<-e.queue)
	}
	e.dropped.Add(uint64(len(e.queue)))
}
