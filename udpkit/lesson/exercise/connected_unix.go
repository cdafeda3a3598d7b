//go:build unix

package exercise

import (
	"net"
	"os"
	"strconv"
	"syscall"
)

// Connected returns how many sockets of this program are connected to an address of IPv4; 0 where
// the system does not tell.
func Connected(to net.Addr) (n int) {
	entries, _ := os.ReadDir("/dev/fd")
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		peer, err := syscall.Getpeername(fd) // most are no socket
		if four, ok := peer.(*syscall.SockaddrInet4); err == nil && ok && four.Port == udp.Port && udp.IP.Equal(net.IP(four.Addr[:])) {
			n++
		}
	}
	return n
}
