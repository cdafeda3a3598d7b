package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// The names of the two that talk.
const (
	Server = "server"
	Client = "client"
)

// Tape is a conversation between a server and a client. Times are since its start.
type Tape struct {
	Datagrams []Sent `json:"datagrams"`
	Events    []Mark `json:"events"`
}

// Sent is one datagram on its way.
type Sent struct {
	From string        `json:"from"` // Server or Client
	Text string        `json:"text"`
	At   time.Duration `json:"at_ns"`
	// Arrived is when it was read; 0: never.
	Arrived time.Duration `json:"arrived_ns"`
	// Lost reports whether it was thrown away, see [Socket.LoseNext].
	Lost bool `json:"lost"`
}

// The texts of marks.
const (
	Closed  = "closed"
	Timeout = "timeout"
)

// Mark is something else that happened to one of them.
type Mark struct {
	Who  string        `json:"who"`
	Text string        `json:"text"` // Closed or Timeout
	At   time.Duration `json:"at_ns"`
}

// maxRecorded bounds a tape: no picture shows more.
const maxRecorded = 100

// recorder writes a tape.
type recorder struct {
	mu    sync.Mutex
	start time.Time
	tape  Tape
}

// Socket is a UDP socket that keeps a record of what is sent and received. It is used as any
// net.PacketConn, by any number of goroutines.
type Socket struct {
	net.PacketConn
	name string
	rec  *recorder

	mu   sync.Mutex
	lose bool
}

// LoseNext makes the network lose the next datagram that this socket sends: the sender does not
// notice, as with any network.
func (s *Socket) LoseNext() {
	s.mu.Lock()
	s.lose = true
	s.mu.Unlock()
}

// WriteTo implements net.PacketConn.
func (s *Socket) WriteTo(payload []byte, to net.Addr) (int, error) {
	s.mu.Lock()
	lost := s.lose
	s.lose = false
	s.mu.Unlock()
	i := s.rec.sent(s.name, string(payload), lost)
	if lost {
		return len(payload), nil
	}
	n, err := s.PacketConn.WriteTo(payload, to)
	if err != nil {
		s.rec.unsend(i)
	}
	return n, err
}

// ReadFrom implements net.PacketConn.
func (s *Socket) ReadFrom(buffer []byte) (int, net.Addr, error) {
	n, from, err := s.PacketConn.ReadFrom(buffer)
	switch {
	case err == nil:
		s.rec.arrived(s.name, string(buffer[:n]))
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.rec.mark(s.name, Timeout)
	}
	return n, from, err
}

// Close implements net.PacketConn.
func (s *Socket) Close() error {
	err := s.PacketConn.Close()
	if err == nil { // the first time
		s.rec.mark(s.name, Closed)
	}
	return err
}

// sent notes a datagram that is about to be sent, and returns its number.
func (r *recorder) sent(from, text string, lost bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.tape.Datagrams) < maxRecorded {
		r.tape.Datagrams = append(r.tape.Datagrams, Sent{From: from, Text: text, At: time.Since(r.start), Lost: lost})
		return len(r.tape.Datagrams) - 1
	}
	return -1
}

// unsend notes that the system did not take a datagram.
func (r *recorder) unsend(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i >= 0 {
		r.tape.Datagrams[i].Lost = true
	}
}

// arrived notes that a datagram was read: the oldest such one that is on its way.
func (r *recorder) arrived(to, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.tape.Datagrams {
		d := &r.tape.Datagrams[i]
		// A reader with a short buffer sees the beginning.
		if d.From != to && d.Arrived == 0 && !d.Lost && len(d.Text) >= len(text) && d.Text[:len(text)] == text {
			d.Arrived = time.Since(r.start)
			return
		}
	}
}

func (r *recorder) mark(who, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.tape.Events) < maxRecorded {
		r.tape.Events = append(r.tape.Events, Mark{who, text, time.Since(r.start)})
	}
}

// Record opens a socket for a server and one for a client on the loopback interface, lets play use
// them, closes them, which ends whoever still waits, and writes what happened to a file that
// [ReadTape] and the plots read. The end of ctx closes both sockets too, and is no error.
func Record(ctx context.Context, file string, play func(server, client *Socket) error) error {
	r := &recorder{start: time.Now()}
	server, err := r.open(Server)
	if err != nil {
		return err
	}
	defer server.Close() // what happens at the second time does not matter
	client, err := r.open(Client)
	if err != nil {
		return err
	}
	defer client.Close()
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = client.Close()
		_ = server.Close()
	})
	err = play(server, client)
	if !stop() {
		<-interrupted
		err = nil // the sockets were closed while play used them
	}
	_ = client.Close()
	_ = server.Close()
	return errors.Join(err, r.write(file))
}

func (r *recorder) open(name string) (*Socket, error) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot open the socket of the %s: %w", name, err)
	}
	return &Socket{PacketConn: conn, name: name, rec: r}, nil
}

func (r *recorder) write(file string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return exercise.Write(file, r.tape)
}

// ReadTape returns what Record wrote. The error wraps [exercise.ErrNothing] if it has not run.
func ReadTape(file string) (Tape, error) { return exercise.Read[Tape](file) }
