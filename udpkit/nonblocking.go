package udpkit

import (
	"context"
	"time"
)

// nonBlocking never waits in a read call: it looks, and if there is nothing it rests for
// PollInterval, or until OnIdle is due, before it looks again. The goroutine is free in between, at
// the price of a delay and of waking up for nothing.
func (s *session) nonBlocking() error {
	socket, err := newTryReader(s)
	if err != nil {
		return s.failed(err)
	}
	defer socket.close()
	clock := s.newIdleClock()
	timer := time.NewTimer(s.cfg.PollInterval)
	defer timer.Stop()
	for s.ctx.Err() == nil {
		switch d, err := socket.tryRead(); err {
		case nil:
			clock.seen(d.Received)
			s.handle(*d)
		case errWouldBlock:
			rest := s.cfg.PollInterval
			if due := clock.tick(); due >= 0 {
				rest = min(rest, due)
			}
			timer.Reset(rest)
			select {
			case <-s.ctx.Done():
			case <-timer.C:
			}
		default:
			if err := s.failed(err); err != nil {
				return err
			}
		}
	}
	return context.Cause(s.ctx)
}
