package udpkit

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

const (
	// maxHoles is how many ranges of messages of a run a client waits for; more are gaps at once.
	maxHoles = 64
	// maxTries is how often a client asks for a range of which nothing comes, for 13 to 26 seconds:
	// where 20 % is lost both ways, 2 of 10^11 messages stay lost.
	maxTries = 24
	// firstPause is the least pause before the first question, for what was only overtaken, and
	// before the next one. It doubles up to longestPause, and is up to twice as long by chance, so
	// that not all clients ask at once.
	firstPause   = 20 * time.Millisecond
	longestPause = 640 * time.Millisecond
)

// maxCredit is how many questions a client saves up for a server. It may ask one for each message
// that it hears, and another one for each that comes back: whoever forges a server's messages makes
// it send no more than that to the address on them.
const maxCredit = 64

// hole is a range of messages that are missing, and that the server has been asked for, or will be.
type hole struct {
	gap
	tries int
	at    time.Time // of the next question
}

func (h *hole) wait(now time.Time) {
	pause := min(firstPause<<h.tries, longestPause)
	h.at = now.Add(pause + rand.N(pause))
}

// await has the client ask for what is missing before a message. It returns the gaps of what the
// server does not have any more, or what is too much.
func (r *run) await(gaps []gap, newest uint64, now time.Time) (lost []gap) {
	for _, g := range gaps {
		r.leave(g, func(*hole) {}) // the window reports anew what it has taken back
		if oldest := newest - min(newest, RepairRing-1); g.from < oldest {
			lost = append(lost, gap{g.from, min(g.to, oldest-1)})
			g.from = oldest
		}
		switch {
		case g.from > g.to:
		case len(r.holes) >= maxHoles:
			lost = append(lost, g)
		default:
			h := hole{gap: g}
			h.wait(now)
			r.holes = append(r.holes, h)
		}
	}
	return lost
}

// leave takes a range out of what is awaited. It reports whether some of it was.
func (r *run) leave(g gap, change func(*hole)) (was bool) {
	var rest []hole
	for _, h := range r.holes {
		if h.to < g.from || h.from > g.to {
			rest = append(rest, h)
			continue
		}
		was = true
		if h.from < g.from {
			left := h
			left.to = g.from - 1
			change(&left)
			rest = append(rest, left)
		}
		if h.to > g.to {
			h.from = g.to + 1
			change(&h)
			rest = append(rest, h)
		}
	}
	if was {
		r.holes = rest
	}
	return was
}

// fill takes a message out of what is awaited, and reports whether it was. The server answers, so
// the rest is asked for anew.
func (r *run) fill(id uint64, now time.Time) bool {
	was := r.leave(gap{id, id}, func(h *hole) {
		if h.tries > 0 {
			h.tries = 0
			h.wait(now)
		}
	})
	if was {
		r.credit++ // beside that of each message
	}
	return was
}

// ask calls send for each range that it is time to ask for, and returns what is given up, and when
// the next one is due; zero for never.
func (r *run) ask(now time.Time, send func(gap)) (lost []gap, next time.Time) {
	r.holes = slices.DeleteFunc(r.holes, func(h hole) bool {
		if h.tries < maxTries || now.Before(h.at) {
			return false
		}
		lost = append(lost, h.gap)
		return true
	})
	for i := range r.holes {
		h := &r.holes[i]
		if !now.Before(h.at) {
			if r.credit > 0 {
				send(h.gap)
				r.credit--
			}
			h.tries++
			h.wait(now)
		}
		if next.IsZero() || h.at.Before(next) {
			next = h.at
		}
	}
	return lost, next
}

// ask asks for what is missing, and tells what is given up.
func (c *Client) ask(now time.Time) {
	c.events.Lock()
	defer c.events.Unlock()
	c.mu.Lock()
	c.askAt = time.Time{}
	c.mu.Unlock()
	c.tellLost(now, func(r *run) []gap {
		lost, next := r.ask(now, func(g gap) {
			if udp.CheckPeer(r.from) != nil {
				return
			}
			c.summary.Questions++
			c.ackBuf = question{c.cfg.ID, g.from, g.to, r.key.epoch}.append(c.ackBuf[:0], c.sender.Overhead())
			_, _ = c.ack(c.sender.Datagram(c.ackBuf), r.from) // what fails is asked for again
		})
		c.askBy(next)
		return lost
	})
}

// askBy has the client ask at that time at the latest, with mu held.
func (c *Client) askBy(at time.Time) {
	if !at.IsZero() && (c.askAt.IsZero() || at.Before(c.askAt)) {
		c.askAt = at
		c.asker.Reset(time.Until(at))
	}
}

// giveUp tells all that is awaited as missing, with events held.
func (c *Client) giveUp() {
	c.tellLost(time.Now(), func(r *run) (lost []gap) {
		for _, h := range r.holes {
			lost = append(lost, h.gap)
		}
		r.holes = nil
		return lost
	})
}

// tellLost tells what lost returns of each run that awaits something, which it calls with mu held,
// as missing. The caller holds events.
func (c *Client) tellLost(now time.Time, lost func(*run) []gap) {
	c.mu.Lock()
	var events []Event
	for _, r := range c.runs.known {
		if len(r.holes) == 0 {
			continue
		}
		for _, g := range lost(r) {
			events = append(events, GapEvent{Server: r.from, Epoch: r.key.epoch, From: g.from, To: g.to, At: now})
		}
	}
	c.summary.Gaps += uint64(len(events))
	c.mu.Unlock()
	for _, e := range events {
		c.tell(e)
	}
}
