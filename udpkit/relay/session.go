package relay

import (
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

const (
	// maxFlight is the most datagrams that are under way to a reader. Readers share maxFlying/2 to
	// maxFlying of which it is listed that they are, with flyingSize bytes each: 28 MiB.
	maxFlight = 256
	maxFlying = 1 << 19
	// firstWindow is how many it is at first (RFC 6928), minWindow after losses.
	firstWindow = 10
	minWindow   = 2
	// Bounds of the time after which a datagram that is not acknowledged is sent again, and its
	// first value (RFC 6298, but for the bounds: these are for LANs).
	minTimeout   = 20 * time.Millisecond
	firstTimeout = 250 * time.Millisecond
	maxTimeout   = 2 * time.Second
	// forgetting is after how many timeouts in a row a reader has nothing under way any more: its
	// next answer tells where it is.
	forgetting = 5
	// maxBurst is how much of its pace a reader can save up.
	maxBurst = 256 << 10
)

// session is a registered client. Server.mu guards it, but for the first lines.
type session struct {
	role Role
	name string
	id   ID
	data [relaywire.HeaderSize]byte // headers of datagrams to it
	gaps [relaywire.HeaderSize]byte

	path     udp.Path    // to its address, from the one that it asked
	sender   *key.Sender // of what pump sends to it, for whoever holds Server.sending; nil: there is no key
	since    time.Time
	heard    time.Time
	messages uint64 // delivered to it, or stored of it
	gone     bool   // no longer registered
	leaving  bool
	record   ClientRecord // as it was saved last, or is to be

	keeping chan struct{} // holds a token while it is saved, which guards the next two
	claimed bool          // the log has given it its name
	saved   bool          // the log has its record

	// A reader's.
	next    uint64   // it has all before
	done    uint64   // they are delivered, all before
	sent    uint64   // all before were sent
	again   uint64   // all before were sent once at least
	room    uint64   // messages after next that it has room for
	flight  []flying // what was sent and is not acknowledged, from next to sent
	fetches bool     // what comes next is being read from the log
	ready   bool     // it is among Server.ready
	resent  uint64
	congestion
	tokens float64 // bytes that it may be sent at once
	filled time.Time

	// A writer's.
	expected uint64 // the number to come
	stored   uint64 // all to here are stored
	seqs     []uint64
}

// flying is an item under way. It keeps no message in memory.
type flying struct {
	stretch
	state flight
	again bool      // it was sent more than once
	at    time.Time // when it was sent last
}

// flyingSize is how many bytes a flying takes.
const flyingSize = 56

type flight uint8

const (
	underWay flight = iota
	got             // the reader has it, but not all before
	lost            // to be sent again
)

// congestion is how much may be under way to a reader, and how long an answer takes.
type congestion struct {
	window    float64 // datagrams
	threshold float64 // below it the window doubles each round trip, above it grows by one (RFC 5681)
	recovery  uint64  // losses before this number have been reacted to
	pipe      int     // datagrams under way
	losses    int     // datagrams that are lost and not sent again
	rtt       estimator
}

// estimator follows the round-trip time, as RFC 6298 does.
type estimator struct {
	smooth, deviation time.Duration
	backoff           int // timeouts in a row
}

func (e *estimator) sample(rtt time.Duration) {
	e.backoff = 0
	if e.smooth == 0 {
		e.smooth, e.deviation = rtt, rtt/2
		return
	}
	e.deviation += ((e.smooth - rtt).Abs() - e.deviation) / 4
	e.smooth += (rtt - e.smooth) / 8
}

// timeout returns how long to wait for an answer.
func (e *estimator) timeout() time.Duration {
	t := firstTimeout
	if e.smooth > 0 {
		t = max(minTimeout, e.smooth+4*e.deviation)
	}
	return min(maxTimeout, t<<min(e.backoff, 10))
}

func newReaderSession(next uint64, now time.Time) *session {
	return &session{
		next: next, done: next, sent: next, room: relaywire.MaxBody / relaywire.EntrySize, filled: now, tokens: maxBurst,
		congestion: congestion{window: firstWindow, threshold: maxFlight},
	}
}

// acked takes what a reader says it has: all before next, and all to highest but what is missing.
// It returns how many messages it has now that it had not, and how many it knows to be gone.
func (s *session) acked(f *relaywire.Frame, now time.Time) (delivered, gone uint64) {
	progress := 0
	var newest time.Time // when the last of what has arrived was sent
	arrived := func(f *flying) {
		switch f.state {
		case underWay:
			s.pipe--
		case lost:
			s.losses--
		}
		if f.at.After(newest) {
			newest = f.at
			if !f.again { // else it is not known which of them it was (Karn)
				s.rtt.sample(now.Sub(f.at))
			}
		}
		progress++
	}
	n := 0
	for n < len(s.flight) && s.flight[n].end <= f.Next {
		fly := &s.flight[n]
		if fly.state != got {
			arrived(fly)
		}
		count := fly.end - max(fly.first, s.next)
		if fly.gap {
			gone += count
		} else {
			delivered += count
		}
		s.next = fly.end
		n++
	}
	if n > 0 {
		s.flight = append(s.flight[:0], s.flight[n:]...)
	}
	if f.Next > s.sent { // it has what was sent before that was forgotten, or its hello had been under way for long
		if f.Next <= s.again {
			delivered += f.Next - s.next
		}
		s.flight, s.pipe, s.losses = s.flight[:0], 0, 0
		s.next, s.sent = f.Next, f.Next
	}
	// f.Next may be within a datagram: the reader began there.
	s.done = max(s.done, f.Done)
	s.room = uint64(f.Window)

	if f.Last >= f.Next && f.Last < s.sent {
		ranges := 0
		var begin, after uint64 // the range that the datagram is before, or in
		next := func() {
			begin, after = ^uint64(0), ^uint64(0) // beyond all
			if ranges < f.Count {
				gap := f.Missing(ranges)
				ranges++
				begin, after = uint64(gap.Offset), uint64(gap.Offset)+uint64(gap.Count)
			}
		}
		next()
		for i := range s.flight {
			fly := &s.flight[i]
			if fly.end > f.Last+1 {
				break
			}
			from, end := max(fly.first, f.Next)-f.Next, fly.end-f.Next
			for after <= from {
				next()
			}
			if end <= begin && fly.state != got {
				arrived(fly)
				fly.state = got
			}
		}
	}
	// What was sent well before something that has arrived is lost (RFC 8985).
	limit := newest.Add(-max(s.rtt.smooth/4, time.Millisecond))
	for i := range s.flight {
		if fly := &s.flight[i]; fly.state == underWay && fly.at.Before(limit) {
			s.lose(fly)
		}
	}
	for range progress {
		if s.window < s.threshold {
			s.window++
		} else {
			s.window += 1 / s.window
		}
	}
	s.window = min(s.window, maxFlight)
	return delivered, gone
}

// lose notes that a datagram is lost, and slows down once for all that were sent before that was
// known.
func (s *session) lose(f *flying) {
	f.state = lost
	s.pipe--
	s.losses++
	if f.first >= s.recovery {
		s.recovery = s.sent
		s.threshold = max(s.window/2, minWindow)
		s.window = s.threshold
	}
}

// timedOut takes for lost all that should have been acknowledged by now, and reports whether that
// was something.
func (s *session) timedOut(now time.Time) bool {
	if s.pipe == 0 {
		return false
	}
	limit := now.Add(-s.rtt.timeout())
	late := false
	for i := range s.flight {
		if f := &s.flight[i]; f.state == underWay && !f.at.After(limit) {
			s.lose(f)
			late = true
		}
	}
	if late {
		s.rtt.backoff++
		s.window = minWindow
		if s.rtt.backoff >= forgetting {
			s.back(0)
			s.flight = nil
		}
	}
	return late
}

// shrink has no more than so many datagrams listed as under way.
func (s *session) shrink(listed int) {
	if len(s.flight) > listed {
		s.back(listed)
	}
	if cap(s.flight) > listed {
		s.flight = slices.Clone(s.flight)
	}
}

// back has all sent anew from a flight on.
func (s *session) back(i int) {
	s.again = max(s.again, s.sent)
	s.sent = s.flight[i].first
	for _, f := range s.flight[i:] {
		switch f.state {
		case underWay:
			s.pipe--
		case lost:
			s.losses--
		}
	}
	s.flight = s.flight[:i]
}

// fill gives the reader what of its pace has come up since.
func (s *session) fill(pace int, now time.Time) {
	s.tokens = min(maxBurst, s.tokens+float64(pace)*now.Sub(s.filled).Seconds())
	s.filled = now
}

// send sends what is due to the reader, at most limit datagrams, of which at most listed are under
// way and known to have arrived. It returns how many, how many of them were sent before, and
// whether more could go now. Server.mu is held.
func (s *session) send(server *Server, limit, listed int, now time.Time) (n, again int, more bool) {
	put := func(f *flying, i *item) {
		head, body := s.data[:], i.from(f.first)
		if f.gap {
			head = s.gaps[:]
		}
		server.carry(s.sender, head, body, s.path)
		if f.again {
			s.resent++
			again++
		}
		f.at, f.state = now, underWay
		s.tokens -= float64(len(head) + len(body) + server.keyed.longer())
		s.pipe++
		n++
	}
	allowed := func() bool { return s.pipe < int(s.window) && s.tokens > 0 }
	for i := 0; s.losses > 0; i++ {
		f := &s.flight[i]
		if f.state != lost {
			continue
		}
		if !allowed() || n == limit {
			return n, again, allowed()
		}
		found, ok := server.find(f.first)
		if !ok {
			server.fetch(s, f.first)
			return n, again, false
		}
		if found.gap != f.gap || found.end != f.end { // it was deleted, or is packed in another way now
			s.back(i)
			break
		}
		s.losses--
		f.again = true
		put(f, &found)
	}
	for allowed() && s.sent < server.cache.end && s.sent < s.next+s.room && len(s.flight) < listed {
		if n == limit {
			return n, again, true
		}
		i, ok := server.find(s.sent)
		if !ok {
			server.fetch(s, s.sent)
			return n, again, false
		}
		if !i.gap && i.end > s.next+s.room { // it would be refused, and sent again after ever longer timeouts
			s.room = 0 // until the reader has more, which it says
			return n, again, false
		}
		if len(s.flight) == cap(s.flight) {
			s.flight = append(make([]flying, 0, min(listed, max(minWindow, 2*len(s.flight)))), s.flight...)
		}
		s.flight = append(s.flight, flying{stretch: stretch{s.sent, i.end, i.gap}, again: s.sent < s.again})
		s.sent = i.end
		put(&s.flight[len(s.flight)-1], &i)
	}
	return n, again, false
}
