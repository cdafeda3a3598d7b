package exercise

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/sequence"
)

// maxDrawn is how many datagrams are drawn of an exchange: the last ones, before it was seen that
// something is missing.
const maxDrawn = 20

// Exchange is what goes over the sockets of a check, as these see it: the last 500 datagrams of
// each. It is drawn where the answer is wrong. The zero value is empty. Its methods may be called
// by any goroutine.
type Exchange struct{ sequence.Tape }

// Report is [Report], and draws in a notebook what has gone over the sockets, below the sentence
// that says what is missing. A grader gets the sentence alone.
func (x *Exchange) Report(ctx context.Context, missing string, err error) error {
	reported := Report(ctx, missing, err)
	if err != nil || missing == "" || errors.Is(ctx.Err(), context.Canceled) || grading() || !gonbui.IsNotebook || x.Empty() {
		return reported
	}
	return errors.Join(reported, x.ShowEnd(maxDrawn))
}

// Side is a socket of a check.
type Side struct {
	role *sequence.Role
	own  netip.AddrPort
}

// Side begins to record a socket, by the name that it is drawn with.
func (x *Exchange) Side(name string, socket net.Addr) Side {
	return Side{x.Role(name), service.AddrOf(socket)}
}

// Sent notes a datagram that the socket sends.
func (s Side) Sent(to net.Addr, payload []byte) { s.record(true, to, payload, "") }

// Lost notes one that the socket would have sent, had the check not lost it.
func (s Side) Lost(to net.Addr, payload []byte) { s.record(true, to, payload, sequence.Lost) }

// Received notes one that the socket has received.
func (s Side) Received(from net.Addr, payload []byte) { s.record(false, from, payload, "") }

// Missed notes one that the socket would have received, had the check not lost it.
func (s Side) Missed(from net.Addr, payload []byte) { s.record(false, from, payload, sequence.Lost) }

func (s Side) record(sent bool, other net.Addr, payload []byte, verdict string) {
	from, to := service.AddrOf(other), s.own
	if sent {
		from, to = to, from
	}
	s.role.Record(service.Recorded{At: time.Now(), From: from, To: to, Sent: sent, Payload: payload, Verdict: verdict})
}

// Conn records a socket that is connected. Whoever has the Conn uses it as the socket.
func (x *Exchange) Conn(name string, socket net.Conn) net.Conn {
	return &recordedConn{socket, x.Side(name, socket.LocalAddr())}
}

type recordedConn struct {
	net.Conn
	side Side
}

// Read implements net.Conn.
func (c *recordedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil {
		c.side.Received(c.RemoteAddr(), b[:n])
	}
	return n, err
}

// Write implements net.Conn.
func (c *recordedConn) Write(b []byte) (int, error) {
	c.side.Sent(c.RemoteAddr(), b) // before the answer to it can be
	return c.Conn.Write(b)
}
