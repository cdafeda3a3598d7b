package weather

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/later"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

const (
	// MaxSources is how many sources, over TCP connections, are known at a time.
	MaxSources = 1024
	// IdleTime is how long a source of UDP is known of which nothing is heard.
	IdleTime = time.Minute
	// MaxWaiting and MaxWaitingBytes bound the datagrams on the way, in both directions together.
	MaxWaiting      = 16_384
	MaxWaitingBytes = 16 << 20
	// readBuffer is what the system is asked to hold for a socket, in bytes.
	readBuffer = 1 << 20
	// writeBuffer has room for the longest datagram on systems whose default has not (macOS: 9,216
	// bytes).
	writeBuffer = 128 << 10
	// overtakenFor is how long a datagram waits for one that overtakes it.
	overtakenFor = time.Second
	// maxQueueing is how long one may wait because of the rate.
	maxQueueing = time.Second
	// lookAgain is how often the file of settings is read, and idle sources are looked for.
	lookAgain = 500 * time.Millisecond
)

// Config configures a Forwarder. It is copied.
type Config struct {
	// Listen is the address to listen on. Port 0 takes a free one.
	Listen netip.AddrPort
	// To is where all is forwarded to. It is needed. What it answers is taken from any port of the
	// host, and if it is a broadcast address, from any host.
	To netip.AddrPort
	// TCP forwards connections instead of datagrams.
	TCP bool
	// Seed decides, with the settings, what happens to what.
	Seed uint64
	// Settings are the weather in the beginning.
	Settings Settings
	// File has settings in JSON, see Settings.UnmarshalJSON, that replace those of Settings. It is
	// read again twice a second, and what has changed takes effect. Default: none.
	File string
	// OnEvent is called for each event, one call at a time; what happens meanwhile waits.
	OnEvent func(Event)
}

// Forwarder forwards between two programs. Its methods are safe for concurrent use.
type Forwarder struct {
	cfg      Config
	conn     *net.UDPConn
	reader   *udp.Reader
	anyone   bool // may answer: To is a broadcast address
	listener *net.TCPListener
	queue    *later.Queue[*packet]
	packets  sync.Pool
	life     service.Life
	told     sync.Mutex // held while OnEvent runs
	file     file

	mu           sync.Mutex
	settings     Settings
	changed      time.Time    // when they took effect
	free         [2]time.Time // when the rate lets the next datagram through
	waiting      int          // on the way
	waitingBytes int
	sources      map[netip.AddrPort]*source
	number       uint64 // of sources up to now
	report       Report
	streams      int // connections
	connections  sync.WaitGroup
}

// direction is from a source to the program behind, or back.
type direction int

const (
	there direction = iota
	back
)

// source is a program that sends to the forwarder.
type source struct {
	conn   *net.UDPConn
	reader *udp.Reader
	path   udp.Path // back to it
	heard  time.Time
	ways   [2]way
}

// way is one direction of a source.
type way struct {
	dice *rand.Rand
	held [2]held
}

// held is a datagram that waits to be overtaken; it was due before.
type held struct {
	item *later.Item[*packet] // nil for none
	due  time.Time
}

// packet is a datagram on the way.
type packet struct {
	payload []byte
	conn    *net.UDPConn
	path    udp.Path
	way     direction
}

