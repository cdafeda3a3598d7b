//go:build unix

package udpkit

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// poll is the poller of every Unix, see poll(2), and the default where there is neither epoll nor
// kqueue. The whole list of sockets goes to the kernel for each wait.
type poll struct {
	pipe wakePipe

	mu     sync.Mutex
	fds    []unix.PollFd // the pipe's comes first
	asking []unix.PollFd // what the running wait was called with
}

var _ poller = (*poll)(nil)

func newPoll() (*poll, error) {
	p := new(poll)
	if err := p.pipe.open(); err != nil {
		return nil, os.NewSyscallError("pipe", err)
	}
	p.fds = []unix.PollFd{{Fd: int32(p.pipe.in), Events: unix.POLLIN}}
	return p, nil
}

func (p *poll) add(fd uintptr, events Events) error {
	entry := unix.PollFd{Fd: int32(fd)}
	if events&Readable != 0 {
		entry.Events |= unix.POLLIN
	}
	if events&Writable != 0 {
		entry.Events |= unix.POLLOUT
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fds = append(p.fds, entry)
	p.pipe.wake() // to begin again with the new list
	return nil
}

func (p *poll) remove(fd uintptr, _ Events) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, entry := range p.fds {
		if entry.Fd == int32(fd) {
			p.fds = append(p.fds[:i], p.fds[i+1:]...)
			p.pipe.wake()
			return
		}
	}
}

func (p *poll) wait(timeout time.Duration, found []readiness) ([]readiness, error) {
	p.mu.Lock()
	p.asking = append(p.asking[:0], p.fds...)
	p.mu.Unlock()
	n, err := unix.Poll(p.asking, milliseconds(timeout))
	if err != nil {
		if err == unix.EINTR || err == unix.EAGAIN {
			err = nil
		}
		return found, os.NewSyscallError("poll", err)
	}
	if n == 0 {
		return found, nil
	}
	if p.asking[0].Revents != 0 {
		p.pipe.drain()
	}
	for _, entry := range p.asking[1:] {
		var events Events
		if entry.Revents&unix.POLLIN != 0 {
			events |= Readable
		}
		if entry.Revents&unix.POLLOUT != 0 {
			events |= Writable
		}
		if entry.Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
			events = Readable | Writable // POLLNVAL: closed, which the Selector finds out
		}
		if events != 0 {
			found = append(found, readiness{uintptr(entry.Fd), events})
		}
	}
	return found, nil
}

func (p *poll) wake() { p.pipe.wake() }

func (p *poll) close() error {
	p.pipe.close()
	return nil
}
