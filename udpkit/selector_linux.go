package udpkit

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func newPoller() (poller, error) { return newEpoll() }

// epoll is the poller of Linux, see epoll(7). Interest is kept in the kernel, so a wait costs the
// same with one socket as with a thousand.
type epoll struct {
	fd     int
	waker  waker
	events [64]unix.EpollEvent
}

var _ poller = (*epoll)(nil)

func newEpoll() (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	p := &epoll{fd: fd}
	if err := p.waker.openFor(p); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *epoll) add(fd uintptr, events Events) error {
	event := unix.EpollEvent{Fd: int32(fd)}
	if events&Readable != 0 {
		event.Events |= unix.EPOLLIN
	}
	if events&Writable != 0 {
		event.Events |= unix.EPOLLOUT
	}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, int(fd), &event))
}

// remove may fail, as the kernel forgets a descriptor that is closed.
func (p *epoll) remove(fd uintptr, _ Events) {
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, int(fd), &unix.EpollEvent{})
}

func (p *epoll) wait(timeout time.Duration, found []readiness) ([]readiness, error) {
	n, err := unix.EpollWait(p.fd, p.events[:], milliseconds(timeout))
	if err != nil {
		if err == unix.EINTR {
			err = nil
		}
		return found, os.NewSyscallError("epoll_wait", err)
	}
	for _, event := range p.events[:n] {
		if int(event.Fd) == p.waker.in {
			p.waker.drain()
			continue
		}
		var events Events
		if event.Events&unix.EPOLLIN != 0 {
			events |= Readable
		}
		if event.Events&unix.EPOLLOUT != 0 {
			events |= Writable
		}
		if event.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			events = Readable | Writable
		}
		found = append(found, readiness{uintptr(event.Fd), events})
	}
	return found, nil
}

func (p *epoll) wake() { p.waker.wake() }

func (p *epoll) close() error {
	_ = p.waker.close()
	return os.NewSyscallError("close", unix.Close(p.fd))
}
