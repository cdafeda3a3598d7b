package relay

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

const (
	// readBuffer is the receive buffer that sockets ask the system for, in bytes.
	readBuffer = 4 << 20
	// cookiePeriod is how long a cookie is made; it is taken for one period more.
	cookiePeriod = 30 * time.Second
	// maxRegistering is how many registrations ask the log at the same time.
	maxRegistering = 64
	// maxPending is how many messages wait to be stored, maxAppend how many of them are stored at
	// once.
	maxPending = 1 << 15
	maxAppend  = 1024
	// logPatience is how long the log may take for one answer, claimPatience how long a client
	// waits until the log says that its name is free.
	logPatience   = 10 * time.Second
	claimPatience = 2 * time.Second
	// burst is how many datagrams go to one reader before it is another's turn: what the kernel
	// takes in one piece.
	burst = 54
	// tick is how often timeouts are looked for while something is under way.
	tick = 5 * time.Millisecond
	// saving is how often what is known of clients is saved.
	saving = 5 * time.Second
	// polling is how often the log is asked what it keeps.
	polling = 400 * time.Millisecond
	// retrying is the pause after the log has failed to read.
	retrying = 500 * time.Millisecond
	// closing is how long a server takes for its last words: to the log, and to clients.
	closing = 2 * time.Second
)

// ServerConfig configures a Server. The zero value works; it is copied.
type ServerConfig struct {
	// Listen is the local address. Default 0.0.0.0, which is every IPv4 address of this machine,
	// and DefaultPort; port 0 takes a free one. A client is served from the address that it has
	// asked.
	Listen netip.AddrPort
	// Log keeps the messages. It stays the caller's. Default NewMemory(0).
	Log Log
	// MaxClients is how many clients may be registered at once. Default 1024.
	MaxClients int
	// MaxPerAddress is how many of them may come from one IP address. Default half of MaxClients,
	// so that nobody alone keeps everybody out and a class behind one address fits; and no limit
	// for loopback addresses, which many people have in common where notebooks share a machine.
	MaxPerAddress int
	// Expire is how long a client may be silent until it is taken for gone, 1 s to 1 h. Clients
	// show a sign of life five times in it. Default 15 s.
	Expire time.Duration
	// Key, if not nil, is shared with the clients: the server believes and answers only what is
	// signed with it, and signs what it sends. Default nil.
	Key *key.Ring
	// Seal encrypts what is sent, with the Key. What comes may be signed or sealed in any case.
	Seal bool
	// Pace is how many bytes a second go to one reader at most. Default 64 MiB.
	Pace int
	// Cache is how many bytes of the newest messages are kept in memory. Older ones are read from
	// the log. Default 16 MiB.
	Cache int
	// Record is told what the server sends and receives. Default: none.
	Record Recorder
	// OnEvent is called for each event, one call at a time, on a goroutine of its own: it delays
	// nobody. Events that it is too slow for are dropped, which ServerStats.EventsDropped counts.
	// The StartEvent and the summary never are. When Run ends, it waits at most half a second for
	// it, and for the call that is under way.
	OnEvent func(Event)
}

func (c ServerConfig) withDefaults() (ServerConfig, error) {
	if c.MaxClients < 0 || c.MaxPerAddress < 0 || c.Pace < 0 || c.Cache < 0 {
		return c, fmt.Errorf("%w: MaxClients, MaxPerAddress, Pace and Cache cannot be negative", ErrConfig)
	}
	if !c.Listen.IsValid() {
		c.Listen = netip.AddrPortFrom(netip.IPv4Unspecified(), DefaultPort)
	}
	c.Listen = netip.AddrPortFrom(c.Listen.Addr().Unmap(), c.Listen.Port())
	if c.Log == nil {
		c.Log = NewMemory(0)
	}
	c.MaxClients = cmp.Or(c.MaxClients, 1024)
	c.Expire = cmp.Or(c.Expire, 15*time.Second)
	c.Pace = cmp.Or(c.Pace, 64<<20)
	c.Cache = cmp.Or(c.Cache, 16<<20)
	if c.Expire < time.Second || c.Expire > time.Hour {
		return c, fmt.Errorf("%w: clients cannot expire after %v, it must be 1 s to 1 h", ErrConfig, c.Expire)
	}
	_, err := c.Key.Protection(c.Seal)
	return c, err
}

