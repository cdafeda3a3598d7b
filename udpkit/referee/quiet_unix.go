//go:build unix

package referee

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// little has a connection that is about to be dialed take little before it is full, on both sides:
// a system gives the other side a buffer in proportion to the segments that this one takes. A
// system that does not let itself be told has buffers that are never full here.
func little(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1) // as little as there is
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 536)
	})
}
