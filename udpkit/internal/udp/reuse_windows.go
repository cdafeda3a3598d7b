package udp

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// setReuse shares a port. SO_REUSEADDR on Windows is what both options together are on Unix.
func setReuse(fd uintptr) error {
	return os.NewSyscallError("setsockopt SO_REUSEADDR",
		windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_REUSEADDR, 1))
}

func getReadBuffer(fd uintptr) (int, error) {
	size, err := windows.GetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_RCVBUF)
	return size, os.NewSyscallError("getsockopt SO_RCVBUF", err)
}

// AddrInUse reports whether opening a socket failed since its port is taken by one that does not
// share it. Windows says WSAEACCES where the other socket has asked for exclusive use.
func AddrInUse(err error) bool {
	return errors.Is(err, windows.WSAEADDRINUSE) || errors.Is(err, windows.WSAEACCES) ||
		errors.Is(err, syscall.EADDRINUSE)
}
