package tcp

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func setUserTimeout(fd uintptr, within time.Duration) error {
	return os.NewSyscallError("setsockopt TCP_RXT_CONNDROPTIME",
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_RXT_CONNDROPTIME, int(within.Seconds())))
}
