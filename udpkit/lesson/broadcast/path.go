package broadcast

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// path carries datagrams from a server to a client and back, and loses some.
type path struct {
	in, out *net.UDPConn // what the server sends to, and the client answers to
	client  netip.AddrPort
	server  atomic.Pointer[netip.AddrPort] // known from its first datagram on
	loss    float64
	running sync.WaitGroup
}

// newPath opens a path to a client. Which datagrams it loses depends on the seed and on their
// number, in each direction.
func newPath(client netip.AddrPort, loss float64, seed uint64) (*path, error) {
	p := &path{client: client, loss: loss}
	for _, socket := range []**net.UDPConn{&p.in, &p.out} {
		var err error
		if *socket, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			if p.in != nil {
				_ = p.in.Close()
			}
			return nil, fmt.Errorf("cannot open the path that loses datagrams: %w", err)
		}
	}
	p.running.Go(func() {
		p.carry(p.in, p.out, seed, func(from netip.AddrPort) *netip.AddrPort {
			p.server.Store(&from)
			return &p.client
		})
	})
	p.running.Go(func() {
		p.carry(p.out, p.in, seed+1, func(netip.AddrPort) *netip.AddrPort { return p.server.Load() })
	})
	return p, nil
}

func (p *path) carry(in, out *net.UDPConn, seed uint64, to func(from netip.AddrPort) *netip.AddrPort) {
	dice, buffer := rand.New(rand.NewPCG(seed, 0)), make([]byte, 65535)
	for {
		n, from, err := in.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // on some systems: what was sent reached nobody
			continue
		}
		if to := to(from); to != nil && dice.Float64() >= p.loss {
			_, _ = out.WriteToUDPAddrPort(buffer[:n], *to) // what is lost is lost
		}
	}
}

func (p *path) addr() netip.AddrPort { return p.in.LocalAddr().(*net.UDPAddr).AddrPort() }

func (p *path) close() {
	_ = p.in.Close()
	_ = p.out.Close()
	p.running.Wait()
}
