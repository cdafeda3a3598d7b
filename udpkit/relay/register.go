package relay

import (
	"context"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/names"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

type nameKey struct {
	role     Role
	skeleton string
}

func keyOf(role Role, name string) nameKey { return nameKey{role, names.Skeleton(name)} }

// claim is how the log knows the name.
func (k nameKey) claim() string { return k.role.String() + "." + k.skeleton }

// hello takes a registration. Until the address is proved nothing is kept of it.
func (s *Server) hello(f *relaywire.Frame, from udp.Path) {
	period := uint32(time.Since(s.begun) / cookiePeriod)
	shown := binary.BigEndian.Uint32(f.Cookie[:])
	want := s.cookieFor(shown, f, from.To)
	if shown != period && shown+1 != period || !hmac.Equal(want[:], f.Cookie[:]) {
		s.mu.Lock()
		s.stats.Challenged++
		s.mu.Unlock()
		s.answer((&relaywire.Frame{Kind: relaywire.Challenge, ID: f.ID, Cookie: s.cookieFor(period, f, from.To)}).Append(nil), from)
		return
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	id, role := ID(f.ID), Role(f.Role)
	switch owner := s.byName[keyOf(role, f.Name)]; {
	case s.registering[id]:
	case owner != nil && owner.id != id:
		s.refuse(f, from, relaywire.NameTaken)
	case s.sessions[id] != nil && s.sessions[id] != owner:
		s.refuseDatagram(from.To, errTwo)
	case owner != nil && owner.leaving:
	case owner != nil:
		owner.heard = now
		moved := owner.path.To != from.To
		s.count(owner.path.To, -1)
		s.count(from.To, 1)
		owner.path = from
		if moved {
			s.events.Emit(JoinEvent{Role: role, Username: f.Name, Client: from.To, Next: owner.next, Moved: true, At: now})
		}
		s.welcome(owner, f.Try)
		s.makeReady(owner)
	case len(s.sessions)+len(s.registering) >= s.cfg.MaxClients:
		s.refuse(f, from, relaywire.Full)
	case s.sources[from.To.Addr()] >= s.cfg.share(from.To.Addr()):
		s.refuse(f, from, relaywire.SameAddress)
	case len(s.registering) >= maxRegistering:
		s.stats.Busy++
	case s.ctx.Err() == nil:
		s.registering[id] = true
		s.count(from.To, 1)
		hello := *f
		s.work.Go(func() { s.register(&hello, from) })
	}
}

// count notes how many clients an address has, with mu held.
func (s *Server) count(from netip.AddrPort, more int) {
	addr := from.Addr()
	if s.sources[addr] += more; s.sources[addr] == 0 {
		delete(s.sources, addr)
	}
}

// refuse says no, with mu held.
func (s *Server) refuse(f *relaywire.Frame, to udp.Path, reason uint8) {
	s.stats.Refused[reasons[reason]]++
	s.send(&relaywire.Frame{Kind: relaywire.Refuse, ID: f.ID, Reason: reason, Expire: s.cfg.Expire}, to)
}

// welcome confirms a registration, with mu held.
func (s *Server) welcome(c *session, try uint32) {
	first, last := s.bounds()
	f := relaywire.Frame{Kind: relaywire.Welcome, ID: uint64(c.id), Try: try, Next: c.next, First: first, Last: last, Log: s.log.ID(), Expire: s.cfg.Expire}
	if c.role == RoleWriter {
		f.Next = c.stored + 1
	} else { // it may be ahead of what this server knows of the log
		f.Last = max(last, c.next-1)
	}
	s.send(&f, c.path)
}

// send sends a datagram at once, with mu held.
func (s *Server) send(f *relaywire.Frame, to udp.Path) {
	if s.say(f.Append(nil), to) != nil {
		s.stats.SendErrors++
	}
}

// register asks the log about a client whose address is proved, and lets it in.
func (s *Server) register(f *relaywire.Frame, from udp.Path) {
	ctx, cancel := context.WithTimeout(s.ctx, logPatience)
	defer cancel()
	key := keyOf(Role(f.Role), f.Name)
	c, err := s.admit(ctx, f, from)
	now := time.Now()
	if err != nil && !errors.Is(err, ErrNameTaken) && s.ctx.Err() == nil {
		s.report(clients, err)
	}
	s.mu.Lock()
	delete(s.registering, ID(f.ID))
	admitted := false
	switch {
	case errors.Is(err, ErrNameTaken):
		s.refuse(f, from, relaywire.NameTaken)
	case c == nil:
		s.refuse(f, from, relaywire.StoreFails)
	case s.byName[key] != nil: // in the meantime
		s.refuse(f, from, relaywire.NameTaken)
	default:
		c.path, c.since, c.heard = from, now, now
		s.sessions[c.id], s.byName[key] = c, c
		if c.role == RoleReader {
			before := s.share()
			s.readers = append(s.readers, c)
			if share := s.share(); share < before {
				for _, other := range s.readers {
					other.shrink(share)
				}
			}
			s.makeReady(c)
		}
		s.stats.Registered++
		e := JoinEvent{Role: c.role, Username: c.name, Client: from.To, At: now}
		if c.role == RoleReader {
			e.Next = c.next
		}
		s.events.Emit(e)
		s.welcome(c, f.Try)
		admitted = true
	}
	if !admitted {
		s.count(from.To, -1)
	}
	s.mu.Unlock()
	s.pump()
	if admitted {
		s.keep(ctx, c, false)
	}
}

// admit makes a session of what the log knows. With the session it returns an error if the log
// cannot give it its name now: then the other clients here decide whether that is free.
func (s *Server) admit(ctx context.Context, f *relaywire.Frame, from udp.Path) (*session, error) {
	id, role := ID(f.ID), Role(f.Role)
	limited, cancel := context.WithTimeout(ctx, claimPatience)
	defer cancel()
	claim := s.log.Claim(limited, keyOf(role, f.Name).claim(), id, s.cfg.Expire)
	if errors.Is(claim, ErrNameTaken) {
		return nil, claim
	}
	record, err := s.log.Client(ctx, role, f.Name)
	if err != nil {
		return nil, err
	}
	c := &session{}
	if role == RoleWriter {
		last, seqs, err := s.log.Stored(ctx, id, f.At)
		if err != nil {
			return nil, err
		}
		c.stored = max(last, max(f.At, 1)-1)
		c.expected = c.stored + 1
		c.seqs = make([]uint64, 2*maxUnstored)
		for i, seq := range seqs {
			c.setSeq(max(f.At, 1)+uint64(i), seq)
		}
	} else {
		next, err := s.beginning(ctx, f, record)
		if err != nil {
			return nil, err
		}
		c = newReaderSession(next, time.Now())
		if f.From == relaywire.FromAt && f.Log == s.log.ID() && record.Next > 0 {
			c.done = min(next, record.Next) // what it has got may wait to be delivered; it will tell
		}
	}
	c.role, c.name, c.id, c.claimed = role, f.Name, id, claim == nil
	c.keeping = make(chan struct{}, 1)
	s.keyed.session(c)
	relaywire.Begin(c.data[:0], relaywire.Data, f.ID)
	relaywire.Begin(c.gaps[:0], relaywire.Gap, f.ID)
	if record.Username == "" {
		record = ClientRecord{Role: role, Username: f.Name, Registered: time.Now()}
	}
	record.Run, record.Addr, record.Seen, record.Next = id, from.To.String(), time.Now(), c.done
	c.record = record
	return c, claim
}

// beginning returns the first message for a reader.
func (s *Server) beginning(ctx context.Context, f *relaywire.Frame, record ClientRecord) (uint64, error) {
	s.mu.Lock()
	first, last := s.bounds()
	s.mu.Unlock()
	next := first
	switch {
	case f.From == relaywire.FromNow:
		next = last + 1
	case f.From == relaywire.FromAt && (f.Log == s.log.ID() || f.Log == 0):
		next = f.At
	case f.From == relaywire.FromLast && record.Next > 0:
		next = record.Next
	}
	if next > last+1 {
		// This server may be behind others; or the log has lost what the reader has seen.
		m, err := s.log.Read(ctx, next-1, 1)
		if err != nil {
			return 0, err
		}
		if len(m) == 0 || m[0].Seq != next-1 {
			_, last = s.log.Bounds()
			next = last + 1
		}
	}
	return max(next, 1), nil
}

// watch looks for timeouts and for clients that are gone, until ctx ends.
func (s *Server) watch(ctx context.Context) {
	expiries := time.Now()
	for {
		s.mu.Lock()
		now := time.Now()
		busy := false
		for _, c := range s.readers {
			if c.pipe > 0 {
				busy = true
				if !c.timedOut(now) {
					continue
				}
			}
			if len(c.flight) > 0 || c.sent < s.cache.end && c.room > 0 { // it may have waited for its pace
				busy = true
				s.makeReady(c)
			}
		}
		if now.Sub(expiries) >= time.Second {
			expiries = now
			s.tellRefused(s.refusals.Due(now))
			for _, c := range s.sessions {
				if now.Sub(c.heard) > s.cfg.Expire && !c.leaving {
					s.remove(c, ReasonExpired)
				}
			}
		}
		pause, sent := time.Second, s.sent
		if busy {
			pause, sent = tick, nil
		}
		waiting := len(s.ready) > 0
		s.mu.Unlock()
		if waiting {
			s.pump()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		case <-sent:
		}
	}
}

// leave removes a client that says so, once what is known of it is saved, with mu held.
func (s *Server) leave(c *session, done uint64) {
	if c.leaving || s.ctx.Err() != nil {
		return
	}
	if c.role == RoleReader && done <= c.sent {
		c.done = max(c.done, done)
	}
	c.leaving = true
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), closing)
		defer cancel()
		s.keep(ctx, c, true)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.remove(c, ReasonLeft)
		_ = s.say(relaywire.Begin(nil, relaywire.Bye, uint64(c.id)), c.path)
	})
}

