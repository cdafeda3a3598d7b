package concurrency

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
)

// SpeedResult is how quick both are on the loopback interface.
type SpeedResult struct {
	Rounds int     `json:"rounds"`
	Rows   []Speed `json:"rows"`
}

// Speed is how quick one way to send is.
type Speed struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	Piece    int    `json:"piece"` // bytes in each write
	// First are the times from opening a socket to the first answer on it, and Next those from a
	// question to its answer on one that has been used before.
	First []time.Duration `json:"first_ns,omitempty"`
	Next  []time.Duration `json:"next_ns,omitempty"`
	Full  []FullSpeed     `json:"full"` // each round
}

// FullSpeed is what came of sending as fast as the system takes it.
type FullSpeed struct {
	Sent     int           `json:"sent"`     // bytes
	Received int           `json:"received"` // bytes
	Took     time.Duration `json:"took_ns"`  // until the last was received
}

// Rate returns the median data rate that arrived, in bytes a second.
func (s Speed) Rate() float64 {
	var rates []float64
	for _, f := range s.Full {
		rates = append(rates, float64(f.Received)/f.Took.Seconds())
	}
	return measure.Median(rates)
}

// P50First returns the median time to the first answer.
func (s Speed) P50First() time.Duration { return measure.Median(s.First) }

// P50Next returns the median time to each further answer.
func (s Speed) P50Next() time.Duration { return measure.Median(s.Next) }

// Lost returns the share of the data that did not arrive, in the median round.
func (s Speed) Lost() float64 {
	var shares []float64
	for _, f := range s.Full {
		shares = append(shares, 1-float64(f.Received)/float64(f.Sent))
	}
	return measure.Median(shares)
}

// SpeedConfig says how much is measured. What is 0 is the default.
type SpeedConfig struct {
	Rounds int           // that take turns; 1 to 50, default 5
	First  int           // new sockets in a round, each asked one question; 1 to 1000, default 40
	Next   int           // questions in a round on a socket used before; 1 to 10,000, default 400
	Full   time.Duration // at full speed in a round; up to 2 s, default 200 ms
	Piece  int           // bytes in each write, of both protocols; 100 to 65,507, default 1200
}

func (c SpeedConfig) withDefaults() (SpeedConfig, error) {
	c.Rounds = cmp.Or(c.Rounds, 5)
	c.First = cmp.Or(c.First, 40)
	c.Next = cmp.Or(c.Next, 400)
	c.Full = cmp.Or(c.Full, 200*time.Millisecond)
	c.Piece = cmp.Or(c.Piece, 1200)
	return c, cmp.Or(within("Rounds", c.Rounds, 1, 50), within("First", c.First, 1, 1000), within("Next", c.Next, 1, 10_000),
		within("Full", c.Full, time.Millisecond, 2*time.Second), within("Piece", c.Piece, 100, mostPiece))
}

// longPiece is what a stream may be written in as well.
const longPiece = 64 << 10

// Speeds measures round trips and data rates of both protocols on the loopback interface, in rounds
// that take turns. The results are added to file. The error wraps [ErrConfig] for sizes that are
// out of range.
func Speeds(ctx context.Context, file string, cfg SpeedConfig) error {
	sizes, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	r := SpeedResult{Rounds: sizes.Rounds, Rows: []Speed{
		{Name: "TCP", Protocol: "tcp", Piece: sizes.Piece},
		{Name: "UDP", Protocol: "udp", Piece: sizes.Piece},
		{Name: "TCP, long writes", Protocol: "tcp", Piece: longPiece},
	}}
	return experiment(ctx, file, "speed", &SpeedResult{}, func(news func(any)) error {
		for range sizes.Rounds {
			for i := range r.Rows {
				if err := errors.Join(r.Rows[i].measure(ctx, sizes), ctx.Err()); err != nil {
					return err
				}
			}
		}
		news(&r)
		return nil
	}, func(all *Results) { all.Speed = &r })
}

// measure adds a round.
func (s *Speed) measure(ctx context.Context, sizes SpeedConfig) error {
	if s.Piece != longPiece { // the time of an answer is that of the row above
		if err := s.ask(ctx, sizes); err != nil {
			return err
		}
	}
	sender, receiver, err := Pair(s.Protocol)
	if err != nil {
		return err
	}
	f, err := full(ctx, sender, receiver, s.Piece, sizes.Full)
	s.Full = append(s.Full, f)
	return errors.Join(err, closed(sender.Close()), closed(receiver.Close()))
}

// ask adds the round trips of a round.
func (s *Speed) ask(ctx context.Context, sizes SpeedConfig) (err error) {
	server, err := listen(s.Protocol, netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		return err
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		echoAll(server)
	}()
	defer func() {
		err = errors.Join(err, server.Close())
		<-served
	}()
	for range sizes.First {
		began := time.Now()
		if err := ask(ctx, s.Protocol, server.port()); err != nil {
			return err
		}
		s.First = append(s.First, time.Since(began))
	}
	conn, err := net.Dial(s.Protocol+"4", server.port().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := make([]byte, 100)
	for range sizes.Next {
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		began := time.Now()
		if _, err := conn.Write([]byte(question)); err != nil {
			return err
		}
		if _, err := conn.Read(buf); err != nil {
			return err
		}
		s.Next = append(s.Next, time.Since(began))
	}
	return ctx.Err()
}

// echoAll answers until the server is closed, for TCP one client after the other.
func echoAll(s server) {
	buf := make([]byte, 100)
	for s.udp != nil {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		_, _ = s.udp.WriteToUDPAddrPort(buf[:n], from) // a lost answer is noticed
	}
	for {
		conn, err := s.Accept()
		if err != nil {
			return
		}
		_, _ = io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{conn}, buf)
		_ = conn.Close()
	}
}

// full sends for a time as fast as it can.
func full(ctx context.Context, sender, receiver net.Conn, piece int, length time.Duration) (f FullSpeed, err error) {
	stop := context.AfterFunc(ctx, func() { _ = errors.Join(sender.Close(), receiver.Close()) })
	defer stop()
	done := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(done)
		buf := make([]byte, max(piece, 64<<10))
		for {
			n, err := receiver.Read(buf)
			if err != nil {
				return
			}
			f.Received += n
			f.Took = time.Since(began)
		}
	}()
	for b := make([]byte, piece); time.Since(began) < length && err == nil; {
		var n int
		n, err = sender.Write(b)
		f.Sent += n
	}
	if tcp, ok := sender.(*net.TCPConn); ok {
		err = errors.Join(err, tcp.CloseWrite())
	} else {
		err = errors.Join(err, receiver.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	}
	<-done
	if f.Received == 0 {
		err = errors.Join(err, errors.New("nothing arrived"))
	}
	return f, err
}
