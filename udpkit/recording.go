package udpkit

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// Recorder is told each datagram that a server or a client sends and receives, with what it has
// made of it. A record.File is one.
type Recorder = service.Recorder

// What is said of a datagram in a recording, besides why it is refused.
const (
	saidAgain     = "sent again"
	saidDuplicate = "duplicate"
	saidLate      = "late"
	saidRepaired  = "repaired"
)

// record has a client record what it sends.
func (c *Client) record() {
	if c.cfg.Record == nil {
		return
	}
	send := c.ack
	c.ack = func(b []byte, to netip.AddrPort) (int, error) {
		at := time.Now()
		n, err := send(b, to)
		if err == nil {
			c.cfg.Record.Record(service.Recorded{At: at, From: c.own, To: to, Sent: true, Payload: b})
		}
		return n, err
	}
}

// heard records what the client has received, with events and mu held.
func (c *Client) heard(d Datagram, verdict string) {
	if c.cfg.Record != nil {
		c.cfg.Record.Record(service.Recorded{At: d.Received, From: d.Source, To: service.At(c.taken.local, d.To), Payload: d.Payload, Verdict: verdict})
	}
}

// heardRefused is heard for what is refused.
func (c *Client) heardRefused(d Datagram, err error) {
	if c.cfg.Record != nil {
		c.heard(d, service.Verdict(err))
	}
}

// heardMessage is heard for a message that had not been seen. The gaps are those that it shows.
func (c *Client) heardMessage(d Datagram, v verdict, repaired bool, gaps []gap) {
	if c.cfg.Record == nil {
		return
	}
	var said []string
	if repaired {
		said = append(said, saidRepaired)
	} else if v == late {
		said = append(said, saidLate)
	}
	for _, g := range gaps {
		said = append(said, g.String())
	}
	c.heard(d, strings.Join(said, ", "))
}

// String returns the gap as a recording has it.
func (g gap) String() string {
	if g.from == g.to {
		return fmt.Sprintf("gap %d", g.from)
	}
	return fmt.Sprintf("gap %d-%d", g.from, g.to)
}

// record has a server record what it sends.
func (s *Server) record() {
	if s.cfg.Record == nil {
		return
	}
	write, own := s.write, s.Addr()
	s.write = func(b []byte, targets []udp.Target, done func(udp.Target, error)) {
		at := time.Now()
		write(b, targets, func(to udp.Target, err error) {
			if err == nil {
				r := service.Recorded{At: at, From: own, To: to.To, Sent: true, Payload: b}
				if s.again {
					r.Verdict = saidAgain
				}
				s.cfg.Record.Record(r)
			}
			done(to, err)
		})
	}
}

// heard records what the server has received.
func (s *Server) heard(d Datagram, again bool, err error) {
	if s.cfg.Record == nil {
		return
	}
	r := service.Recorded{At: d.Received, From: d.Source, To: service.At(s.Addr(), d.To), Payload: d.Payload}
	switch {
	case err != nil:
		r.Verdict = service.Verdict(err)
	case again:
		r.Verdict = saidDuplicate
	}
	s.cfg.Record.Record(r)
}
