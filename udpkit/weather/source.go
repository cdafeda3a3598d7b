package weather

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/later"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// direction is from a source to the program behind, or back.
type direction int

const (
	there direction = iota
	back
)

// source is a program that sends to the forwarder.
type source struct {
	conn   *net.UDPConn
	reader *udp.Reader
	path   udp.Path // back to it
	heard  time.Time
	ways   [2]way
}

// way is one direction of a source.
type way struct {
	dice *rand.Rand
	held [2]held
}

// held is a datagram that waits to be overtaken; it was due before.
type held struct {
	item *later.Item[*packet] // nil for none
	due  time.Time
}

// packet is a datagram on the way.
type packet struct {
	payload []byte
	conn    *net.UDPConn
	path    udp.Path
	way     direction
}

// forget forgets idle sources.
func (f *Forwarder) forget(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for from, s := range f.sources {
		if now.Sub(s.heard) > IdleTime {
			f.remove(from)
			f.report.Forgotten++
		}
	}
}

// remove closes the socket of a source, for mu held.
func (f *Forwarder) remove(from netip.AddrPort) {
	s := f.sources[from]
	f.report.KernelDropped += dropped(s.reader)
	_ = s.conn.Close()
	delete(f.sources, from)
}

// fromSource takes a datagram that goes to the program behind.
func (f *Forwarder) fromSource(ctx context.Context, d *udp.Datagram, path udp.Path) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.source(ctx, d.Source)
	if s == nil {
		f.report.Refused++
		return
	}
	s.heard, s.path = d.Received, path
	f.send(s, there, d, s.conn, udp.Path{To: f.cfg.To})
}

// source returns the source of an address, for mu held; nil if there is no room for it.
func (f *Forwarder) source(ctx context.Context, from netip.AddrPort) *source {
	if s := f.sources[from]; s != nil {
		return s
	}
	if udp.CheckPeer(from) != nil || len(f.sources) >= MaxSources {
		return nil
	}
	own := netip.IPv4Unspecified()
	if f.cfg.To.Addr().Is6() {
		own = netip.IPv6Unspecified()
	}
	if f.cfg.To.Addr().IsLoopback() { // nobody else can answer
		own = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if f.cfg.To.Addr().Is6() {
			own = netip.IPv6Loopback()
		}
	}
	conn, err := udp.Listen(ctx, netip.AddrPortFrom(own, 0), udp.Options{ReadBuffer: readBuffer, IPv6Only: true})
	if err != nil {
		return nil
	}
	_ = conn.SetWriteBuffer(writeBuffer)
	reader, err := newReader(conn)
	if err != nil {
		_ = conn.Close()
		return nil
	}
	s := &source{conn: conn, reader: reader}
	for i := range s.ways {
		s.ways[i].dice = f.dice(direction(i))
	}
	f.number++
	f.sources[from] = s
	f.connections.Go(func() {
		_ = f.receive(ctx, conn, reader, func(d *udp.Datagram) { f.fromBehind(s, d) })
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.sources[from] == s { // it failed for good: the next datagram opens another
			f.remove(from)
		}
	})
	return s
}

// dice returns those of a direction of the next source.
func (f *Forwarder) dice(d direction) *rand.Rand {
	return rand.New(rand.NewPCG(f.cfg.Seed, 2*f.number+uint64(d)))
}

// fromBehind takes a datagram that goes back to a source.
func (f *Forwarder) fromBehind(s *source, d *udp.Datagram) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if from, to := d.Source.Addr(), f.cfg.To.Addr(); from != to && !f.anyone {
		f.report.Strangers++
		return
	}
	s.heard = d.Received
	f.send(s, back, d, f.conn, s.path)
}

// send has a datagram go its way, for mu held.
func (f *Forwarder) send(s *source, d direction, got *udp.Datagram, conn *net.UDPConn, path udp.Path) {
	n, w := f.report.counts(d), &s.ways[d]
	n.Received++
	fate := f.settings.Fate(w.dice)
	now := got.Received
	switch {
	case f.partedAt(now):
		n.Parted++
		return
	case fate.Lost:
		n.Lost++
		return
	}
	size := len(got.Payload)
	copies := 1
	if fate.Twice {
		copies = 2
	}
	out := now
	if f.settings.Rate > 0 {
		free := &f.free[d]
		if free.Before(now) {
			*free = now
		}
		if free.Sub(now) > maxQueueing {
			n.Full++
			return
		}
		*free = free.Add(time.Duration(size) * time.Second / time.Duration(f.settings.Rate))
		out = *free
	}
	if f.waiting+copies > MaxWaiting || f.waitingBytes+copies*size > MaxWaitingBytes {
		n.Full++
		return
	}
	if fate.Twice {
		n.Twice++
	}
	before := w.held
	w.held = [2]held{}
	if fate.Overtaken {
		n.Overtaken++
	}
	for i := range copies {
		p := f.packets.Get().(*packet)
		p.payload, p.conn, p.path, p.way = append(p.payload[:0], got.Payload...), conn, path, d
		f.waiting++
		f.waitingBytes += size
		at := out.Add(fate.Delays[i])
		if fate.Overtaken {
			w.held[i] = held{f.queue.Push(p, at.Add(overtakenFor)), at}
		} else {
			f.queue.Push(p, at)
		}
	}
	for _, h := range before {
		if at := out.Add(fate.Delays[0]); h.item != nil && h.due.After(at) {
			f.queue.Move(h.item, h.due)
		} else if h.item != nil {
			f.queue.Move(h.item, at)
		}
	}
}

// deliver sends a datagram that has come through.
func (f *Forwarder) deliver(p *packet) {
	err := udp.Send(p.conn, p.payload, p.path)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting--
	f.waitingBytes -= len(p.payload)
	if n := f.report.counts(p.way); err != nil {
		n.Failed++
	} else {
		n.Delivered++
	}
	if cap(p.payload) <= pooled {
		p.conn = nil
		f.packets.Put(p)
	}
}
