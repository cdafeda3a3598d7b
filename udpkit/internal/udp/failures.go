package udp

import (
	"context"
	"errors"
	"net"
	"time"
)

// Pauses between reads that fail: none after the first, then from the shortest to the longest,
// doubling.
const (
	shortestPause = time.Millisecond
	longestPause  = 100 * time.Millisecond
)

// ReadAll reads from a socket and calls handle for each datagram, until ctx ends or reading fails
// for good by the policy of [Failures]; it returns the error. It calls report with how each read
// went, nil if it worked, but not with net.ErrClosed.
func ReadAll(ctx context.Context, from interface {
	Next() *Datagram
	Read(wait bool) error
}, handle func(*Datagram), report func(error)) error {
	var failures Failures
	for {
		for d := from.Next(); d != nil; d = from.Next() {
			handle(d)
		}
		err := from.Read(true)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, net.ErrClosed) {
			report(err)
		}
		if err == nil {
			failures.Over()
		} else if !failures.Rest(ctx, err) {
			return err
		}
	}
}

// Failures decides what a loop does whose reads fail, so that all of them do the same: it goes on
// after what passes by itself (an ICMP message about an earlier send, a system short of buffers)
// and ends with anything else, such as a closed socket. Its zero value is for a loop that begins;
// it is for one goroutine.
type Failures struct {
	pause time.Duration // after the next failure
}

// Rest reports whether to read on after err, and waits before that if failures follow one another,
// so that they cannot make the loop spin. The end of ctx ends the wait, and is an end of reading
// too.
func (f *Failures) Rest(ctx context.Context, err error) bool {
	if ctx.Err() != nil || !isTransient(err) {
		return false
	}
	pause := f.pause
	f.pause = min(max(2*pause, shortestPause), longestPause)
	if pause == 0 {
		return true
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Over notes that a read has worked.
func (f *Failures) Over() { f.pause = 0 }