// New opens the socket. An error wraps ErrConfig, is about the file, or is the system's, such as
// syscall.EADDRINUSE. The caller closes the forwarder.
func New(cfg Config) (*Forwarder, error) {
	switch {
	case !cfg.Listen.IsValid():
		return nil, fmt.Errorf("%w: Listen is missing", ErrConfig)
	case !cfg.To.IsValid() || cfg.To.Port() == 0 || cfg.To.Addr().IsUnspecified():
		return nil, fmt.Errorf("%w: %v is no address to forward to", ErrConfig, cfg.To)
	case cfg.To == cfg.Listen, cfg.To.Port() == cfg.Listen.Port() && cfg.To.Addr().IsLoopback() && cfg.Listen.Addr().IsUnspecified():
		return nil, fmt.Errorf("%w: what is sent to %v would go round and round", ErrConfig, cfg.To)
	}
	cfg.To = netip.AddrPortFrom(cfg.To.Addr().Unmap(), cfg.To.Port())
	f := &Forwarder{cfg: cfg, queue: later.New[*packet](), sources: make(map[netip.AddrPort]*source)}
	f.packets.New = func() any { return new(packet) }
	settings := cfg.Settings
	if cfg.File != "" {
		var err error
		if settings, _, err = f.file.read(cfg.File, cfg.Settings); err != nil {
			return nil, err
		}
	}
	if err := f.set(settings); err != nil {
		return nil, err
	}
	if cfg.TCP {
		listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(cfg.Listen))
		if err != nil {
			return nil, fmt.Errorf("the weather cannot listen: %w", err)
		}
		f.listener = listener
		return f, nil
	}
	conn, err := udp.Listen(context.Background(), cfg.Listen, udp.Options{ReadBuffer: readBuffer, NoBroadcast: true})
	if err != nil {
		return nil, fmt.Errorf("the weather cannot listen: %w", err)
	}
	_ = conn.SetWriteBuffer(writeBuffer) // if not, a long datagram fails and is counted
	reader, err := newReader(conn)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("the weather cannot listen: %w", err)
	}
	f.conn, f.reader, f.anyone = conn, reader, isBroadcast(cfg.To.Addr())
	return f, nil
}

func newReader(conn *net.UDPConn) (*udp.Reader, error) {
	return udp.NewReader(conn, udp.ReaderConfig{Size: 65535, Single: true, Back: true})
}

// Addr returns the address that is listened on.
func (f *Forwarder) Addr() netip.AddrPort {
	if f.listener != nil {
		return service.AddrOf(f.listener.Addr())
	}
	return service.AddrOf(f.conn.LocalAddr())
}

// Close closes the socket, which ends a Run with net.ErrClosed. It is idempotent.
func (f *Forwarder) Close() error {
	if f.listener != nil {
		return service.Close(f.listener)
	}
	return service.Close(f.conn)
}

// Set changes the weather, for what comes from now on. An error wraps ErrConfig, and the old one
// stays.
func (f *Forwarder) Set(settings Settings) error {
	if err := f.set(settings); err != nil {
		return err
	}
	f.tell(Event{Kind: Changed, At: time.Now(), Settings: settings})
	return nil
}

func (f *Forwarder) set(settings Settings) error {
	if err := settings.check(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settings, f.changed = settings, time.Now()
	f.free = [2]time.Time{}
	return nil
}

// Settings returns the weather.
func (f *Forwarder) Settings() Settings {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.settings
}

// Run forwards until ctx ends, and returns nil; what is on the way then is dropped. Run returns an
// error if receiving fails for good, or if the forwarder is closed or ran before; that of a closed
// one satisfies net.ErrClosed.
func (f *Forwarder) Run(ctx context.Context) error {
	began, err := f.life.Begin("forwarder", "Forwarder")
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.changed = began
	f.mu.Unlock()
	running, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { f.look(running) })
	if f.listener != nil {
		err = f.accept(running)
	} else {
		all.Go(func() { f.queue.Run(running, f.deliver) })
		err = f.receive(running, f.conn, f.reader, func(d *udp.Datagram) { f.fromSource(running, d, f.reader.Back()) })
	}
	cancel()
	f.mu.Lock()
	for from := range f.sources {
		f.remove(from)
	}
	f.mu.Unlock()
	f.connections.Wait()
	all.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("the weather cannot receive any more: %w", err)
}

// look reads the file of settings, and forgets idle sources, now and then.
func (f *Forwarder) look(ctx context.Context) {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			f.forget(now)
			f.reload()
		}
	}
}

