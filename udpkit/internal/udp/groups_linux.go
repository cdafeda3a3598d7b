package udp

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// OwnGroupsOnly has a socket receive multicasts to the groups only that it has joined itself. Linux
// hands a socket of the wildcard address what is sent to any group that somebody on the machine has
// joined: IP_MULTICAST_ALL in ip(7). Other systems do not.
func OwnGroupsOnly(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		domain, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		switch {
		case err != nil:
			failed = err
		case domain == unix.AF_INET6:
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0)
		default:
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
		}
	})
	if errors.Is(failed, unix.ENOPROTOOPT) || errors.Is(failed, unix.EOPNOTSUPP) { // IPv6 before Linux 4.20
		failed = nil
	}
	return errors.Join(err, os.NewSyscallError("setsockopt IP_MULTICAST_ALL", failed))
}
