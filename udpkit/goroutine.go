package udpkit

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// errHandlerExit is for a handler that ended its goroutine by runtime.Goexit, as testing.T.FailNow
// does.
var errHandlerExit = errors.New("the handler ended the reading goroutine")

// goroutine reads and handles in the background. The caller's goroutine stays free: it draws the
// waiting indicator, and waits for the reader to end, which ctx makes it do.
func (s *session) goroutine() error {
	ctx, cancel := context.WithCancel(s.ctx)
	var last atomic.Int64 // when the last datagram came, as time since start
	start := time.Now()
	result := errHandlerExit
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		result = s.readAll(ctx, func(d *Datagram) bool {
			if !s.reader.Buffered() { // all that came in one system call have the same time
				last.Store(int64(d.Received.Sub(start)))
			}
			s.handle(*d)
			return true
		})
	}()
	defer func() { // also when OnIdle panics
		cancel()
		<-ended
	}()

	clock := s.newIdleClock()
	timer := clock.newTimer()
	defer timer.Stop()
	for {
		select {
		case <-ended:
			return result
		case <-timer.C:
			if at := start.Add(time.Duration(last.Load())); at.After(clock.last) {
				clock.seen(at)
			}
			timer.Reset(clock.tick())
		}
	}
}
