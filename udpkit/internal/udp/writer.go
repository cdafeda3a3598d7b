package udp

import "net"

// Writer sends datagrams from a socket that is not connected, as many in one system call as there
// are: on Linux with sendmmsg(2), and with UDP_SEGMENT where several of one length follow one
// another to the same address. On other systems each is a call of its own. It is for one goroutine.
// Use [NewWriter].
type Writer struct {
	conn   *net.UDPConn
	queue  []outgoing
	joined []byte // the datagrams of AddParts
	system systemWriter
}

type outgoing struct {
	payload []byte
	path    Path
}

// NewWriter returns a writer to conn, which stays the caller's.
func NewWriter(conn *net.UDPConn) (*Writer, error) {
	w := &Writer{conn: conn}
	return w, w.init()
}

// Add appends a datagram to those that Flush sends. The payload must stay as it is until then.
func (w *Writer) Add(payload []byte, path Path) {
	w.queue = append(w.queue, outgoing{payload, path})
}

// AddParts appends a datagram that consists of head and body, which it copies: for the kernel, a
// second vector is more work than a thousand bytes are here (BenchmarkWriterParts).
func (w *Writer) AddParts(head, body []byte, path Path) {
	at := len(w.joined)
	w.joined = append(append(w.joined, head...), body...)
	w.Add(w.joined[at:], path) // right behind the one before, unless joined has moved
}

// Flush sends what was added, in that order, and calls done for each with the error of sending it,
// nil if the system took it. A write deadline and closing the socket fail the rest.
func (w *Writer) Flush(done func(path Path, err error)) {
	w.flush(done)
	clear(w.queue) // keeps no payload alive
	w.queue, w.joined = w.queue[:0], w.joined[:0]
}

// one sends the datagram at i alone.
func (w *Writer) one(i int, done func(Path, error)) {
	o := &w.queue[i]
	done(o.path, Send(w.conn, o.payload, o.path))
}