// reload takes what is new in the file of settings.
func (f *Forwarder) reload() {
	if f.cfg.File == "" {
		return
	}
	settings, changed, err := f.file.read(f.cfg.File, f.cfg.Settings)
	if !changed {
		return
	}
	if err == nil {
		err = f.Set(settings)
	}
	if err != nil {
		f.tell(Event{Kind: Failed, At: time.Now(), Settings: f.Settings(), Err: fmt.Errorf("the settings stay as they are: %w", err)})
	}
}

func (f *Forwarder) tell(e Event) {
	if f.cfg.OnEvent == nil {
		return
	}
	f.told.Lock()
	defer f.told.Unlock()
	f.cfg.OnEvent(e)
}

// forget forgets idle sources.
func (f *Forwarder) forget(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for from, s := range f.sources {
		if now.Sub(s.heard) > IdleTime {
			f.remove(from)
			f.report.Forgotten++
		}
	}
}

// remove closes the socket of a source, for mu held.
func (f *Forwarder) remove(from netip.AddrPort) {
	s := f.sources[from]
	f.report.KernelDropped += dropped(s.reader)
	_ = s.conn.Close()
	delete(f.sources, from)
}

// dropped returns how many datagrams the socket's buffer had no room for, as far as it is known.
func dropped(reader *udp.Reader) uint64 {
	n, _ := reader.Dropped()
	return uint64(n)
}

// receive calls take for each datagram that a socket receives, until ctx ends.
func (f *Forwarder) receive(ctx context.Context, conn *net.UDPConn, reader *udp.Reader, take func(*udp.Datagram)) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	return udp.ReadAll(ctx, reader, take, func(err error) {
		if err != nil && ctx.Err() == nil {
			f.mu.Lock()
			f.report.ReadErrors++
			f.mu.Unlock()
		}
	})
}

// fromSource takes a datagram that goes to the program behind.
func (f *Forwarder) fromSource(ctx context.Context, d *udp.Datagram, path udp.Path) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.source(ctx, d.Source)
	if s == nil {
		f.report.Refused++
		return
	}
	s.heard, s.path = d.Received, path
	f.send(s, there, d, s.conn, udp.Path{To: f.cfg.To})
}

// source returns the source of an address, for mu held; nil if there is no room for it.
func (f *Forwarder) source(ctx context.Context, from netip.AddrPort) *source {
	if s := f.sources[from]; s != nil {
		return s
	}
	if udp.CheckPeer(from) != nil || len(f.sources) >= MaxSources {
		return nil
	}
	own := netip.IPv4Unspecified()
	if f.cfg.To.Addr().Is6() {
		own = netip.IPv6Unspecified()
	}
	if f.cfg.To.Addr().IsLoopback() { // nobody else can answer
		own = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if f.cfg.To.Addr().Is6() {
			own = netip.IPv6Loopback()
		}
	}
	conn, err := udp.Listen(ctx, netip.AddrPortFrom(own, 0), udp.Options{ReadBuffer: readBuffer, IPv6Only: true})
	if err != nil {
		return nil
	}
	_ = conn.SetWriteBuffer(writeBuffer)
	reader, err := newReader(conn)
	if err != nil {
		_ = conn.Close()
		return nil
	}
	s := &source{conn: conn, reader: reader}
	for i := range s.ways {
		s.ways[i].dice = f.dice(direction(i))
	}
	f.number++
	f.sources[from] = s
	f.connections.Go(func() {
		_ = f.receive(ctx, conn, reader, func(d *udp.Datagram) { f.fromBehind(s, d) })
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.sources[from] == s { // it failed for good: the next datagram opens another
			f.remove(from)
		}
	})
	return s
}

// dice returns those of a direction of the next source.
func (f *Forwarder) dice(d direction) *rand.Rand {
	return rand.New(rand.NewPCG(f.cfg.Seed, 2*f.number+uint64(d)))
}

