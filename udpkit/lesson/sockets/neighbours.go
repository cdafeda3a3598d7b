package sockets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// Neighbourhood is what a beacon saw of its neighbours. Times are since its start.
type Neighbourhood struct {
	Peers  []Presence    `json:"peers"`
	Length time.Duration `json:"length_ns"`
}

// Presence is one stay of one peer in the table.
type Presence struct {
	Name string        `json:"name"`
	From time.Duration `json:"from_ns"`
	// Heard is when its last HELLO came; To, if it was still there.
	Heard time.Duration `json:"heard_ns"`
	To    time.Duration `json:"to_ns"`
	// End is how it went: beacon.Left, beacon.Expired, or "" if it was still there.
	End beacon.Change `json:"end"`

	id beacon.ID
}

// maxPresences bounds a recording: no picture shows more.
const maxPresences = 20

// here is the broadcast address of this machine.
var here = netip.AddrFrom4([4]byte{127, 255, 255, 255})

// The timetable of Neighbours.
const (
	annaComes   = 500 * time.Millisecond
	benComes    = 1500 * time.Millisecond
	cleoComes   = 2500 * time.Millisecond
	benLeaves   = 4 * time.Second
	cleoCrashes = 5 * time.Second
)

// Neighbours lets show run the beacon that me configures, and meanwhile three neighbours come and
// go on this machine, whatever the targets of me are: anna stays, ben leaves with a goodbye after
// four seconds, and cleo, a bare socket, falls silent after five. What the beacon reports about its
// peers is written to a file that [ReadNeighbourhood] and the plots read. It returns when show
// does.
func Neighbours(ctx context.Context, file string, me beacon.Config, show func(context.Context, beacon.Config) error) error {
	start := time.Now()
	seen := &observer{start: start}
	me.OnEvent = seen.chain(me.OnEvent)

	playing, cancel := context.WithCancel(ctx)
	defer cancel()
	var cast sync.WaitGroup
	var mu sync.Mutex
	var failed error
	play := func(name string, from, to time.Duration, part func(ctx context.Context, name string, me beacon.Config) error) {
		cast.Go(func() {
			ctx := playing
			if !measure.Sleep(ctx, time.Until(start.Add(from))) {
				return
			}
			if to > 0 {
				var end context.CancelFunc
				ctx, end = context.WithDeadline(ctx, start.Add(to))
				defer end()
			}
			if err := part(ctx, name, me); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, fmt.Errorf("neighbour %s: %w", name, err))
			}
		})
	}
	play("anna", annaComes, 0, polite)
	play("ben", benComes, benLeaves, polite)
	play("cleo", cleoComes, cleoCrashes, bare)
	err := show(ctx, me)
	cancel()
	cast.Wait()
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	return exercise.Write(file, seen.end())
}

// polite is a beacon, which says goodbye.
func polite(ctx context.Context, name string, me beacon.Config) error {
	b, err := beacon.New(beacon.Config{
		Name: name, Port: me.Port, Targets: []netip.AddrPort{netip.AddrPortFrom(here, 0)}, Interval: me.Interval, Expiry: me.Expiry,
	})
	if err != nil {
		return err
	}
	return errors.Join(b.Run(ctx), b.Close())
}

// bare is a program that knows nothing about beacons but how to say HELLO.
func bare(ctx context.Context, name string, me beacon.Config) error {
	to := netip.AddrPortFrom(here, cmp.Or(me.Port, beacon.DefaultPort))
	socket, err := net.Dial("udp4", to.String())
	if err != nil {
		return err
	}
	defer socket.Close() // nothing can be lost by an error here
	for {
		if _, err := fmt.Fprintf(socket, "HELLO|%s", name); err != nil {
			return err
		}
		if !measure.Sleep(ctx, cmp.Or(me.Interval, beacon.DefaultInterval)) {
			return nil
		}
	}
}

// observer keeps what a beacon reports.
type observer struct {
	mu    sync.Mutex
	start time.Time
	seen  Neighbourhood
}

// chain returns an OnEvent that observes before it calls the caller's.
func (o *observer) chain(callers func(beacon.Event)) func(beacon.Event) {
	return func(e beacon.Event) {
		if p, ok := e.(beacon.PeerEvent); ok {
			o.observe(p)
		}
		if callers != nil {
			callers(e)
		}
	}
}

func (o *observer) observe(e beacon.PeerEvent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.Change == beacon.Appeared {
		if len(o.seen.Peers) < maxPresences {
			o.seen.Peers = append(o.seen.Peers, Presence{Name: e.Name, From: e.At.Sub(o.start), id: e.ID})
		}
		return
	}
	for i := range o.seen.Peers {
		p := &o.seen.Peers[i]
		if p.id != e.ID || p.End != "" || p.id == 0 && p.Name != e.Name {
			continue
		}
		p.Name = e.Name
		if e.Change == beacon.Left || e.Change == beacon.Expired {
			p.Heard, p.To, p.End = e.LastSeen.Sub(o.start), e.At.Sub(o.start), e.Change
		}
		return
	}
}

// end returns what was seen.
func (o *observer) end() Neighbourhood {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen.Length = time.Since(o.start)
	for i := range o.seen.Peers {
		if p := &o.seen.Peers[i]; p.End == "" {
			p.Heard, p.To = o.seen.Length, o.seen.Length
		}
	}
	return o.seen
}

// ReadNeighbourhood returns what Neighbours wrote. The error wraps [exercise.ErrNothing] if it has
// not run.
func ReadNeighbourhood(file string) (Neighbourhood, error) {
	return exercise.Read[Neighbourhood](file)
}
