package udpkit

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
)

// drainLimit is how many datagrams are read for one wake-up, before ticks get their turn.
const drainLimit = 64

// selecting waits until the socket is readable, and then reads it empty without waiting. With one
// socket it is what a blocking read does in two steps; the point of a selector is that there may be
// many.
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
		// What the reader has taken from the socket already is not what the selector would wake up
		// for.
		for n := 0; n < drainLimit || s.reader.Buffered(); n++ {
			d, err := socket.tryRead()
			if err == errWouldBlock {
				return
			}
			if err == nil {
				if !s.reader.Buffered() { // all that came in one system call have the same time
					clock.seen(d.Received)
				}
				s.handle(*d)
			} else {
				failure = s.failed(err)
			}
			if failure != nil || s.ctx.Err() != nil {
				return
			}
			if !s.reader.Buffered() && s.reader.Emptied() {
				return // what has come since makes the socket ready again: no need to ask for EAGAIN
			}
		}
	}
	if err := selector.Register(s.conn, Readable, readAll); err != nil {
		return s.failed(err)
	}
	if s.reader.Buffered() {
		readAll(Readable)
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	watch := socketWatch{conn: s.conn, closed: cancel}
	defer watch.stop()
	for failure == nil {
		timeout := clock.tick()
		if !watch.running() {
			timeout = atMost(watchAfter, timeout)
		}
		n, err := selector.Select(ctx, timeout)
		switch {
		case err != nil:
			return s.failed(err)
		case n > 0:
			watch.stop()
		case canWatch:
			watch.start()
		default:
			readAll(Readable) // would find out that the socket is closed
		}
	}
	return failure
}

// canWatch means that a closed socket wakes up those who wait for it in Go's own poller.
var canWatch = !slices.Contains([]string{"windows", "solaris", "illumos", "aix"}, runtime.GOOS)

// watchAfter is how long a receiver waits before it has its socket watched; where that is not
// possible, how often it looks whether the socket is closed.
var watchAfter = func() time.Duration {
	if canWatch {
		return 10 * time.Millisecond
	}
	return time.Second
}()

// atMost limits a timeout, where negative means none for both.
func atMost(limit, timeout time.Duration) time.Duration {
	if limit >= 0 && (timeout < 0 || timeout > limit) {
		return limit
	}
	return timeout
}

// socketWatch tells when a socket is closed. epoll and kqueue forget a closed descriptor without a
// word, but Go's runtime wakes up those who wait for it: so a goroutine does, in a read that never
// reads. Each datagram wakes it up too, and doubles the cost of waiting; so it runs only during a
// longer silence.
type socketWatch struct {
	conn     *net.UDPConn
	closed   context.CancelCauseFunc
	stopping atomic.Bool
	ended    chan struct{} // nil: it does not run
}

func (w *socketWatch) running() bool { return w.ended != nil }

func (w *socketWatch) start() {
	if w.running() {
		return
	}
	w.ended = make(chan struct{})
	w.stopping.Store(false)
	go func() {
		defer close(w.ended)
		raw, err := w.conn.SyscallConn()
		for err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			_ = w.conn.SetReadDeadline(time.Time{}) // what someone else left
			if w.stopping.Load() {
				return
			}
			err = raw.Read(func(uintptr) bool { return false })
		}
		w.closed(err)
	}()
}

// stop leaves no goroutine and no deadline.
func (w *socketWatch) stop() {
	if !w.running() {
		return
	}
	w.stopping.Store(true)
	_ = w.conn.SetReadDeadline(time.Unix(1, 0))
	<-w.ended
	_ = w.conn.SetReadDeadline(time.Time{})
	w.ended = nil
}
