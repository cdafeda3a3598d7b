package tcp

import (
	"os"
	"time"

	"golang.org/x/sys/windows"
)

func setUserTimeout(fd uintptr, within time.Duration) error {
	return os.NewSyscallError("setsockopt TCP_MAXRT",
		windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_TCP, windows.TCP_MAXRT, int(within.Seconds())))
}
