package relay

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/batch"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/names"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/sock"
)

const (
	// readBuffer is the receive buffer that sockets ask the system for, in bytes.
	readBuffer = 4 << 20
	// eventQueue is how many events wait for a slow ServerConfig.OnEvent.
	eventQueue = 4096
	// cookiePeriod is how long a cookie is made; it is taken for one period more.
	cookiePeriod = 30 * time.Second
	// maxRegistering is how many registrations ask the log at the same time.
	maxRegistering = 64
	// maxFetching is how many readers' older messages are read at the same time, and
	// fetchMessages how many at once.
	maxFetching   = 16
	fetchMessages = 1024
	// maxPending is how many messages wait to be stored, maxAppend how many of them
	// are stored at once.
	maxPending = 1 << 15
	maxAppend  = 1024
	// logPatience is how long the log may take for one answer.
	logPatience = 10 * time.Second
	// burst is how many datagrams go to one reader before it is another's turn: what
	// the kernel takes in one piece.
	burst = 54
	// tick is how often timeouts are looked for while something is under way.
	tick = 5 * time.Millisecond
	// saving is how often what is known of clients is saved.
	saving = 5 * time.Second
	// retrying is the pause after the log has failed to read.
	retrying = 500 * time.Millisecond
	// closing is how long a server takes for its last words.
	closing = 2 * time.Second
)

// ServerConfig configures a Server. The zero value works; it is copied.
type ServerConfig struct {
	// Listen is the local address. Default 0.0.0.0, which is every IPv4 address of
	// this machine, and DefaultPort; port 0 takes a free one.
	Listen netip.AddrPort
	// Log keeps the messages. It stays the caller's. Default NewMemory(0).
	Log Log
	// MaxClients is how many clients may be registered at once. Default 1024.
	MaxClients int
	// Expire is how long a client may be silent until it is taken for gone, 1 s to
	// 1 h. Clients show a sign of life five times in it. Default 15 s.
	Expire time.Duration
	// Pace is how many bytes a second go to one reader at the most. Default 64 MiB.
	Pace int
	// Cache is how many bytes of the newest messages are kept in memory. Older ones
	// are read from the log. Default 16 MiB.
	Cache int
	// OnEvent is called for each event, one call at a time, on a goroutine of
	// its own: it delays nobody. Events that it is too slow for are dropped, which
	// ServerStats.EventsLost counts. The StartEvent and the summary never are.
	OnEvent func(Event)
}

