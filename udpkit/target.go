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

// ErrNoTarget means that there is no address to send to at the moment, for example since no network
// interface is up.
var ErrNoTarget = errors.New("no target address")

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Targets says where a server sends its messages. The zero value is automatic: the subnet-directed
// broadcast address (RFC 919) of every IPv4 interface that is up and can broadcast, looked up anew
// as interfaces come and go, and 127.255.255.255, which reaches the clients on this machine without
// any network. Targets are immutable and comparable by String.
type Targets struct {
	list []netip.AddrPort // empty: automatic
}

// ListTargets is a fixed list, of broadcast or unicast addresses. A port of 0 means the server's.
// An empty list means automatic. The limited broadcast address 255.255.255.255 (RFC 919) is sent by
// each IPv4 interface that is up and can broadcast; where the system cannot be told by which
// (systems other than Linux, macOS and Windows), it leaves by that of the default route.
func ListTargets(addrs ...netip.AddrPort) Targets { return Targets{list: slices.Clone(addrs)} }

// ParseTargets reads "auto", "limited", which is 255.255.255.255, or a comma-separated list of
// addresses with or without a port, such as "192.168.1.255,10.0.0.7:37021". An error wraps
// ErrConfig.
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

// Resolve returns the addresses to send to now, each once, with port where an address has none. For
// automatic targets it asks the system for its interfaces. An error wraps ErrNoTarget.
func (t Targets) Resolve(port uint16) ([]netip.AddrPort, error) {
	if len(t.list) == 0 {
		targets, err := t.now(port, &udp.Scanner{})
		return addresses(targets), err
	}
	addrs := make([]netip.AddrPort, 0, len(t.list))
	for _, a := range t.list {
		if a.Port() == 0 {
			a = netip.AddrPortFrom(a.Addr(), port)
		}
		if !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}

// addresses returns the addresses of targets, each once.
func addresses(targets []udp.Target) (addrs []netip.AddrPort) {
	for _, t := range targets {
		if !slices.Contains(addrs, t.To) {
			addrs = append(addrs, t.To)
		}
	}
	return addrs
}

// now returns where to send to now, each once: a broadcast address that comes from the interfaces
// by each of them, the limited one too. An error wraps ErrNoTarget.
func (t Targets) now(port uint16, scanner *udp.Scanner) (targets []udp.Target, err error) {
	add := func(list ...udp.Target) {
		for _, to := range list {
			if !slices.Contains(targets, to) {
				targets = append(targets, to)
			}
		}
	}
	if len(t.list) == 0 {
		interfaces, err := scanner.Up()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoTarget, err)
		}
		add(udp.Broadcasts(interfaces, port)...)
	}
	for _, a := range t.list {
		if a.Port() == 0 {
			a = netip.AddrPortFrom(a.Addr(), port)
		}
		if a.Addr() != limitedBroadcast {
			add(udp.Target{Path: udp.Path{To: a}})
			continue
		}
		interfaces, err := scanner.Up()
		if err != nil {
			return targets, fmt.Errorf("%w: %w", ErrNoTarget, err)
		}
		add(udp.Limited(interfaces, a.Port())...)
	}
	if len(targets) == 0 {
		return nil, fmt.Errorf("%w: no IPv4 interface is up", ErrNoTarget)
	}
	return targets, nil
}

// checkFamily returns an error if a socket on a local address cannot send to one of the targets.
func (t Targets) checkFamily(local netip.Addr) error {
	if local == netip.IPv6Unspecified() {
		return nil // it is for both
	}
	if len(t.list) == 0 && local.Unmap().Is6() {
		return fmt.Errorf("%w: automatic targets are IPv4, and the server sends from %v; name targets", ErrConfig, local)
	}
	for _, a := range t.list {
		if a.Addr().Unmap().Is6() != local.Unmap().Is6() {
			return fmt.Errorf("%w: the target %v cannot be sent to from %v: the one is IPv6, the other IPv4", ErrConfig, a.Addr(), local)
		}
	}
	return nil
}

// byInterface reports whether the interfaces decide where to send to.
func (t Targets) byInterface() bool {
	return !slices.ContainsFunc(t.list, func(a netip.AddrPort) bool { return a.Addr() != limitedBroadcast })
}
