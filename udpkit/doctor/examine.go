package doctor

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// ErrConfig marks what cannot be used of a [Config]. It is the ErrConfig of all packages.
var ErrConfig = service.ErrConfig

// Config is for [Examine].
type Config struct {
	// Port is the UDP port in question; 0 takes a free one, which is no use to others.
	Port uint16
	// ReadBuffer is the receive buffer that a program asks for, in bytes; less than half of it is a
	// finding. 0 does not look.
	ReadBuffer int
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
	// Findings are what is wrong, the cause before what follows from it; none if all is well.
	Findings []Finding `json:"findings"`
}

// Examine looks at this machine. It takes 5 s at most. That something is wrong is no error.
func Examine(ctx context.Context, cfg Config) (Report, error) {
	if cfg.ReadBuffer < 0 {
		return Report{}, fmt.Errorf("%w: a read buffer of %d bytes", ErrConfig, cfg.ReadBuffer)
	}
	all, err := udp.All()
	if err != nil {
		return Report{}, err
	}
	r, _, err := examineAlone(ctx, cfg, all)
	return r, err
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
	var asking sync.WaitGroup
	asking.Go(func() { walls = readFirewalls(ctx, cfg.Port) })
	if cfg.Port != 0 {
		r.Owners = ownersOf(ctx, cfg.Port)
	}
	conn, state, err := tryPort(ctx, cfg.Port)
	defer asking.Wait()
	if err != nil {
		return r, nil, err
	}
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

// random returns a number that nobody else has.
func random() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}
