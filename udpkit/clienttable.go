package udpkit

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// leastShare is how many clients of one host there is room for at least, if there is room for as
// many at all.
const leastShare = 64

// clientTable is what a server knows of its clients, bounded. A client is its id and its host:
// several may answer from one port, since clients share theirs, and a name that another host uses
// is another client. So is one that does not prove that it has read the messages.
type clientTable struct {
	limit   int
	share   int // of one host
	entries map[clientKey]*clientEntry
	hosts   map[netip.Addr]int // how many entries each has
	made    int                // how many entries may be made up: they get half of the table
	swept   time.Time          // when idle clients were last looked for
}

type clientKey struct {
	id     string
	host   netip.Addr
	proved bool
}

type clientEntry struct {
	addr    netip.AddrPort
	first   uint64 // the lowest id acknowledged
	last    uint64 // the highest
	before  uint64 // bit i: last-1-i is acknowledged
	acks    uint64
	lastAck time.Time
	rtt     time.Duration
	sumRTT  time.Duration
}

type ackResult uint8

const (
	ackNew   ackResult = iota // counted
	ackAgain                  // counted before, or too old to tell
	ackFull                   // a new client, and no room for it
	ackShare                  // likewise, as there are too many of its host
)

func newClientTable(limit int) clientTable {
	return clientTable{
		limit: limit, share: max(limit/8, min(limit, leastShare)), entries: make(map[clientKey]*clientEntry), hosts: make(map[netip.Addr]int),
	}
}

func (t *clientTable) len() int { return len(t.entries) }

// ack notes an acknowledgement. Clients whose last one came before idle make room for a new one.
func (t *clientTable) ack(a rawAck, from netip.AddrPort, at time.Time, rtt time.Duration, idle time.Time) ackResult {
	// The compiler makes no string of it for a mere look-up.
	host, proved := from.Addr(), a.epoch != 0
	e, ok := t.entries[clientKey{string(a.client), host, proved}]
	if !ok {
		if full := t.full(host, proved); full != ackNew {
			t.sweep(at, idle)
			if full = t.full(host, proved); full != ackNew {
				return full
			}
		}
		e = &clientEntry{first: a.id, last: a.id}
		t.entries[clientKey{string(a.client), host, proved}] = e
		t.count(host, proved, 1)
	} else if !e.mark(a.id) {
		return ackAgain
	}
	e.addr, e.lastAck, e.rtt = from, at, rtt
	e.acks++
	e.sumRTT += rtt
	return ackNew
}

// mark reports whether id had not been acknowledged before. What is more than 64 behind the newest
// counts as if it had.
func (e *clientEntry) mark(id uint64) bool {
	if id > e.last {
		// The old newest becomes bit shift-1; a shift of 64 or more leaves 0.
		shift := id - e.last
		e.before = e.before<<shift | 1<<(shift-1)
		e.last = id
		return true
	}
	behind := e.last - id
	if behind == 0 || behind > 64 || e.before>>(behind-1)&1 == 1 {
		return false
	}
	e.before |= 1 << (behind - 1)
	e.first = min(e.first, id)
	return true
}

// full returns why there is no room for another client of a host, ackNew if there is.
func (t *clientTable) full(host netip.Addr, proved bool) ackResult {
	switch {
	case len(t.entries) >= t.limit, !proved && t.made >= (t.limit+1)/2:
		return ackFull
	case t.hosts[host] >= t.share && !host.IsLoopback(): // which is nobody else's
		return ackShare
	}
	return ackNew
}

func (t *clientTable) count(host netip.Addr, proved bool, n int) {
	if t.hosts[host] += n; t.hosts[host] == 0 {
		delete(t.hosts, host)
	}
	if !proved {
		t.made += n
	}
}

// sweep removes idle clients, at most once a second since it looks at all of them.
func (t *clientTable) sweep(now, idle time.Time) {
	if now.Sub(t.swept) < time.Second {
		return
	}
	t.swept = now
	for key, e := range t.entries {
		if e.lastAck.Before(idle) {
			delete(t.entries, key)
			t.count(key.host, key.proved, -1)
		}
	}
}

// behind reports whether a client that proves what it says has not acknowledged a message.
func (t *clientTable) behind(id uint64) bool {
	for key, e := range t.entries {
		if key.proved && e.last < id {
			return true
		}
	}
	return false
}

// list returns the clients by id; messages up to settled should have been acknowledged by now.
func (t *clientTable) list(settled uint64) []ClientInfo {
	infos := make([]ClientInfo, 0, len(t.entries))
	for key, e := range t.entries {
		infos = append(infos, ClientInfo{
			ID:       key.id,
			Addr:     e.addr,
			Proved:   key.proved,
			Acks:     e.acks,
			LastID:   e.last,
			LastAck:  e.lastAck,
			RTT:      e.rtt,
			MeanRTT:  e.sumRTT / time.Duration(e.acks),
			Expected: max(settled, e.last) - e.first + 1,
		})
	}
	slices.SortFunc(infos, func(a, b ClientInfo) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), a.Addr.Compare(b.Addr))
	})
	return infos
}
