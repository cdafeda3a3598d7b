package measure

import "time"

// Offset is how far another clock is ahead of one's own, as far as four times tell.
type Offset struct {
	Ahead time.Duration
	// Delay is the time under way, there and back: the true offset is within half of it.
	Delay time.Duration
	at    time.Time
}

// FourTimes returns the offset of RFC 5905, 8, from when a question was sent and its answer came,
// by one's own clock, and when the question came and its answer was sent, by the other clock, in
// nanoseconds of Unix time, none before 1970. It reports false if no network can have done that.
func FourTimes(sent, arrived, left, came int64) (o Offset, ok bool) {
	if min(sent, arrived, left, came) < 0 || left < arrived || came-sent < left-arrived {
		return o, false
	}
	o.Ahead = time.Duration((arrived-sent)/2 + (left-came)/2) // each half, as the sum may overflow
	o.Delay = time.Duration(came - sent - (left - arrived))
	return o, true
}

const (
	// kept is how many offsets a Clock chooses from, as many as RFC 5905 has it.
	kept = 8
	// drift is what two clocks may diverge by: 50 us a second, 25 for each.
	drift = 50e-6
)

// Clock keeps the newest offsets of another clock. The zero value has none. It is not safe for
// concurrent use.
type Clock struct {
	newest [kept]Offset
	n      int
}

// Add adds an offset as it was at a time. One that all before it cannot have led to says that a
// clock was set: it begins anew.
func (c *Clock) Add(o Offset, at time.Time) {
	o.at = at
	if ahead, within, ok := c.At(at); ok && (o.Ahead-ahead).Abs() > within+o.within(at) {
		c.n = 0
	}
	c.newest[c.n%kept] = o
	c.n++
}

// At returns the offset that is known best at a time, and what the true one is within of it, while
// the clocks diverge by 50 us a second at the most. ok is false if none is known.
func (c *Clock) At(now time.Time) (ahead, within time.Duration, ok bool) {
	for _, o := range c.newest[:min(c.n, kept)] {
		if w := o.within(now); !ok || w < within {
			ahead, within, ok = o.Ahead, w, true
		}
	}
	return ahead, within, ok
}

// within is half of the delay and the drift since, and the nanosecond that halves may lose.
func (o Offset) within(now time.Time) time.Duration {
	return o.Delay/2 + time.Duration(drift*float64(max(0, now.Sub(o.at)))) + 1
}
