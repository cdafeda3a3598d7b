package udpkit

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"
)

const (
	// maxRuns bounds the server runs that go on and that duplicates, gaps and silences are kept
	// for, and maxNewcomers those of which one message has come.
	maxRuns      = 1024
	maxNewcomers = 1024
	// minInterval and maxInterval are the least and the longest interval that is believed.
	minInterval = time.Millisecond
	maxInterval = time.Hour
	// minTimeout is the shortest silence that is reported by default: a busy machine pauses for
	// longer than a short interval.
	minTimeout = time.Second
	// leastWait is how often silences are looked for at the most.
	leastWait = 10 * time.Millisecond
)

// runKey is one run of one server: its epoch, from whichever of its interfaces it comes; for a
// server that sends none, its address.
type runKey struct {
	epoch Epoch
	addr  netip.AddrPort
}

// run is what is known of a server's run.
type run struct {
	key     runKey
	from    netip.AddrPort // where the newest message came from
	first   time.Time      // when the first message came
	last    time.Time      // and the newest
	id, sum uint64         // of a message while there is no window: its id, and the hash of its content
	window  *window        // nil as long as one message has come
	// interval is the one that is believed, offered another one that was announced once.
	interval, offered time.Duration
	over              bool // it is silent or has ended, and that has been said
	ended             bool // it has said so itself
	lost              bool // it counts as forgotten
	place             int  // among the newcomers
	holes             []hole
	credit            int    // questions that it may be asked
	clock             clock  // the server's
	tally             *tally // a Monitor's; nil for a Client
}

// lastID returns the newest id that has come.
func (r *run) lastID() uint64 {
	if r.window == nil {
		return r.id
	}
	return r.window.next - 1
}

// announce takes the interval of a message. One that is announced for the first time in a run is
// believed, and another one when it comes twice.
func (r *run) announce(interval time.Duration) {
	if interval < minInterval || interval > maxInterval {
		return
	}
	if r.interval == 0 || interval == r.offered {
		r.interval = interval
	}
	r.offered = interval
}

// heard notes a message that is no duplicate. It reports whether the run may become silent earlier
// than was known.
func (r *run) heard(d Datagram, m *rawMessage, v verdict) (earlier bool) {
	earlier = r.over || r.last.IsZero() || m.interval != r.interval
	r.from, r.last = d.Source, d.Received
	r.credit = min(r.credit+1, maxCredit)
	if m.interval != r.interval || m.interval != r.offered {
		r.announce(m.interval)
	}
	if m.end {
		r.over, r.ended = true, true
	} else if r.over && v != late { // a late one is from before the end
		r.over, r.ended = false, false
	}
	return earlier
}

// timeout is how long the run may be silent.
func (r *run) timeout(fixed time.Duration) time.Duration {
	return cmp.Or(fixed, max(3*cmp.Or(r.interval, DefaultInterval), minTimeout))
}

// runs are the server runs that a client knows. A run that goes on is kept before new ones: it
// makes room only once it is silent. Most of what somebody forges are newcomers, which make room
// for one another.
type runs struct {
	known     map[runKey]*run
	newest    *run // heard last: mostly the next message is its too
	goingOn   int
	newcomers [maxNewcomers]*run // in the order in which they came; nil if it goes on
	next      int                // the place of the next newcomer
	noRoom    time.Time          // until then none of those that go on is silent
	timeout   time.Duration      // ClientConfig.Timeout
	forgotten uint64             // runs that were forgotten before they were silent
}

func newRuns(timeout time.Duration) runs {
	return runs{known: make(map[runKey]*run), timeout: timeout}
}

// of returns the run of a message, and whether it is a new one.
func (s *runs) of(epoch Epoch, from netip.AddrPort, now time.Time) (r *run, isNew bool) {
	key := runKey{epoch: epoch}
	if epoch == 0 {
		key.addr = from
	}
	if s.newest != nil && s.newest.key == key {
		return s.newest, false
	}
	if r = s.known[key]; r == nil {
		if old := s.newcomers[s.next]; old != nil {
			s.forget(old)
		}
		r, isNew = &run{key: key, first: now, place: s.next}, true
		s.known[key], s.newcomers[s.next] = r, r
		s.next = (s.next + 1) % maxNewcomers
	}
	s.newest = r
	return r, isNew
}

func (s *runs) forget(r *run) {
	delete(s.known, r.key)
	if s.newest == r {
		s.newest = nil
	}
	if r.window != nil {
		s.goingOn--
	}
	if !r.over || len(r.holes) > 0 {
		s.lose(r)
	}
	r.window, r.holes = nil, nil // a question for the time may still hold the run
}

// lose counts a run of which losses are not reported from now on, once.
func (s *runs) lose(r *run) {
	if !r.lost {
		r.lost = true
		s.forgotten++
	}
}

