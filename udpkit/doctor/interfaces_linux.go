package doctor

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// linkKinds returns what the drivers call their interfaces, by index. It asks by netlink: what is
// below /sys need not be of this network namespace.
func linkKinds() map[int]string {
	kinds := make(map[int]string)
	dump, err := syscall.NetlinkRIB(syscall.RTM_GETLINK, syscall.AF_UNSPEC)
	if err != nil {
		return kinds
	}
	messages, err := syscall.ParseNetlinkMessage(dump)
	if err != nil {
		return kinds
	}
	for _, m := range messages {
		attributes, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil || len(m.Data) < 8 {
			continue
		}
		index := int(int32(binary.NativeEndian.Uint32(m.Data[4:]))) // of struct ifinfomsg
		for _, a := range attributes {
			if a.Attr.Type == unix.IFLA_LINKINFO {
				kinds[index] = kindOf(a.Value)
			}
		}
	}
	return kinds
}

// kindOf reads the attribute IFLA_INFO_KIND out of IFLA_LINKINFO; "" if there is none.
func kindOf(b []byte) string {
	for len(b) >= 4 {
		size, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if size < 4 || size > len(b) {
			return ""
		}
		if kind == unix.IFLA_INFO_KIND {
			return unix.ByteSliceToString(b[4:size])
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return ""
}