// remove takes a client out of the tables, with mu held.
func (s *Server) remove(c *session, reason Reason) {
	if c.gone {
		return
	}
	c.gone = true
	s.count(c.path.To, -1)
	delete(s.sessions, c.id)
	delete(s.byName, keyOf(c.role, c.name))
	s.readers = slices.DeleteFunc(s.readers, func(r *session) bool { return r == c })
	s.stats.Left[reason]++
	s.events.Emit(LeaveEvent{Role: c.role, Username: c.name, Client: c.path.To, Reason: reason, At: time.Now()})
	if reason == ReasonExpired && s.ctx.Err() == nil {
		s.work.Go(func() {
			ctx, cancel := context.WithTimeout(s.ctx, logPatience)
			defer cancel()
			s.keep(ctx, c, false) // its name is free when the claim ends: it may have another server by now
		})
	}
}

// keep saves what is known of a client if that has changed, and at its end gives back its name.
func (s *Server) keep(ctx context.Context, c *session, end bool) {
	select {
	case c.keeping <- struct{}{}:
		defer func() { <-c.keeping }()
	case <-ctx.Done():
		return
	}
	s.mu.Lock()
	record := c.record
	record.Seen = time.Now().Add(-time.Since(c.heard))
	record.Addr = c.path.To.String()
	changed := end || c.gone || !c.saved || c.role == RoleReader && record.Next != c.done
	if c.role == RoleReader {
		record.Next = c.done
	}
	s.mu.Unlock()
	var err error
	if !c.claimed {
		err = s.log.Claim(ctx, keyOf(c.role, c.name).claim(), c.id, s.cfg.Expire)
		c.claimed = err == nil
	}
	if changed && err == nil {
		var had ClientRecord
		if had, err = s.log.Client(ctx, c.role, c.name); had.Run == c.id {
			record.Next = max(record.Next, had.Next) // the client may have gone on through another server
		}
		if err == nil && (had.Run == c.id || !c.saved) { // else somebody else has the name by now
			err = s.log.SaveClient(ctx, record)
			c.saved = c.saved || err == nil
		}
	}
	if errors.Is(err, ErrNameTaken) {
		return // through another server, see save
	}
	if end {
		err = errors.Join(err, s.log.Release(ctx, keyOf(c.role, c.name).claim(), c.id))
	}
	if ctx.Err() == nil {
		s.report(clients, err)
	}
	if err == nil && changed && c.saved {
		s.mu.Lock()
		c.record = record
		s.mu.Unlock()
	}
}

