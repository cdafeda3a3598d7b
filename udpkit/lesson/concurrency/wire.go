package concurrency

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
)

// ErrNoWire means that this system does not let the program make a network of its own, on which the
// system's TCP could be watched and disturbed.
var ErrNoWire = errors.New("no network of its own")

// The ends of the wire. Both are this machine: what is sent to far arrives at near, as if from far.
// The port is free, since the namespace is new.
var (
	near = netip.MustParseAddr("10.99.0.1")
	far  = netip.MustParseAddr("10.99.0.2")
)

const wirePort = 7777

// job is what the program in the namespace is to do, on a wire with these conditions.
type job struct {
	Protocol   string     `json:"protocol"` // tcp or udp
	Conditions Conditions `json:"conditions"`
	Seed       uint64     `json:"seed"`
	Transfer   bool       `json:"transfer,omitempty"` // false: one question and its answer
}

// outcome is what came of a job.
type outcome struct {
	Exchange *Exchange `json:"exchange,omitempty"`
	Transfer *Transfer `json:"transfer,omitempty"`
	NoWire   string    `json:"no_wire,omitempty"` // why there is none
	Error    string    `json:"error,omitempty"`
}

// err returns what went wrong.
func (o outcome) err() error {
	switch {
	case o.NoWire != "":
		return fmt.Errorf("%w: %s", ErrNoWire, o.NoWire)
	case o.Error != "":
		return errors.New(o.Error)
	}
	return nil
}

// wire connects far and near by a road in each direction.
type wire struct {
	device    *os.File // each read is a packet that this machine sends; each write one that it receives
	there     *road
	back      *road
	began     time.Time
	mu        sync.Mutex
	seen      []Packet
	remember  bool
	ended     sync.WaitGroup
	cancelled context.CancelFunc
}

const mostSeen = 1000 // packets that are remembered

// start lets the packets pass. Damage spares the IP header and the ports: a network that delivers
// to the wrong program is another subject.
func (w *wire) start(j job) {
	const spared = ipHeader + udpHeader
	put := func(packet []byte) { _, _ = w.device.Write(packet) } // one that the system refuses is lost
	w.there = newRoad(j.Conditions, 2*j.Seed, spared, put)
	w.back = newRoad(j.Conditions, 2*j.Seed+1, spared, put)
	w.began, w.remember = time.Now(), !j.Transfer
	ctx, cancel := context.WithCancel(context.Background())
	w.cancelled = cancel
	w.ended.Go(func() { w.there.run(ctx) })
	w.ended.Go(func() { w.back.run(ctx) })
	w.ended.Go(w.read)
}

// read takes packets from the system until the wire is cut.
func (w *wire) read() {
	buf := make([]byte, 1<<16)
	for {
		n, err := w.device.Read(buf)
		if err != nil {
			return
		}
		p, to, ok := parse(buf[:n])
		if !ok {
			continue // the system's own, such as a search for routers
		}
		packet := append([]byte(nil), buf[:n]...)
		reflect(packet)
		way := w.there
		if p.Answer = to != wirePort; p.Answer {
			way = w.back
		}
		now := time.Now()
		if at, ok := way.enter(packet, now); ok {
			p.Sent, p.Arrived = now.Sub(w.began), at.Sub(w.began)
		}
		w.mu.Lock()
		if w.remember && len(w.seen) < mostSeen {
			w.seen = append(w.seen, p)
		}
		w.mu.Unlock()
	}
}

// cut ends the wire.
func (w *wire) cut() error {
	w.cancelled()
	err := w.device.Close()
	w.ended.Wait()
	return err
}

func (w *wire) counts() RoadCounts {
	c := w.there.count()
	c.add(w.back.count())
	return c
}

// do does the job at the ends of the wire.
func (w *wire) do(ctx context.Context, j job) (o outcome, err error) {
	at, to := netip.AddrPortFrom(near, wirePort), netip.AddrPortFrom(far, wirePort)
	if !j.Transfer {
		var e Exchange
		e, err = exchange(ctx, j.Protocol, at, to)
		measure.Sleep(ctx, 4*j.Conditions.Delay+50*time.Millisecond) // for the last packets
		w.mu.Lock()
		defer w.mu.Unlock()
		e.Packets, w.remember = w.seen, false
		return outcome{Exchange: &e}, err
	}
	t, err := transfer(ctx, j.Protocol, at, func(netip.AddrPort) netip.AddrPort { return to }, j.Conditions)
	t.Road = w.counts()
	return outcome{Transfer: &t}, err
}
