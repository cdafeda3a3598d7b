package beacon

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
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
}

// table is the peers that are there, bounded.
type table struct {
	limit   int
	expiry  time.Duration
	entries map[peerKey]*entry
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
		return left, e.Peer, ""
	case e == nil && len(t.entries) >= t.limit:
		return refused, p, ""
	case e == nil:
		e = &entry{Peer: Peer{Name: h.Name, ID: h.ID, Addr: from, FirstSeen: now}, addrSeen: now}
		t.entries[key] = e
		v = appeared
	}
	e.LastSeen = now
	e.Heard++
	if e.Addr.Addr() == from.Addr() || now.Sub(e.addrSeen) >= t.expiry {
		e.Addr, e.addrSeen = from, now
		if e.Name != h.Name {
			v, was, e.Name = renamed, e.Name, h.Name
		}
	}
	return v, e.Peer, was
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
		gone = append(gone, e.Peer)
	}
	slices.SortFunc(gone, comparePeers)
	return gone, next
}

const never = time.Duration(1<<63 - 1)

func (t *table) list() []Peer {
	peers := make([]Peer, 0, len(t.entries))
	for _, e := range t.entries {
		peers = append(peers, e.Peer)
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
