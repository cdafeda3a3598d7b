//go:build unix

package udpkit

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// transientErrnos are errors of recvmsg(2) that pass by themselves. Those about a host or a network report, on a
// connected socket, that an earlier datagram of ours did not arrive: they say nothing about what comes in.
var transientErrnos = []unix.Errno{
	unix.ECONNREFUSED, unix.ECONNRESET, unix.EHOSTUNREACH, unix.EHOSTDOWN, unix.ENETUNREACH, unix.ENETDOWN,
	unix.ENOBUFS, unix.ENOMEM, unix.EMSGSIZE, unix.EINTR, unix.EAGAIN,
}

// isTransient tells whether reading on makes sense after this error.
func isTransient(err error) bool {
	errno, ok := errors.AsType[unix.Errno](err)
	return ok && slices.Contains(transientErrnos, errno)
}
