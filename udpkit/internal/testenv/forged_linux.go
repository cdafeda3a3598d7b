package testenv

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// Forge gives the loopback interface 10.9.8.7/24 beside 127.0.0.1/8, and returns a function that
// sends a datagram from any source, also one that no socket can have. The test must be alone.
func Forge(t *testing.T) func(source, to netip.AddrPort, payload []byte) {
	t.Helper()
	raw, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		t.Fatalf("%s: no raw socket: %v", forbidden, err)
	}
	t.Cleanup(func() { _ = unix.Close(raw) })
	IP(t, "address add 10.9.8.7/24 dev lo")
	return func(source, to netip.AddrPort, payload []byte) {
		t.Helper()
		if err := unix.Sendto(raw, packet(source, to, payload), 0, &unix.SockaddrInet4{Addr: to.Addr().As4()}); err != nil {
			t.Fatalf("from %v: %v", source, err)
		}
	}
}

// packet returns an IPv4 packet with a UDP datagram (RFC 791, RFC 768). The system fills in the
// checksum of IPv4; UDP's may be 0.
func packet(source, to netip.AddrPort, payload []byte) []byte {
	b := make([]byte, 28, 28+len(payload))
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(cap(b)))
	from, dest := source.Addr().As4(), to.Addr().As4()
	copy(b[12:], from[:])
	copy(b[16:], dest[:])
	binary.BigEndian.PutUint16(b[20:], source.Port())
	binary.BigEndian.PutUint16(b[22:], to.Port())
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload)))
	return append(b, payload...)
}
