package udp

import (
	"errors"
	"slices"

	"golang.org/x/sys/windows"
)

// transient are errors of WSARecvMsg that pass by themselves. Windows reports an ICMP "port
// unreachable" for an earlier send as WSAECONNRESET, even on a socket that is not connected.
var transient = []windows.Errno{
	windows.WSAECONNRESET, windows.WSAECONNREFUSED, windows.ERROR_PORT_UNREACHABLE, windows.WSAENETRESET,
	windows.WSAEHOSTUNREACH, windows.WSAENETUNREACH, windows.WSAENETDOWN, windows.WSAENOBUFS, windows.WSAEMSGSIZE,
	windows.WSAEINTR, windows.WSAEWOULDBLOCK,
}

// Refused reports whether err says that nobody has the port at the other end, by ICMP or, for TCP,
// by a reset.
func Refused(err error) bool {
	errno, ok := errors.AsType[windows.Errno](err)
	return ok && (errno == windows.WSAECONNRESET || errno == windows.WSAECONNREFUSED)
}

// isTransient reports whether reading on makes sense after this error.
func isTransient(err error) bool {
	errno, ok := errors.AsType[windows.Errno](err)
	return ok && slices.Contains(transient, errno)
}
