package testenv

import (
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
)

// FailingReads is the Read of a socket that is read in vain.
type FailingReads struct {
	// Errs holds what Read fails with, again and again until the next is there; nil is a read that
	// works, once.
	Errs  chan error
	Reads atomic.Int32 // calls of Read

	last error
}

// Read returns the error that is due. It waits for the first, and for one after nil.
func (r *FailingReads) Read(bool) error {
	r.Reads.Add(1)
	if r.last == nil {
		r.last = <-r.Errs
		return r.last
	}
	select {
	case r.last = <-r.Errs:
	default:
	}
	return r.last
}

// Passing returns an error of reading that passes by itself.
func Passing() error {
	errno := syscall.ECONNREFUSED
	if runtime.GOOS == "windows" {
		errno = 10054 // WSAECONNRESET
	}
	return &net.OpError{Op: "read", Err: os.NewSyscallError("recvmsg", errno)}
}
