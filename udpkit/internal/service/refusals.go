package service

import (
	"errors"
	"net/netip"
	"slices"
	"time"
)

// ErrMalformed marks a datagram that is not what a wire format allows. It is the ErrMalformed of
// all packages.
var ErrMalformed = errors.New("malformed datagram")

// Malformed is an ErrMalformed that says why. Reasons are constants: as an error such a one costs
// no allocation, however many datagrams are refused for it.
type Malformed string

func (m Malformed) Error() string { return ErrMalformed.Error() + ": " + string(m) }

// Unwrap returns ErrMalformed.
func (Malformed) Unwrap() error { return ErrMalformed }

const (
	// refusedAgain is the least time between two times that the same refusal is told.
	refusedAgain = time.Minute
	// maxRefused bounds the sources and reasons that are told apart.
	maxRefused = 64
)

// Refused is to be told: datagrams of one source were refused for one reason. Roles have an event
// of the same fields.
type Refused struct {
	From   netip.AddrPort // not valid: of several, more than are told apart
	Reason string         // a short sentence without its end, for people
	Count  uint64         // since the last time that it was told
	Err    error          // the reason
	At     time.Time
}

// Refusals decides what is told of refused datagrams: a reason of a source at once, and after that
// once a minute how many came since. Its memory is bounded, and so is how often it tells: of more
// than 64 sources and reasons a minute, those of a reason are told as one. Reasons are errors that
// were made once, so it allocates nothing for what it does not tell. The zero value works. It is
// for one goroutine at a time.
type Refusals struct {
	// ByHost takes all ports of a host for one source, and tells the last one.
	ByHost  bool
	tallies map[refusal]*tally
	next    time.Time // when one of them is due
}

type refusal struct {
	from   netip.AddrPort
	reason error
}

type tally struct {
	from  netip.AddrPort
	told  time.Time
	count uint64 // since then
}

// Note takes a refused datagram, and returns what is to be told now.
func (r *Refusals) Note(from netip.AddrPort, reason error, now time.Time) []Refused {
	due := r.Due(now)
	key := refusal{from, reason}
	if r.ByHost {
		key.from = netip.AddrPortFrom(from.Addr(), 0)
	}
	t, ok := r.tallies[key]
	if !ok && len(r.tallies) >= maxRefused {
		from, key.from = netip.AddrPort{}, netip.AddrPort{}
		t, ok = r.tallies[key]
	}
	if ok {
		t.from = from
		t.count++
		return due
	}
	if r.tallies == nil {
		r.tallies = make(map[refusal]*tally)
	}
	if len(r.tallies) == 0 {
		r.next = now.Add(refusedAgain)
	}
	t = &tally{from: from, told: now, count: 1}
	r.tallies[key] = t
	return append(due, t.tell(reason, now))
}

// Due returns what has not been told for a minute, and forgets what has not come again since.
func (r *Refusals) Due(now time.Time) []Refused {
	if now.Before(r.next) {
		return nil
	}
	return r.tell(now, refusedAgain)
}

// Rest returns all that has not been told, for the end of a run.
func (r *Refusals) Rest(now time.Time) []Refused { return r.tell(now, 0) }

// tell tells of those that were told that long ago.
func (r *Refusals) tell(now time.Time, ago time.Duration) (due []Refused) {
	r.next = now.Add(refusedAgain)
	for key, t := range r.tallies {
		switch {
		case now.Sub(t.told) < ago:
			if at := t.told.Add(refusedAgain); at.Before(r.next) {
				r.next = at
			}
		case t.count == 0:
			delete(r.tallies, key)
		default:
			due = append(due, t.tell(key.reason, now))
		}
	}
	slices.SortFunc(due, func(a, b Refused) int { return a.From.Compare(b.From) })
	return due
}

func (t *tally) tell(err error, now time.Time) Refused {
	r := Refused{From: t.from, Reason: err.Error(), Count: t.count, Err: err, At: now}
	if m := Malformed(""); errors.As(err, &m) {
		r.Reason = string(m)
	}
	t.told, t.count = now, 0
	return r
}
