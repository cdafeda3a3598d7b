package key

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// MaxAge is how far a datagram's clock may be from the receiver's.
const MaxAge = time.Minute

// Why a datagram is refused.
var (
	ErrUnsigned = errors.New("it is not signed, and a key is set here")
	ErrForged   = errors.New("it is signed with another key, or forged")
	ErrExpired  = errors.New("it was signed more than a minute ago or ahead: it is a recording, or a clock is wrong")
	ErrRepeated = errors.New("it was sent once and came twice, or very late: it may be a recording")
)

// Refused counts what an Opener has refused, by reason.
type Refused struct {
	// Unsigned ones had no token where one belongs.
	Unsigned uint64 `json:"unsigned,omitempty"`
	// Forged ones were signed or sealed with another key, or damaged.
	Forged uint64 `json:"forged,omitempty"`
	// Expired ones had a clock that was more than MaxAge away.
	Expired uint64 `json:"expired,omitempty"`
	// Repeated ones had come before.
	Repeated uint64 `json:"repeated,omitempty"`
}

// String returns those of the counts that are not 0, such as "3 unsigned, 1 forged"; "" for none.
func (r Refused) String() string {
	var parts []string
	for _, p := range []struct {
		n    uint64
		what string
	}{{r.Unsigned, "unsigned"}, {r.Forged, "forged"}, {r.Expired, "expired"}, {r.Repeated, "repeated"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

func (r *Refused) count(err error) {
	switch err {
	case ErrUnsigned:
		r.Unsigned++
	case ErrForged:
		r.Forged++
	case ErrExpired:
		r.Expired++
	case ErrRepeated:
		r.Repeated++
	}
}

// sessions are the senders that an opener knows.
type sessions struct {
	max     int
	repeats bool
	began   time.Time
	known   map[uint64]*session
}

type session struct {
	heard  time.Time
	offset time.Duration // of the receiver's clock to the sender's
	seen   window
}

func newSessions(cfg OpenerConfig) sessions {
	return sessions{max: cmp.Or(cfg.Sessions, 1024), repeats: cfg.Repeats, began: time.Now(), known: make(map[uint64]*session)}
}

// check refuses what is too old or came before.
func (s *sessions) check(head *[headSize]byte, now time.Time) error {
	id := binary.BigEndian.Uint64(head[:])
	count := binary.BigEndian.Uint32(head[8:])
	sent := binary.BigEndian.Uint64(head[nonceSize:])
	if sent > 1<<62/uint64(time.Millisecond) { // out of what a clock says, and of a Duration
		return ErrExpired
	}
	at := time.UnixMilli(int64(sent))
	passed := s.began.Add(now.Sub(s.began)).Round(0).Sub(at) // by the clock of when this began
	of := s.known[id]
	if of == nil || (passed-of.offset).Abs() > MaxAge {
		if now.Round(0).Sub(at).Abs() > MaxAge {
			return ErrExpired
		}
		if of == nil {
			of = s.add(id)
		}
		of.offset = passed
	}
	of.heard = now
	of.offset = min(of.offset, passed)
	if !of.seen.add(count) && !s.repeats {
		return ErrRepeated
	}
	return nil
}

func (s *sessions) add(id uint64) *session {
	if len(s.known) >= s.max {
		var oldest uint64
		var heard time.Time
		for id, of := range s.known {
			if heard.IsZero() || of.heard.Before(heard) {
				oldest, heard = id, of.heard
			}
		}
		delete(s.known, oldest)
	}
	of := &session{}
	s.known[id] = of
	return of
}

const (
	windowWords = 16
	windowSize  = 64 * (windowWords - 1)
)

// window knows which of the newest windowSize counts have come (RFC 6479).
type window struct {
	any    bool
	newest uint32
	bits   [windowWords]uint64
}

// add reports whether a count comes for the first time and is not too old to tell.
func (w *window) add(n uint32) bool {
	word := n / 64
	switch {
	case !w.any:
		w.any, w.newest = true, n
	case n > w.newest:
		for i := w.newest/64 + 1; i <= word && i <= w.newest/64+windowWords; i++ {
			w.bits[i%windowWords] = 0
		}
		w.newest = n
	case w.newest-n > windowSize:
		return false
	}
	bit := uint64(1) << (n % 64)
	is := w.bits[word%windowWords]&bit == 0
	w.bits[word%windowWords] |= bit
	return is
}
