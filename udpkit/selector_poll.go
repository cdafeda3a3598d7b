//go:build unix || windows

package udpkit

import (
	"math"
	"sync"
	"time"
)

// poll is the poller of Windows, see WSAPoll, and of every Unix, see poll(2): the default where
// there is neither epoll nor kqueue. The whole list of sockets goes to the system for each wait.
type poll struct {
	waker waker

	mu     sync.Mutex
	fds    []pollFD // the waker's comes first
	asking []pollFD // what the running wait was called with
}

var _ poller = (*poll)(nil)

func newPoll() (*poll, error) {
	p := new(poll)
	if err := p.waker.open(); err != nil {
		return nil, err
	}
	p.fds = []pollFD{{Fd: pollSocket(p.waker.in), Events: pollIn}}
	return p, nil
}

func (p *poll) add(fd uintptr, events Events) error {
	entry := pollFD{Fd: pollSocket(fd)}
	if events&Readable != 0 {
		entry.Events |= pollIn
	}
	if events&Writable != 0 {
		entry.Events |= pollOut
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fds = append(p.fds, entry)
	p.waker.wake() // to begin again with the new list
	return nil
}

func (p *poll) remove(fd uintptr, _ Events) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, entry := range p.fds {
		if entry.Fd == pollSocket(fd) {
			p.fds = append(p.fds[:i], p.fds[i+1:]...)
			p.waker.wake()
			return
		}
	}
}

func (p *poll) wait(timeout time.Duration, found []readiness) ([]readiness, error) {
	p.mu.Lock()
	p.asking = append(p.asking[:0], p.fds...)
	p.mu.Unlock()
	n, err := systemPoll(p.asking, milliseconds(timeout))
	if err != nil || n == 0 {
		return found, err
	}
	if p.asking[0].Revents != 0 {
		p.waker.drain()
	}
	for _, entry := range p.asking[1:] {
		var events Events
		if entry.Revents&pollIn != 0 {
			events |= Readable
		}
		if entry.Revents&pollOut != 0 {
			events |= Writable
		}
		if entry.Revents&(pollErr|pollHup|pollNval) != 0 {
			events = Readable | Writable // pollNval: closed, which the Selector finds out
		}
		if events != 0 {
			found = append(found, readiness{uintptr(entry.Fd), events})
		}
	}
	return found, nil
}

func (p *poll) wake() { p.waker.wake() }

func (p *poll) close() error { return p.waker.close() }

// milliseconds rounds up, so that a wait never ends early; -1 is forever.
func milliseconds(timeout time.Duration) int {
	if timeout < 0 {
		return -1
	}
	ms := timeout / time.Millisecond
	if timeout%time.Millisecond > 0 {
		ms++
	}
	return int(min(ms, math.MaxInt32))
}