func (c ServerConfig) withDefaults() (ServerConfig, error) {
	if c.MaxClients < 0 || c.Pace < 0 || c.Cache < 0 {
		return c, fmt.Errorf("%w: MaxClients, Pace and Cache cannot be negative", ErrConfig)
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
	return c, nil
}

// carrier sends datagrams in batches: batch.Writer, or a network of a test.
type carrier interface {
	AddParts(head, body []byte, to netip.AddrPort)
	Flush(done func(to netip.AddrPort, err error))
}

// Server takes messages from writers, has them stored and delivers them to readers.
// Its methods are safe for concurrent use.
type Server struct {
	cfg    ServerConfig
	log    Log
	conn   *net.UDPConn // nil in a simulation
	drops  func() (uint32, bool)
	reply  func(b []byte, to netip.AddrPort) error
	secret [32]byte
	begun  time.Time // cookies count from it

	work    sync.WaitGroup // registrations, fetches
	fetches chan struct{}  // a place for each

	// sending is held by the one who sends to readers; wanted tells it to look again.
	sending sync.Mutex
	wanted  atomic.Bool
	carrier carrier

	appending chan struct{} // holds a token from the storing of messages until they are in the cache

	mu          sync.Mutex
	ctx         context.Context // of Run
	running     bool
	ended       bool
	events      chan Event // written with mu held, until ended
	stats       ServerStats
	sessions    map[ID]*session
	byName      map[nameKey]*session
	readers     []*session
	registering map[ID]bool
	cache       cache
	ready       []*session // readers that may be sent something
	answers     []answer   // to writers, which go out with the next round
	pending     []Record
	arrived     chan struct{}    // there is something pending
	sent        chan struct{}    // there is something under way
	failing     map[string]error // what of the log fails: reported, until it works again
}

type nameKey struct {
	role     Role
	skeleton string
}

func keyOf(role Role, name string) nameKey { return nameKey{role, names.Skeleton(name)} }

// claim is how the log knows the name.
func (k nameKey) claim() string { return k.role.String() + "." + k.skeleton }

// NewServer opens the server's socket. An error wraps ErrConfig, or is the system's
// for the socket, such as syscall.EADDRINUSE. The caller closes the server.
func NewServer(cfg ServerConfig) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	conn, err := sock.ListenUDP(context.Background(), cfg.Listen, sock.Options{ReadBuffer: readBuffer, NoBroadcast: true})
	if sock.AddrInUse(err) {
		err = fmt.Errorf("port %d is taken by another program; end it or choose another port: %w", cfg.Listen.Port(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("the relay cannot open %v: %w", cfg.Listen, err)
	}
	writer, err := batch.NewWriter(conn)
	if err != nil { // cannot be, the socket is open
		_ = conn.Close()
		return nil, fmt.Errorf("the relay cannot use %v: %w", cfg.Listen, err)
	}
	s := newServer(cfg)
	s.conn, s.carrier = conn, writer
	s.reply = func(b []byte, to netip.AddrPort) error {
		_, err := conn.WriteToUDPAddrPort(b, to)
		return err
	}
	return s, nil
}

// newServer makes a server without a socket. Set carrier and reply.
func newServer(cfg ServerConfig) *Server {
	s := &Server{
		cfg: cfg, log: cfg.Log, begun: time.Now(), fetches: make(chan struct{}, maxFetching), appending: make(chan struct{}, 1),
		events:   make(chan Event, eventQueue),
		sessions: make(map[ID]*session), byName: make(map[nameKey]*session), registering: make(map[ID]bool),
		arrived: make(chan struct{}, 1), sent: make(chan struct{}, 1), failing: make(map[string]error),
	}
	_, _ = rand.Read(s.secret[:]) // never fails
	s.cache.max = cfg.Cache
	s.stats.Left, s.stats.Refused = make(map[Reason]uint64), make(map[Reason]uint64)
	return s
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() netip.AddrPort { return addrOf(s.conn.LocalAddr()) }

func addrOf(a net.Addr) netip.AddrPort {
	addr := a.(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// Close closes the socket, which ends a Run with net.ErrClosed. It is idempotent.
func (s *Server) Close() error {
	if err := s.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Run serves clients until ctx ends, tells them so, and returns nil. A log that
// fails is reported by an ErrorEvent and tried again, and so is receiving that fails for
// a while. It returns an error if receiving fails for good, or if the server is closed
// or ran before; that of a closed one satisfies net.ErrClosed.
func (s *Server) Run(ctx context.Context) error {
	reader, err := batch.New(s.conn, batch.Config{Size: MaxDatagram, Coalesce: true})
	if err != nil {
		return fmt.Errorf("the relay cannot go on: %w", err)
	}
	s.mu.Lock()
	s.drops = reader.Dropped
	s.mu.Unlock()
	return s.run(ctx, StartEvent{At: time.Now(), Local: s.Addr()}, func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) })()
		return s.readAll(ctx, reader)
	})
}

// reader is where datagrams come from: batch.Reader, or a test's.
type reader interface {
	Next() *batch.Datagram
	Read(wait bool) error
}

// readAll takes datagrams until ctx ends, or reading fails for good.
func (s *Server) readAll(ctx context.Context, from reader) error {
	var failures batch.Failures
	for {
		for d := from.Next(); d != nil; d = from.Next() {
			if d.Truncated {
				s.mu.Lock()
				s.stats.Malformed++
				s.mu.Unlock()
				continue
			}
			s.handle(d.Payload, d.Source)
		}
		s.pump()
		err := from.Read(true)
		if ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, net.ErrClosed) { // run says that
			s.report("receiving", err)
		}
		if err == nil {
			failures.Over()
		} else if !failures.Rest(ctx, err) && ctx.Err() == nil {
			return fmt.Errorf("the relay cannot go on: %w", err)
		}
	}
}

// run is Run, with the datagrams from serve.
func (s *Server) run(ctx context.Context, start StartEvent, serve func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	if s.running {
		s.mu.Unlock()
		return errors.New("the relay has run already; a new run is a new Server")
	}
	s.running, s.ctx = true, ctx
	s.mu.Unlock()
	s.tell(start)
	var dispatcher sync.WaitGroup
	dispatcher.Go(func() {
		for e := range s.events {
			s.tell(e)
		}
	})

	_, last := s.log.Bounds()
	s.mu.Lock()
	s.cache.end = last + 1
	s.mu.Unlock()
	var parts sync.WaitGroup
	parts.Go(func() { s.follow(ctx) })
	parts.Go(func() { s.store(ctx) })
	parts.Go(func() { s.watch(ctx) })
	parts.Go(func() { s.save(ctx) })
	err := serve(ctx)
	cancel()
	parts.Wait()
	s.work.Wait()
	s.farewell()

	s.mu.Lock()
	s.ended = true
	close(s.events)
	s.mu.Unlock()
	dispatcher.Wait()
	s.tell(ServerSummary{ServerStats: s.Stats(), Runtime: time.Since(start.At)})
	return err
}

func (s *Server) tell(e Event) {
	if s.cfg.OnEvent != nil {
		s.cfg.OnEvent(e)
	}
}

// emit hands an event to the dispatcher, with mu held.
func (s *Server) emit(e Event) {
	if s.ended {
		return
	}
	select {
	case s.events <- e:
	default:
		s.stats.EventsLost++
	}
}

// report notes whether something works, and emits an event when that changes.
func (s *Server) report(what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.failing[what]
	switch {
	case err != nil && had == nil:
		s.emit(ErrorEvent{Err: err, Text: fmt.Sprintf("%s: %v", what, err), At: time.Now()})
	case err == nil && had != nil:
		s.emit(ErrorEvent{Err: had, Text: what + " works again", Ended: true, At: time.Now()})
		delete(s.failing, what)
		return
	}
	if err != nil {
		s.failing[what] = err
	}
}

// What of a log can fail, as a user reads it.
const (
	storing   = "messages cannot be stored"
	reading   = "messages cannot be read from the log"
	following = "new messages of the log cannot be followed"
	clients   = "what is known of clients cannot be read or saved"
)

// Stats returns the counters.
func (s *Server) Stats() ServerStats {
	first, last := s.log.Bounds()
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Left, stats.Refused = maps.Clone(stats.Left), maps.Clone(stats.Refused)
	stats.First, stats.Last = first, max(last, s.cache.end-min(1, s.cache.end))
	stats.Readers = len(s.readers)
	stats.Writers = len(s.sessions) - len(s.readers)
	stats.Cached = s.cache.bytes
	if s.drops != nil {
		stats.Kernel, _ = s.drops()
	}
	return stats
}

// Clients returns the registered clients, by role and name.
func (s *Server) Clients() []ClientInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	infos := make([]ClientInfo, 0, len(s.sessions))
	for _, c := range s.sessions {
		info := ClientInfo{Role: c.role, Username: c.name, Addr: c.addr, Since: c.since, Heard: c.heard, Messages: c.messages}
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

// handle takes one datagram. The caller calls pump afterwards.
func (s *Server) handle(b []byte, from netip.AddrPort) {
	f, err := parse(b)
	if err != nil || sock.CheckPeer(from) != nil {
		s.mu.Lock()
		s.stats.Malformed++
		s.mu.Unlock()
		return
	}
	if f.kind == kindHello {
		s.hello(&f, from)
		return
	}
	now := time.Now()
	s.mu.Lock()
	c := s.sessions[f.id]
	switch f.kind {
	case kindPing, kindLeave, kindWrite, kindAck:
	default: // a server's
		s.stats.Malformed++
		s.mu.Unlock()
		return
	}
	var answer []byte
	switch {
	case c == nil && s.registering[f.id]: // it comes again
	case c == nil || c.addr != from:
		s.stats.Unknown++
		answer = begin(nil, kindReset, f.id)
	case f.kind == kindPing:
		c.heard = now
		first, last := s.log.Bounds()
		answer = (&frame{kind: kindPong, id: c.id, first: first, last: max(last, s.cache.end-1)}).append(nil)
	case f.kind == kindLeave:
		s.leave(c, f.done)
	case f.kind == kindAck && c.role == RoleReader && f.next <= max(c.sent, s.cache.end):
		c.heard = now
		if f.next < c.next {
			break // an old one
		}
		delivered, gone := c.acked(&f, now)
		c.messages += delivered
		s.stats.Delivered += delivered
		s.stats.Gone += gone
		s.makeReady(c)
	case f.kind == kindWrite && c.role == RoleWriter:
		c.heard = now
		answer = s.write(c, &f, now)
	default:
		s.stats.Malformed++
	}
	s.mu.Unlock()
	s.answer(answer, from)
}

func (s *Server) answer(b []byte, to netip.AddrPort) {
	if len(b) == 0 {
		return
	}
	if err := s.reply(b, to); err != nil {
		s.mu.Lock()
		s.stats.SendErrors++
		s.mu.Unlock()
	}
}

// cookieFor returns what proves that a client gets what is sent to its address.
func (s *Server) cookieFor(period uint32, f *frame, addr netip.AddrPort) (c cookie) {
	mac := hmac.New(sha256.New, s.secret[:])
	var b [4 + 8 + 1 + 16 + 2]byte
	binary.BigEndian.PutUint32(b[:], period)
	binary.BigEndian.PutUint64(b[4:], uint64(f.id))
	b[12] = byte(f.role)
	ip := addr.Addr().As16()
	copy(b[13:], ip[:])
	binary.BigEndian.PutUint16(b[29:], addr.Port())
	mac.Write(b[:])
	mac.Write([]byte(addr.Addr().Zone() + "|" + f.name))
	binary.BigEndian.PutUint32(c[:], period)
	var sum [sha256.Size]byte
	copy(c[4:], mac.Sum(sum[:0]))
	return c
}

// hello takes a registration. Until the address is proved nothing is kept of it.
func (s *Server) hello(f *frame, from netip.AddrPort) {
	period := uint32(time.Since(s.begun) / cookiePeriod)
	shown := binary.BigEndian.Uint32(f.cookie[:])
	want := s.cookieFor(shown, f, from)
	if shown != period && shown+1 != period || !hmac.Equal(want[:], f.cookie[:]) {
		s.mu.Lock()
		s.stats.Challenged++
		s.mu.Unlock()
		s.answer((&frame{kind: kindChallenge, id: f.id, cookie: s.cookieFor(period, f, from)}).append(nil), from)
		return
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	key := keyOf(f.role, f.name)
	switch owner := s.byName[key]; {
	case s.registering[f.id]:
	case owner != nil && owner.id != f.id:
		s.refuse(f, from, ReasonNameTaken)
	case s.sessions[f.id] != nil && s.sessions[f.id] != owner:
		s.stats.Malformed++ // one ID, two names
	case owner != nil && owner.leaving:
	case owner != nil:
		owner.heard = now
		if owner.addr != from {
			owner.addr = from
			s.emit(JoinEvent{Role: f.role, Username: f.name, Client: from, Next: owner.next, Moved: true, At: now})
		}
		s.welcome(owner, f.try)
		s.makeReady(owner)
	case len(s.sessions)+len(s.registering) >= s.cfg.MaxClients:
		s.refuse(f, from, ReasonFull)
	case len(s.registering) >= maxRegistering:
		s.stats.Busy++
	case s.ctx.Err() == nil:
		s.registering[f.id] = true
		hello := *f
		s.work.Go(func() { s.register(&hello, from) })
	}
}

// refuse says no, with mu held.
func (s *Server) refuse(f *frame, to netip.AddrPort, reason Reason) {
	s.stats.Refused[reason]++
	if s.reply((&frame{kind: kindRefuse, id: f.id, reason: reasonCode(reason), expire: s.cfg.Expire}).append(nil), to) != nil {
		s.stats.SendErrors++
	}
}

// welcome confirms a registration, with mu held.
func (s *Server) welcome(c *session, try uint32) {
	first, last := s.log.Bounds()
	f := frame{kind: kindWelcome, id: c.id, try: try, next: c.next, first: first, last: max(last, s.cache.end-1), log: s.log.ID(), expire: s.cfg.Expire}
	if c.role == RoleWriter {
		f.next = c.stored + 1
	}
	if s.reply(f.append(nil), c.addr) != nil {
		s.stats.SendErrors++
	}
}

// register asks the log about a client whose address is proved, and lets it in.
func (s *Server) register(f *frame, from netip.AddrPort) {
	ctx, cancel := context.WithTimeout(s.ctx, logPatience)
	defer cancel()
	key := keyOf(f.role, f.name)
	c, err := s.admit(ctx, f, from)
	now := time.Now()
	if err != nil && !errors.Is(err, ErrNameTaken) && s.ctx.Err() == nil {
		s.report(clients, err)
	} else if err == nil {
		s.report(clients, nil)
	}
	s.mu.Lock()
	delete(s.registering, f.id)
	switch {
	case errors.Is(err, ErrNameTaken):
		s.refuse(f, from, ReasonNameTaken)
	case err != nil:
		s.refuse(f, from, ReasonStore)
	case s.byName[key] != nil: // in the meantime
		s.refuse(f, from, ReasonNameTaken)
	default:
		c.addr, c.since, c.heard = from, now, now
		s.sessions[c.id], s.byName[key] = c, c
		if c.role == RoleReader {
			s.readers = append(s.readers, c)
			s.makeReady(c)
		}
		s.stats.Registered++
		e := JoinEvent{Role: c.role, Username: c.name, Client: from, At: now}
		if c.role == RoleReader {
			e.Next = c.next
		}
		s.emit(e)
		s.welcome(c, f.try)
	}
	s.mu.Unlock()
	s.pump()
}

// admit makes a session of what the log knows.
func (s *Server) admit(ctx context.Context, f *frame, from netip.AddrPort) (*session, error) {
	key := keyOf(f.role, f.name)
	if err := s.log.Claim(ctx, key.claim(), f.id, s.cfg.Expire); err != nil {
		return nil, err
	}
	record, err := s.log.Client(ctx, f.role, f.name)
	if err != nil {
		return nil, err
	}
	c := &session{}
	if f.role == RoleWriter {
		last, seqs, err := s.log.Stored(ctx, f.id, f.at)
		if err != nil {
			return nil, err
		}
		c.stored = max(last, max(f.at, 1)-1)
		c.expected = c.stored + 1
		for i, seq := range seqs {
			c.setSeq(max(f.at, 1)+uint64(i), seq)
		}
	} else {
		next, err := s.beginning(ctx, f, record)
		if err != nil {
			return nil, err
		}
		*c = newReaderSession(next, time.Now())
		if f.from == fromAt && f.log == s.log.ID() && record.Next > 0 {
			c.done = min(next, record.Next) // what it has got may wait to be delivered; it will tell
		}
	}
	c.role, c.name, c.id = f.role, f.name, f.id
	begin(c.data[:0], kindData, c.id)
	begin(c.gaps[:0], kindGap, c.id)
	if record.Username == "" {
		record = ClientRecord{Role: f.role, Username: f.name, Registered: time.Now()}
	}
	record.Run, record.Addr, record.Seen, record.Next = f.id, from.String(), time.Now(), c.done
	c.record = record
	return c, s.log.SaveClient(ctx, record)
}

// beginning returns the first message for a reader.
func (s *Server) beginning(ctx context.Context, f *frame, record ClientRecord) (uint64, error) {
	first, last := s.log.Bounds()
	s.mu.Lock()
	last = max(last, s.cache.end-1)
	s.mu.Unlock()
	next := first
	switch {
	case f.from == FromNow:
		next = last + 1
	case f.from == fromAt && f.log == s.log.ID():
		next = f.at
	case f.from == FromLast && record.Next > 0:
		next = record.Next
	}
	if next > last+1 {
		// This server may be behind others; or the log has lost what the reader has seen.
		m, err := s.log.Read(ctx, next-1, 1)
		if err != nil {
			return 0, err
		}
		if len(m) == 0 || m[0].Seq != next-1 {
			_, last = s.log.Bounds()
			next = last + 1
		}
	}
	return max(next, 1), nil
}

// write takes messages of a writer, with mu held, and returns what to answer at once.
func (s *Server) write(c *session, f *frame, now time.Time) (answer []byte) {
	r := rest{b: f.entries}
	known := storedList{}
	early := false
	for i := range f.count {
		text, number := r.text(MaxText), f.first+uint64(i)
		switch {
		case number <= c.stored:
			s.stats.Duplicates++
			known.add(number, c.seq(number))
		case number < c.expected:
			s.stats.Duplicates++ // it is being stored
		case number > c.expected || number > c.stored+maxUnstored || len(s.pending) >= maxPending:
			s.stats.OutOfOrder++
			early = true
		default:
			c.expected++
			s.pending = append(s.pending, Record{Run: c.id, Number: number, Username: c.name, Text: string(text), At: now})
		}
	}
	select {
	case s.arrived <- struct{}{}:
	default:
	}
	if known.n > 0 || early {
		return known.frame(c)
	}
	return nil
}

// storedList is what a stored datagram tells of single messages.
type storedList struct {
	runs [maxRuns]storedRun
	n    int
}

// add adds a message, if there is room.
func (l *storedList) add(number, seq uint64) {
	if l.n > 0 {
		run := &l.runs[l.n-1]
		next := run.seq + uint64(run.count)
		if run.seq == 0 {
			next = 0
		}
		if number == run.number+uint64(run.count) && seq == next && run.count < maxUnstored {
			run.count++
			return
		}
	}
	if l.n < len(l.runs) {
		l.runs[l.n] = storedRun{number, 1, seq}
		l.n++
	}
}

// frame returns the datagram, with mu held, and empties the list. It says that all to the
// last of the list are stored, or all that are if the list is empty.
func (l *storedList) frame(c *session) []byte {
	f := frame{kind: kindStored, id: c.id, last: c.stored, count: l.n}
	for _, run := range l.runs[:l.n] {
		f.last = run.number + uint64(run.count) - 1
		f.entries = run.append(f.entries)
	}
	l.n = 0
	return f.append(nil)
}

func (c *session) setSeq(number, seq uint64) { c.seqs[number%uint64(len(c.seqs))] = seq }

// seq returns the sequence number of a stored message, 0 if it is not known any more.
func (c *session) seq(number uint64) uint64 {
	if number+uint64(len(c.seqs)) <= c.stored {
		return 0
	}
	return c.seqs[number%uint64(len(c.seqs))]
}

// store stores what is pending, until ctx ends.
func (s *Server) store(ctx context.Context) {
	var batch []Record
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.arrived:
		}
		for {
			s.mu.Lock()
			n := min(len(s.pending), maxAppend)
			batch = append(batch[:0], s.pending[:n]...)
			s.pending = s.pending[:copy(s.pending, s.pending[n:])]
			s.mu.Unlock()
			if n == 0 {
				break
			}
			limited, cancel := context.WithTimeout(ctx, logPatience)
			s.appending <- struct{}{}
			seqs, err := s.log.Append(limited, batch)
			cancel()
			s.stored(batch, seqs, err)
			<-s.appending
			s.pump()
			if ctx.Err() != nil {
				return
			}
			s.report(storing, err)
		}
	}
}

// answer is a datagram to a client.
type answer struct {
	b  []byte
	to netip.AddrPort
}

// stored tells writers what has become of their messages: those with a number are
// stored. To readers they go at once, if none of another server's is before them; else
// follow finds them.
func (s *Server) stored(batch []Record, seqs []uint64, err error) {
	lists := make(map[*session]*storedList)
	var messages []Message
	s.mu.Lock()
	for i, seq := range seqs {
		r := &batch[i]
		if seq == s.cache.end+uint64(len(messages)) {
			messages = append(messages, Message{Seq: seq, Username: r.Username, Text: r.Text, At: r.At})
		}
		c := s.sessions[r.Run]
		s.stats.Stored++
		if c == nil || r.Number != c.stored+1 {
			continue // it has left, and may come back: then the log tells
		}
		c.stored++
		c.expected = max(c.expected, c.stored+1) // it may have come in an earlier registration
		c.messages++
		c.setSeq(r.Number, seq)
		list := lists[c]
		if list == nil {
			list = &storedList{}
			lists[c] = list
		}
		if list.n == maxRuns {
			s.answers = append(s.answers, answer{list.frame(c), c.addr})
		}
		list.add(r.Number, seq)
	}
	for c, list := range lists {
		s.answers = append(s.answers, answer{list.frame(c), c.addr})
	}
	s.news(messages)
	if rest := batch[len(seqs):]; len(rest) > 0 {
		// What waits behind them cannot be stored before them: it must come again too.
		s.stats.NotStored += uint64(len(rest) + len(s.pending))
		rest = append(slices.Clone(rest), s.pending...)
		s.pending = s.pending[:0]
		report := []byte("unknown reason")
		if err != nil {
			report = []byte(strings.ToValidUTF8(err.Error(), "\ufffd"))
		}
		for len(report) > maxReport || !utf8.Valid(report) {
			report = report[:min(maxReport, len(report)-1)]
		}
		for _, r := range rest {
			if c := s.sessions[r.Run]; c != nil && c.expected != c.stored+1 {
				c.expected = c.stored + 1
				f := frame{kind: kindFailed, id: c.id, first: c.expected, entries: report}
				s.answers = append(s.answers, answer{f.append(nil), c.addr})
			}
		}
	}
	s.mu.Unlock()
}

// news puts new messages into the cache and has them sent by pump, with mu held.
func (s *Server) news(messages []Message) {
	end := s.cache.end
	if s.cache.add(messages); s.cache.end == end {
		return
	}
	for _, c := range s.readers {
		s.makeReady(c)
	}
}

// follow puts the log's new messages into the cache, until ctx ends.
func (s *Server) follow(ctx context.Context) {
	have := func() uint64 {
		s.appending <- struct{}{} // what is being stored here will be there without being read
		defer func() { <-s.appending }()
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.cache.end - 1
	}
	for ctx.Err() == nil {
		works := time.AfterFunc(retrying, func() { s.report(following, nil) })
		err := s.log.Follow(ctx, have, func(messages []Message) {
			s.report(following, nil)
			s.mu.Lock()
			s.news(messages)
			s.mu.Unlock()
			s.pump()
		})
		works.Stop()
		if ctx.Err() != nil {
			return
		}
		s.report(following, err)
		select {
		case <-ctx.Done():
		case <-time.After(retrying):
		}
	}
}

// makeReady has pump look at a reader, with mu held.
func (s *Server) makeReady(c *session) {
	if c.role == RoleReader && !c.ready {
		c.ready = true
		s.ready = append(s.ready, c)
	}
}

// pump sends to readers what is due, in turns. Whoever calls it while another does
// returns at once, and the other looks again.
func (s *Server) pump() {
	s.wanted.Store(true)
	for s.wanted.Load() && s.sending.TryLock() {
		for s.wanted.Swap(false) {
			for s.round() {
			}
		}
		s.sending.Unlock()
	}
}

// round gives each reader its turn and reports whether there is more to do.
func (s *Server) round() (more bool) {
	now := time.Now()
	s.mu.Lock()
	var sent, again int
	ready := s.ready
	left := ready[:0]
	for _, c := range ready {
		if c.gone {
			c.ready = false
			continue
		}
		c.fill(s.cfg.Pace, now)
		n, resent, more := c.send(&s.cache, burst, now, s.carrier.AddParts, s.fetch)
		sent += n
		again += resent
		if c.ready = more; more {
			left = append(left, c)
		}
	}
	clear(ready[len(left):])
	s.ready = left
	s.stats.Sent += uint64(sent)
	s.stats.Resent += uint64(again)
	more = len(left) > 0
	answers := len(s.answers)
	for _, a := range s.answers {
		s.carrier.AddParts(a.b, nil, a.to)
	}
	clear(s.answers)
	s.answers = s.answers[:0]
	s.mu.Unlock()
	if sent > 0 {
		select {
		case s.sent <- struct{}{}:
		default:
		}
	}
	if sent+answers > 0 {
		failed := uint64(0)
		s.carrier.Flush(func(_ netip.AddrPort, err error) {
			if err != nil {
				failed++
			}
		})
		if failed > 0 {
			s.mu.Lock()
			s.stats.SendErrors += failed
			s.mu.Unlock()
		}
	}
	return more
}

// fetch has a reader's next messages read from the log, with mu held.
func (s *Server) fetch(c *session) {
	if s.ctx.Err() != nil {
		return
	}
	from := c.sent
	s.work.Go(func() {
		select {
		case s.fetches <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(s.ctx, logPatience)
		messages, err := s.log.Read(ctx, from, fetchMessages)
		cancel()
		<-s.fetches
		if err != nil && s.ctx.Err() == nil {
			s.report(reading, err)
			select {
			case <-time.After(retrying):
			case <-s.ctx.Done():
			}
		} else if err == nil {
			s.report(reading, nil)
		}
		s.mu.Lock()
		c.fetches = false
		if err != nil {
			s.stats.ReadErrors++
		} else {
			c.backlog = s.backlog(from, messages)
		}
		s.makeReady(c)
		s.mu.Unlock()
		s.pump()
	})
}

// backlog makes items of what was read, with mu held: a gap where messages are
// missing, and nothing of what the cache has.
func (s *Server) backlog(from uint64, messages []Message) (items []item) {
	cached := s.cache.first()
	for i, m := range messages {
		if m.Seq >= cached {
			messages = messages[:i]
			break
		}
	}
	switch {
	case len(messages) == 0 && from < cached:
		return append(items, gapItem(from, cached))
	case len(messages) == 0:
		return nil
	case messages[0].Seq > from:
		items = append(items, gapItem(from, messages[0].Seq))
	}
	var p packer
	return p.pack(items, messages)
}

// watch looks for timeouts and for clients that are gone, until ctx ends.
func (s *Server) watch(ctx context.Context) {
	expiries := time.Now()
	for {
		s.mu.Lock()
		now := time.Now()
		busy := false
		for _, c := range s.readers {
			if c.pipe > 0 {
				busy = true
				if !c.timedOut(now) {
					continue
				}
			}
			if len(c.flight) > 0 || c.sent < s.cache.end && c.room > 0 { // it may have waited for its pace
				busy = true
				s.makeReady(c)
			}
		}
		if now.Sub(expiries) >= time.Second {
			expiries = now
			for _, c := range s.sessions {
				if now.Sub(c.heard) > s.cfg.Expire && !c.leaving {
					s.remove(c, ReasonExpired)
				}
			}
		}
		pause, sent := time.Second, s.sent
		if busy {
			pause, sent = tick, nil
		}
		waiting := len(s.ready) > 0
		s.mu.Unlock()
		if waiting {
			s.pump()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		case <-sent:
		}
	}
}

// leave removes a client that says so, once what is known of it is saved, with mu held.
func (s *Server) leave(c *session, done uint64) {
	if c.leaving || s.ctx.Err() != nil {
		return
	}
	if c.role == RoleReader && done <= c.sent {
		c.done = max(c.done, done)
	}
	c.leaving = true
	s.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), closing)
		defer cancel()
		s.keep(ctx, c, true)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.remove(c, ReasonLeft)
		_ = s.reply(begin(nil, kindBye, c.id), c.addr)
	})
}

