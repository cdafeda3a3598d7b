package referee

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// status is what a server has sent.
type status struct {
	id        uint64
	state     string
	timestamp string
	delivered bool
	late      bool
}

// caster is a server of the referee's.
type caster struct {
	t      *trial
	socket *socket
	states []string // no other server has them
	first  uint64
	next   uint64
	sent   []*status
}

// caster opens a server whose first status has that id.
func (t *trial) caster(name string, first uint64, states ...string) (*caster, error) {
	s, err := t.loopback(name)
	return &caster{t: t, socket: s, states: states, first: first, next: first}, err
}

func (c *caster) payload() (*status, []byte) {
	s := &status{id: c.next, state: c.states[int(c.next)%len(c.states)], timestamp: time.Now().Format("2006-01-02T15:04:05.000000")}
	c.next++
	// As the course's server writes it, with the spaces of Python's json.dumps.
	return s, fmt.Appendf(nil, `{"timestamp": %q, "state": %q, "message_id": %d}`, s.timestamp, s.state, s.id)
}

// cast sends a status, and waits until it is acknowledged, or for the time between two.
func (c *caster) cast() error {
	s, payload := c.payload()
	s.delivered, s.late = c.socket.send(payload, c.t.place)
	c.sent = append(c.sent, s)
	_, err := c.t.wait(pace, func() bool { return s.late || c.t.acknowledged(c, s) > 0 })
	return err
}

// acknowledged returns how often a status was. It is for t.mu held.
func (t *trial) acknowledged(c *caster, s *status) (n int) {
	for _, d := range t.log {
		if !d.sent && d.socket == c.socket {
			if a, err := udpkit.DecodeAck(d.payload); err == nil && a.MessageID == s.id {
				n++
			}
		}
	}
	return n
}

// shown returns the lines that show a status. It is for t.mu held.
func (t *trial) shown(s *status) (all []line) {
	id := strconv.FormatUint(s.id, 10)
	for _, l := range t.lines() {
		if strings.Contains(l.text, s.timestamp) || has(l.text, id) && strings.Contains(l.text, s.state) {
			all = append(all, l)
		}
	}
	return all
}

// again returns the lines that show a status in the same words, and of several such kinds the
// rarest. A program may show a status in one line, dump each datagram in another, and say in a
// third that a copy was not shown.
func again(lines []line) (rarest []line) {
	kinds := make(map[string][]line)
	for _, l := range lines {
		text := l.text[strings.LastIndexByte(l.text, '\r')+1:] // behind what turns while it waits
		words := strings.Join(strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) }), " ")
		kinds[words] = append(kinds[words], l)
	}
	for _, kind := range kinds {
		if rarest == nil || len(kind) < len(rarest) {
			rarest = kind
		}
	}
	return rarest
}

// has reports whether a status was delivered in a datagram.
func (d datagram) has(c *caster, s *status) bool {
	return d.sent && !d.lost && d.socket == c.socket && strings.Contains(string(d.payload), fmt.Sprintf(`"message_id": %d}`, s.id))
}

// reached returns the datagrams in which a status was delivered. It is for t.mu held.
func (t *trial) reached(c *caster, s *status) (all []string) {
	for _, d := range t.log {
		if d.has(c, s) {
			all = append(all, fmt.Sprint("datagram ", d.number))
		}
	}
	return all
}

// castAll has several servers send in turns, and returns what they have sent then.
func (t *trial) castAll(n int, servers ...*caster) (all []*caster, err error) {
	for _, s := range servers {
		s.sent = nil
	}
	for range n {
		for _, s := range servers {
			if err := s.cast(); err != nil {
				return nil, err
			}
		}
	}
	return servers, nil
}
