//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package udpkit

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func newPoller() (poller, error) { return newKqueue() }

// kqueue is the poller of macOS and the BSDs, see kqueue(2). Reading and writing are two filters
// there, each with an event of its own.
type kqueue struct {
	fd     int
	waker  waker
	events [64]unix.Kevent_t
}

var _ poller = (*kqueue)(nil)

func newKqueue() (*kqueue, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Kqueue()
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("kqueue", err)
	}
	p := &kqueue{fd: fd}
	if err := p.waker.openFor(p); err != nil {
		return nil, err
	}
	return p, nil
}

// change adds or deletes the filters one at a time, so that an error has one cause. An event that
// is not asked to be edge-triggered (EV_CLEAR) is level-triggered.
func (p *kqueue) change(fd uintptr, events Events, flags int) error {
	var failed error
	for _, filter := range []struct {
		event  Events
		number int
	}{{Readable, unix.EVFILT_READ}, {Writable, unix.EVFILT_WRITE}} {
		if events&filter.event == 0 {
			continue
		}
		var change [1]unix.Kevent_t
		unix.SetKevent(&change[0], int(fd), filter.number, flags)
		// EINTR needs no second try: the change is made all the same.
		if _, err := unix.Kevent(p.fd, change[:], nil, nil); err != nil && err != unix.EINTR {
			failed = os.NewSyscallError("kevent", err)
		}
	}
	return failed
}

func (p *kqueue) add(fd uintptr, events Events) error {
	err := p.change(fd, events, unix.EV_ADD)
	if err != nil {
		p.remove(fd, events)
	}
	return err
}

// remove may fail, as the kernel forgets a descriptor that is closed.
func (p *kqueue) remove(fd uintptr, events Events) { _ = p.change(fd, events, unix.EV_DELETE) }

func (p *kqueue) wait(timeout time.Duration, found []readiness) ([]readiness, error) {
	var limit *unix.Timespec
	if timeout >= 0 {
		t := unix.NsecToTimespec(min(timeout, longestWait).Nanoseconds())
		limit = &t
	}
	n, err := unix.Kevent(p.fd, nil, p.events[:], limit)
	if err != nil {
		if err == unix.EINTR {
			err = nil
		}
		return found, os.NewSyscallError("kevent", err)
	}
	for i := range p.events[:n] {
		event := &p.events[i]
		fd := uintptr(event.Ident)
		switch {
		case int(fd) == p.waker.in:
			p.waker.drain()
		case event.Flags&(unix.EV_EOF|unix.EV_ERROR) != 0:
			found = append(found, readiness{fd, Readable | Writable})
		case event.Filter == unix.EVFILT_READ:
			found = append(found, readiness{fd, Readable})
		case event.Filter == unix.EVFILT_WRITE:
			found = append(found, readiness{fd, Writable})
		}
	}
	return found, nil
}

// longestWait is what the kernels accept: macOS refuses timeouts of more than 100,000,000 seconds.
const longestWait = 24 * time.Hour

func (p *kqueue) wake() { p.waker.wake() }

func (p *kqueue) close() error {
	_ = p.waker.close()
	return os.NewSyscallError("close", unix.Close(p.fd))
}
