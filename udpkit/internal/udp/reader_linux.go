package udp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Reader reads the datagrams of one socket, as many in one system call (recvmmsg(2)) as there are.
// With UDP_GRO, where it is asked for and the kernel has it, the kernel hands over equal datagrams
// of one sender, as one with UDP_SEGMENT sends them, in one piece, and they are taken apart here.
// Nothing is allocated for a datagram. It is for one goroutine at a time, but for Dropped.
type Reader struct {
	raw  syscall.RawConn
	size int
	recv func(fd uintptr) bool // made once, since a closure is an allocation; these two leave their result below
	try  func(fd uintptr)

	messages []message
	names    []unix.RawSockaddrInet6 // with room for an IPv4 address too
	control  []control               // nil: no control messages
	buffers  []byte                  // a slot for each message
	slot     int                     // bytes in it

	n     int // messages that the last call has read, or ...
	errno unix.Errno

	when time.Time
	// The message that is being taken apart, and what is left of it.
	at        int
	rest      []byte
	segment   int  // bytes of each datagram in it but the last; 0: there is nothing left
	truncated bool // its end is missing
	current   Datagram
	back      Path
	ways      bool // back is wanted
	zones     zoneNames
}

// message is struct mmsghdr of recvmmsg(2).
type message struct {
	header unix.Msghdr
	length uint32
}

// NewReader returns a reader of conn, which stays the caller's.
func NewReader(conn *net.UDPConn, cfg ReaderConfig) (*Reader, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	r := &Reader{raw: raw, size: cfg.Size, slot: cfg.Size, ways: cfg.Back}
	back := cfg.Back && isShared(conn)
	coalesces, control := false, back
	_ = raw.Control(func(fd uintptr) { // a closed socket: the first read tells
		if cfg.Coalesce {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) // before Linux 5.0 there is none
		}
		// It may be on already, by someone else.
		on, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO)
		coalesces = err == nil && on != 0
		if back {
			_ = askArrival(fd, !isIPv4(conn)) // there is no Linux without
		}
	})
	slots := maxSlots
	if coalesces {
		r.slot, slots, control = maxDatagram, maxCoalesced, true
	}
	if slots = min(slots, maxMemory/r.slot); cfg.Single {
		slots = 1
	}
	r.prepare(slots, control)
	r.recv = func(fd uintptr) bool {
		r.recvmmsg(fd)
		return r.errno != unix.EAGAIN
	}
	r.try = r.recvmmsg
	return r, nil
}

func (r *Reader) prepare(slots int, controls bool) {
	r.messages = make([]message, slots)
	r.names = make([]unix.RawSockaddrInet6, slots)
	r.buffers = make([]byte, slots*r.slot)
	vectors := make([]unix.Iovec, slots)
	if controls {
		r.control = make([]control, slots)
	}
	for i := range r.messages {
		vectors[i].Base = &r.buffers[i*r.slot]
		vectors[i].SetLen(r.slot)
		h := &r.messages[i].header
		h.Iov = &vectors[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&r.names[i]))
		if controls {
			h.Control = (*byte)(unsafe.Pointer(&r.control[i]))
		}
	}
	r.n, r.at = slots, slots // nothing to take apart, all to reset
}

// Read reads what [Reader.Next] then gives out; call it when Next has no more. With wait it waits
// for a datagram, through Go's poller: a read deadline or closing the socket ends that. Without, it
// returns ErrWouldBlock if there is none.
func (r *Reader) Read(wait bool) error {
	for {
		var err error
		if wait {
			err = r.raw.Read(r.recv)
		} else {
			// Control keeps the descriptor from being closed during the call, and unlike Read does
			// not queue behind other readers.
			err = r.raw.Control(r.try)
		}
		if err != nil {
			return err
		}
		switch r.errno {
		case 0:
			r.at, r.when = 0, time.Now()
			return nil
		case unix.EAGAIN:
			return ErrWouldBlock
		case unix.EINTR:
		default:
			return os.NewSyscallError("recvmmsg", r.errno)
		}
	}
}

