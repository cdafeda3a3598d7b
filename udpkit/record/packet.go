package record

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

const (
	protocolTCP = 6
	protocolUDP = 17
	headerIPv4  = 20
	headerIPv6  = 40
	headerUDP   = 8
	headerTCP   = 20
	maxHeaders  = headerIPv6 + headerTCP
	timeToLive  = 64
)

// appendPacket appends a datagram or a segment with rebuilt headers, for IPv4 if both addresses are
// of it.
func appendPacket(b []byte, from, to netip.AddrPort, r service.Recorded) []byte {
	source, target := from.Addr().Unmap(), to.Addr().Unmap()
	protocol, header := byte(protocolUDP), headerUDP
	if r.TCP != nil {
		protocol, header = protocolTCP, headerTCP
	}
	payload := r.Payload[:min(len(r.Payload), 0xffff-headerIPv4-header)]
	length := header + len(payload)
	at := len(b)
	var addresses int // where the checksum of UDP or TCP begins
	if source.Is4() && target.Is4() {
		b = append(b, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(headerIPv4+length))
		b = append(b, 0, 0, 0x40, 0, timeToLive, protocol, 0, 0) // do not fragment
		addresses = len(b)
		b = append(append(b, source.AsSlice()...), target.AsSlice()...)
		binary.BigEndian.PutUint16(b[at+10:], ^fold(sum(0, b[at:])))
	} else {
		b = append(b, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(length))
		b = append(b, protocol, timeToLive)
		addresses = len(b)
		b = append(append(b, as16(source)...), as16(target)...)
	}
	begin := len(b)
	b = binary.BigEndian.AppendUint16(b, from.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	checksum := begin + 6
	if r.TCP != nil {
		b = binary.BigEndian.AppendUint32(b, r.TCP.Seq)
		b = binary.BigEndian.AppendUint32(b, r.TCP.Ack)
		b = append(b, headerTCP/4<<4, r.TCP.Flags, 0xff, 0xff) // the window is not known: the largest
		checksum = len(b)
		b = append(b, 0, 0, 0, 0)
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(length))
		b = append(b, 0, 0)
	}
	b = append(b, payload...)
	check := ^fold(sum(uint64(int(protocol)+length), b[addresses:]))
	if check == 0 && r.TCP == nil {
		check = 0xffff // 0 says that there is none
	}
	binary.BigEndian.PutUint16(b[checksum:], check)
	return b
}

func as16(a netip.Addr) []byte {
	b := netip.IPv6Unspecified().As16()
	if a.IsValid() {
		b = a.As16()
	}
	return b[:]
}

// sum adds up b in the Internet checksum's words (RFC 1071), as many as fit at once.
func sum(s uint64, b []byte) uint64 {
	for ; len(b) >= 4; b = b[4:] {
		s += uint64(binary.BigEndian.Uint32(b))
	}
	if len(b) >= 2 {
		s += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// own are the addresses of this host.
type own []netip.Prefix

// ownAddresses returns them, none if the system does not tell.
func ownAddresses() (list own) {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				ones, _ := n.Mask.Size()
				list = append(list, netip.PrefixFrom(addr.Unmap(), ones))
			}
		}
	}
	return list
}

// facing returns a local address as a peer sees it. For an unspecified one it is that in the peer's
// network; else the first that is no loopback's, as to a peer behind a router.
func (o own) facing(local, peer netip.AddrPort) netip.AddrPort {
	if addr := local.Addr(); addr.IsValid() && !addr.IsUnspecified() {
		return local
	}
	other := peer.Addr().Unmap().WithZone("")
	found := netip.IPv6Unspecified()
	if other.Is4() {
		found = netip.IPv4Unspecified()
	}
	for _, p := range o {
		if p.Contains(other) {
			return netip.AddrPortFrom(p.Addr(), local.Port())
		}
		if found.IsUnspecified() && p.Addr().Is4() == other.Is4() && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
			found = p.Addr()
		}
	}
	return netip.AddrPortFrom(found, local.Port())
}
