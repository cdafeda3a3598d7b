package beacon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

const (
	// hops is the TTL (IPv4) and the hop limit (IPv6) of multicasts: they get past one router, if
	// it forwards multicast at all.
	hops = 2
	// readBuffer is the receive buffer to ask for, in bytes.
	readBuffer = 1 << 20
	// lookEvery is how often the interfaces are looked at, at most.
	lookEvery = time.Second
)

// network is where a beacon hears and is heard. announce and close are for one goroutine at a time
// each.
type network struct {
	cfg        Config
	recv, send *net.UDPConn
	multicast  multicaster // nil without a group

	scanner  udp.Scanner
	looked   time.Time    // when the interfaces were looked at last, and what was found:
	targets  []target     // where to send to,
	problems []failure    // what is wrong,
	joined   map[int]bool // and where the group is joined, by the interface's index
}

// target is where one datagram goes, and by which interface.
type target = udp.Target

// failure says what is wrong with a target; a nil error, that it works. The zero target stands for
// there being any.
type failure struct {
	target target
	err    error
}

// multicaster is what package ipv4 and package ipv6 have in common here.
type multicaster interface {
	JoinGroup(nic *net.Interface, group net.Addr) error
	LeaveGroup(nic *net.Interface, group net.Addr) error
	SetMulticastInterface(nic *net.Interface) error
	SetMulticastLoopback(on bool) error
}

// openNetwork opens the sockets: one on the port that is shared, one to send from.
func openNetwork(cfg Config) (_ *network, err error) {
	wildcard := netip.IPv4Unspecified()
	if cfg.ipv6() {
		wildcard = netip.IPv6Unspecified()
	}
	n := &network{cfg: cfg, scanner: udp.Scanner{Names: cfg.Interfaces}}
	defer func() {
		if err != nil {
			_ = n.close()
		}
	}()
	if cfg.Silent {
		n.recv, err = udp.ListenBehind(context.Background(), cfg.Port, readBuffer)
	} else {
		n.recv, err = udp.Listen(context.Background(), netip.AddrPortFrom(wildcard, cfg.Port), udp.Options{Reuse: true, ReadBuffer: readBuffer, IPv6Only: true})
	}
	if err != nil {
		return nil, fmt.Errorf("the beacon cannot open port %d: %w", cfg.Port, err)
	}
	if cfg.Silent {
		return n, nil
	}
	n.send, err = udp.Listen(context.Background(), netip.AddrPortFrom(wildcard, 0), udp.Options{IPv6Only: true})
	if err != nil {
		return nil, fmt.Errorf("the beacon cannot open a socket to send from: %w", err)
	}
	if cfg.Group.IsValid() {
		if err = n.setMulticast(); err != nil {
			return nil, fmt.Errorf("the beacon cannot multicast to %v: %w", cfg.Group, err)
		}
	}
	n.look()
	return n, nil
}

func (n *network) setMulticast() error {
	var sender multicaster
	var err error
	if n.cfg.ipv6() {
		p := ipv6.NewPacketConn(n.send)
		sender, err = p, p.SetMulticastHopLimit(hops)
		n.multicast = group{ipv6.NewPacketConn(n.recv), p}
	} else {
		p := ipv4.NewPacketConn(n.send)
		sender, err = p, p.SetMulticastTTL(hops)
		n.multicast = group{ipv4.NewPacketConn(n.recv), p}
	}
	// Windows looks at the receiver's, everyone else at the sender's. It is on by default, but two
	// beacons on one machine depend on it.
	return errors.Join(err, sender.SetMulticastLoopback(true), n.multicast.SetMulticastLoopback(true), udp.OwnGroupsOnly(n.recv))
}

// group joins with one socket and sends from the other.
type group struct {
	multicaster
	sender multicaster
}

func (g group) SetMulticastInterface(nic *net.Interface) error {
	return g.sender.SetMulticastInterface(nic)
}

func (n *network) close() error {
	var err error
	for _, conn := range []*net.UDPConn{n.recv, n.send} {
		if conn != nil {
			err = errors.Join(err, service.Close(conn))
		}
	}
	return err
}

