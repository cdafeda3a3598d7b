//go:build unix

package udp

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// transient are errors of recvmsg(2) that pass by themselves. Those about a host, a network or a
// protocol report, on a connected socket, that an earlier datagram of ours did not arrive: they say
// nothing about what comes in.
var transient = []unix.Errno{
	unix.ECONNREFUSED, unix.ECONNRESET, unix.EHOSTUNREACH, unix.EHOSTDOWN, unix.ENETUNREACH, unix.ENETDOWN,
	unix.EACCES, unix.EPROTO, unix.ENOPROTOOPT, // ICMP's "prohibited", "parameter problem" and "protocol unreachable"
	unix.ENOBUFS, unix.ENOMEM, unix.EMSGSIZE, unix.EINTR, unix.EAGAIN,
}

// Refused reports whether err says that nobody has the port at the other end, by ICMP or, for TCP,
// by a reset.
func Refused(err error) bool {
	errno, ok := errors.AsType[unix.Errno](err)
	return ok && errno == unix.ECONNREFUSED
}

// isTransient reports whether reading on makes sense after this error.
func isTransient(err error) bool {
	errno, ok := errors.AsType[unix.Errno](err)
	return ok && slices.Contains(transient, errno)
}
