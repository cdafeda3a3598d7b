package udpkit

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// recvHeader is what recvmsg(2) works on: prepared once, so that reading allocates nothing.
type recvHeader struct {
	header unix.Msghdr
	vector unix.Iovec
	source unix.RawSockaddrInet6 // has room for an IPv4 address too
}

func (m *recvHeader) init(buf []byte) {
	m.vector.Base = &buf[0]
	m.vector.SetLen(len(buf))
	m.header.Iov = &m.vector
	m.header.SetIovlen(1)
	m.header.Name = (*byte)(unsafe.Pointer(&m.source))
}

// recvmsg makes the system call directly: package unix would allocate a Sockaddr. The call never waits, hence
// RawSyscall, which spares telling Go's scheduler.
func (r *tryReader) recvmsg(fd uintptr) {
	m := &r.message
	m.header.Namelen = uint32(unsafe.Sizeof(m.source))
	n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&m.header)), unix.MSG_DONTWAIT)
	if errno != 0 {
		r.err = errno
		return
	}
	r.n, r.flags, r.source, r.err = int(n), int(m.header.Flags), r.parse(&m.source), nil
}

// parse reads a socket address: the port is in network byte order, whatever the machine's.
func (r *tryReader) parse(raw *unix.RawSockaddrInet6) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&raw.Port))[:])
	switch raw.Family {
	case unix.AF_INET:
		raw4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		return netip.AddrPortFrom(netip.AddrFrom4(raw4.Addr), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(raw.Addr).WithZone(r.zones.name(raw.Scope_id)), port)
	}
	return netip.AddrPort{}
}
