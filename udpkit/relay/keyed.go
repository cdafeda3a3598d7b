package relay

import (
	"cmp"
	"fmt"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// What is signed with a shared key is for one purpose: a server takes nothing from servers.
const (
	fromServers = "relay server"
	fromClients = "relay client"
)

// plain reports whether a datagram is one of the relay's as it is.
func plain(b []byte) bool {
	_, err := relaywire.Parse(b)
	return err == nil
}

// foreign says why Parse has refused a datagram.
func foreign(b []byte) error {
	if n := len(b) - key.BinarySigned; n > 0 && plain(b[:n]) {
		return key.ErrSigned
	}
	return cmp.Or(key.Needed(b, key.Binary), error(errNotRelay))
}

// room returns how long what is signed or sealed may be.
func room(ring *key.Ring) int {
	if ring == nil {
		return MaxDatagram
	}
	return MaxDatagram - key.BinarySealed
}

// body returns how many bytes may follow the header of a data datagram, and runs how many runs fit
// into a stored datagram.
func (s *Server) body() int { return room(s.cfg.Key) - relaywire.HeaderSize }

func (s *Server) runs() int {
	return min(relaywire.MaxRuns, (room(s.cfg.Key)-relaywire.HeaderSize-relaywire.StoredStart)/relaywire.RunSize)
}

// keyed is what a server with a key signs with, and opens.
type keyed struct {
	ring   *key.Ring
	seal   bool
	opener *key.Opener // of the one who reads

	mu     sync.Mutex
	sender *key.Sender // of what goes at once, with mu held

	// What pump has collected, and signs when Server.mu is free.
	unsigned []unsigned
	content  []byte
	signed   []byte
}

// unsigned is the next so many bytes of keyed.content.
type unsigned struct {
	size int
	by   *key.Sender
	path udp.Path
}

func newKeyed(cfg *ServerConfig) *keyed {
	if cfg.Key == nil {
		return nil
	}
	return &keyed{
		ring: cfg.Key, seal: cfg.Seal,
		opener: cfg.Key.Opener(key.OpenerConfig{Purpose: fromClients, Form: key.Binary, Unsigned: plain, Sessions: 2 * cfg.MaxClients}),
		sender: cfg.Key.Sender(fromServers, key.Binary, cfg.Seal),
	}
}

// open returns what a client has sent, false if it is not to be believed.
func (s *Server) open(b []byte, from udp.Path) (content []byte, ok bool) {
	now := time.Now()
	content, err := s.keyed.opener.Open(b, now)
	if err != nil {
		s.mu.Lock()
		s.stats.Untrusted = s.keyed.opener.Refused()
		s.judged = err
		s.tellRefused(s.refusals.Note(from.To, err, now))
		s.mu.Unlock()
	}
	return content, err == nil
}

// longer returns how many bytes longer a datagram is than what it says.
func (k *keyed) longer() int {
	if k == nil {
		return 0
	}
	return k.sender.Overhead()
}

// say sends a datagram at once.
func (s *Server) say(b []byte, path udp.Path) error {
	if k := s.keyed; k != nil {
		k.mu.Lock()
		b = k.sender.Append(make([]byte, 0, len(b)+key.BinarySealed), b)
		k.mu.Unlock()
	}
	return s.reply(b, path)
}

// session gives a client what its datagrams of pump are signed with: it counts them, and a client
// takes what is up to 960 of them late, which is more than is ever under way to it.
func (k *keyed) session(c *session) {
	if k != nil {
		c.sender = k.ring.Sender(fromServers, key.Binary, k.seal)
	}
}

// carry has a datagram to a client sent by flush, with Server.mu and Server.sending held.
func (s *Server) carry(by *key.Sender, head, body []byte, path udp.Path) {
	k := s.keyed
	if k == nil {
		s.carrier.AddParts(head, body, path)
		return
	}
	k.content = append(append(k.content, head...), body...)
	k.unsigned = append(k.unsigned, unsigned{len(head) + len(body), by, path})
}

// flush sends what is carried, with Server.sending held, and returns how many the system did not
// take. Datagrams of one length stay that.
func (s *Server) flush() (failed uint64) {
	if k := s.keyed; k != nil {
		at := 0
		for i := range k.unsigned {
			u := &k.unsigned[i]
			k.signed = u.by.Append(k.signed[:0], k.content[at:at+u.size]) // a buffer for all: there are many senders
			s.carrier.AddParts(k.signed, nil, u.path)
			at += u.size
		}
		clear(k.unsigned)
		k.unsigned, k.content = k.unsigned[:0], k.content[:0]
	}
	s.carrier.Flush(func(_ udp.Path, err error) {
		if err != nil {
			failed++
		}
	})
	return failed
}

// trust has a client take only what is signed with a key, and sign what it sends.
func (c *client) trust(ring *key.Ring, seal bool) error {
	c.sender = ring.Sender(fromClients, key.Binary, seal)
	c.opener = ring.Opener(key.OpenerConfig{Purpose: fromServers, Form: key.Binary, Unsigned: plain})
	c.room = room(ring)
	_, err := ring.Protection(seal)
	return err
}

// say sends a datagram, with mu held.
func (c *client) say(b []byte) { c.send(c.sender.Datagram(b)) }

// unanswered says that no server answers, and what may be the reason; with mu held.
func (c *client) unanswered(since string) string {
	why := "; still trying"
	if c.opener != nil {
		why = ": does it have the same key? Still trying"
	}
	return fmt.Sprintf("no answer from %v %s%s", c.server, since, why)
}

// silence is that in a list of reasons.
func (c *client) silence() string {
	why := ""
	if c.opener != nil {
		why = " (does it have the same key?)"
	}
	return fmt.Sprintf("no answer from %v%s", c.server, why)
}
