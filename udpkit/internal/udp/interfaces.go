package udp

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// LoopbackBroadcast reaches the programs on this machine that listen on the wildcard address, without any network.
var LoopbackBroadcast = netip.AddrFrom4([4]byte{127, 255, 255, 255})

// Up lists the interfaces that are up, of those that are named; of all if none is.
func Up(names ...string) ([]net.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("cannot list the network interfaces: %w", err)
	}
	return slices.DeleteFunc(all, func(nic net.Interface) bool {
		return nic.Flags&net.FlagUp == 0 || len(names) > 0 && !slices.Contains(names, nic.Name)
	}), nil
}

// Broadcasts lists the subnet-directed broadcast addresses (RFC 919) of the interfaces, and LoopbackBroadcast for a
// loopback interface. An address may stand in it more than once.
func Broadcasts(interfaces []net.Interface) []netip.Addr {
	var list []netip.Addr
	for _, nic := range interfaces {
		if nic.Flags&net.FlagLoopback != 0 {
			list = append(list, LoopbackBroadcast)
			continue
		}
		addrs, err := nic.Addrs()
		if err != nil || nic.Flags&net.FlagBroadcast == 0 {
			continue // gone since the listing, or point-to-point
		}
		for _, a := range addrs {
			if ipnet, ok := a.(*net.IPNet); ok {
				if b, ok := subnetBroadcast(ipnet); ok {
					list = append(list, b)
				}
			}
		}
	}
	return list
}

// subnetBroadcast returns the address with all host bits set. Subnets of one or two addresses have none (RFC 3021).
func subnetBroadcast(n *net.IPNet) (netip.Addr, bool) {
	ip, bits := n.IP.To4(), len(n.Mask)
	ones, size := n.Mask.Size()
	if ip == nil || bits != net.IPv4len || size != 32 || ones > 30 {
		return netip.Addr{}, false
	}
	var b [4]byte
	for i := range b {
		b[i] = ip[i] | ^n.Mask[i]
	}
	return netip.AddrFrom4(b), true
}
