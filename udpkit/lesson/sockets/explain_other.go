//go:build !windows

package sockets

import "syscall"

// The system's numbers for what a beginner meets.
var (
	taken   = []syscall.Errno{syscall.EADDRINUSE}
	refused = []syscall.Errno{syscall.ECONNREFUSED}
	tooLong = []syscall.Errno{syscall.EMSGSIZE}
)