// remove takes a client out of the tables, with mu held.
func (s *Server) remove(c *session, reason Reason) {
	if c.gone {
		return
	}
	c.gone = true
	delete(s.sessions, c.id)
	delete(s.byName, keyOf(c.role, c.name))
	s.readers = slices.DeleteFunc(s.readers, func(r *session) bool { return r == c })
	s.stats.Left[reason]++
	s.emit(LeaveEvent{Role: c.role, Username: c.name, Client: c.addr, Reason: reason, At: time.Now()})
	if reason == ReasonExpired && s.ctx.Err() == nil {
		s.work.Go(func() {
			ctx, cancel := context.WithTimeout(s.ctx, logPatience)
			defer cancel()
			s.keep(ctx, c, false) // its name is free when the claim ends: it may have another server by now
		})
	}
}

// keep saves what is known of a client if that has changed, and at its end gives
// back its name.
func (s *Server) keep(ctx context.Context, c *session, end bool) {
	s.mu.Lock()
	record := c.record
	record.Seen = time.Now().Add(-time.Since(c.heard))
	record.Addr = c.addr.String()
	changed := end || c.gone || c.role == RoleReader && record.Next != c.done
	if c.role == RoleReader {
		record.Next = c.done
	}
	s.mu.Unlock()
	var err error
	if changed {
		var had ClientRecord
		switch had, err = s.log.Client(ctx, c.role, c.name); {
		case err != nil:
		case had.Run != c.id:
			changed = false // somebody else has the name by now
		default: // the client may have gone on through another server
			record.Next = max(record.Next, had.Next)
			err = s.log.SaveClient(ctx, record)
		}
	}
	if end {
		err = errors.Join(err, s.log.Release(ctx, keyOf(c.role, c.name).claim(), c.id))
	}
	if ctx.Err() == nil {
		s.report(clients, err)
	}
	if err == nil && changed {
		s.mu.Lock()
		c.record = record
		s.mu.Unlock()
	}
}

