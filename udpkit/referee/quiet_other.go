//go:build !unix

package referee

import "syscall"

// little does nothing: nobody could say how much such a system keeps of what is not read.
func little(_, _ string, _ syscall.RawConn) error { return nil }
