package weather

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
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
	// pooled is the longest buffer that is used again, in bytes: many short datagrams must not hold
	// on to the buffers of long ones.
	pooled = 4 << 10
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

// New opens the socket. An error wraps ErrConfig, is about the file, or is the system's, such as
// syscall.EADDRINUSE. The caller closes the forwarder.
func New(cfg Config) (*Forwarder, error) {
	cfg.To = netip.AddrPortFrom(cfg.To.Addr().Unmap(), cfg.To.Port())
	switch {
	case !cfg.Listen.IsValid():
		return nil, fmt.Errorf("%w: Listen is missing", ErrConfig)
	case !cfg.To.IsValid() || cfg.To.Port() == 0 || cfg.To.Addr().IsUnspecified():
		return nil, fmt.Errorf("%w: %v is no address to forward to", ErrConfig, cfg.To)
	case cfg.To == cfg.Listen, cfg.To.Port() == cfg.Listen.Port() && cfg.Listen.Addr().IsUnspecified() && comesHere(cfg.To.Addr()):
		return nil, fmt.Errorf("%w: what is sent to %v would go round and round", ErrConfig, cfg.To)
	}
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

// partedAt reports whether nothing arrives of what comes now, for mu held.
func (f *Forwarder) partedAt(now time.Time) bool {
	begins := f.changed.Add(f.settings.After)
	return f.settings.Partition > 0 && !now.Before(begins) && now.Before(begins.Add(f.settings.Partition))
}

// comesHere reports whether what is sent to an address comes to this host, also.
func comesHere(a netip.Addr) bool {
	if a.IsLoopback() || isBroadcast(a) {
		return true
	}
	interfaces, _ := udp.All()
	return slices.ContainsFunc(interfaces, func(nic udp.Interface) bool {
		return slices.ContainsFunc(nic.Prefixes, func(p netip.Prefix) bool { return p.Addr() == a.WithZone("") })
	})
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
