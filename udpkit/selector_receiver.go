package udpkit

import (
	"context"
	"errors"
	"os"
	"runtime"
	"time"
)

// drainLimit is how many datagrams are read for one wake-up, before ticks get their turn.
const drainLimit = 64

// selecting waits until the socket is readable, and then reads it empty without waiting. With one socket it is what a
// blocking read does in two steps; the point of a selector is that there may be many.
func (s *session) selecting() error {
	selector, err := NewSelector()
	if err != nil {
		return err
	}
	defer selector.Close()
	socket, err := newTryReader(s)
	if err != nil {
		return s.failed(err)
	}
	defer socket.close()
	clock := s.newIdleClock()
	var failure error
	readAll := func(Events) {
		// What the reader has taken from the socket already is not what the selector would wake up for.
		for n := 0; n < drainLimit || s.reader.Buffered(); n++ {
			d, err := socket.tryRead()
			if err == errWouldBlock {
				return
			}
			if err == nil {
				clock.seen(d.Received)
				s.handle(d)
			} else {
				failure = s.failed(err)
			}
			if failure != nil || s.ctx.Err() != nil {
				return
			}
		}
	}
	if err := selector.Register(s.conn, Readable, readAll); err != nil {
		return s.failed(err)
	}
	ctx, stop := s.endWithSocket()
	defer stop()
	if s.reader.Buffered() {
		readAll(Readable)
	}
	for failure == nil {
		n, err := selector.Select(ctx, atMost(longestSelect, clock.tick()))
		if err != nil {
			return s.failed(err)
		}
		if n == 0 && longestSelect > 0 {
			readAll(Readable) // would find out that the socket is closed
		}
	}
	return failure
}

// longestSelect is for the systems where nobody tells that a socket was closed: there a waiting receiver looks once a
// second. Negative: it need not.
var longestSelect = func() time.Duration {
	switch runtime.GOOS {
	case "windows", "solaris", "illumos", "aix":
		return time.Second
	}
	return -1
}()

// atMost limits a timeout, where negative means none for both.
func atMost(limit, timeout time.Duration) time.Duration {
	if limit >= 0 && (timeout < 0 || timeout > limit) {
		return limit
	}
	return timeout
}

// endWithSocket returns a context that ends with s.ctx, and also when the socket is closed. epoll and kqueue forget a
// closed descriptor without a word, but Go's runtime wakes up those who wait for it: so a goroutine does, in a read
// that never reads. Call stop at the end; it leaves no goroutine and no deadline.
func (s *session) endWithSocket() (ctx context.Context, stop func()) {
	if longestSelect > 0 {
		return s.ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		raw, err := s.conn.SyscallConn()
		for err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			_ = s.conn.SetReadDeadline(time.Time{}) // what someone else left
			if ctx.Err() != nil {
				return
			}
			err = raw.Read(func(uintptr) bool { return false })
		}
		cancel(err)
	}()
	return ctx, func() {
		cancel(nil)
		_ = s.conn.SetReadDeadline(time.Unix(1, 0))
		<-ended
		_ = s.conn.SetReadDeadline(time.Time{})
	}
}
