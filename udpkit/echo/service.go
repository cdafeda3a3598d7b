package echo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// ErrConfig is wrapped by errors about a configuration or an argument.
var ErrConfig = service.ErrConfig

const (
	// MaxPayload is the longest payload of a datagram in bytes: 65,535 that the length fields of
	// IPv4 and UDP can say, less their headers of 20 and 8 (RFC 791, RFC 768).
	MaxPayload = 65507
	// readBuffer is what a server asks the system to hold while it is busy, in bytes.
	readBuffer = 4 << 20
	// writeBuffer has room for the longest datagram on systems whose default has not (macOS: 9,216
	// bytes).
	writeBuffer = 128 << 10
)

// Recorder is told each datagram that a role receives and sends. A record.File is one.
type Recorder = service.Recorder

// answerer is what [Server] and [Responder] have in common.
type answerer struct {
	conn    *net.UDPConn
	reader  reader
	guard   *guard
	onEvent func(Event)
	record  Recorder // nil for none
	text    []byte   // the answer; nil for the payload itself
	work    time.Duration
	workers int // 0: one datagram at a time, on the goroutine that reads
	queue   int

	life   service.Life
	events sync.Mutex // held while onEvent runs

	mu    sync.Mutex
	stats ServerStats
}

// reader is where datagrams come from: udp.Reader, or a test's.
type reader interface {
	Next() *udp.Datagram
	Back() udp.Path
	Read(wait bool) error
	Dropped() (uint32, bool)
}

// request is a datagram to answer.
type request struct {
	from    netip.AddrPort
	back    udp.Path   // where the answer goes: it leaves from the address that was asked
	to      netip.Addr // where it was sent to, if that is known
	payload []byte
	at      time.Time
}

// open opens the socket.
func (s *answerer) open(listen netip.AddrPort, limit int) error {
	conn, err := udp.Listen(context.Background(), listen, udp.Options{ReadBuffer: readBuffer, NoBroadcast: true})
	if err != nil {
		return fmt.Errorf("the server cannot open %v: %w", listen, err)
	}
	_ = conn.SetWriteBuffer(writeBuffer) // if not, a long answer fails and is counted
	reader, err := udp.NewReader(conn, udp.ReaderConfig{Size: 65535, Single: true, Back: true})
	if err != nil {
		conn.Close()
		return fmt.Errorf("the server cannot use %v: %w", listen, err)
	}
	s.conn, s.reader = conn, reader
	s.guard = newGuard(s.Addr().Port(), limit)
	return nil
}

// Addr returns the address that is listened on.
func (s *answerer) Addr() netip.AddrPort {
	return service.AddrOf(s.conn.LocalAddr())
}

// Stats returns what was counted up to now.
func (s *answerer) Stats() ServerStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.countKernelDrops()
	return s.stats
}

// countKernelDrops is for mu held. Of a closed socket the last count stays.
func (s *answerer) countKernelDrops() {
	if n, ok := s.reader.Dropped(); ok {
		s.stats.KernelDropped = uint64(n)
	}
}

// Close closes the socket, which ends a Run with net.ErrClosed. It is idempotent.
func (s *answerer) Close() error {
	s.mu.Lock()
	s.countKernelDrops()
	s.mu.Unlock()
	return service.Close(s.conn)
}

// Run answers until ctx ends, and returns nil. A failure to receive that passes by itself is
// reported and counted. Run returns an error if receiving fails for good, or if the server is
// closed or ran before; that of a closed one satisfies net.ErrClosed.
func (s *answerer) Run(ctx context.Context) error {
	if _, err := s.life.Begin("server", "server"); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	released := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(released)
		_ = s.conn.SetDeadline(time.Unix(1, 0)) // ends reads and writes
	})
	accept := func(r request) { s.handle(ctx, r) }
	var workers sync.WaitGroup
	var queue chan request
	if s.workers > 0 {
		queue = make(chan request, s.queue)
		accept = func(r request) {
			r.payload = bytes.Clone(r.payload) // the reader's until the next read
			select {
			case queue <- r:
			default:
				s.drop(r)
			}
		}
		for range s.workers {
			workers.Go(func() {
				for r := range queue {
					s.handle(ctx, r)
				}
			})
		}
	}
	err := s.receive(ctx, accept)
	cancel()
	if queue != nil {
		close(queue)
	}
	workers.Wait()
	<-released
	return err
}

