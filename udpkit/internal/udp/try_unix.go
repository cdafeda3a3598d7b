//go:build unix && !linux

package udp

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// msgTrunc is the flag of recvmsg(2) for a datagram that was longer than the buffer.
const msgTrunc = unix.MSG_TRUNC

// try reads without waiting: the descriptors of package net are in O_NONBLOCK mode. RawConn.Control
// keeps the descriptor from being closed during the call; unlike RawConn.Read it does not queue
// behind other readers.
func (r *Reader) try() error {
	for {
		var n, controls, flags int
		var from unix.Sockaddr
		var err error
		if closed := r.raw.Control(func(fd uintptr) {
			n, controls, flags, from, err = unix.Recvmsg(int(fd), r.buf, r.control, 0)
		}); closed != nil {
			return closed
		}
		switch err {
		case nil:
			r.keep(n, controls, flags, r.source(from))
			return nil
		case unix.EAGAIN:
			return ErrWouldBlock
		case unix.EINTR:
		default:
			return os.NewSyscallError("recvmsg", err)
		}
	}
}

func (r *Reader) source(from unix.Sockaddr) netip.AddrPort {
	switch from := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(from.Addr), uint16(from.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(from.Addr).WithZone(r.zones.name(from.ZoneId)), uint16(from.Port))
	}
	return netip.AddrPort{}
}