// share returns how many clients may come from an address.
func (c ServerConfig) share(from netip.Addr) int {
	switch {
	case c.MaxPerAddress > 0:
		return c.MaxPerAddress
	case from.IsLoopback():
		return c.MaxClients
	}
	return max(1, c.MaxClients/2)
}

// Server takes messages from writers, has them stored and delivers them to readers. Its methods are
// safe for concurrent use.
type Server struct {
	cfg    ServerConfig
	life   service.Life
	events *service.Events[Event]
	log    Log
	conn   *net.UDPConn // nil in a simulation
	drops  func() (uint32, bool)
	reply  func(b []byte, path udp.Path) error
	secret [32]byte
	begun  time.Time // cookies count from it

	work    sync.WaitGroup // registrations, chunks being read
	fetches chan struct{}  // a place for each chunk

	// sending is held by the one who sends to readers; wanted has it look again.
	sending sync.Mutex
	wanted  atomic.Bool
	carrier carrier
	keyed   *keyed // nil: there is no key

	appending chan struct{} // holds a token from the storing of messages until they are in the cache

	mu          sync.Mutex
	ctx         context.Context // of Run
	stats       ServerStats
	sessions    map[ID]*session
	byName      map[nameKey]*session
	readers     []*session
	sources     map[netip.Addr]int // sessions and those that are registering
	registering map[ID]bool
	cache       cache
	chunks      chunks
	fetching    map[uint64][]*session // readers that wait for a chunk, by its place among chunks
	first       uint64                // the log's oldest message, not long ago
	deletions   uint64                // the log's, not long ago
	ready       []*session            // readers that may be sent something
	spare       []*session            // for the next ready
	answers     []answer              // to writers, which go out with the next round
	pending     []Record
	arrived     chan struct{} // there is something pending
	sent        chan struct{} // there is something under way
	failing     service.Failures[trouble]
	refusals    service.Refusals
	judged      error // why the last datagram was refused, for a recording
}

// NewServer opens the server's socket. An error wraps ErrConfig, or is the system's for the socket,
// such as syscall.EADDRINUSE. The caller closes the server.
func NewServer(cfg ServerConfig) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	conn, err := udp.Listen(context.Background(), cfg.Listen, udp.Options{ReadBuffer: readBuffer, NoBroadcast: true})
	if err != nil {
		return nil, fmt.Errorf("the relay cannot open %v: %w", cfg.Listen, err)
	}
	writer, err := udp.NewWriter(conn)
	if err != nil { // impossible, the socket is open
		_ = conn.Close()
		return nil, fmt.Errorf("the relay cannot use %v: %w", cfg.Listen, err)
	}
	s := newServer(cfg)
	s.conn, s.carrier = conn, writer
	s.reply = func(b []byte, path udp.Path) error { return udp.Send(conn, b, path) }
	s.record()
	return s, nil
}

// newServer makes a server without a socket. Set carrier and reply.
func newServer(cfg ServerConfig) *Server {
	s := &Server{
		cfg: cfg, log: cfg.Log, begun: time.Now(), fetches: make(chan struct{}, maxFetching), appending: make(chan struct{}, 1),
		events:   service.NewEvents(cfg.OnEvent),
		sessions: make(map[ID]*session), byName: make(map[nameKey]*session), sources: make(map[netip.Addr]int),
		registering: make(map[ID]bool), fetching: make(map[uint64][]*session),
		arrived: make(chan struct{}, 1), sent: make(chan struct{}, 1), failing: make(service.Failures[trouble]),
	}
	_, _ = rand.Read(s.secret[:]) // never fails
	s.keyed = newKeyed(&cfg)
	s.cache.max, s.cache.room = cfg.Cache, s.body()
	s.stats.Left, s.stats.Refused = make(map[Reason]uint64), make(map[Reason]uint64)
	return s
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() netip.AddrPort { return service.AddrOf(s.conn.LocalAddr()) }

// Close closes the socket, which ends a Run with net.ErrClosed. It is idempotent.
func (s *Server) Close() error {
	return service.Close(s.conn)
}

// Run serves clients until ctx ends, tells them so, and returns nil. A log that fails is reported
// by an ErrorEvent and tried again, and so is receiving that fails for a while. It returns an error
// if receiving fails for good, or if the server is closed or ran before; that of a closed one
// satisfies net.ErrClosed.
func (s *Server) Run(ctx context.Context) error {
	began, err := s.life.Begin("relay", "Server")
	if err != nil {
		return err
	}
	reader, err := udp.NewReader(s.conn, udp.ReaderConfig{Size: MaxDatagram, Coalesce: true, Back: true})
	if err != nil {
		return fmt.Errorf("the relay cannot go on: %w", err)
	}
	s.mu.Lock()
	s.drops = reader.Dropped
	s.mu.Unlock()
	return s.run(ctx, StartEvent{At: began, Local: s.Addr()}, func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) })()
		return s.readAll(ctx, reader)
	})
}

