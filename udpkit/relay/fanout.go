package relay

import (
	"context"
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

// round gives each reader its turn and reports whether there is more to do.
func (s *Server) round() (more bool) {
	now := time.Now()
	s.mu.Lock()
	var sent, again int
	ready := s.ready
	left := ready[:0]
	for _, c := range ready {
		if c.gone {
			c.ready = false
			continue
		}
		c.fill(s.cfg.Pace, now)
		n, resent, more := c.send(&s.cache, burst, now, s.carrier.AddParts, s.fetch)
		sent += n
		again += resent
		if c.ready = more; more {
			left = append(left, c)
		}
	}
	clear(ready[len(left):])
	s.ready = left
	s.stats.Sent += uint64(sent)
	s.stats.Resent += uint64(again)
	more = len(left) > 0
	answers := len(s.answers)
	for _, a := range s.answers {
		s.carrier.AddParts(a.b, nil, a.to)
	}
	clear(s.answers)
	s.answers = s.answers[:0]
	s.mu.Unlock()
	if sent > 0 {
		signal(s.sent)
	}
	if sent+answers > 0 {
		failed := uint64(0)
		s.carrier.Flush(func(_ udp.Path, err error) {
			if err != nil {
				failed++
			}
		})
		if failed > 0 {
			s.mu.Lock()
			s.stats.SendErrors += failed
			s.mu.Unlock()
		}
	}
	return more
}

// fetch has a reader's next messages read from the log, with mu held.
func (s *Server) fetch(c *session) {
	if s.ctx.Err() != nil {
		return
	}
	from := c.sent
	s.work.Go(func() {
		select {
		case s.fetches <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(s.ctx, logPatience)
		messages, err := s.log.Read(ctx, from, fetchMessages)
		cancel()
		<-s.fetches
		if err != nil && s.ctx.Err() == nil {
			s.report(reading, err)
			select {
			case <-time.After(retrying):
			case <-s.ctx.Done():
			}
		} else if err == nil {
			s.report(reading, nil)
		}
		s.mu.Lock()
		c.fetches = false
		if err != nil {
			s.stats.FetchErrors++
		} else {
			c.backlog = s.backlog(from, messages)
		}
		s.makeReady(c)
		s.mu.Unlock()
		s.pump()
	})
}

// backlog makes items of what was read, with mu held: a gap where messages are missing, and nothing
// of what the cache has.
func (s *Server) backlog(from uint64, messages []Message) (items []item) {
	cached := s.cache.first()
	for i, m := range messages {
		if m.Seq >= cached {
			messages = messages[:i]
			break
		}
	}
	switch {
	case len(messages) == 0 && from < cached:
		return append(items, gapItem(from, cached))
	case len(messages) == 0:
		return nil
	case messages[0].Seq > from:
		items = append(items, gapItem(from, messages[0].Seq))
	}
	var p packer
	return p.pack(items, messages)
}