// recvmmsg makes the system call. It never waits, hence RawSyscall, which spares telling Go's
// scheduler.
func (r *Reader) recvmmsg(fd uintptr) {
	for i := range r.n { // what the last call has overwritten
		h := &r.messages[i].header
		h.Namelen = unix.SizeofSockaddrInet6
		if r.control != nil {
			h.SetControllen(int(unsafe.Sizeof(r.control[0])))
		}
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.messages[0])),
		uintptr(len(r.messages)), unix.MSG_DONTWAIT, 0, 0)
	if r.errno = errno; errno != 0 {
		n = 0
	}
	r.n, r.at = int(n), int(n)
}

// Next returns the next of the datagrams that have been read, nil if there is none left. It and its
// payload are valid until the next call of Next or Read.
func (r *Reader) Next() *Datagram {
	if r.segment == 0 {
		if r.at == r.n {
			return nil
		}
		r.open(r.at)
		r.at++
	}
	payload := r.rest[:min(r.segment, len(r.rest))]
	if r.rest = r.rest[len(payload):]; len(r.rest) == 0 {
		r.segment = 0
	}
	d := &r.current
	d.Truncated = r.truncated || len(payload) > r.size
	d.Payload = payload[:min(r.size, len(payload))]
	return d
}

// Back returns the way back to where the datagram came from that Next has returned last, see
// [ReaderConfig.Back].
func (r *Reader) Back() Path { return r.back }

// Buffered reports whether Next has a datagram.
func (r *Reader) Buffered() bool { return r.segment != 0 || r.at < r.n }

// Emptied reports whether the last Read found less than it had room for: the socket had no more.
func (r *Reader) Emptied() bool { return r.n < len(r.messages) }

// open begins with message i.
func (r *Reader) open(i int) {
	m := &r.messages[i]
	r.rest = r.buffers[i*r.slot:][:m.length]
	r.segment = maxDatagram
	r.truncated = m.header.Flags&unix.MSG_TRUNC != 0
	r.current = Datagram{Source: r.source(&r.names[i]), Received: r.when}
	if r.control == nil && !r.ways {
		return
	}
	var came arrival
	if r.control != nil {
		for b := r.control[i].bytes()[:m.header.Controllen]; ; {
			var level, kind int
			var data []byte
			if level, kind, data, b = nextControl(b); data == nil {
				break
			}
			if level != unix.IPPROTO_UDP || kind != unix.UDP_GRO || len(data) < 4 {
				came.take(level, kind, data)
			} else if size := *(*int32)(unsafe.Pointer(&data[0])); size > 0 {
				r.segment = int(size)
			}
		}
	}
	if r.current.To = came.to; r.ways {
		r.back = came.back(r.current.Source)
	}
}

// source reads a socket address: the port is in network byte order, whatever the machine's.
func (r *Reader) source(raw *unix.RawSockaddrInet6) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&raw.Port))[:])
	switch raw.Family {
	case unix.AF_INET:
		raw4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		return netip.AddrPortFrom(netip.AddrFrom4(raw4.Addr), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(raw.Addr).Unmap().WithZone(r.zones.name(raw.Scope_id)), port)
	}
	return netip.AddrPort{}
}

// Dropped returns how many datagrams the kernel has dropped at the socket since it was opened,
// modulo 2^32, mostly for want of room; false if that is not known, as for a closed socket. It may
// be called at any time.
//
// It asks for SO_MEMINFO: the same counter that SO_RXQ_OVFL attaches to each datagram, but it can
// be read when no datagram follows the drops, and costs nothing while datagrams flow.
func (r *Reader) Dropped() (count uint32, ok bool) {
	const drops = 8 // SK_MEMINFO_DROPS
	var info [drops + 1]uint32
	length := uint32(unsafe.Sizeof(info))
	err := r.raw.Control(func(fd uintptr) {
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&length)), 0)
		ok = errno == 0 && uintptr(length) == unsafe.Sizeof(info)
	})
	return info[drops], ok && err == nil
}
