package udp

import (
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

const (
	hasControl   = true
	protocolIPv4 = windows.IPPROTO_IP
	protocolIPv6 = windows.IPPROTO_IPV6
	kindIPv4     = windows.IP_PKTINFO
	kindIPv6     = windows.IPV6_PKTINFO
)

// askArrival has the system tell how each datagram comes in.
func askArrival(fd uintptr, ipv6 bool) error {
	err := os.NewSyscallError("setsockopt IP_PKTINFO", windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_IP, windows.IP_PKTINFO, 1))
	if !ipv6 {
		return err
	}
	return os.NewSyscallError("setsockopt IPV6_PKTINFO", windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_IPV6, windows.IPV6_PKTINFO, 1))
}

const headerSize = int(unsafe.Sizeof(windows.WSACMSGHDR{})) // the next header is aligned as a pointer is

// putControl writes the header of a control message with size bytes of data, and returns those and
// how long all of it is.
func putControl(b []byte, level, kind, size int) (data []byte, n int) {
	h := (*windows.WSACMSGHDR)(unsafe.Pointer(&b[0]))
	h.Level, h.Type, h.Len = int32(level), int32(kind), uintptr(headerSize+size)
	return b[headerSize:][:size], aligned(headerSize + size)
}

// nextControl takes the first control message off b. Its data is nil if there is none.
func nextControl(b []byte) (level, kind int, data, rest []byte) {
	if len(b) < headerSize {
		return 0, 0, nil, nil
	}
	h := (*windows.WSACMSGHDR)(unsafe.Pointer(&b[0]))
	if h.Len < uintptr(headerSize) || h.Len > uintptr(len(b)) {
		return 0, 0, nil, nil
	}
	return int(h.Level), int(h.Type), b[headerSize:h.Len], b[min(len(b), aligned(int(h.Len))):]
}

func aligned(n int) int {
	const to = int(unsafe.Alignof(uintptr(0)))
	return (n + to - 1) &^ (to - 1)
}

// takeIPv4 reads struct in_pktinfo, which here has the address first.
func (a *arrival) takeIPv4(data []byte) {
	if len(data) >= 8 {
		a.local, a.index = netip.AddrFrom4([4]byte(data)), int(*(*uint32)(unsafe.Pointer(&data[4])))
	}
}

func putIPv4(b []byte, p Path) int {
	data, n := putControl(b, protocolIPv4, kindIPv4, 8)
	clear(data)
	if from := p.From.Unmap(); from.Is4() {
		addr := from.As4()
		copy(data, addr[:])
	}
	*(*uint32)(unsafe.Pointer(&data[4])) = uint32(p.Interface)
	return n
}