// goOn keeps a run of which a second message has come among those that go on. It reports whether
// there is room.
func (s *runs) goOn(r *run, now time.Time) bool {
	if s.goingOn == maxRuns && !s.makeRoom(now) {
		return false
	}
	s.newcomers[r.place] = nil
	s.goingOn++
	r.window = &window{epoch: r.key.epoch != 0}
	return true
}

// makeRoom forgets the run that has been silent for longest, of those that go on.
func (s *runs) makeRoom(now time.Time) bool {
	if now.Before(s.noRoom) {
		return false
	}
	var oldest *run
	for _, r := range s.known {
		if r.window != nil && (r.over || now.Sub(r.last) > r.timeout(s.timeout)) && (oldest == nil || r.last.Before(oldest.last)) {
			oldest = r
		}
	}
	if oldest == nil {
		s.noRoom = now.Add(minTimeout) // looking costs time
		return false
	}
	s.forget(oldest)
	return true
}

// observe takes a message of a run: its id and the hash of its content.
func (s *runs) observe(r *run, isNew bool, id, sum uint64, now time.Time) (v verdict, gaps []gap) {
	switch {
	case isNew:
		r.id, r.sum = id, sum
		return fresh, nil
	case r.window != nil:
	case id == r.id && sum == r.sum:
		return duplicate, nil
	case s.goOn(r, now):
		r.window.observe(r.id, r.sum)
	default:
		// All the places are taken by runs that go on: of this one nothing is known but its newest
		// message.
		s.lose(r)
		r.id, r.sum = id, sum
		return fresh, nil
	}
	return r.window.observe(id, sum)
}

// missing returns how many ids of a run count as missing.
func (r *run) missing() uint64 {
	if r.window == nil {
		return 0
	}
	return r.window.missing
}

// silent returns the runs that have become silent, and when the next one can be.
func (s *runs) silent(now time.Time) (silent []*run, next time.Duration) {
	next = s.none()
	for _, r := range s.known {
		if r.over {
			continue
		}
		timeout := r.timeout(s.timeout)
		if elapsed := now.Sub(r.last); elapsed < timeout {
			next = min(next, timeout-elapsed)
			continue
		}
		r.over = true
		silent = append(silent, r)
	}
	slices.SortFunc(silent, func(a, b *run) int { return a.last.Compare(b.last) })
	return silent, max(next, leastWait)
}

// none is how long a client that hears no server waits before it says so.
func (s *runs) none() time.Duration { return cmp.Or(s.timeout, 3*DefaultInterval) }

// succeeded reports whether a later run of the same host has been heard since a run's last message.
func (s *runs) succeeded(r *run) bool {
	for _, other := range s.known {
		if other.from.Addr() == r.from.Addr() && other.first.After(r.last) {
			return true
		}
	}
	return false
}

// watch reports silences.
func (c *Client) watch(ctx context.Context) {
	defer c.watchdog.Stop()
	defer c.asker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.watchdog.C:
			c.checkSilence(time.Now())
		case <-c.asker.C:
			c.ask(time.Now())
		}
	}
}

// lookIn has the watchdog look for silences after that time, with mu held.
func (c *Client) lookIn(now time.Time, wait time.Duration) {
	c.wake = now.Add(wait)
	c.watchdog.Reset(wait)
}

// checkSilence reports silences, and what is due of refused datagrams and forgotten runs.
func (c *Client) checkSilence(now time.Time) {
	c.events.Lock()
	defer c.events.Unlock()
	var events []Event
	c.mu.Lock()
	silent, wait := c.runs.silent(now)
	for _, r := range silent {
		if c.runs.succeeded(r) {
			events = append(events, EndEvent{Server: r.from, Epoch: r.key.epoch, LastID: r.lastID(), At: now})
		} else {
			events = append(events, TimeoutEvent{Server: r.from, Epoch: r.key.epoch, LastID: r.lastID(), Elapsed: now.Sub(r.last), At: now})
		}
	}
	if elapsed := now.Sub(c.began); c.summary.Servers == 0 && !c.deaf {
		if c.deaf = elapsed >= c.runs.none(); c.deaf {
			events = append(events, TimeoutEvent{Elapsed: elapsed, At: now})
		} else {
			wait = c.runs.none() - elapsed
		}
	}
	c.summary.Timeouts += uint64(len(events))
	c.lookIn(now, wait)
	c.mu.Unlock()
	for _, e := range events {
		c.tell(e)
	}
	c.tellRefused(c.refused.Due)
	c.tellForgotten(time.Minute)
}

// tellForgotten tells how many runs were forgotten, with events held, unless it did so within the
// time of pause.
func (c *Client) tellForgotten(pause time.Duration) {
	c.mu.Lock()
	now, count := time.Now(), c.runs.forgotten-c.told
	due := count > 0 && now.Sub(c.toldAt) >= pause
	if due {
		c.told, c.toldAt = c.runs.forgotten, now
	}
	c.mu.Unlock()
	if due {
		c.tell(ForgottenEvent{Runs: count, At: now})
	}
}
