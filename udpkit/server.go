package udpkit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// DefaultInterval is the time between two messages.
const DefaultInterval = 5 * time.Second

const (
	// sentRing is how many messages back an acknowledgement is still taken.
	sentRing = 1024
	// atOnce is the least time between a message and one that is sent for a change.
	atOnce = 100 * time.Millisecond
	// maxFirstID leaves room for more messages than a server will ever send.
	maxFirstID = 1 << 52
	// targetsFor is how long resolved automatic targets are used at the most.
	targetsFor = time.Second
)

// ServerConfig configures a Server. The zero value works; it is copied.
type ServerConfig struct {
	// Port is the UDP port of targets that name none. Default DefaultPort.
	Port uint16
	// Listen is the local address to send from and to receive acknowledgements on. Default
	// 0.0.0.0:0, all interfaces and a port that the system chooses.
	Listen netip.AddrPort
	// Interval is the time between two messages, at least 1 ms. Default DefaultInterval.
	Interval time.Duration
	// Targets says where the messages go. Default automatic. Targets of another family (IPv4 or
	// IPv6) than Listen are refused.
	Targets Targets
	// Interfaces are the names of those that automatic targets and 255.255.255.255 use; one that
	// this machine has not is refused. Default all.
	Interfaces []string
	// States are the states that the server cycles through, one a message. Default DefaultStates.
	States []State
	// FirstID is the id of the first message, 1 to 2^52. Default 1. A server whose ids go on rising
	// when it is started again, as [ClockID] has them do, is heard by clients that know ids and no
	// epoch.
	FirstID uint64
	// MaxMessages ends Run after this many messages, once AckWait has passed. 0 means no limit.
	MaxMessages uint64
	// MaxRuntime ends Run after this time. 0 means no limit.
	MaxRuntime time.Duration
	// Key has the server sign each message and take only what is signed with it, commands too: see
	// package key and [Control]. Default: none.
	Key *key.Ring
	// Seal has it encrypt each message too. It needs a Key.
	Seal bool
	// NoRepair keeps the server from sending again what clients say that they miss.
	NoRepair bool
	// AckWait is how long an acknowledgement may take before its absence counts as a loss. Default
	// 1 s.
	AckWait time.Duration
	// MaxClients bounds the table of clients. When it is full, clients that have been silent for a
	// minute and ten intervals make room; if there is none, a new one is refused and counted. A
	// host other than this one gets an eighth of the table, and 64 places at least; clients that
	// prove nothing get half of it. Default 10,000.
	MaxClients int
	// Record is told what the server sends and receives. Default: none.
	Record Recorder
	// OnEvent is called for each event, one call at a time, on a goroutine of its own: a slow one
	// never delays a broadcast, but loses events, which ServerSummary.EventsDropped counts. The
	// StartEvent and the summary are never lost. When Run ends, it waits half a second for it at
	// the most, and for the call that is under way.
	OnEvent func(Event)
}