// reader is where datagrams come from: udp.Reader, or a test's.
type reader interface {
	Next() *udp.Datagram
	Back() udp.Path
	Read(wait bool) error
}

// readAll takes datagrams until ctx ends, or reading fails for good.
func (s *Server) readAll(ctx context.Context, from reader) error {
	err := udp.ReadAll(ctx, pumping{from, s}, func(d *udp.Datagram) {
		if d.Truncated {
			s.malformed(d.Source, errTooLong)
		} else {
			s.handle(d.Payload, from.Back())
		}
		s.heard(d)
	}, func(err error) { s.report(receiving, err) })
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("the relay cannot go on: %w", err)
}

// pumping sends what has become due when all that was read is handled.
type pumping struct {
	reader
	server *Server
}

// Read implements reader.
func (p pumping) Read(wait bool) error {
	p.server.pump()
	return p.reader.Read(wait)
}

// run is Run, with the datagrams from receive.
func (s *Server) run(ctx context.Context, start StartEvent, receive func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	s.events.Begin(start)

	deletions := s.log.Deletions()
	first, last := s.log.Bounds()
	s.mu.Lock()
	s.deletions, s.first, s.cache.end = deletions, first, last+1
	s.mu.Unlock()
	var parts sync.WaitGroup
	parts.Go(func() { s.follow(ctx) })
	parts.Go(func() { s.store(ctx) })
	parts.Go(func() { s.watch(ctx) })
	parts.Go(func() { s.save(ctx) })
	parts.Go(func() { s.forget(ctx) })
	err := receive(ctx)
	cancel()
	ending, done := context.WithTimeout(context.Background(), closing)
	defer done()
	parts.Wait()
	s.work.Wait()
	s.farewell(ending)
	s.mu.Lock()
	s.tellRefused(s.refusals.Rest(time.Now()))
	s.mu.Unlock()
	s.events.End(func() Event { return ServerSummary{ServerStats: s.Stats(), Runtime: time.Since(start.At)} })
	return err
}

// trouble is what can fail, as a user reads it when it begins and when it is over.
type trouble struct{ begins, ends string }

var (
	receiving = trouble{"receiving", "receiving works again"}
	storing   = trouble{"messages cannot be stored", "messages are stored again"}
	reading   = trouble{"messages cannot be read from the log", "messages are read from the log again"}
	following = trouble{"new messages of the log cannot be followed", "new messages of the log are followed again"}
	clients   = trouble{"what is known of clients cannot be read or saved", "what is known of clients is read and saved again"}
)

// report notes whether something works, and emits an event when that changes.
func (s *Server) report(what trouble, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	failure, over := s.failing.Note(what, err)
	if failure == nil {
		return
	}
	e := ErrorEvent{Err: failure, Text: fmt.Sprintf("%s: %v", what.begins, failure), What: what.begins, Ended: over, At: time.Now()}
	if over {
		e.Text = what.ends
	}
	s.events.Emit(e)
}

// Stats returns the counters.
func (s *Server) Stats() ServerStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Left, stats.Refused = maps.Clone(stats.Left), maps.Clone(stats.Refused)
	stats.First, stats.Last = s.bounds()
	stats.EventsDropped = s.events.Dropped()
	stats.Readers = len(s.readers)
	stats.Writers = len(s.sessions) - len(s.readers)
	stats.Cached = s.cache.bytes
	stats.Waiting = s.chunks.bytes
	for _, c := range s.readers {
		stats.Waiting += cap(c.flight) * flyingSize
	}
	if s.drops != nil {
		dropped, _ := s.drops()
		stats.KernelDropped = uint64(dropped)
	}
	return stats
}

// bounds returns the sequence numbers of the oldest and the newest message, with mu held. The cache
// may have newer ones than the log knows of yet.
func (s *Server) bounds() (first, last uint64) {
	first, last = s.log.Bounds()
	return first, max(last, s.cache.end-min(1, s.cache.end))
}

