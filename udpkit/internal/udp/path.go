package udp

import (
	"net"
	"net/netip"
	"runtime"
	"sync"
	"unsafe"
)

// Path is where a datagram goes, and by which way. Paths can be compared.
type Path struct {
	// To is the address to send to.
	To netip.AddrPort
	// From is the local address to send from, for a socket that is bound to all of them: peers take
	// no answer from another address than the one they asked. If it is zero, the system chooses.
	From netip.Addr
	// Interface is the index of the interface to send by. If it is 0, the route to To decides.
	Interface int
}

// plain reports whether the system decides everything but the address to send to.
func (p Path) plain() bool { return !p.From.IsValid() && p.Interface == 0 }

// control has room for the control messages of one datagram, and is aligned for them: a segment
// size (24 bytes), a time of arrival (32), and the local address by IPv4 (32) and by IPv6 (40).
type control [16]uint64

func (c *control) bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(c)), unsafe.Sizeof(*c))
}

var controls = sync.Pool{New: func() any { return new(control) }}

// Send sends one datagram. It may be called by several goroutines.
//
// Where the system cannot be told the address to send from, or the interface to send by, it
// chooses; see [ReaderConfig.Back].
func Send(conn *net.UDPConn, b []byte, path Path) error {
	if !path.plain() {
		c := controls.Get().(*control)
		defer controls.Put(c)
		if n := putPath(c.bytes(), path); n > 0 {
			_, _, err := conn.WriteMsgUDPAddrPort(b, c.bytes()[:n], path.To)
			// A broadcast address that was asked is no address to answer from: Linux tells which
			// one is, others do not.
			if err == nil || runtime.GOOS == "linux" {
				return err
			}
		}
	}
	_, err := conn.WriteToUDPAddrPort(b, path.To)
	return err
}

// arrival is how a datagram came in, as far as it is known.
type arrival struct {
	local netip.Addr // the address that it was sent to, or that it can be answered from
	to    netip.Addr // the address that it was sent to
	index int        // of the interface
}

// take takes one control message if it is about that.
func (a *arrival) take(level, kind int, data []byte) {
	if level == protocolIPv6 && kind == kindIPv6 && len(data) >= 20 {
		// Of an IPv4 datagram on a socket for both families this is where it was sent to, which may
		// be a broadcast address. What takeIPv4 takes is better.
		local := netip.AddrFrom16([16]byte(data)).Unmap()
		if local.Is6() || !a.local.IsValid() {
			a.local = local
		}
		a.to = local
		a.index = int(*(*uint32)(unsafe.Pointer(&data[16])))
	} else if level == protocolIPv4 && kind == kindIPv4 {
		a.takeIPv4(data)
		if !a.to.IsValid() {
			a.to = a.local
		}
	}
}

// back returns the way back to the source of a datagram.
func (a *arrival) back(source netip.AddrPort) Path {
	p := Path{To: source}
	if a.local.IsValid() && !a.local.IsUnspecified() && !a.local.IsMulticast() && a.local != limitedBroadcast {
		p.From = a.local
	}
	if source.Addr().IsLinkLocalUnicast() || p.From.IsLinkLocalUnicast() {
		p.Interface = a.index // such an address may stand for another host on each link
	}
	return p
}

// putPath writes the control messages for a path, and returns how long they are: 0 if there is
// nothing to say, or no way.
func putPath(b []byte, p Path) int {
	if p.To.Addr().Unmap().Is4() {
		return putIPv4(b, p)
	}
	if !hasControl {
		return 0
	}
	data, n := putControl(b, protocolIPv6, kindIPv6, 20)
	clear(data)
	if p.From.IsValid() {
		from := p.From.As16()
		copy(data, from[:])
	}
	*(*uint32)(unsafe.Pointer(&data[16])) = uint32(p.Interface)
	return n
}
