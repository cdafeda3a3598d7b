//go:build !linux

package udp

import (
	"net"
	"net/netip"
)

// prefixesOf returns the addresses of interfaces by their index.
func prefixesOf(all []net.Interface) (map[int][]netip.Prefix, error) {
	prefixes := make(map[int][]netip.Prefix)
	for _, nic := range all {
		addrs, err := nic.Addrs()
		if err != nil {
			continue // gone since the listing
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				if addr, ok := netip.AddrFromSlice(n.IP); ok {
					ones, _ := n.Mask.Size()
					prefixes[nic.Index] = append(prefixes[nic.Index], netip.PrefixFrom(addr.Unmap(), ones))
				}
			}
		}
	}
	return prefixes, nil
}
