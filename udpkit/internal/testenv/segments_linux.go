package testenv

import (
	"net"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SendSegments sends b over a connected socket in datagrams of size bytes with one system call
// (UDP_SEGMENT). It skips the test where the kernel has none.
func SendSegments(t testing.TB, sender *net.UDPConn, b []byte, size int) {
	t.Helper()
	var control [4]uint64 // aligned for a header
	header := (*unix.Cmsghdr)(unsafe.Pointer(&control))
	header.Level, header.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	header.SetLen(unix.CmsgLen(2))
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&control)), unix.CmsgSpace(2))
	*(*uint16)(unsafe.Pointer(&bytes[unix.CmsgLen(0)])) = uint16(size)
	if _, _, err := sender.WriteMsgUDP(b, bytes, nil); err != nil {
		Skip(t, "no UDP_SEGMENT here: %v", err)
	}
}
