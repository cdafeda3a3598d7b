package udp

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxSegments is the most datagrams in one piece; Linux allowed 64 before it allowed 128.
	maxSegments = 64
	// maxPiece is the most bytes in it: what one datagram could have.
	maxPiece = 65507
	// maxVectors is the most datagrams in one call that do not lie one behind the other in memory.
	maxVectors = 1024
)

// systemWriter is what the system call works on, prepared once.
type systemWriter struct {
	raw  syscall.RawConn
	ipv4 bool // the family of the socket
	send func(fd uintptr) bool

	messages [maxSlots]message
	names    [maxSlots]unix.RawSockaddrInet6
	control  [maxSlots]control
	counts   [maxSlots]int // datagrams in each message
	vectors  []unix.Iovec

	next, end int // the messages to send
	sent      int // how many the last call has sent, or ...
	errno     unix.Errno
	noSegment bool // the kernel or the network card has no UDP_SEGMENT
}

func (w *Writer) init() error {
	s := &w.system
	raw, err := w.conn.SyscallConn()
	if err != nil {
		return err
	}
	s.raw, s.ipv4 = raw, isIPv4(w.conn)
	s.send = func(fd uintptr) bool { // made once, since a closure is an allocation
		s.transmit(fd)
		return s.errno != unix.EAGAIN
	}
	return nil
}

// transmit makes the system call. It never waits, hence RawSyscall: the scheduler, which would have
// been told, takes the processor away from a system call of more than 20 us, as this one is, where
// no other is idle, and that costs more than the call of a small datagram.
func (s *systemWriter) transmit(fd uintptr) {
	m := &s.messages[s.next]
	if s.end-s.next == 1 { // the simpler calls are a little quicker
		s.sent = 1
		if h := &m.header; h.Iovlen == 1 && h.Controllen == 0 {
			_, _, s.errno = unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(h.Iov.Base)), uintptr(h.Iov.Len),
				unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(h.Name)), uintptr(h.Namelen))
		} else {
			_, _, s.errno = unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(h)), unix.MSG_DONTWAIT)
		}
		return
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(m)), uintptr(s.end-s.next), unix.MSG_DONTWAIT, 0, 0)
	s.sent, s.errno = int(n), errno
}

func (w *Writer) flush(done func(Path, error)) {
	for at := 0; at < len(w.queue); {
		end := w.prepare(at)
		if end == at { // an address that only package net can name, or refuse
			w.one(at, done)
			at++
			continue
		}
		at = w.sendPrepared(at, done)
	}
	clear(w.system.vectors)
}

// sendPrepared sends the messages that prepare has made of the queue from at on, and returns what
// comes next in it.
func (w *Writer) sendPrepared(at int, done func(Path, error)) int {
	s := &w.system
	for s.next < s.end {
		err := s.raw.Write(s.send)
		if err == nil && s.errno == unix.EINTR {
			continue
		}
		if err == nil && s.errno == 0 {
			for range s.sent {
				for range s.counts[s.next] {
					done(w.queue[at].path, nil)
					at++
				}
				s.next++
			}
			continue
		}
		// The first failed, and those behind it were not tried. Package net tries its datagrams
		// again, one by one: it names the error, and a piece may be what the kernel cannot send
		// where it can send the parts.
		if s.errno == unix.EIO || s.errno == unix.ENOPROTOOPT {
			s.noSegment = s.noSegment || s.counts[s.next] > 1
		}
		for range s.counts[s.next] {
			w.one(at, done)
			at++
		}
		s.next++
	}
	return at
}

// prepare makes messages of the queue from at on, as many as there is room for, and returns the end
// of those.
func (w *Writer) prepare(at int) (end int) {
	s := &w.system
	s.next, s.end, s.vectors = 0, 0, s.vectors[:0]
	if cap(s.vectors) == 0 {
		s.vectors = make([]unix.Iovec, 0, maxVectors) // never grows, as messages point into it
	}
	for at < len(w.queue) && s.end < maxSlots {
		n := w.piece(at)
		if len(s.vectors)+n > cap(s.vectors) {
			break
		}
		m := &s.messages[s.end]
		*m = message{}
		length, ok := s.name(&s.names[s.end], w.queue[at].path.To)
		if !ok {
			break
		}
		m.header.Name, m.header.Namelen = (*byte)(unsafe.Pointer(&s.names[s.end])), length
		first := len(s.vectors)
		for i := at; i < at+n; i++ {
			s.add(first, w.queue[i].payload)
		}
		m.header.Iov = &s.vectors[first]
		m.header.SetIovlen(len(s.vectors) - first)
		if control := s.control[s.end].bytes(); n > 1 || !w.queue[at].path.plain() {
			used := 0
			if n > 1 {
				data, size := putControl(control, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
				*(*uint16)(unsafe.Pointer(&data[0])) = uint16(len(w.queue[at].payload))
				used = size
			}
			if path := w.queue[at].path; !path.plain() {
				used += putPath(control[used:], path)
			}
			m.header.Control = &control[0]
			m.header.SetControllen(used)
		}
		s.counts[s.end] = n
		s.end++
		at += n
	}
	return at
}

// piece returns how many datagrams from at on can go in one message: to one address, of one length,
// the last may be shorter.
func (w *Writer) piece(at int) int {
	first := &w.queue[at]
	size, total := len(first.payload), len(first.payload)
	n := 1
	if size == 0 || w.system.noSegment {
		return n
	}
	for ; n < maxSegments && at+n < len(w.queue); n++ {
		o := &w.queue[at+n]
		length := len(o.payload)
		if total += length; o.path != first.path || length > size || length == 0 || total > maxPiece {
			break
		}
		if length < size {
			return n + 1
		}
	}
	return n
}

// add appends a datagram to the message whose vectors begin at first. Such as lie one behind the
// other in memory make one vector, which is less work for the kernel.
func (s *systemWriter) add(first int, payload []byte) {
	base := unsafe.SliceData(payload)
	if n := len(s.vectors); n > first {
		last := &s.vectors[n-1]
		if uintptr(unsafe.Pointer(last.Base))+uintptr(last.Len) == uintptr(unsafe.Pointer(base)) {
			last.SetLen(int(last.Len) + len(payload))
			return
		}
	}
	v := unix.Iovec{Base: base}
	v.SetLen(len(payload))
	s.vectors = append(s.vectors, v)
}

// name writes the socket address of to and returns its length, or false if it cannot be written
// here.
func (s *systemWriter) name(raw *unix.RawSockaddrInet6, to netip.AddrPort) (length uint32, ok bool) {
	addr := to.Addr()
	*raw = unix.RawSockaddrInet6{}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&raw.Port))[:], to.Port())
	switch {
	case !addr.IsValid() || addr.Zone() != "":
		return 0, false
	case !s.ipv4:
		raw.Family, raw.Addr = unix.AF_INET6, addr.As16()
		return unix.SizeofSockaddrInet6, true
	case addr.Unmap().Is4():
		raw4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		raw4.Family, raw4.Addr = unix.AF_INET, addr.Unmap().As4()
		return unix.SizeofSockaddrInet4, true
	}
	return 0, false
}
