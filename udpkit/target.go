package udpkit

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// DefaultPort is the UDP port that clients listen on.
const DefaultPort = 37020

// ErrNoTarget means that there is no address to send to at the moment, for
// example since no network interface is up.
var ErrNoTarget = errors.New("no target address")

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Targets says where a server sends its messages. The zero value is automatic:
// the subnet-directed broadcast address (RFC 919) of every IPv4 interface that
// is up and can broadcast, looked up anew as interfaces come and go, and
// 127.255.255.255, which reaches the clients on this machine without any
// network. Targets are immutable and comparable by String.
type Targets struct {
	list []netip.AddrPort // empty: automatic
}

// LimitedTargets is the limited broadcast address 255.255.255.255 (RFC 919): the
// simple variant. It leaves by the interface of the default route only.
func LimitedTargets() Targets { return ListTargets(netip.AddrPortFrom(limitedBroadcast, 0)) }

// ListTargets is a fixed list, of broadcast or unicast addresses. A port of 0
// means the server's. An empty list means automatic.
func ListTargets(addrs ...netip.AddrPort) Targets { return Targets{list: slices.Clone(addrs)} }

// ParseTargets reads "auto", "limited", or a comma-separated list of addresses
// with or without a port, such as "192.168.1.255,10.0.0.7:37021". An error
// wraps ErrConfig.
func ParseTargets(s string) (Targets, error) {
	var list []netip.AddrPort
	for _, item := range strings.Split(s, ",") {
		switch item = strings.TrimSpace(item); item {
		case "auto":
			if s != item {
				return Targets{}, fmt.Errorf("%w: auto stands alone, it cannot be in the list %q", ErrConfig, s)
			}
			return Targets{}, nil
		case "limited":
			list = append(list, netip.AddrPortFrom(limitedBroadcast, 0))
			continue
		}
		addr, err := netip.ParseAddrPort(item)
		if err != nil {
			var ip netip.Addr
			if ip, err = netip.ParseAddr(strings.Trim(item, "[]")); err == nil {
				addr = netip.AddrPortFrom(ip, 0)
			}
		}
		if err != nil || addr.Addr().IsUnspecified() {
			return Targets{}, fmt.Errorf("%w: target %q is not auto, limited or an IP address with or without a port", ErrConfig, item)
		}
		list = append(list, addr)
	}
	return Targets{list: list}, nil
}

// String returns what ParseTargets reads.
func (t Targets) String() string {
	if len(t.list) == 0 {
		return "auto"
	}
	items := make([]string, len(t.list))
	for i, a := range t.list {
		switch {
		case a.Port() != 0:
			items[i] = a.String()
		case a.Addr() == limitedBroadcast:
			items[i] = "limited"
		default:
			items[i] = a.Addr().String()
		}
	}
	return strings.Join(items, ",")
}

// Resolve returns the addresses to send to now, each once, with port where an
// address has none. For automatic targets it asks the system for its interfaces.
// An error wraps ErrNoTarget.
func (t Targets) Resolve(port uint16) ([]netip.AddrPort, error) {
	list := t.list
	if len(list) == 0 {
		var err error
		if list, err = broadcastAddrs(); err != nil {
			return nil, err
		}
	}
	addrs := make([]netip.AddrPort, 0, len(list))
	for _, a := range list {
		if a.Port() == 0 {
			a = netip.AddrPortFrom(a.Addr(), port)
		}
		if !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}

// broadcastAddrs lists the broadcast addresses of the interfaces that are up.
func broadcastAddrs() ([]netip.AddrPort, error) {
	interfaces, err := udp.Up()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoTarget, err)
	}
	var list []netip.AddrPort
	for _, a := range udp.Broadcasts(interfaces) {
		list = append(list, netip.AddrPortFrom(a, 0))
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: no IPv4 interface is up", ErrNoTarget)
	}
	return list, nil
}