// announcer sends a datagram to each target, which is asked for anew, and returns how it went.
type announcer func(datagram func() []byte) []failure

// announce is an announcer.
func (n *network) announce(datagram func() []byte) []failure {
	if now := time.Now(); n.looked.IsZero() || now.Sub(n.looked) >= lookEvery {
		n.looked = now
		n.look()
	}
	results := slices.Clone(n.problems)
	for _, t := range n.targets {
		path, err := t.Path, error(nil)
		if path.To.Addr() == n.cfg.Group {
			err, path.Interface = n.multicast.SetMulticastInterface(&net.Interface{Index: path.Interface, Name: t.Name}), 0
		}
		if err == nil {
			err = n.sendTo(path, datagram())
		}
		results = append(results, failure{t, err})
	}
	return results
}

// look lists the targets anew, and joins the group on new interfaces.
func (n *network) look() {
	n.targets, n.problems = n.targets[:0], n.problems[:0]
	limited := false // the limited broadcast address goes out by each interface
	for _, to := range n.cfg.Targets {
		if to.Addr() == limitedBroadcast {
			limited = true
			continue
		}
		n.add(target{Path: udp.Path{To: to}})
	}
	if n.multicast != nil || limited || len(n.cfg.Targets) == 0 {
		interfaces, err := n.scanner.Up()
		if n.multicast != nil && err == nil {
			n.join(interfaces)
		}
		for _, to := range n.cfg.Targets {
			if to.Addr() == limitedBroadcast {
				n.add(udp.Limited(interfaces, to.Port())...)
			}
		}
		if n.multicast == nil && len(n.cfg.Targets) == 0 {
			n.add(udp.Broadcasts(interfaces, n.cfg.Port)...)
		}
		if err == nil && len(n.targets) == 0 {
			err = errors.New("no interface is up that can carry it")
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrNoTarget, err)
		}
		n.problems = append(n.problems, failure{err: err})
	}
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func (n *network) add(targets ...target) {
	for _, t := range targets {
		if !slices.Contains(n.targets, t) {
			n.targets = append(n.targets, t)
		}
	}
}

// join joins the group on each interface where that has not been done, and makes them targets.
func (n *network) join(interfaces []udp.Interface) {
	to, joined := netip.AddrPortFrom(n.cfg.Group, n.cfg.Port), make(map[int]bool)
	for _, nic := range interfaces {
		if !n.carries(nic) {
			continue
		}
		t := target{Path: udp.Path{To: to, Interface: nic.Index}, Name: nic.Name}
		if !n.joined[nic.Index] {
			// The system may have kept the membership on an interface that was down, and refuses a
			// second one: leave first.
			_ = n.multicast.LeaveGroup(&nic.Interface, net.UDPAddrFromAddrPort(to))
			if err := n.multicast.JoinGroup(&nic.Interface, net.UDPAddrFromAddrPort(to)); err != nil {
				n.problems = append(n.problems, failure{t, fmt.Errorf("cannot join %v on %s: %w", n.cfg.Group, nic.Name, err)})
				continue
			}
		}
		joined[nic.Index] = true
		n.targets = append(n.targets, t)
	}
	n.joined = joined
}

// carries reports whether multicast of the beacon's family works over an interface. Linux does not
// say so of its loopback interface, but carries IPv4 there: beacons on one machine hear each other
// without any network.
func (n *network) carries(nic udp.Interface) bool {
	if nic.Flags&net.FlagMulticast == 0 && (nic.Flags&net.FlagLoopback == 0 || n.cfg.ipv6()) {
		return false
	}
	return slices.ContainsFunc(nic.Prefixes, func(p netip.Prefix) bool { return p.Addr().Is6() == n.cfg.ipv6() })
}

// addrs returns the addresses that are sent to at the moment, each once.
func (n *network) addrs() []netip.AddrPort {
	var list []netip.AddrPort
	for _, t := range n.targets {
		if !slices.Contains(list, t.To) {
			list = append(list, t.To)
		}
	}
	return list
}
