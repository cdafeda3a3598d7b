package udp

import (
	"errors"
	"net/netip"
)

// The reasons of CheckPeer. They are made once: a flood must not cost memory.
var (
	errNoPort = errors.New("its source has port 0")
	errNoHost = errors.New("its source is no host's address")

	limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

// CheckPeer returns why a datagram from this source must not be answered, whatever it says, or nil:
// its source is forged, and the answer would go to many hosts, or to none. Broadcast addresses of
// subnets are not known here: the answers go out by a socket with [Options.NoBroadcast].
func CheckPeer(source netip.AddrPort) error {
	addr := source.Addr().Unmap()
	switch {
	case source.Port() == 0:
		return errNoPort
	case !addr.IsValid(), addr.IsUnspecified(), addr.IsMulticast(), addr == limitedBroadcast:
		return errNoHost
	}
	return nil
}
