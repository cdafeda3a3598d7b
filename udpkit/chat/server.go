package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/tcp"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

const (
	// operator is the name that the server's own lines carry.
	operator = "server"
	// welcome begins the first line of a server; the rest is the client's address.
	welcome = "* you are "

	// closing is how long the clients have to take their last lines when the server ends.
	closing = time.Second
	// refusing is how long it may take to tell a refused client why: it fits into the empty buffer
	// of a new connection, so nobody waits in fact.
	refusing = 100 * time.Millisecond
	// newcomers a second are let in, after a first rush of twice as many: each makes two notices
	// for everybody.
	newcomers = 100

	// Bounds of the pause after a failed accept, which doubles each time, as in net/http.
	minBackoff = 5 * time.Millisecond
	maxBackoff = time.Second
)

// ServerConfig configures a Server. The zero value works; it is copied.
type ServerConfig struct {
	// Listen is the local address. Default 0.0.0.0, which is every IPv4 address of this machine,
	// and DefaultPort; port 0 takes a free one.
	Listen netip.AddrPort
	// MaxClients is how many clients may be connected at once. Default 256.
	MaxClients int
	// MaxPerAddress is how many of them may come from one IP address. Default 32: a few people, or
	// a machine with many notebooks.
	MaxPerAddress int
	// Queue is how many lines wait for a client that is slow to read. One more, and it is
	// disconnected. Default 256, at most about 1 MiB.
	Queue int
	// Rate is how many messages a second are read from a client, after a first rush of twice as
	// many. What a client sends beyond waits in its connection. Default 20.
	Rate float64
	// Pause is how long the rest of a message without a newline may take. Default DefaultPause. See
	// Reader.
	Pause time.Duration
	// IdleTimeout is how long a client may be silent; pressing Enter suffices. Default 1 h.
	IdleTimeout time.Duration
	// WriteTimeout is how long a client may take nothing of what is sent to it. Default 10 s.
	WriteTimeout time.Duration
	// LostTimeout is how long a client counts as connected that has vanished without a word, as
	// when its cable is out or its machine asleep. Whole seconds, at least 6 s. Default
	// DefaultLostTimeout. Systems other than Linux, macOS and Windows take minutes if something was
	// on its way to it.
	LostTimeout time.Duration
	// Secure protects each connection, see Secure and package keytls. A client that has not shown
	// within 5 s that it has the key is disconnected; until then it gets nothing, but counts as
	// connected. Default: none, everybody can join.
	Secure Secure
	// Record is told what goes through the connections as segments of TCP, rebuilt: see package
	// record. What is encrypted is recorded encrypted. Default: none.
	Record Recorder
	// OnEvent is called for each event, one call at a time, on a goroutine of its own: it delays
	// nobody. Events that it is too slow for are dropped, which ServerSummary.EventsDropped counts.
	// The StartEvent and the summary never are. When Run ends, it waits half a second for it at the
	// most, and for the call that is under way.
	OnEvent func(Event)
}

func (c ServerConfig) withDefaults() (ServerConfig, error) {
	if c.MaxClients < 0 || c.MaxPerAddress < 0 || c.Queue < 0 || c.Rate < 0 || c.Pause < 0 || c.IdleTimeout < 0 || c.WriteTimeout < 0 {
		return c, fmt.Errorf("%w: MaxClients, MaxPerAddress, Queue, Rate and the times cannot be negative", ErrConfig)
	}
	if !c.Listen.IsValid() {
		c.Listen = netip.AddrPortFrom(netip.IPv4Unspecified(), DefaultPort)
	}
	c.Listen = netip.AddrPortFrom(c.Listen.Addr().Unmap(), c.Listen.Port())
	c.MaxClients = cmp.Or(c.MaxClients, 256)
	c.MaxPerAddress = cmp.Or(c.MaxPerAddress, 32)
	c.Queue = cmp.Or(c.Queue, 256)
	c.Rate = cmp.Or(c.Rate, 20)
	c.Pause = cmp.Or(c.Pause, DefaultPause)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, time.Hour)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.LostTimeout = cmp.Or(c.LostTimeout, DefaultLostTimeout)
	return c, checkLostTimeout(c.LostTimeout)
}

func checkLostTimeout(d time.Duration) error {
	if d < 6*time.Second {
		return fmt.Errorf("%w: LostTimeout is %v, the least is 6s", ErrConfig, d)
	}
	return nil
}