func (c ServerConfig) withDefaults() (ServerConfig, error) {
	c.Port = cmp.Or(c.Port, DefaultPort)
	if !c.Listen.IsValid() {
		c.Listen = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	c.Interval = cmp.Or(c.Interval, DefaultInterval)
	if err := checkInterval(c.Interval); err != nil {
		return c, err
	}
	if err := c.Targets.checkFamily(c.Listen.Addr()); err != nil {
		return c, err
	}
	if c.Interfaces = slices.Clone(c.Interfaces); len(c.Interfaces) > 0 && !c.Targets.byInterface() {
		return c, fmt.Errorf("%w: interfaces are for automatic targets and 255.255.255.255, not for the targets %v", ErrConfig, c.Targets)
	}
	if len(c.States) == 0 {
		c.States = DefaultStates()
	}
	c.States = slices.Clone(c.States)
	for _, s := range c.States {
		if err := s.check(); err != nil {
			return c, err
		}
	}
	if c.MaxRuntime < 0 || c.AckWait < 0 || c.MaxClients < 0 {
		return c, fmt.Errorf("%w: MaxRuntime, AckWait and MaxClients cannot be negative", ErrConfig)
	}
	if c.FirstID = cmp.Or(c.FirstID, 1); c.FirstID > maxFirstID {
		return c, fmt.Errorf("%w: the first id %d is larger than 2^52", ErrConfig, c.FirstID)
	}
	if _, err := c.Key.Protection(c.Seal); err != nil {
		return c, err
	}
	c.AckWait = cmp.Or(c.AckWait, time.Second)
	c.MaxClients = cmp.Or(c.MaxClients, 10_000)
	return c, nil
}

// ClockID is a first id that is higher than all of a server before it, if that has begun with one
// too and has sent no more than a thousand messages a second: the Unix time in milliseconds.
func ClockID() uint64 { return uint64(time.Now().UnixMilli()) }

// Server broadcasts its state and collects acknowledgements. Its methods are safe for concurrent
// use.
type Server struct {
	cfg   ServerConfig
	conn  *net.UDPConn
	write func([]byte, []udp.Target, func(udp.Target, error)) // sends one datagram to each, and reports each
	epoch Epoch
	now   func() time.Time // time.Now
	// scanner is for the goroutine of Run.
	scanner udp.Scanner

	life   service.Life
	events *service.Events[Event]
	// changed has room for one: the state or the data is another than the last message said.
	changed chan struct{}
	// sending is held while a message goes out, so that the events of its acknowledgements come
	// after its SentEvent.
	sending sync.Mutex
	sender  *key.Sender // of messages; guarded by sending
	again   bool        // what is being sent was sent before; guarded by sending

	mu      sync.Mutex
	ring    *ring // nil with NoRepair
	targets []udp.Target
	asked   chan struct{}   // has room for one: somebody wants a message again
	fixed   State           // set by hand, "" for the cycle
	data    json.RawMessage // likewise, nil for none; replaced, never changed
	every   time.Duration   // the interval
	said    State           // by the last message
	told    time.Duration   // the interval that it has announced
	stopped bool            // the next message is to be the last
	ended   bool            // the last one is sent
	nextID  uint64
	sentAt  [sentRing]time.Time // by id modulo sentRing
	clients clientTable
	failing service.Failures[udp.Target] // by target; the zero target: to find any
	opener  *key.Opener                  // of what clients send
	control *control                     // likewise
	teller  teller
	refused service.Refusals
	summary ServerSummary
	rtt     samples
	acks    Receiver // nil before Run
}

// NewServer opens the server's socket. An error wraps ErrConfig, or is the system's for the socket.
// The caller closes the server.
func NewServer(cfg ServerConfig) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := udp.CheckInterfaces(cfg.Interfaces); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	conn, err := udp.Listen(context.Background(), cfg.Listen, udp.Options{ReadBuffer: ReadBufferSize})
	if err != nil {
		return nil, fmt.Errorf("the server cannot open %v: %w", cfg.Listen, err)
	}
	writer, err := udp.NewWriter(conn)
	if err != nil { // it does not happen: the socket is open
		conn.Close()
		return nil, fmt.Errorf("the server cannot use %v: %w", cfg.Listen, err)
	}
	s := newServer(cfg, nil)
	s.conn = conn
	s.summary.ReadBuffer = grantedReadBuffer(conn)
	s.write = func(b []byte, targets []udp.Target, done func(udp.Target, error)) {
		for _, to := range targets {
			writer.Add(b, to.Path)
		}
		writer.Flush(func(_ udp.Path, err error) { // in the same order
			done(targets[0], err)
			targets = targets[1:]
		})
	}
	s.record()
	return s, nil
}

