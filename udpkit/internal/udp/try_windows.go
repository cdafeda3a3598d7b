package udp

import (
	"errors"

	"golang.org/x/sys/windows"
)

// msgTrunc is the flag of WSARecvMsg for a datagram that was longer than the buffer.
const msgTrunc = windows.MSG_TRUNC

// A socket of package net is bound to an I/O completion port, where a non-blocking read does not
// exist.
func (r *Reader) try() error { return errors.ErrUnsupported }
