//go:build unix

package udpkit

import (
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// waker makes a waiting poller return: that watches the reading end of a pipe, and wake writes a
// byte into the other.
type waker struct {
	in, out int
	written atomic.Bool // a byte is in the pipe: one is enough
}

func (w *waker) open() error {
	fds := []int{-1, -1}
	syscall.ForkLock.RLock() // so that a child process started just now does not inherit them
	defer syscall.ForkLock.RUnlock()
	err := unix.Pipe(fds)
	w.in, w.out = fds[0], fds[1]
	if err != nil {
		return os.NewSyscallError("pipe", err)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		_ = unix.SetNonblock(fd, true)
	}
	return nil
}

// openFor opens the pipe and has p watch it. If that fails p is closed.
func (w *waker) openFor(p poller) error {
	err := w.open()
	if err == nil {
		err = p.add(uintptr(w.in), Readable)
	}
	if err != nil {
		_ = p.close()
	}
	return err
}

func (w *waker) wake() {
	if !w.written.Swap(true) {
		_, _ = unix.Write(w.out, []byte{0})
	}
}

// drain empties the pipe. A wake between the two lines writes nothing, and need not: the wait that
// drains returns.
func (w *waker) drain() {
	var b [8]byte
	_, _ = unix.Read(w.in, b[:])
	w.written.Store(false)
}

func (w *waker) close() error {
	_ = unix.Close(w.in)
	_ = unix.Close(w.out)
	return nil
}

// What poll(2) takes.
type (
	pollFD     = unix.PollFd
	pollSocket = int32
)

const (
	pollIn   = unix.POLLIN
	pollOut  = unix.POLLOUT
	pollErr  = unix.POLLERR
	pollHup  = unix.POLLHUP
	pollNval = unix.POLLNVAL
)

// systemPoll waits until one of the sockets is ready, a signal comes or the time is over; -1
// milliseconds means forever. It returns how many of them have Revents.
func systemPoll(fds []pollFD, milliseconds int) (int, error) {
	n, err := unix.Poll(fds, milliseconds)
	if err == unix.EINTR || err == unix.EAGAIN {
		return 0, nil
	}
	return n, os.NewSyscallError("poll", err)
}
