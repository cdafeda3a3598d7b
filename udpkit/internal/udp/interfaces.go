package udp

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// LoopbackBroadcast reaches the programs on this machine that listen on the wildcard address,
// without any network.
var LoopbackBroadcast = netip.AddrFrom4([4]byte{127, 255, 255, 255})

// Interface is a network interface, with its addresses and their networks.
type Interface struct {
	net.Interface
	Prefixes []netip.Prefix
}

// Up lists the interfaces that are up, of those that are named; of all if none is. It asks the
// system twice, however many there are (on Windows and the BSDs, once for each).
func Up(names ...string) ([]Interface, error) {
	all, err := All()
	return slices.DeleteFunc(all, func(nic Interface) bool {
		return nic.Flags&net.FlagUp == 0 || len(names) > 0 && !slices.Contains(names, nic.Name)
	}), err
}

// All lists the interfaces, up and down.
func All() ([]Interface, error) {
	found, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("cannot list the network interfaces: %w", err)
	}
	prefixes, err := prefixesOf(found)
	if err != nil {
		return nil, fmt.Errorf("cannot list the addresses of the network interfaces: %w", err)
	}
	all := make([]Interface, len(found))
	for i, nic := range found {
		all[i] = Interface{nic, prefixes[nic.Index]}
	}
	return all, nil
}

// CheckInterfaces returns an error if one of these names is no interface's, up or down.
func CheckInterfaces(names []string) error {
	if len(names) == 0 {
		return nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("cannot list the network interfaces: %w", err)
	}
	known := make([]string, len(all))
	for i, nic := range all {
		known[i] = nic.Name
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("there is no network interface %q: choose among %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// Target is where a broadcast goes: by one interface, if the system can be told by which (Linux,
// macOS, Windows).
type Target struct {
	Path
	Name string // the interface's; "" where the route decides
}

// Broadcasts lists what reaches all neighbours by each interface: the subnet-directed broadcast
// addresses (RFC 919), and LoopbackBroadcast for a loopback interface.
func Broadcasts(interfaces []Interface, port uint16) (targets []Target) {
	for _, nic := range interfaces {
		if nic.Flags&net.FlagLoopback != 0 {
			targets = add(targets, Target{Path: Path{To: netip.AddrPortFrom(LoopbackBroadcast, port)}})
			continue
		}
		for _, p := range nic.Prefixes {
			if b, ok := subnetBroadcast(p); ok && nic.Flags&net.FlagBroadcast != 0 {
				targets = add(targets, nic.target(b, port))
			}
		}
	}
	return targets
}

// Limited lists the limited broadcast address 255.255.255.255 once for each interface that can
// broadcast IPv4: the route would take one of them for all.
func Limited(interfaces []Interface, port uint16) (targets []Target) {
	for _, nic := range interfaces {
		if nic.Flags&net.FlagBroadcast != 0 && slices.ContainsFunc(nic.Prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() }) {
			targets = append(targets, nic.target(limitedBroadcast, port))
		}
	}
	return targets
}

func (nic *Interface) target(to netip.Addr, port uint16) Target {
	return Target{Path{To: netip.AddrPortFrom(to, port), Interface: nic.Index}, nic.Name}
}

func add(targets []Target, t Target) []Target {
	if slices.Contains(targets, t) {
		return targets
	}
	return append(targets, t)
}

// subnetBroadcast returns the address with all host bits set. Subnets of one or two addresses have
// none (RFC 3021).
func subnetBroadcast(p netip.Prefix) (netip.Addr, bool) {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}, false
	}
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b), true
}

// scanPatience is how long a Scanner has its caller wait.
const scanPatience = 20 * time.Millisecond

// Scanner looks at the interfaces again and again, and does not hold up who sends by them: what
// takes long is there the next time. It is for one goroutine.
type Scanner struct {
	Names []string // of those to look at; none: all

	scanned bool // last is valid
	last    scan
	pending chan scan // nil: no scan is under way
}

type scan struct {
	up  []Interface
	err error
}

// Up is like the function Up, but after the first call it returns what was found before if that
// takes long.
func (s *Scanner) Up() ([]Interface, error) {
	if s.pending == nil {
		s.pending = make(chan scan, 1)
		go func(found chan<- scan) {
			up, err := Up(s.Names...)
			found <- scan{up, err}
		}(s.pending)
	}
	if !s.scanned {
		s.last, s.scanned, s.pending = <-s.pending, true, nil
		return s.last.up, s.last.err
	}
	timer := time.NewTimer(scanPatience)
	defer timer.Stop()
	select {
	case s.last = <-s.pending:
		s.pending = nil
	case <-timer.C:
	}
	return s.last.up, s.last.err
}