// Server relays messages between its clients. Its methods are safe for concurrent use.
type Server struct {
	cfg      ServerConfig
	listener net.Listener
	life     service.Life
	events   *service.Events[Event]
	serving  sync.WaitGroup // two goroutines a client

	mu      sync.Mutex
	ended   bool
	members []*member          // in the order in which they came
	names   map[string]*member // by skeleton
	// open are all connections, also those that are not secure yet, and of those that have left and
	// still get their last lines.
	open    map[*member]struct{}
	sources map[netip.Addr]int // connections an address
	stats   ServerSummary
	failing service.Failure // to accept
}

// NewServer opens the server's socket: clients can connect, and are served once Run is called. An
// error wraps ErrConfig, or is the system's for the socket, such as syscall.EADDRINUSE. The caller
// closes the server.
func NewServer(cfg ServerConfig) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	network := "tcp4"
	switch addr := cfg.Listen.Addr(); {
	case addr == netip.IPv6Unspecified():
		network = "tcp" // IPv4 too, as package net has it for ":port"
	case addr.Is6():
		network = "tcp6"
	}
	listener, err := net.Listen(network, cfg.Listen.String())
	if udp.AddrInUse(err) {
		err = fmt.Errorf("port %d is taken by another program; end it or choose another port: %w", cfg.Listen.Port(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("the chat server cannot open %v: %w", cfg.Listen, err)
	}
	return &Server{
		cfg: cfg, listener: listener, events: service.NewEvents(cfg.OnEvent),
		names: make(map[string]*member), open: make(map[*member]struct{}), sources: make(map[netip.Addr]int),
		stats: ServerSummary{Left: make(map[Reason]uint64), Refused: make(map[Reason]uint64)},
	}, nil
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() netip.AddrPort { return service.AddrOf(s.listener.Addr()) }

// Close closes the listening socket, which ends a Run with net.ErrClosed. It is idempotent and does
// not wait.
func (s *Server) Close() error {
	return service.Close(s.listener)
}

// Run serves clients until ctx ends, tells them, closes their connections within a second, and
// returns nil. A failure to accept, as when the process has no more file descriptors, is reported
// and tried again; the clients that are there do not notice. It returns an error if the server is
// closed or ran before; that of a closed one satisfies net.ErrClosed.
func (s *Server) Run(ctx context.Context) error {
	began, err := s.life.Begin("chat server", "Server")
	if err != nil {
		return err
	}
	s.events.Begin(StartEvent{At: began, Local: s.Addr(), Secure: s.cfg.Secure != nil})

	accepting, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(ctx, func() { _ = s.listener.Close() })()
	err = s.accept(accepting)
	cancel() // also if the listener was closed
	s.end()
	s.events.End(func() Event { return s.Stats() })
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("the chat server cannot go on: %w", err)
}

// accept lets clients in until the listener is closed.
func (s *Server) accept(ctx context.Context) error {
	door := rate.NewLimiter(newcomers, 2*newcomers)
	backoff := minBackoff
	for {
		if door.Wait(ctx) != nil { // also if its deadline comes before the next one may
			<-ctx.Done()
			return ctx.Err()
		}
		conn, err := s.listener.Accept()
		s.report(err)
		switch {
		case err == nil:
			backoff = minBackoff
			s.admit(ctx, conn.(*net.TCPConn))
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(backoff):
			}
			backoff = min(2*backoff, maxBackoff)
		}
	}
}

// report notes whether clients can be accepted, and emits an event when that changes.
func (s *Server) report(err error) {
	if errors.Is(err, net.ErrClosed) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.stats.AcceptErrors++
	}
	if failure, over := s.failing.Note(err); failure != nil {
		failure = fmt.Errorf("no new client can be accepted, those that are here go on: %w", failure)
		e := ErrorEvent{Err: failure, Text: Clean(failure.Error()), Ended: over, At: time.Now()}
		if over {
			e.Text = "new clients are accepted again"
		}
		s.events.Emit(e)
	}
}

