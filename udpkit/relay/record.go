package relay

import (
	"net"
	"net/netip"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// Recorder is told each datagram that a server, a reader or a writer receives and sends, signed or
// sealed as it is on its way. A record.File is one.
type Recorder = service.Recorder

// record has a server record what it sends.
func (s *Server) record() {
	to, own := s.cfg.Record, s.Addr()
	if to == nil {
		return
	}
	reply := s.reply
	s.reply = func(b []byte, path udp.Path) error {
		at := time.Now()
		err := reply(b, path)
		if err == nil {
			to.Record(service.Recorded{At: at, From: service.At(own, path.From), To: path.To, Sent: true, Payload: b})
		}
		return err
	}
	s.carrier = &recordedCarrier{carrier: s.carrier, to: to, own: own}
}

// recordedCarrier records what another one sends.
type recordedCarrier struct {
	carrier
	to      Recorder
	own     netip.AddrPort
	content []byte
	ends    []int // of each datagram in content
}

// AddParts implements carrier.
func (c *recordedCarrier) AddParts(head, body []byte, path udp.Path) {
	c.content = append(append(c.content, head...), body...)
	c.ends = append(c.ends, len(c.content))
	c.carrier.AddParts(head, body, path)
}

// Flush implements carrier.
func (c *recordedCarrier) Flush(done func(udp.Path, error)) {
	at, i, begin := time.Now(), 0, 0
	c.carrier.Flush(func(path udp.Path, err error) {
		if err == nil {
			c.to.Record(service.Recorded{At: at, From: service.At(c.own, path.From), To: path.To, Sent: true, Payload: c.content[begin:c.ends[i]]})
		}
		begin = c.ends[i]
		i++
		done(path, err)
	})
	c.content, c.ends = c.content[:0], c.ends[:0]
}

// heard records what a server has received and handled.
func (s *Server) heard(d *udp.Datagram) {
	if s.cfg.Record == nil {
		return
	}
	s.mu.Lock()
	refused := s.judged
	s.judged = nil
	s.mu.Unlock()
	to := service.At(s.Addr(), d.To)
	s.cfg.Record.Record(service.Recorded{At: d.Received, From: d.Source, To: to, Payload: d.Payload, Verdict: service.Verdict(refused)})
}

// recorded returns how to send by a connected socket, which is recorded if there is a recorder.
func recorded(to Recorder, conn *net.UDPConn) func([]byte) error {
	return func(b []byte) error {
		at := time.Now()
		_, err := conn.Write(b)
		if err == nil && to != nil {
			to.Record(service.Recorded{At: at, From: service.AddrOf(conn.LocalAddr()), To: service.AddrOf(conn.RemoteAddr()), Sent: true, Payload: b})
		}
		return err
	}
}

// heardFrom records what a client has received and handled.
func (c *client) heardFrom(conn *net.UDPConn, d *udp.Datagram) {
	if c.tape == nil {
		return
	}
	c.mu.Lock()
	refused := c.judged
	c.judged = nil
	c.mu.Unlock()
	c.tape.Record(service.Recorded{
		At: d.Received, From: d.Source, To: service.AddrOf(conn.LocalAddr()), Payload: d.Payload, Verdict: service.Verdict(refused),
	})
}
