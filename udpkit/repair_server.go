package udpkit

import (
	"bytes"
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

const (
	// gather is how long questions are gathered: what several clients miss is sent to all of them
	// at once.
	gather = 20 * time.Millisecond
	// underWay is how long what was sent to all again may be under way.
	underWay = 50 * time.Millisecond
	// askedPerSecond is how many questions of one host are answered in a second, and maxAskers how
	// many hosts are told apart.
	askedPerSecond = 100
	maxAskers      = 4096
	// repairsPerSecond is how many messages are sent again in a second, half a megabyte at the
	// most, and maxRepairs how many at once.
	repairsPerSecond = 500
	maxRepairs       = 500
	// reminders is how often the last message is sent again at the most.
	reminders = 10
)

// ring keeps the newest messages of a server as they were sent, and what is to be sent again.
type ring struct {
	sent   [RepairRing]kept
	longer int             // by how much a message is longer when it is sent
	wanted map[uint64]wish // by id
	budget float64
	filled time.Time
	asked  quota
}

// quota is what hosts have asked for in a second.
type quota struct {
	by     map[netip.Addr]int
	all    int
	second time.Time
}

// take takes one of a host, of as many in all. It reports whether it is not too many.
func (q *quota) take(host netip.Addr, now time.Time, all int) bool {
	if now.Sub(q.second) >= time.Second {
		clear(q.by)
		q.all, q.second = 0, now
	}
	if n, known := q.by[host]; n >= askedPerSecond || q.all >= all || !known && len(q.by) >= maxAskers {
		return false
	}
	q.by[host]++
	q.all++
	return true
}

type kept struct {
	id    uint64
	b     []byte
	again time.Time // when it was sent again
}

// wish is who wants a message.
type wish struct {
	by   netip.AddrPort
	many bool // others do too
}

func newRing(longer int) *ring {
	return &ring{longer: longer, wanted: make(map[uint64]wish), budget: maxRepairs, asked: quota{by: make(map[netip.Addr]int)}}
}

// keep keeps a message that is being sent. Its memory is used again for that of 1,024 ids later.
func (r *ring) keep(id uint64, b []byte) {
	k := &r.sent[id%RepairRing]
	k.id, k.b, k.again = id, append(k.b[:0], b...), time.Time{}
}

// get returns a message, nil if it is not kept.
func (r *ring) get(id uint64) *kept {
	if k := &r.sent[id%RepairRing]; k.b != nil && k.id == id {
		return k
	}
	return nil
}

// ask takes a question, with an answer of up to three times its length. It reports whether it is
// taken.
func (r *ring) ask(q question, from netip.AddrPort, now time.Time) bool {
	if !r.asked.take(from.Addr(), now, maxAskers*askedPerSecond) {
		return false
	}
	room := 3 * questionSize
	for id := q.from; id <= q.to && id-q.from < RepairRing; id++ {
		k := r.get(id)
		if k == nil {
			continue
		}
		if room -= len(k.b) + r.longer; room < 0 {
			break
		}
		w, wanted := r.wanted[id]
		r.wanted[id] = wish{from, wanted && (w.many || w.by != from)}
	}
	return true
}

// again returns what is to be sent now, and to whom: to all where many want it. What there is no
// budget for is counted in over; it is asked for again.
func (r *ring) again(now time.Time, all []udp.Target) (repairs []repair, over uint64) {
	if !r.filled.IsZero() {
		r.budget = min(maxRepairs, r.budget+repairsPerSecond*now.Sub(r.filled).Seconds())
	}
	r.filled = now
	for _, id := range slices.Sorted(maps.Keys(r.wanted)) {
		w, k := r.wanted[id], r.get(id)
		if k == nil || w.many && now.Sub(k.again) < underWay {
			continue
		}
		if r.budget < 1 {
			over++
			continue
		}
		r.budget--
		to := all
		if !w.many {
			to = []udp.Target{{Path: udp.Path{To: w.by}}}
		} else {
			k.again = now
		}
		repairs = append(repairs, repair{bytes.Clone(k.b), to})
	}
	clear(r.wanted)
	return repairs, over
}

// repair is a message that is sent again.
type repair struct {
	b  []byte
	to []udp.Target
}

// linger waits for AckWait. Nothing comes after the last message by which a client could find out
// that it misses it, so it is sent again while some client has not acknowledged it.
func (s *Server) linger(ctx context.Context, ticker *time.Ticker) {
	ticker.Reset(max(s.cfg.AckWait/reminders, time.Nanosecond))
	for range reminders {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.mu.Lock()
		last := s.nextID - 1
		missed := s.ring != nil && s.clients.behind(last)
		var again repair
		if missed {
			again = repair{bytes.Clone(s.ring.get(last).b), s.targets}
		}
		s.mu.Unlock()
		if missed {
			s.sendAgain([]repair{again})
		}
	}
}

// repair sends again what clients miss, until ctx ends.
func (s *Server) repair(ctx context.Context) {
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.asked:
		}
		timer.Reset(gather)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		s.mu.Lock()
		repairs, over := s.ring.again(time.Now(), s.targets)
		s.summary.NotRepaired += over
		s.mu.Unlock()
		s.sendAgain(repairs)
	}
}

func (s *Server) sendAgain(repairs []repair) {
	s.sending.Lock()
	defer s.sending.Unlock()
	s.again = true
	defer func() { s.again = false }()
	for _, r := range repairs {
		s.write(s.sender.Datagram(r.b), r.to, func(to udp.Target, err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if err != nil {
				s.summary.SendErrors++
			}
		})
	}
	s.mu.Lock()
	s.summary.Repairs += uint64(len(repairs))
	s.mu.Unlock()
}

// answer has messages sent again that a client asks for, or returns why not.
func (s *Server) answer(q question, d Datagram) error {
	s.mu.Lock()
	s.summary.Questions++
	err := udp.CheckPeer(d.Source)
	switch {
	case err != nil:
	case q.epoch != s.epoch:
		err = errOtherEpoch
	case !s.ring.ask(q, d.Source, d.Received):
		err = errTooOften
	}
	var told []service.Refused
	if err != nil {
		s.summary.RefusedAcks++
		told = s.refused.Note(d.Source, err, d.Received)
	}
	s.mu.Unlock()
	s.tellRefused(told)
	if err == nil {
		select {
		case s.asked <- struct{}{}:
		default:
		}
	}
	return err
}