// Clients returns the registered clients, by role and name.
func (s *Server) Clients() []ClientInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	infos := make([]ClientInfo, 0, len(s.sessions))
	for _, c := range s.sessions {
		info := ClientInfo{Role: c.role, Username: c.name, Addr: c.path.To, Since: c.since, Heard: c.heard, Messages: c.messages}
		if c.role == RoleReader {
			info.Lag, info.Resent = s.cache.end-min(c.next, s.cache.end), c.resent
			info.RTT, info.Window = c.rtt.smooth, int(c.window)
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b ClientInfo) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), strings.Compare(a.Username, b.Username))
	})
	return infos
}

// handle takes one datagram, with the way back. The caller calls pump afterwards.
func (s *Server) handle(b []byte, from udp.Path) {
	size := len(b)
	if s.keyed != nil {
		var ok bool
		if b, ok = s.open(b, from); !ok {
			return
		}
	}
	f, err := relaywire.Parse(b)
	if err != nil {
		s.malformed(from.To, foreign(b))
		return
	}
	if udp.CheckPeer(from.To) != nil {
		s.malformed(from.To, errNoHost)
		return
	}
	if f.Kind == relaywire.Hello {
		s.hello(&f, from)
		return
	}
	now := time.Now()
	s.mu.Lock()
	c := s.sessions[ID(f.ID)]
	switch f.Kind {
	case relaywire.Ping, relaywire.Leave, relaywire.Write, relaywire.Ack:
	default: // a server's
		s.refuseDatagram(from.To, errServers)
		s.mu.Unlock()
		return
	}
	var answer []byte
	switch {
	case c == nil && s.registering[ID(f.ID)]: // it comes again
	case c == nil || c.path.To != from.To:
		s.stats.Unknown++
		if relaywire.HeaderSize+s.keyed.longer() <= size { // a sealed one is longer than a signed ping
			answer = relaywire.Begin(nil, relaywire.Reset, f.ID)
		}
	case f.Kind == relaywire.Ping:
		c.heard = now
		first, last := s.bounds()
		answer = (&relaywire.Frame{Kind: relaywire.Pong, ID: uint64(c.id), First: first, Last: last}).Append(nil)
	case f.Kind == relaywire.Leave:
		s.leave(c, f.Done)
	case f.Kind == relaywire.Ack && c.role == RoleReader && f.Next <= max(c.sent, s.cache.end):
		c.heard = now
		if f.Next < c.next {
			break // an old one
		}
		delivered, gone := c.acked(&f, now)
		c.messages += delivered
		s.stats.Delivered += delivered
		s.stats.Gone += gone
		s.makeReady(c)
	case f.Kind == relaywire.Write && c.role == RoleWriter:
		c.heard = now
		answer = s.write(c, &f, now)
	default:
		s.refuseDatagram(from.To, errNotIts)
	}
	s.mu.Unlock()
	s.answer(answer, from)
}

// Why a datagram is refused.
const (
	errNotRelay service.Malformed = "not a datagram of the relay"
	errTooLong  service.Malformed = "longer than any of the relay"
	errNoHost   service.Malformed = "its source is an address that no host has"
	errServers  service.Malformed = "only a server sends such a one"
	errNotIts   service.Malformed = "not what a client of its role sends, or of a message that there is not"
	errTwo      service.Malformed = "one client has two names"
	errOther    service.Malformed = "for another client"
	errPlace    service.Malformed = "a welcome to a place beyond the end of the log"
	errNotTo    service.Malformed = "not what a server sends to a client of this role"
)

func (s *Server) malformed(from netip.AddrPort, why error) {
	s.mu.Lock()
	s.refuseDatagram(from, why)
	s.mu.Unlock()
}

// refuseDatagram counts a datagram, and tells why it is refused.
func (s *Server) refuseDatagram(from netip.AddrPort, why error) {
	s.stats.Malformed++
	s.judged = why
	s.tellRefused(s.refusals.Note(from, why, time.Now()))
}

func (s *Server) tellRefused(told []service.Refused) {
	for _, r := range told {
		s.events.Emit(RefusedEvent(r))
	}
}

func (s *Server) answer(b []byte, path udp.Path) {
	if len(b) == 0 {
		return
	}
	if err := s.say(b, path); err != nil {
		s.mu.Lock()
		s.stats.SendErrors++
		s.mu.Unlock()
	}
}