// admit makes a client of a connection, at once or once it is secure, or refuses it.
func (s *Server) admit(ctx context.Context, conn *net.TCPConn) {
	_ = tcp.FindVanished(conn, s.cfg.LostTimeout) // fails where the connection is gone already, or the system has no such option
	m := &member{tcp: recorded(s.cfg.Record, conn, false), addr: service.AddrOf(conn.RemoteAddr()), joined: time.Now(), queue: make(chan string, s.cfg.Queue)}
	s.mu.Lock()
	defer s.mu.Unlock()
	var refused Reason
	switch {
	case len(s.open) >= s.cfg.MaxClients:
		refused = ReasonFull
	case s.sources[m.addr.Addr()] >= s.cfg.MaxPerAddress:
		refused = ReasonSameSource
	}
	if refused != "" {
		s.refuse(m, refused)
		// What fails here concerns nobody but the one who is refused.
		if s.cfg.Secure == nil {
			_ = m.tcp.SetWriteDeadline(m.joined.Add(refusing))
			_, _ = fmt.Fprintf(m.tcp, "* refused: %s; try again later\n", refused)
		}
		_ = m.tcp.Close()
		return
	}
	s.open[m] = struct{}{}
	s.sources[m.addr.Addr()]++
	if s.cfg.Secure != nil {
		s.serving.Go(func() { s.secure(ctx, m) })
		return
	}
	m.conn = &unprotected{wire: m.tcp}
	s.join(ctx, m)
}

// refuse tells of a connection that does not become a client, with mu held.
func (s *Server) refuse(m *member, why Reason) {
	s.stats.Refused[why]++
	s.events.Emit(RefuseEvent{Client: m.addr, Reason: why, At: time.Now()})
}

// join makes a client of a connection, with mu held.
func (s *Server) join(ctx context.Context, m *member) {
	m.joined = time.Now()
	s.members = append(s.members, m)
	s.stats.Accepted++
	s.events.Emit(JoinEvent{Client: m.addr, At: m.joined})
	s.toAll(fmt.Sprintf("* %s joined", m), m)
	s.to(m, fmt.Sprint(welcome, m.addr, "; /name NAME gives you a name, /who tells who is here, exit leaves"))
	s.serving.Go(func() { s.read(ctx, m) })
	s.serving.Go(func() { s.write(m) })
}

// Say sends a line of the operator to everybody. An error wraps ErrConfig for a text that is no
// line, and is net.ErrClosed once the server has ended.
func (s *Server) Say(text string) error {
	text, err := checkLine(text)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return fmt.Errorf("the chat server has ended: %w", net.ErrClosed)
	}
	s.stats.Said++
	s.events.Emit(MessageEvent{From: operator, Text: text, At: time.Now()})
	s.toAll(operator+": "+text, nil)
	return nil
}

// checkLine returns a text as it is sent.
func checkLine(text string) (string, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return "", fmt.Errorf("%w: the message is empty", ErrConfig)
	case len(text) > MaxLine:
		return "", fmt.Errorf("%w: the message has %d bytes, the limit is %d", ErrConfig, len(text), MaxLine)
	case strings.ContainsAny(text, "\r\n"):
		return "", fmt.Errorf("%w: a message is one line", ErrConfig)
	}
	if text = Clean(text); len(text) > MaxLine {
		return "", fmt.Errorf("%w: the message has too many characters that cannot be shown", ErrConfig)
	}
	return text, nil
}

// toAll queues a line for everybody but one, with mu held. Nobody is waited for: who has no room in
// the queue is disconnected, which is said to the others.
func (s *Server) toAll(line string, but *member) {
	for _, m := range slices.Clone(s.members) {
		if m != but {
			s.to(m, line)
		}
	}
}

// end tells everybody that the server ends, and waits until all connections are closed.
func (s *Server) end() {
	_ = s.listener.Close()
	s.mu.Lock()
	s.ended = true
	open := slices.Collect(maps.Keys(s.open))
	for _, m := range slices.Clone(s.members) {
		s.removeLocked(m, ReasonServerEnded)
	}
	s.mu.Unlock()
	impatient := time.AfterFunc(closing, func() {
		for _, m := range open {
			m.abort()
		}
	})
	defer impatient.Stop()
	s.serving.Wait()
}

// Who returns the clients, in the order in which they came.
func (s *Server) Who() []Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Member, len(s.members))
	for i, m := range s.members {
		list[i] = Member{Addr: m.addr, Name: m.name, Joined: m.joined, Messages: m.messages}
	}
	return list
}

// Stats returns the counters up to now. It is the caller's.
func (s *Server) Stats() ServerSummary {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Left, stats.Refused = maps.Clone(stats.Left), maps.Clone(stats.Refused)
	stats.Runtime, stats.EventsDropped = s.life.Time(), s.events.Dropped()
	return stats
}