// fromBehind takes a datagram that goes back to a source.
func (f *Forwarder) fromBehind(s *source, d *udp.Datagram) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if from, to := d.Source.Addr(), f.cfg.To.Addr(); from != to && !f.anyone {
		f.report.Strangers++
		return
	}
	s.heard = d.Received
	f.send(s, back, d, f.conn, s.path)
}

// send has a datagram go its way, for mu held.
func (f *Forwarder) send(s *source, d direction, got *udp.Datagram, conn *net.UDPConn, path udp.Path) {
	n, w := f.report.counts(d), &s.ways[d]
	n.Received++
	fate := f.settings.decide(w.dice)
	now := got.Received
	switch {
	case f.partedAt(now):
		n.Parted++
		return
	case fate.lost:
		n.Lost++
		return
	}
	size := len(got.Payload)
	copies := 1
	if fate.twice {
		copies = 2
	}
	out := now
	if f.settings.Rate > 0 {
		free := &f.free[d]
		if free.Before(now) {
			*free = now
		}
		if free.Sub(now) > maxQueueing {
			n.Full++
			return
		}
		*free = free.Add(time.Duration(size) * time.Second / time.Duration(f.settings.Rate))
		out = *free
	}
	if f.waiting+copies > MaxWaiting || f.waitingBytes+copies*size > MaxWaitingBytes {
		n.Full++
		return
	}
	if fate.twice {
		n.Twice++
	}
	before := w.held
	w.held = [2]held{}
	if fate.overtaken {
		n.Overtaken++
	}
	for i := range copies {
		p := f.packets.Get().(*packet)
		p.payload, p.conn, p.path, p.way = append(p.payload[:0], got.Payload...), conn, path, d
		f.waiting++
		f.waitingBytes += size
		at := out.Add(fate.delays[i])
		if fate.overtaken {
			w.held[i] = held{f.queue.Push(p, at.Add(overtakenFor)), at}
		} else {
			f.queue.Push(p, at)
		}
	}
	for _, h := range before {
		if at := out.Add(fate.delays[0]); h.item != nil && h.due.After(at) {
			f.queue.Move(h.item, h.due)
		} else if h.item != nil {
			f.queue.Move(h.item, at)
		}
	}
}

// deliver sends a datagram that has come through.
func (f *Forwarder) deliver(p *packet) {
	err := udp.Send(p.conn, p.payload, p.path)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting--
	f.waitingBytes -= len(p.payload)
	if n := f.report.counts(p.way); err != nil {
		n.Failed++
	} else {
		n.Delivered++
	}
	p.conn = nil
	f.packets.Put(p)
}

// partedAt reports whether nothing arrives of what comes now, for mu held.
func (f *Forwarder) partedAt(now time.Time) bool {
	begins := f.changed.Add(f.settings.After)
	return f.settings.Partition > 0 && !now.Before(begins) && now.Before(begins.Add(f.settings.Partition))
}

// isBroadcast reports whether an address may be one of many hosts.
func isBroadcast(a netip.Addr) bool {
	if a.IsMulticast() {
		return true
	}
	interfaces, err := udp.All()
	if err != nil {
		return false
	}
	for _, t := range append(udp.Broadcasts(interfaces, 1), udp.Limited(interfaces, 1)...) {
		if t.To.Addr() == a {
			return true
		}
	}
	return false
}

// Report returns what is known at this moment.
func (f *Forwarder) Report() Report {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.report
	r.At, r.Runtime = time.Now(), f.life.Time()
	r.Listen, r.To, r.TCP, r.Seed = f.Addr(), f.cfg.To, f.cfg.TCP, f.cfg.Seed
	r.Settings, r.Parted = f.settings, f.partedAt(r.At)
	r.Sources, r.Seen, r.Waiting, r.WaitingBytes = len(f.sources), f.number, f.waiting, f.waitingBytes
	if f.listener != nil {
		r.Sources = f.streams
		return r
	}
	r.KernelDropped += dropped(f.reader)
	for _, s := range f.sources {
		r.KernelDropped += dropped(s.reader)
	}
	return r
}
