package udpkit

import "context"

// smallestBuffer is the capacity of a new queue buffer in bytes. It grows if a longer datagram needs it.
const smallestBuffer = 256

// channel reads in the background into a channel, and handles on the caller's goroutine: datagrams, ticks and
// cancellation meet in one select.
func (s *session) channel() error {
	q := queue{
		waiting: make(chan Datagram, s.cfg.QueueSize),
		spare:   make(chan []byte, s.cfg.QueueSize+2), // the queue's, the reader's and the handler's
	}
	ctx, cancel := context.WithCancel(s.ctx)
	result := errHandlerExit
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		result = s.readAll(ctx, func(d Datagram) bool {
			if !q.put(d) {
				s.dropped.Add(1)
			}
			return true
		})
	}()
	defer func() { // also when the handler panics
		cancel()
		<-ended
		s.dropped.Add(uint64(len(q.waiting)))
	}()

	clock := s.newIdleClock()
	timer := clock.newTimer()
	defer timer.Stop()
	for s.ctx.Err() == nil {
		select {
		case d := <-q.waiting:
			clock.seen(d.Received)
			s.handle(d)
			q.recycle(d.Payload)
		case <-timer.C:
			if len(q.waiting) > 0 {
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

// queue is a bounded queue of datagrams that reuses its buffers: nothing is allocated for a datagram once there are
// enough buffers and they are large enough.
type queue struct {
	waiting chan Datagram
	spare   chan []byte
}

// put appends a copy of d. It returns false where the queue is full.
func (q *queue) put(d Datagram) bool {
	var buf []byte
	select {
	case buf = <-q.spare:
	default:
		buf = make([]byte, 0, max(len(d.Payload), smallestBuffer))
	}
	d.Payload = append(buf[:0], d.Payload...)
	select {
	case q.waiting <- d:
		return true
	default:
		q.recycle(d.Payload)
		return false
	}
}

// recycle takes back the buffer of a datagram that has been handled.
func (q *queue) recycle(buf []byte) {
	select {
	case q.spare <- buf:
	default:
	}
}