// receive reads until ctx ends.
func (s *answerer) receive(ctx context.Context, accept func(request)) error {
	var failing service.Failure
	var refused service.Refusals
	defer func() { s.tellRefused(refused.Rest(time.Now())) }()
	err := udp.ReadAll(ctx, s.reader, func(d *udp.Datagram) {
		s.count(&s.stats.Received)
		s.tellRefused(refused.Due(d.Received))
		r := request{from: d.Source, back: s.reader.Back(), to: d.To, payload: d.Payload, at: d.Received}
		err := errOwnText
		if s.text == nil || !bytes.Equal(r.payload, s.text) {
			err = s.guard.refuse(r.from, r.at)
		}
		if s.record != nil {
			s.recordReceived(r, err)
		}
		if err != nil {
			s.count(&s.stats.Refused)
			s.tellRefused(refused.Note(r.from, err, r.at))
			return
		}
		accept(r)
	}, func(err error) {
		if err != nil {
			s.count(&s.stats.ReadErrors)
		}
		if failure, over := failing.Note(err); failure != nil {
			kind := Failed
			if over {
				kind = Recovered
			}
			s.tell(Event{Kind: kind, Err: fmt.Errorf("cannot receive: %w", failure)})
		}
	})
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, net.ErrClosed):
		return fmt.Errorf("the server on %v was closed: %w", s.conn.LocalAddr(), net.ErrClosed)
	}
	return fmt.Errorf("the server on %v cannot receive any more: %w", s.conn.LocalAddr(), err)
}

// handle answers.
func (s *answerer) handle(ctx context.Context, r request) {
	if ctx.Err() != nil {
		s.drop(r)
		return
	}
	s.tell(Event{Kind: Received, Peer: r.from, Payload: r.payload})
	if wait(ctx, s.work); ctx.Err() != nil {
		s.drop(r)
		return
	}
	answer := s.text
	if answer == nil {
		answer = r.payload
	}
	at := time.Now()
	switch err := udp.Send(s.conn, answer, r.back); {
	case err == nil:
		if s.record != nil {
			s.record.Record(service.Recorded{At: at, From: s.asked(r), To: r.from, Sent: true, Payload: answer})
		}
		s.count(&s.stats.Answered)
		s.tell(Event{Kind: Answered, Peer: r.from, Payload: r.payload, Took: time.Since(r.at)})
	case ctx.Err() != nil:
		s.drop(r)
	default:
		s.count(&s.stats.SendErrors)
		s.tell(Event{Kind: Failed, Peer: r.from, Payload: r.payload, Err: fmt.Errorf("cannot answer: %w", err)})
	}
}

func (s *answerer) recordReceived(r request, refused error) {
	to := service.At(s.asked(r), r.to)
	s.record.Record(service.Recorded{At: r.at, From: r.from, To: to, Payload: r.payload, Verdict: service.Verdict(refused)})
}

// asked returns the address that was asked, as far as it is known.
func (s *answerer) asked(r request) netip.AddrPort {
	return service.At(s.Addr(), r.back.From)
}

func (s *answerer) drop(r request) {
	s.count(&s.stats.Dropped)
	s.tell(Event{Kind: Dropped, Peer: r.from, Payload: r.payload})
}

func (s *answerer) count(counter *uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*counter++
}

func (s *answerer) tellRefused(told []service.Refused) {
	for _, r := range told {
		s.tell(Event{Kind: Refused, Peer: r.From, Count: r.Count, Err: r.Err})
	}
}

// tell calls onEvent.
func (s *answerer) tell(e Event) {
	if s.onEvent == nil {
		return
	}
	e.Payload = bytes.Clone(e.Payload)
	s.events.Lock()
	defer s.events.Unlock()
	e.At = time.Now()
	s.onEvent(e)
}

// wait waits, but no longer than ctx.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
