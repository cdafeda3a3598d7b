package testenv

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// Sent returns a function that counts the IPv4 packets, of any kind, which an address has sent and
// that have come to this host. The test must be alone.
func Sent(t *testing.T, by string) func() (count int) {
	t.Helper()
	const ipv4 = unix.ETH_P_IP<<8&0xff00 | unix.ETH_P_IP>>8 // in network byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, ipv4)
	if err != nil {
		t.Fatalf("%s: no packet socket: %v", forbidden, err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	source, count := netip.MustParseAddr(by).As4(), 0
	return func() int {
		packet := make([]byte, 2048)
		for {
			n, _, err := unix.Recvfrom(fd, packet, 0)
			if err != nil {
				return count
			}
			if n >= 20 && [4]byte(packet[12:16]) == source {
				count++
			}
		}
	}
}
