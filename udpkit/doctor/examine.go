package doctor

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// ErrConfig marks what cannot be used of a [Config]. It is the ErrConfig of all packages.
var ErrConfig = service.ErrConfig

// Config is for [Examine] and [NewAnswerer].
type Config struct {
	// Port is the UDP port in question; 0 takes a free one, which is no use to others.
	Port uint16
	// ReadBuffer is the receive buffer that a program asks for, in bytes; less than half of it is a
	// finding. 0 does not look.
	ReadBuffer int
	// With is the host to examine the network with, on which an Answerer runs on Port. It must be
	// of a local network; see the package. Without it, Examine looks at this machine alone.
	With netip.Addr
}

// Report is what Examine has found.
type Report struct {
	Port      uint16    `json:"port"`
	PortState PortState `json:"port_state"`
	// Owners are the sockets on the port, but for Examine's own.
	Owners []Owner `json:"owners,omitempty"`
	// Place is "container" or "WSL" if this machine is one, which has networks of its own.
	Place      string      `json:"place,omitempty"`
	Interfaces []Interface `json:"interfaces"`
	// Routes are those of IPv4; Linux tells.
	Routes []Route `json:"routes,omitempty"`
	// BufferAsked and BufferGranted are the receive buffer in bytes, if it was asked for.
	BufferAsked   int `json:"buffer_asked,omitempty"`
	BufferGranted int `json:"buffer_granted,omitempty"`
	// Datagrams are those of all programs since the machine started; Linux tells.
	Datagrams *Datagrams `json:"datagrams,omitempty"`
	// Firewalls are the programs that look after this machine's, and say that they are active.
	Firewalls []string `json:"firewalls,omitempty"`
	// Own are this machine's own datagrams, by each way.
	Own []Own `json:"own"`
	// With is what was seen of the host.
	With *Peer `json:"with,omitempty"`
	// Answerers are all that were heard, and Heard which of them hear which: a row for each, with
	// the indexes in Answerers.
	Answerers []netip.Addr `json:"answerers,omitempty"`
	Heard     [][]int      `json:"heard,omitempty"`
	// Findings are what is wrong, the cause before what follows from it; none if all is well.
	Findings []Finding `json:"findings"`
}

// Examine looks at this machine, and at what goes between it and the host of cfg. It takes 5 s at
// most. That something is wrong is no error.
func Examine(ctx context.Context, cfg Config) (Report, error) {
	if cfg.ReadBuffer < 0 {
		return Report{}, fmt.Errorf("%w: a read buffer of %d bytes", ErrConfig, cfg.ReadBuffer)
	}
	all, err := udp.All()
	if err != nil {
		return Report{}, err
	}
	if cfg.With.IsValid() {
		if cfg.With = cfg.With.Unmap(); !cfg.With.Is4() || cfg.With.IsMulticast() || cfg.With.IsUnspecified() || cfg.With == limitedBroadcast {
			return Report{}, fmt.Errorf("%w: %v is no IPv4 address of a host", ErrConfig, cfg.With)
		}
		if !isLocal(cfg.With, all) {
			return Report{}, fmt.Errorf("%w: %v is of no local network, to which alone is sent", ErrConfig, cfg.With)
		}
	}
	r, walls, err := examineAlone(ctx, cfg, all)
	if err != nil || !cfg.With.IsValid() {
		return r, err
	}
	return r, examineWith(ctx, cfg.With, all, walls, &r)
}

// examineAlone looks at this machine.
func examineAlone(ctx context.Context, cfg Config, all []udp.Interface) (r Report, walls *firewalls, err error) {
	r = Report{Port: cfg.Port, Place: place(), Routes: routes(), Datagrams: datagrams(), Findings: []Finding{}}
	kinds := linkKinds()
	var up []udp.Interface
	for _, nic := range all {
		r.Interfaces = append(r.Interfaces, describe(nic, kinds[nic.Index]))
		if nic.Flags&net.FlagUp != 0 {
			up = append(up, nic)
		}
	}
	if cfg.Port != 0 {
		r.Owners = ownersOf(ctx, cfg.Port)
	}
	conn, state, err := tryPort(ctx, cfg.Port)
	if err != nil {
		return r, nil, err
	}
	// Not before the port was tried: a program that begins has each open socket for a moment.
	var asking sync.WaitGroup
	asking.Go(func() { walls = readFirewalls(ctx, cfg.Port) })
	defer asking.Wait()
	if r.PortState = state; conn == nil { // what does not depend on the port can be tried with another
		if conn, _, err = tryPort(ctx, 0); err != nil {
			return r, nil, err
		}
	}
	defer conn.Close()
	if cfg.ReadBuffer > 0 {
		if r.BufferAsked, r.BufferGranted, err = tryBuffer(ctx, cfg.ReadBuffer); err != nil {
			return r, nil, err
		}
	}
	if r.Own, err = tryOwn(ctx, newSocket(conn), random(), up, state == portShared); err != nil {
		return r, nil, err
	}
	asking.Wait()
	r.Firewalls = walls.active
	for _, more := range []findings{
		lookAtPort(cfg.Port, state, r.Owners),
		lookAtBuffer(r.BufferAsked, r.BufferGranted),
		lookAtInterfaces(r.Interfaces),
		lookAtOwn(r.Own, walls, cfg.Port),
		walls.lookAtNetworks(),
	} {
		r.Findings = append(r.Findings, more...)
	}
	return r, walls, ctx.Err()
}

// tryBuffer asks for a receive buffer.
func tryBuffer(ctx context.Context, size int) (asked, granted int, err error) {
	conn, err := udp.Listen(ctx, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0), udp.Options{ReadBuffer: size})
	if err != nil {
		return 0, 0, nil // without loopback; that is another finding
	}
	defer conn.Close()
	granted, err = udp.ReadBuffer(conn)
	return size, granted, err
}

func lookAtBuffer(asked, granted int) (found findings) {
	if granted < asked/2 {
		found.add(SmallBuffer, Warning, "", fmt.Sprintf("A program gets a receive buffer of %s where it asks for %s: what comes while that is full is lost.", format.Bytes(granted), format.Bytes(asked)),
			fmt.Sprintf("Let programs have larger buffers, as root: %s", growBuffers(asked)))
	}
	return found
}

// isLocal reports whether a host is of a local network: of a subnet of this machine, or with an
// address that is for use within a site.
func isLocal(host netip.Addr, all []udp.Interface) bool {
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10) // RFC 6598, also of VPNs
	return host.IsPrivate() || host.IsLinkLocalUnicast() || host.IsLoopback() || shared.Contains(host) || subnetOf(host, all) != nil
}

// subnetOf returns the interface in whose subnet a host is, nil if there is none. Its only prefix
// is that subnet.
func subnetOf(host netip.Addr, all []udp.Interface) *udp.Interface {
	for _, nic := range all {
		for _, p := range nic.Prefixes {
			if p.Contains(host) && (p.Bits() < 32 || p.Addr() == host) {
				nic.Prefixes = []netip.Prefix{p}
				return &nic
			}
		}
	}
	return nil
}

// random returns a number that nobody else has.
func random() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}

// machine returns a number for this machine that is the same for all of its programs: of the
// addresses of its cards.
func machine(all []udp.Interface) uint64 {
	var cards []string
	for _, nic := range all {
		cards = append(cards, nic.HardwareAddr.String())
	}
	slices.Sort(cards)
	sum := fnv.New64a()
	fmt.Fprint(sum, cards)
	return sum.Sum64()
}