// newServer makes a server without a socket, which sends by write.
func newServer(cfg ServerConfig, write func([]byte, netip.AddrPort) (int, error)) *Server {
	s := &Server{
		cfg:   cfg,
		asked: make(chan struct{}, 1),
		write: func(b []byte, targets []udp.Target, done func(udp.Target, error)) {
			for _, to := range targets {
				_, err := write(b, to.To)
				done(to, err)
			}
		},
		every:   cfg.Interval,
		sender:  cfg.Key.Sender(statusPurpose, key.JSON, cfg.Seal),
		opener:  cfg.Key.Opener(key.OpenerConfig{Purpose: answerPurpose, Form: key.Text, Sessions: cfg.MaxClients}),
		epoch:   NewEpoch(),
		now:     time.Now,
		scanner: udp.Scanner{Names: cfg.Interfaces},
		events:  service.NewEvents(cfg.OnEvent),
		changed: make(chan struct{}, 1),
		nextID:  cfg.FirstID,
		failing: make(service.Failures[udp.Target]),
		clients: newClientTable(cfg.MaxClients),
	}
	s.teller = newTeller(s, cfg.Key.Sender(timePurpose, key.Text, cfg.Seal))
	if cfg.Key != nil {
		s.control = newControl(cfg.Key.Sender(replyPurpose, key.Text, cfg.Seal))
	}
	if !cfg.NoRepair {
		s.ring = newRing(s.sender.Overhead())
	}
	return s
}

// Addr returns the address that messages come from and acknowledgements go to.
func (s *Server) Addr() netip.AddrPort {
	return service.AddrOf(s.conn.LocalAddr())
}

// Epoch returns the random number that names this run.
func (s *Server) Epoch() Epoch { return s.epoch }

// Close closes the socket, which ends a Run with net.ErrClosed. It is idempotent.
func (s *Server) Close() error { return service.Close(s.conn) }

// Run broadcasts the first message at once and then one an interval, and one when SetState or
// SetData changes what it says, until ctx, MaxRuntime, MaxMessages or a command (see [Control])
// ends it, and returns nil. The
// last message says that it is the last: where ctx or MaxRuntime ends it, that is one more. A
// network that fails does not end it: failures are counted and reported, and sending goes on. It
// returns an error if the server is closed or ran before; that of a closed one satisfies
// net.ErrClosed.
func (s *Server) Run(ctx context.Context) error {
	began, err := s.life.Begin("server", "Server")
	if err != nil {
		return err
	}
	acks, err := NewReceiver(Blocking, ReceiverConfig{BufferSize: max(maxAckSize, questionSize) + 1, destination: s.cfg.Record != nil})
	if err != nil { // it does not happen: the configuration is right
		return err
	}
	s.mu.Lock()
	s.acks = acks
	s.mu.Unlock()

	ctx, stop := service.Limit(ctx, s.cfg.MaxRuntime)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	targets, _ := s.cfg.Targets.now(s.cfg.Port, &s.scanner) // an error is reported with the first message
	protection, _ := s.cfg.Key.Protection(s.cfg.Seal)
	s.events.Begin(StartEvent{
		At: began, Listen: s.Addr(), Targets: addresses(targets), Epoch: s.epoch, Interval: s.Interval(), ReadBuffer: s.summary.ReadBuffer,
		Key: protection,
	})

	var (
		readers sync.WaitGroup
		failure error
	)
	readers.Go(func() {
		if err := acks.Receive(ctx, s.conn, s.handleAck); ctx.Err() == nil {
			failure = fmt.Errorf("the server cannot receive any more: %w", err)
			cancel(failure)
		}
	})
	readers.Go(func() { s.repair(ctx) })
	s.broadcast(ctx)
	cancel(nil)
	readers.Wait()
	s.tellRefused(s.refused.Rest(time.Now()))
	s.events.End(func() Event { return s.Stats() })
	return failure
}

