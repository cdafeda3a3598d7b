package broadcast

import (
	"errors"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/net/ipv4"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// Join opens a UDP socket that receives what is sent to an IPv4 multicast group on this machine,
// and to no other group. It shares the port with other members. The caller closes it.
func Join(group netip.AddrPort) (*net.UDPConn, error) {
	lo, err := loopback()
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenMulticastUDP("udp4", lo, net.UDPAddrFromAddrPort(group))
	if err != nil {
		return nil, err
	}
	if err := udp.OwnGroupsOnly(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Speaker opens a UDP socket whose multicasts stay on this machine, and have a time to live (TTL,
// RFC 1112) of 0 to 255. The caller closes it.
func Speaker(ttl int) (*net.UDPConn, error) {
	lo, err := loopback()
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	p := ipv4.NewPacketConn(conn)
	if err := errors.Join(p.SetMulticastInterface(lo), p.SetMulticastTTL(ttl), p.SetMulticastLoopback(true)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// loopback returns the interface of 127.0.0.1.
func loopback() (*net.Interface, error) {
	nics, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(nics, func(nic net.Interface) bool { return nic.Flags&net.FlagLoopback != 0 })
	if i < 0 {
		return nil, errors.New("this machine has no loopback interface")
	}
	return &nics[i], nil
}
