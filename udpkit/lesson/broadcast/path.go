package broadcast

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// loopback is any free port of this machine.
var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// path carries datagrams from a server to a client and back, and loses some of both.
type path struct {
	loss             float64
	entrance, exit   *net.UDPConn
	server           atomic.Pointer[netip.AddrPort]
	client           netip.AddrPort
	carried, dropped atomic.Uint64
	both             sync.WaitGroup
}

// newPath opens a path to a client. Of the datagrams each way it loses a share from 0 to 1 by
// chance, the same ones for the same seed.
func newPath(ctx context.Context, client netip.AddrPort, loss float64, seed uint64) (*path, error) {
	p := &path{loss: loss, client: client}
	var err error
	if p.entrance, err = udp.Listen(ctx, loopback, udp.Options{}); err != nil {
		return nil, err
	}
	if p.exit, err = udp.Listen(ctx, loopback, udp.Options{}); err != nil {
		p.entrance.Close()
		return nil, err
	}
	p.both.Go(func() {
		p.carry(p.entrance, p.exit, rand.New(rand.NewPCG(seed, 1)), func(from netip.AddrPort) netip.AddrPort {
			p.server.Store(&from)
			return p.client
		})
	})
	p.both.Go(func() {
		p.carry(p.exit, p.entrance, rand.New(rand.NewPCG(seed, 2)), func(netip.AddrPort) netip.AddrPort { return *p.server.Load() })
	})
	return p, nil
}

// carry passes on what comes until a socket is closed. The client speaks only after it has heard
// the server, so that there is somebody to pass its answers to. The first datagram is never lost:
// what a client misses before it has heard anything, nobody owes it.
func (p *path) carry(in, out *net.UDPConn, dice *rand.Rand, to func(from netip.AddrPort) netip.AddrPort) {
	buf := make([]byte, 2048)
	for first := true; ; first = false {
		n, from, err := in.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		next := to(from)
		p.carried.Add(1)
		if dice.Float64() < p.loss && !first {
			p.dropped.Add(1)
		} else if _, err := out.WriteToUDPAddrPort(buf[:n], next); err != nil {
			return
		}
	}
}

func (p *path) Close() error {
	err := service.Close(p.entrance, p.exit)
	p.both.Wait()
	return err
}
