package beacon

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
)

// Peer is what a beacon knows of another.
type Peer struct {
	// Name is what it calls itself, "" if it does not say.
	Name string `json:"name"`
	// ID names its run, 0 if it does not say.
	ID ID `json:"id,omitzero"`
	// Addr is where its last HELLO came from. If it is heard from several addresses, as one on this
	// machine is, it stays with the first until that has been silent for Config.Expiry.
	Addr netip.AddrPort `json:"addr"`
	// FirstSeen and LastSeen are when it was heard, by this machine's clock.
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	// Heard counts its HELLOs. One that comes over several interfaces counts as often as it comes.
	Heard uint64 `json:"heard"`
	// Rate is how many HELLOs come from Addr's host in a second, over the last 10 to 20 s, or two
	// HELLOs if that is longer; 0 if one has come.
	Rate float64 `json:"rate,omitzero"`
	// Jitter is how much the time between two HELLOs varies from one to the next, smoothed as in
	// RFC 3550, 6.4.1. One that is lost adds to it.
	Jitter time.Duration `json:"jitter_ns,omitzero"`
	// Restarts counts the earlier runs of that name on that host, as far as they are not forgotten:
	// Config.MaxPeers names are remembered. 0 for one that says no ID.
	Restarts uint64 `json:"restarts,omitzero"`
}

// table is the peers that are there, bounded.
type table struct {
	limit   int
	expiry  time.Duration
	entries map[peerKey]*entry
	runs    map[peerKey]runs // by IP address and name, of those with an id
}

// runs is what is remembered of a name on a host.
type runs struct {
	newest ID
	before uint64
}

// peerKey is a peer's id; for one without, its IP address and name.
type peerKey struct {
	id   ID
	addr netip.Addr
	name string
}

type entry struct {
	Peer
	addrSeen time.Time // when Addr was heard last
	rate     measure.Rate
	jitter   measure.Jitter
}

func (e *entry) peer() Peer {
	p := e.Peer
	p.Rate, p.Jitter = e.rate.PerSecond(), e.jitter.Mean()
	return p
}

// verdict is what became of a datagram.
type verdict uint8

const (
	known    verdict = iota // of a peer that was in the table
	appeared                // of a new one, which is in the table now
	renamed                 // of a known one with another name
	refused                 // of a new one, for which there is no room
	left                    // a goodbye, and the peer is gone
	ignored                 // a goodbye of nobody in the table
)

func keyOf(h Hello, from netip.AddrPort) peerKey {
	if h.ID != 0 {
		return peerKey{id: h.ID}
	}
	return peerKey{addr: from.Addr(), name: h.Name}
}

// take notes a datagram. It returns the peer it is about, and for renamed the name before.
func (t *table) take(h Hello, from netip.AddrPort, now time.Time) (v verdict, p Peer, was string) {
	key := keyOf(h, from)
	e := t.entries[key]
	switch {
	case h.Bye:
		if e == nil || e.Addr.Addr() != from.Addr() {
			return ignored, p, ""
		}
		delete(t.entries, key)
		return left, e.peer(), ""
	case e == nil && len(t.entries) >= t.limit:
		return refused, p, ""
	case e == nil:
		e = &entry{Peer: Peer{Name: h.Name, ID: h.ID, Addr: from, FirstSeen: now, Restarts: t.restarts(h, from.Addr())}, addrSeen: now}
		t.entries[key] = e
		v = appeared
	}
	e.LastSeen = now
	e.Heard++
	if same := e.Addr.Addr() == from.Addr(); same || now.Sub(e.addrSeen) >= t.expiry {
		if e.rate.Note(now); same && v != appeared {
			e.jitter.Note(now.Sub(e.addrSeen))
		}
		e.Addr, e.addrSeen = from, now
		if e.Name != h.Name {
			v, was, e.Name = renamed, e.Name, h.Name
		}
	}
	return v, e.peer(), was
}

// restarts notes that a run is new in the table, and returns how many were before it.
func (t *table) restarts(h Hello, from netip.Addr) uint64 {
	if h.ID == 0 {
		return 0
	}
	key := peerKey{addr: from, name: h.Name}
	r, known := t.runs[key]
	if !known && len(t.runs) >= t.limit {
		for any := range t.runs {
			delete(t.runs, any)
			break
		}
	}
	if known && r.newest != h.ID {
		r.before++
	}
	r.newest = h.ID
	t.runs[key] = r
	return r.before
}

// expire removes the peers that have been silent for too long, and returns them and when to look
// again; never, if the table is empty.
func (t *table) expire(now time.Time) (gone []Peer, next time.Duration) {
	next = never
	for key, e := range t.entries {
		if rest := t.expiry - now.Sub(e.LastSeen); rest > 0 {
			next = min(next, rest)
			continue
		}
		delete(t.entries, key)
		gone = append(gone, e.peer())
	}
	slices.SortFunc(gone, comparePeers)
	return gone, next
}

const never = time.Duration(1<<63 - 1)

func (t *table) list() []Peer {
	peers := make([]Peer, 0, len(t.entries))
	for _, e := range t.entries {
		peers = append(peers, e.peer())
	}
	slices.SortFunc(peers, comparePeers)
	return peers
}

// comparePeers orders by name, those without one last.
func comparePeers(a, b Peer) int {
	if (a.Name == "") != (b.Name == "") {
		return -strings.Compare(a.Name, b.Name)
	}
	return cmp.Or(strings.Compare(a.Name, b.Name), a.Addr.Compare(b.Addr), cmp.Compare(a.ID, b.ID))
}
