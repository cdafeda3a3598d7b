package udpkit

import (
	"context"
	"runtime"
	"sync/atomic"
)

// channel reads in the background, and handles on the caller's goroutine: news of datagrams, ticks
// and cancellation meet in one select.
func (s *session) channel() error {
	q := newQueue(s.cfg.QueueSize)
	ctx, cancel := context.WithCancel(s.ctx)
	result := errHandlerExit
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		result = s.readAll(ctx, func(d *Datagram) bool {
			if !q.put(d) {
				s.dropped.Add(1)
			}
			if !s.reader.Buffered() { // once for all that came in one system call
				q.tell()
			}
			return true
		})
	}()
	defer func() { // also when the handler panics
		cancel()
		<-ended
		s.dropped.Add(q.waiting())
	}()

	clock := s.newIdleClock()
	timer := clock.newTimer()
	defer timer.Stop()
	for s.ctx.Err() == nil {
		select {
		case <-q.news:
			for q.waiting() > 0 && s.ctx.Err() == nil {
				d := q.take()
				clock.seen(d.Received)
				s.handle(*d)
			}
		case <-timer.C:
			if q.waiting() > 0 {
				clock.seen(clock.due) // not idle, only slow
			}
			timer.Reset(clock.tick())
		case <-s.ctx.Done():
		case <-ended:
			return result
		}
	}
	return context.Cause(s.ctx)
}

// queue is a bounded queue from one goroutine to another. The datagrams lie in a ring, and the
// channel only tells of them: a channel operation for each would cost as much as reading it.
// Nothing is allocated for a datagram once the buffers are large enough.
type queue struct {
	news  chan struct{} // there may be more than before
	slots []Datagram    // each with a buffer of its own; one more than may wait, for the one that is being handled

	added, taken atomic.Uint64 // how many so far
	tail         int           // the next slot of put
	head         int           // the next slot of take
}

func newQueue(size int) *queue {
	return &queue{news: make(chan struct{}, 1), slots: make([]Datagram, size+1)}
}

// waiting returns how many datagrams are in the queue.
func (q *queue) waiting() uint64 { return q.added.Load() - q.taken.Load() }

// put appends a copy of d. It returns false where the queue is full.
func (q *queue) put(d *Datagram) bool {
	if q.waiting() == uint64(len(q.slots)-1) {
		return false
	}
	slot := &q.slots[q.tail]
	buf := append(slot.Payload[:0], d.Payload...)
	*slot = *d
	slot.Payload = buf
	if q.tail++; q.tail == len(q.slots) {
		q.tail = 0
	}
	q.added.Add(1)
	return true
}

// tell lets the other side know what has been put. If it does not keep pace it may have been
// waiting for a processor, and gets one.
func (q *queue) tell() {
	select {
	case q.news <- struct{}{}:
	default:
	}
	if q.waiting() >= uint64(len(q.slots)/2) {
		runtime.Gosched()
	}
}

// take removes the oldest datagram, of which there must be one. It is valid until the next call.
func (q *queue) take() *Datagram {
	d := &q.slots[q.head]
	if q.head++; q.head == len(q.slots) {
		q.head = 0
	}
	q.taken.Add(1)
	return d
}
