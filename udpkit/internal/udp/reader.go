package udp

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// ErrWouldBlock means that no datagram is waiting.
var ErrWouldBlock = errors.New("no datagram is waiting")

const (
	// maxDatagram is the longest that a datagram, or one piece of several, can be.
	maxDatagram = 65535
	// maxMemory bounds the buffers of a Reader, in bytes; what was never written to takes no
	// memory.
	maxMemory = 1 << 20
	// maxSlots is the most pieces that one call reads. The call is not known to Go's scheduler (see
	// [Reader.Read]), so it must be short; and the gain of a longer batch is not measurable.
	maxSlots = 64
	// maxCoalesced is maxSlots where a piece may have 64 KiB.
	maxCoalesced = 8
)

// ReaderConfig is for [NewReader]. Size must be 1 to 65535, the rest may be zero.
type ReaderConfig struct {
	// Size is the longest datagram in bytes; of a longer one its beginning is read.
	Size int
	// Single reads one datagram at a time, so that none is in a buffer which the caller has not
	// asked for.
	Single bool
	// Coalesce turns UDP_GRO on if the kernel has it. It stays on: from then on the socket can be
	// read only by a Reader.
	Coalesce bool
	// Back is for sockets that answer: it asks the system to which address of this machine each
	// datagram was sent, where the socket is bound to all of them, so that the answer can leave
	// from there, see [Reader.Back]. Linux, macOS, FreeBSD and Windows tell. On others the system
	// chooses where an answer leaves from, and a client drops it if that is not the address that it
	// has asked.
	Back bool
}

// Datagram is one datagram. Its fields are those of udpkit.Datagram, so that a pointer to the one
// is a pointer to the other: copying it several times would cost more than getting it.
type Datagram struct {
	Payload   []byte
	Source    netip.AddrPort // IPv4 addresses are never in their IPv6-mapped form
	Received  time.Time      // when it was read
	Truncated bool           // it was longer than ReaderConfig.Size
	// To is the address that it was sent to, such as a broadcast address. It is not valid if that
	// is not known, as without ReaderConfig.Back and where it is that of the socket.
	To netip.Addr
}

// isShared reports whether the local address of a datagram is not known from the socket's: it is
// bound to all of this machine, or to one that may stand for several networks.
func isShared(conn *net.UDPConn) bool {
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	return ok && (local.IP.IsUnspecified() || local.IP.IsLinkLocalUnicast())
}

// isIPv4 reports whether a socket is for IPv4 only.
func isIPv4(conn *net.UDPConn) bool {
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	return ok && local.IP.To4() != nil
}

// zoneNames turns the scope of a link-local IPv6 address into the name of its interface, as package
// net does, and remembers the last one.
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