// save saves what is known of clients and renews their names, until ctx ends.
func (s *Server) save(ctx context.Context) {
	pause := min(saving, s.cfg.Expire/3)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		for _, c := range s.all() {
			if c.silent(&s.mu) > pause { // let its claim end too
				continue
			}
			limited, cancel := context.WithTimeout(ctx, logPatience)
			err := s.log.Claim(limited, keyOf(c.role, c.name).claim(), c.id, s.cfg.Expire)
			if err == nil {
				s.keep(limited, c, false)
			}
			cancel()
			switch {
			case ctx.Err() != nil:
				return
			case errors.Is(err, ErrNameTaken): // through another server, when this one could not renew it
				s.mu.Lock()
				s.remove(c, ReasonExpired)
				s.mu.Unlock()
			case err != nil:
				s.report(clients, err)
			}
		}
	}
}

// silent returns for how long a client was not heard.
func (c *session) silent(mu *sync.Mutex) time.Duration {
	mu.Lock()
	defer mu.Unlock()
	return time.Since(c.heard)
}

// all returns the clients that are registered and do not leave.
func (s *Server) all() (sessions []*session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.sessions {
		if !c.leaving {
			sessions = append(sessions, c)
		}
	}
	return sessions
}

// farewell saves what is known of clients, until ctx ends, and tells them that the server ends.
func (s *Server) farewell(ctx context.Context) {
	for _, c := range s.all() {
		s.keep(ctx, c, true)
		_ = s.say(relaywire.Begin(nil, relaywire.Bye, uint64(c.id)), c.path) // a closed socket: they will notice
	}
}
