//go:build unix

package udpkit

import (
	"math"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// wakePipe makes a waiting poller return: it watches the reading end, and wake writes a byte into
// the other.
type wakePipe struct {
	in, out int
	written atomic.Bool // a byte is in the pipe: one is enough
}

func (p *wakePipe) open() error {
	var fds [2]int
	syscall.ForkLock.RLock() // so that a child process started just now does not inherit them
	defer syscall.ForkLock.RUnlock()
	if err := unix.Pipe(fds[:]); err != nil {
		return err
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		_ = unix.SetNonblock(fd, true)
	}
	p.in, p.out = fds[0], fds[1]
	return nil
}

func (p *wakePipe) wake() {
	if !p.written.Swap(true) {
		_, _ = unix.Write(p.out, []byte{0})
	}
}

// drain empties the pipe. A wake between the two lines writes nothing, and need not: the wait that
// drains returns.
func (p *wakePipe) drain() {
	var b [8]byte
	_, _ = unix.Read(p.in, b[:])
	p.written.Store(false)
}

func (p *wakePipe) close() {
	_ = unix.Close(p.in)
	_ = unix.Close(p.out)
}

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
