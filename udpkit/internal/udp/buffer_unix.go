//go:build unix

package udp

import (
	"errors"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

func getReadBuffer(fd uintptr) (int, error) {
	size, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
	if runtime.GOOS == "linux" || runtime.GOOS == "android" {
		size /= 2
	}
	return size, os.NewSyscallError("getsockopt SO_RCVBUF", err)
}

// AddrInUse reports whether opening a socket failed since its port is taken by one that does not
// share it.
func AddrInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
