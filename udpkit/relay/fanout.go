package relay

import (
	"context"
	"math/bits"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// carrier sends datagrams in batches: udp.Writer, or a network of a test.
type carrier interface {
	AddParts(head, body []byte, path udp.Path)
	Flush(done func(path udp.Path, err error))
}

// news puts new messages into the cache and has them sent by pump, with mu held.
func (s *Server) news(messages []Message) {
	end := s.cache.end
	if s.cache.add(messages); s.cache.end == end {
		return
	}
	for _, c := range s.readers {
		s.makeReady(c)
	}
}

// follow puts the log's new messages into the cache, until ctx ends.
func (s *Server) follow(ctx context.Context) {
	have := func() uint64 {
		s.appending <- struct{}{} // what is being stored here will be there without being read
		defer func() { <-s.appending }()
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.cache.end - 1
	}
	for ctx.Err() == nil {
		works := time.AfterFunc(retrying, func() { s.report(following, nil) })
		err := s.log.Follow(ctx, have, func(messages []Message) {
			s.report(following, nil)
			s.mu.Lock()
			s.news(messages)
			s.mu.Unlock()
			s.pump()
		})
		works.Stop()
		if ctx.Err() != nil {
			return
		}
		s.report(following, err)
		select {
		case <-ctx.Done():
		case <-time.After(retrying):
		}
	}
}

// makeReady has pump look at a reader, with mu held.
func (s *Server) makeReady(c *session) {
	if c.role == RoleReader && !c.ready {
		c.ready = true
		s.ready = append(s.ready, c)
	}
}

// pump sends to readers what is due, in turns. Whoever calls it while another does returns at once,
// and the other looks again.
func (s *Server) pump() {
	s.wanted.Store(true)
	for s.wanted.Load() && s.sending.TryLock() {
		for s.wanted.Swap(false) {
			for s.round() {
			}
		}
		s.sending.Unlock()
	}
}

// maxRound is about how many datagrams wait in memory to be given to the system.
const maxRound = 4096

// round gives readers their turn, those that did not have it longest first, and reports whether
// there is more to do.
func (s *Server) round() (more bool) {
	now := time.Now()
	s.mu.Lock()
	var sent, again, turns int
	ready := s.ready
	left := ready[:0]
	share := s.share()
	for turns < len(ready) && sent < maxRound {
		c := ready[turns]
		turns++
		if c.gone {
			c.ready = false
			continue
		}
		c.fill(s.cfg.Pace, now)
		n, resent, more := c.send(s, min(burst, maxRound-sent), share, now)
		sent += n
		again += resent
		if c.ready = more; more {
			left = append(left, c)
		}
	}
	s.ready = append(append(s.spare[:0], ready[turns:]...), left...)
	clear(ready)
	s.spare = ready[:0]
	s.stats.Sent += uint64(sent)
	s.stats.Resent += uint64(again)
	more = len(s.ready) > 0
	answers := len(s.answers)
	for _, a := range s.answers {
		s.carry(a.to.sender, a.b, nil, a.to.path)
	}
	clear(s.answers)
	s.answers = s.answers[:0]
	s.mu.Unlock()
	if sent > 0 {
		signal(s.sent)
	}
	if sent+answers > 0 {
		if failed := s.flush(); failed > 0 {
			s.mu.Lock()
			s.stats.SendErrors += failed
			s.mu.Unlock()
		}
	}
	return more
}

// share returns how many datagrams may be listed as under way to each reader, with mu held. It
// changes when there are twice or half as many.
func (s *Server) share() int {
	return min(2*maxFlight, max(firstWindow, maxFlying>>bits.Len(uint(len(s.readers)))))
}