// broadcast sends until ctx ends, or until AckWait after the last of MaxMessages or after a stop.
// The last message says that it is the last.
func (s *Server) broadcast(ctx context.Context) {
	every := s.Interval()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var (
		targets  []udp.Target
		resolved time.Time
		buf      []byte
	)
	for n := uint64(1); ; n++ {
		if now := time.Now(); resolved.IsZero() || now.Sub(resolved) >= targetsFor {
			list, err := s.cfg.Targets.now(s.cfg.Port, &s.scanner)
			s.report(udp.Target{}, err)
			s.forget(list)
			targets, resolved = list, now
			s.mu.Lock()
			s.targets = list
			told := s.refused.Due(now)
			s.mu.Unlock()
			s.tellRefused(told)
		}
		buf = s.send(buf[:0], targets, n == s.cfg.MaxMessages)
		sent := time.Now()
		s.mu.Lock()
		told, ended := s.told, s.ended
		s.mu.Unlock()
		if ended {
			s.linger(ctx, ticker)
			return
		}
		if told != every {
			every = told
			ticker.Reset(every)
			s.change() // clients believe an interval that comes twice
		}
		if s.pause(ctx, ticker, sent); ctx.Err() != nil {
			if !errors.Is(context.Cause(ctx), net.ErrClosed) {
				s.send(buf[:0], targets, true)
			}
			return
		}
	}
}

// send broadcasts one message, the last one also if the server is stopped. It returns buf for the
// next.
func (s *Server) send(buf []byte, targets []udp.Target, last bool) []byte {
	s.sending.Lock()
	defer s.sending.Unlock()
	s.mu.Lock()
	select {
	case <-s.changed: // this message says it
	default:
	}
	now := s.now()
	m := Message{
		Timestamp: now.Format(timestampLayout),
		State:     s.fixed,
		ID:        s.nextID,
		Epoch:     s.epoch,
		Interval:  s.every,
		Data:      s.data,
		Repair:    s.ring != nil,
		Clock:     true,
		End:       last || s.stopped,
	}
	if m.State == "" {
		m.State = s.cfg.States[s.summary.Sent%uint64(len(s.cfg.States))]
	}
	s.said, s.told, s.ended = m.State, m.Interval, m.End
	s.nextID++
	s.sentAt[m.ID%sentRing] = now
	s.summary.Sent++
	s.mu.Unlock()

	buf, err := AppendMessage(buf, m)
	event := SentEvent{MessageID: m.ID, State: m.State, Timestamp: m.Timestamp, At: now}
	if err != nil { // it does not happen: all of it was checked
		event.Failed = len(targets)
	} else {
		if s.ring != nil {
			s.mu.Lock()
			s.ring.keep(m.ID, buf)
			s.mu.Unlock()
		}
		s.write(s.sender.Datagram(buf), targets, func(to udp.Target, err error) {
			s.report(to, err)
			if err != nil {
				event.Failed++
			} else {
				event.Targets++
			}
		})
	}
	s.events.Emit(event)
	return buf
}

// forget forgets the failures of what is no target any more.
func (s *Server) forget(targets []udp.Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.failing, func(t udp.Target, _ error) bool { return t != udp.Target{} && !slices.Contains(targets, t) })
}

// report notes whether sending to an address works, and emits an event when that changes.
func (s *Server) report(to udp.Target, err error) {
	s.mu.Lock()
	if err != nil {
		s.summary.SendErrors++
	}
	failure, over := s.failing.Note(to, err)
	s.mu.Unlock()
	if failure != nil {
		s.events.Emit(ErrorEvent{Err: failure, Text: failure.Error(), Peer: to.To, Interface: to.Name, Ended: over, At: time.Now()})
	}
}

func (s *Server) tellRefused(told []service.Refused) {
	for _, r := range told {
		s.events.Emit(RefusedEvent(r))
	}
}

// Stats returns the counters up to now.
func (s *Server) Stats() ServerSummary {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.summary
	sum.Clients = s.clients.len()
	sum.Untrusted = s.opener.Refused()
	sum.RTT = s.rtt.distribution()
	if s.acks != nil {
		sum.KernelDropped = s.acks.KernelDropped()
	}
	sum.Runtime, sum.EventsDropped = s.life.Time(), s.events.Dropped()
	return sum
}
