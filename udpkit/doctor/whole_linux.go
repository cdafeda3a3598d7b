package doctor

import (
	"net"

	"golang.org/x/sys/unix"
)

// whole has a socket's datagrams go in one piece or not at all, so that the MTU shows.
func whole(conn *net.UDPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	})
}