// save saves what is known of clients and renews their names, until ctx ends.
func (s *Server) save(ctx context.Context) {
	pause := min(saving, s.cfg.Expire/3)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		for _, c := range s.all() {
			if c.silent(&s.mu) > pause { // let its claim end too
				continue
			}
			limited, cancel := context.WithTimeout(ctx, logPatience)
			err := s.log.Claim(limited, keyOf(c.role, c.name).claim(), c.id, s.cfg.Expire)
			if err == nil {
				s.keep(limited, c, false)
			}
			cancel()
			switch {
			case ctx.Err() != nil:
				return
			case errors.Is(err, ErrNameTaken): // through another server, when this one could not renew it
				s.mu.Lock()
				s.remove(c, ReasonExpired)
				s.mu.Unlock()
			default:
				s.report(clients, err)
			}
		}
	}
}

// silent returns for how long a client was not heard.
func (c *session) silent(mu *sync.Mutex) time.Duration {
	mu.Lock()
	defer mu.Unlock()
	return time.Since(c.heard)
}

// all returns the clients that are registered and do not leave.
func (s *Server) all() (sessions []*session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.sessions {
		if !c.leaving {
			sessions = append(sessions, c)
		}
	}
	return sessions
}

// farewell saves what is known of clients and tells them that the server ends.
func (s *Server) farewell() {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	for _, c := range s.all() {
		s.keep(ctx, c, true)
		_ = s.reply(begin(nil, kindBye, c.id), c.addr) // a closed socket: they will notice
	}
}
