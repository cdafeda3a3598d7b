package service

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Segment is what a TCP header says besides the ports.
type Segment struct {
	Seq, Ack uint32
	Flags    byte
}

// The flags of a Segment (RFC 9293, section 3.1).
const (
	FlagFIN byte = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
)

// maxSegment is how much a segment holds: a packet of IP has 16 bits for its length.
const maxSegment = 32 << 10

// RecordedConn is a TCP connection whose bytes are recorded.
type RecordedConn struct {
	net.Conn
	tcp         *net.TCPConn
	to          Recorder
	local, peer netip.AddrPort

	mu        sync.Mutex
	out, in   uint32 // the next numbers of either side
	end, over bool   // that this side, and that the peer, has ended
}

// RecordConn returns a connection that records what goes through conn as segments of TCP, each as
// it is written or read at once, and before them a handshake, begun by this side if it has dialed.
// All numbers begin at 0. The time of the handshake is that of this call.
func RecordConn(to Recorder, conn *net.TCPConn, dialed bool) *RecordedConn {
	c := &RecordedConn{Conn: conn, tcp: conn, to: to, local: AddrOf(conn.LocalAddr()), peer: AddrOf(conn.RemoteAddr())}
	c.add(dialed, FlagSYN, nil, "")
	c.add(!dialed, FlagSYN|FlagACK, nil, "")
	c.add(dialed, FlagACK, nil, "")
	return c
}

// add records a segment, with mu held.
func (c *RecordedConn) add(sent bool, flags byte, b []byte, verdict string) {
	r := Recorded{At: time.Now(), From: c.peer, To: c.local, Sent: sent, Payload: b, Verdict: verdict}
	seq, ack := &c.in, c.out
	if sent {
		r.From, r.To = c.local, c.peer
		seq, ack = &c.out, c.in
	}
	if flags&FlagACK == 0 {
		ack = 0
	}
	r.TCP = &Segment{Seq: *seq, Ack: ack, Flags: flags}
	*seq += uint32(len(b))
	if flags&(FlagSYN|FlagFIN) != 0 {
		*seq++
	}
	c.to.Record(r)
}

// addAll records bytes.
func (c *RecordedConn) addAll(sent bool, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(b) > 0 {
		n := min(len(b), maxSegment)
		c.add(sent, FlagPSH|FlagACK, b[:n], "")
		b = b[n:]
	}
}

// finish records that a side has ended, once.
func (c *RecordedConn) finish(sent bool, flags byte, verdict string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ended := &c.over
	if sent {
		ended = &c.end
	}
	if !*ended {
		*ended = true
		c.add(sent, flags|FlagACK, nil, verdict)
	}
}

// Read implements net.Conn.
func (c *RecordedConn) Read(b []byte) (int, error) {
	n, err := c.tcp.Read(b)
	c.addAll(false, b[:n])
	if errors.Is(err, io.EOF) {
		c.finish(false, FlagFIN, "")
	} else if errors.Is(err, syscall.ECONNRESET) {
		c.finish(false, FlagRST, "")
	}
	return n, err
}

// Write implements net.Conn.
func (c *RecordedConn) Write(b []byte) (int, error) {
	c.addAll(true, b) // before the answer to it can be
	n, err := c.tcp.Write(b)
	if err != nil {
		c.finish(true, FlagRST, "not all of that has been sent: "+err.Error())
	}
	return n, err
}

// CloseWrite ends what this side sends.
func (c *RecordedConn) CloseWrite() error {
	c.finish(true, FlagFIN, "")
	return c.tcp.CloseWrite()
}

// Close implements net.Conn.
func (c *RecordedConn) Close() error {
	c.finish(true, FlagFIN, "")
	return c.tcp.Close()
}

// SetLinger is that of the TCPConn. With 0, Close resets the connection.
func (c *RecordedConn) SetLinger(sec int) error {
	if sec == 0 {
		c.finish(true, FlagRST, "")
	}
	return c.tcp.SetLinger(sec)
}
