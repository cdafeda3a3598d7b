//go:build unix

package udpkit

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryReader reads datagrams without ever waiting. It is for one goroutine.
type tryReader struct {
	session *session
	raw     syscall.RawConn
	buf     []byte
	receive func(fd uintptr) // calls recvmsg and leaves its result in the fields below

	n, flags int
	source   netip.AddrPort
	err      error
	zones    zoneNames
	message  recvHeader
}

func newTryReader(s *session) (*tryReader, error) {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	r := &tryReader{session: s, raw: raw, buf: s.newBuffer()}
	r.message.init(r.buf)
	r.receive = r.recvmsg // made once: a method value is an allocation
	return r, nil
}

func (r *tryReader) close() {}

// tryRead returns the next datagram, valid until the next call, or errWouldBlock if none is waiting.
//
// RawConn.Control keeps the descriptor from being closed during the call, and no longer: the handler may close the
// socket. Unlike RawConn.Read it does not queue behind other readers.
func (r *tryReader) tryRead() (Datagram, error) {
	for {
		if err := r.raw.Control(r.receive); err != nil {
			return Datagram{}, err
		}
		switch r.err {
		case nil:
			return r.session.datagram(r.buf, r.n, r.flags, r.source), nil
		case unix.EAGAIN:
			return Datagram{}, errWouldBlock
		case unix.EINTR:
		default:
			return Datagram{}, os.NewSyscallError("recvmsg", r.err)
		}
	}
}

// recvmsgPortable is recvmsg for every Unix. It allocates the source address of each datagram; on Linux a faster one
// takes its place. It does not wait, as the descriptors of package net are in O_NONBLOCK mode.
func (r *tryReader) recvmsgPortable(fd uintptr) {
	var from unix.Sockaddr
	r.n, _, r.flags, from, r.err = unix.Recvmsg(int(fd), r.buf, nil, 0)
	switch from := from.(type) {
	case *unix.SockaddrInet4:
		r.source = netip.AddrPortFrom(netip.AddrFrom4(from.Addr), uint16(from.Port))
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(from.Addr).WithZone(r.zones.name(from.ZoneId))
		r.source = netip.AddrPortFrom(addr, uint16(from.Port))
	default:
		r.source = netip.AddrPort{}
	}
}

// zoneNames turns the scope of a link-local IPv6 address into the name of its interface, as package net does, and
// remembers the last one.
type zoneNames struct {
	id   uint32
	zone string
}

func (z *zoneNames) name(id uint32) string {
	if id == 0 {
		return "" // no zone: all but link-local addresses
	}
	if id == z.id {
		return z.zone
	}
	z.id, z.zone = id, strconv.FormatUint(uint64(id), 10)
	if ifi, err := net.InterfaceByIndex(int(id)); err == nil {
		z.zone = ifi.Name
	}
	return z.zone
}
