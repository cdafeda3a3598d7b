package udp

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"
)

// prefixesOf returns the addresses of interfaces by their index. Package net asks for the addresses
// of all of them for each of them, which takes seconds where there are a thousand.
func prefixesOf([]net.Interface) (map[int][]netip.Prefix, error) {
	dump, err := syscall.NetlinkRIB(syscall.RTM_GETADDR, syscall.AF_UNSPEC)
	if err != nil {
		return nil, os.NewSyscallError("netlinkrib", err)
	}
	messages, err := syscall.ParseNetlinkMessage(dump)
	if err != nil {
		return nil, os.NewSyscallError("parsenetlinkmessage", err)
	}
	prefixes := make(map[int][]netip.Prefix)
	for _, m := range messages {
		if m.Header.Type != syscall.RTM_NEWADDR || len(m.Data) < syscall.SizeofIfAddrmsg {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return nil, os.NewSyscallError("parsenetlinkrouteattr", err)
		}
		var addr netip.Addr
		for _, a := range attributes { // of IPv4 IFA_ADDRESS is the other end of a point-to-point link, if it is one
			if a.Attr.Type == syscall.IFA_LOCAL || a.Attr.Type == syscall.IFA_ADDRESS && !addr.IsValid() {
				addr, _ = netip.AddrFromSlice(a.Value)
			}
		}
		if header := (*syscall.IfAddrmsg)(unsafe.Pointer(&m.Data[0])); addr.IsValid() {
			prefixes[int(header.Index)] = append(prefixes[int(header.Index)], netip.PrefixFrom(addr, int(header.Prefixlen)))
		}
	}
	return prefixes, nil
}
