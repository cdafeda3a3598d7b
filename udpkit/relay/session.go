package relay

import (
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

const (
	// maxFlight is the most datagrams that are under way to a reader.
	maxFlight = 256
	// firstWindow is how many it is at first (RFC 6928), minWindow after losses.
	firstWindow = 10
	minWindow   = 2
	// Bounds of the time after which a datagram that is not acknowledged is sent again, and its
	// first value (RFC 6298, but for the bounds: these are for LANs).
	minTimeout   = 20 * time.Millisecond
	firstTimeout = 250 * time.Millisecond
	maxTimeout   = 2 * time.Second
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

	path     udp.Path // to its address, from the one that it asked
	since    time.Time
	heard    time.Time
	messages uint64 // delivered to it, or stored of it
	gone     bool   // no longer registered
	leaving  bool
	record   ClientRecord // as it was saved last

	// A reader's.
	next    uint64   // it has all before
	done    uint64   // they are delivered, all before
	sent    uint64   // all before were sent
	room    uint64   // messages after next that it has room for
	flight  []flying // what was sent and is not acknowledged, from next to sent
	backlog []item   // what comes next and is older than the cache
	fetches bool     // more of it is being read
	ready   bool     // it is among Server.ready
	resent  uint64
	congestion
	tokens float64 // bytes that it may be sent at once
	filled time.Time

	// A writer's.
	expected uint64 // the number to come
	stored   uint64 // all to here are stored
	seqs     [2 * maxUnstored]uint64
}

// flying is an item under way.
type flying struct {
	item
	at    time.Time // when it was sent last
	tries int
	state flight
}

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

func newReaderSession(next uint64, now time.Time) session {
	return session{
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
			if f.tries == 1 { // else it is not known which of them it was (Karn)
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
	if f.Next > s.sent { // it was registered by a hello that had been under way for long
		s.flight, s.pipe, s.losses, s.backlog = s.flight[:0], 0, 0, nil
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
	}
	return late
}

// fill gives the reader what of its pace has come up since.
func (s *session) fill(pace int, now time.Time) {
	s.tokens = min(maxBurst, s.tokens+float64(pace)*now.Sub(s.filled).Seconds())
	s.filled = now
}

// send sends what is due to the reader by add, at most limit datagrams, and reports whether more
// could go now. Those that must be fetched first are asked for by fetch.
func (s *session) send(c *cache, limit int, now time.Time, add func(head, body []byte, path udp.Path), fetch func(*session)) (n, again int, more bool) {
	put := func(f *flying) {
		head := s.data[:]
		if f.gap {
			head = s.gaps[:]
		}
		add(head, f.body, s.path)
		f.at, f.state = now, underWay
		f.tries++
		s.tokens -= float64(relaywire.HeaderSize + len(f.body))
		s.pipe++
		n++
	}
	allowed := func() bool { return s.pipe < int(s.window) && s.tokens > 0 }
	for i := 0; s.losses > 0; i++ {
		if f := &s.flight[i]; f.state == lost {
			if !allowed() || n == limit {
				return n, again, allowed()
			}
			s.losses--
			put(f)
			s.resent++
			again++
		}
	}
	for allowed() && s.sent < c.end && s.sent < s.next+s.room && len(s.flight) < 2*maxFlight {
		if n == limit {
			return n, again, true
		}
		for len(s.backlog) > 0 && s.backlog[0].end <= s.sent {
			s.backlog = s.backlog[1:]
		}
		var i item
		switch {
		case len(s.backlog) > 0:
			i = s.backlog[0]
		case s.sent < c.first():
			if !s.fetches {
				s.fetches = true
				fetch(s)
			}
			return n, again, false
		default:
			i = c.at(s.sent)
		}
		if !i.gap && i.end > s.next+s.room { // it would be refused, and sent again after ever longer timeouts
			s.room = 0 // until the reader has more, which it says
			return n, again, false
		}
		s.flight = append(s.flight, flying{item: i})
		s.sent = i.end
		put(&s.flight[len(s.flight)-1])
	}
	return n, again, false
}
