//go:build linux || darwin

package udp

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

const kindIPv4 = unix.IP_PKTINFO

func (a *arrival) takeIPv4(data []byte) {
	if len(data) < unix.SizeofInet4Pktinfo {
		return
	}
	info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
	a.local, a.index = netip.AddrFrom4(answerFrom(info)), int(info.Ifindex)
	a.to = netip.AddrFrom4(info.Addr)
}

func putIPv4(b []byte, p Path) int {
	data, n := putControl(b, protocolIPv4, kindIPv4, unix.SizeofInet4Pktinfo)
	info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
	*info = unix.Inet4Pktinfo{Ifindex: ifindex(p.Interface)}
	if from := p.From.Unmap(); from.Is4() {
		info.Spec_dst = from.As4()
	}
	return n
}
