package sockets

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// The system's numbers for what a beginner meets. Windows says of a datagram to nobody that the
// connection was reset.
var (
	taken   = []syscall.Errno{windows.WSAEADDRINUSE, windows.WSAEACCES}
	refused = []syscall.Errno{windows.WSAECONNREFUSED, windows.WSAECONNRESET}
	tooLong = []syscall.Errno{windows.WSAEMSGSIZE}
)
