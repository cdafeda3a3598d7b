//go:build linux || darwin || freebsd

package udp

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Control messages that carry the local address of a datagram. Those of IPv6 are the same
// everywhere (RFC 3542); those of IPv4 differ.
const (
	hasControl   = true
	protocolIPv4 = unix.IPPROTO_IP
	protocolIPv6 = unix.IPPROTO_IPV6
	kindIPv6     = unix.IPV6_PKTINFO
)

// askArrival has the system tell how each datagram comes in.
func askArrival(fd uintptr, ipv6 bool) error {
	err := os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, optionIPv4, 1))
	if !ipv6 {
		return err
	}
	// Whether a socket for both families has the option of IPv4 differs; for IPv6 only it need not.
	return os.NewSyscallError("setsockopt IPV6_RECVPKTINFO", unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1))
}

// putControl writes the header of a control message with size bytes of data, and returns those and
// how long all of it is.
func putControl(b []byte, level, kind, size int) (data []byte, n int) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = int32(level), int32(kind)
	h.SetLen(unix.CmsgLen(size))
	return b[unix.CmsgLen(0):][:size], unix.CmsgSpace(size)
}

// nextControl takes the first control message off b. Its data is nil if there is none.
func nextControl(b []byte) (level, kind int, data, rest []byte) {
	if len(b) < unix.SizeofCmsghdr {
		return 0, 0, nil, nil
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	if int(h.Len) < unix.CmsgLen(0) || int(h.Len) > len(b) {
		return 0, 0, nil, nil
	}
	data = b[unix.CmsgLen(0):h.Len]
	return int(h.Level), int(h.Type), data, b[min(len(b), unix.CmsgSpace(len(data))):]
}
