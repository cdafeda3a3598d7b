package udp

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

const (
	optionIPv4 = unix.IP_RECVDSTADDR
	kindIPv4   = unix.IP_RECVDSTADDR // which is IP_SENDSRCADDR too
)

func (a *arrival) takeIPv4(data []byte) {
	if len(data) >= 4 {
		a.local = netip.AddrFrom4([4]byte(data))
	}
}

// putIPv4 has no way to say by which interface.
func putIPv4(b []byte, p Path) int {
	from := p.From.Unmap()
	if !from.Is4() {
		return 0
	}
	data, n := putControl(b, protocolIPv4, unix.IP_SENDSRCADDR, 4)
	addr := from.As4()
	copy(data, addr[:])
	return n
}
