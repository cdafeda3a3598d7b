package beacon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// helloPurpose is what HELLO and BYE are signed for.
const helloPurpose = "hello"

// Defaults of Config.
const (
	DefaultPort     = 3400
	DefaultInterval = 800 * time.Millisecond
	DefaultMaxPeers = 1024
)

// Multicast groups for [Config.Group], for those who have no other: one of the IPv4 addresses that
// an organisation uses as it likes (239.255.0.0/16, the local scope, RFC 2365), and one of the
// transient IPv6 ones (RFC 4291, section 2.7) that stays on its link.
var (
	DefaultGroup4 = netip.AddrFrom4([4]byte{239, 255, 34, 0})
	DefaultGroup6 = netip.MustParseAddr("ff12::3400")
)

// Config configures a Beacon. The zero value works; it is copied.
type Config struct {
	// Name is what others see, 1 to MaxNameLen bytes of printable text without "|". Default
	// "beacon-" and the first 8 digits of the id.
	Name string
	// Port is the UDP port to listen on, shared by any number of beacons on one machine, and to
	// send to. Default DefaultPort.
	Port uint16
	// Group is a multicast group, IPv4 or IPv6, to join and to send to with a TTL of 2, on every
	// interface that carries multicast, looked up anew as interfaces come and go. A beacon without
	// a group broadcasts.
	Group netip.Addr
	// Targets are the addresses to send to, of Group's family if there is one; a port of 0 means
	// Port. Default, unless there is a Group: automatic, the subnet-directed broadcast address (RFC
	// 919) of every IPv4 interface that is up and can broadcast, looked up anew as interfaces come
	// and go, and 127.255.255.255, which reaches the beacons on this machine without any network.
	Targets []netip.AddrPort
	// Interfaces are the names of those that automatic targets, 255.255.255.255 and Group use: each
	// HELLO goes out by each of them, where the system can be told by which (Linux, macOS, Windows;
	// for a Group everywhere). One that this machine does not have is refused. Default all.
	Interfaces []string
	// Interval is the time between two HELLOs, at least 1 ms. Default DefaultInterval.
	Interval time.Duration
	// Expiry is how long a peer may be silent before it is taken for gone, at least 2 intervals.
	// Default 5 intervals, and at least 4 s, which is 5 of the default ones: a peer's interval is
	// not known here.
	Expiry time.Duration
	// MaxPeers bounds the table. When it is full, new peers are refused and counted until one
	// leaves or expires. Default DefaultMaxPeers.
	MaxPeers int
	// MaxRuntime ends Run after this time. 0 means no limit.
	MaxRuntime time.Duration
	// Key signs what is sent, and only what its holders have signed or sealed is believed, see the
	// package's documentation. Default: none.
	Key *key.Ring
	// Seal has what is sent be sealed with the Key instead: nobody else can read it.
	Seal bool
	// Silent has the beacon listen only: it says neither HELLO nor goodbye, and hears broadcasts of
	// IPv4. It excludes Group, Targets, Interfaces and Seal.
	Silent bool
	// Record is told what the beacon sends and receives. Default: none.
	Record Recorder
	// OnEvent is called for each event, one call at a time, on a goroutine of its own: a slow one
	// delays nothing, but loses events, which Stats.EventsDropped counts. The StartEvent and the
	// final Stats are never lost. When Run ends, it waits at most half a second for it, and for the
	// call that is under way.
	OnEvent func(Event)
}

func (c Config) ipv6() bool {
	return c.Group.Is6() || len(c.Targets) > 0 && c.Targets[0].Addr().Is6()
}

func (c Config) withDefaults(id ID) (Config, error) {
	c.Name = cmp.Or(c.Name, "beacon-"+id.String()[:8])
	if err := checkName(c.Name); err != nil {
		return c, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	c.Port = cmp.Or(c.Port, DefaultPort)
	if c.Group = c.Group.Unmap(); c.Group.IsValid() && (!c.Group.IsMulticast() || c.Group.Zone() != "") {
		return c, fmt.Errorf("%w: %v is not a multicast group (224.0.0.0/4 or ff00::/8, without a zone)", ErrConfig, c.Group)
	}
	if c.Silent && (c.Group.IsValid() || len(c.Targets) > 0 || len(c.Interfaces) > 0 || c.Seal) {
		return c, fmt.Errorf("%w: a silent beacon sends nothing: it has no group, targets or interfaces, and seals nothing", ErrConfig)
	}
	c.Targets, c.Interfaces = slices.Clone(c.Targets), slices.Clone(c.Interfaces)
	for i, t := range c.Targets {
		if t.Port() == 0 {
			t = netip.AddrPortFrom(t.Addr(), c.Port)
		}
		c.Targets[i] = netip.AddrPortFrom(t.Addr().Unmap(), t.Port())
		switch a := c.Targets[i].Addr(); {
		case !a.IsValid() || a.IsUnspecified():
			return c, fmt.Errorf("%w: a target has no address", ErrConfig)
		case a.IsMulticast():
			return c, fmt.Errorf("%w: the target %v is a multicast group; set it as the group", ErrConfig, a)
		case a.Is6() != c.ipv6():
			return c, fmt.Errorf("%w: the target %v is not of the same family (IPv4 or IPv6) as the others", ErrConfig, a)
		}
	}
	listed := slices.ContainsFunc(c.Targets, func(t netip.AddrPort) bool { return t.Addr() != limitedBroadcast })
	if len(c.Interfaces) > 0 && listed && !c.Group.IsValid() {
		return c, fmt.Errorf("%w: interfaces are for automatic targets, 255.255.255.255 and a group, not for a list of targets", ErrConfig)
	}
	c.Interval = cmp.Or(c.Interval, DefaultInterval)
	if c.Interval < time.Millisecond {
		return c, fmt.Errorf("%w: interval %v is shorter than 1ms", ErrConfig, c.Interval)
	}
	c.Expiry = cmp.Or(c.Expiry, 5*max(c.Interval, DefaultInterval))
	if c.Expiry/2 < c.Interval {
		return c, fmt.Errorf("%w: expiry %v is shorter than two intervals of %v: peers would come and go", ErrConfig, c.Expiry, c.Interval)
	}
	if c.MaxPeers < 0 || c.MaxRuntime < 0 {
		return c, fmt.Errorf("%w: MaxPeers and MaxRuntime cannot be negative", ErrConfig)
	}
	if _, err := c.Key.Protection(c.Seal); err != nil {
		return c, err
	}
	c.MaxPeers = cmp.Or(c.MaxPeers, DefaultMaxPeers)
	return c, nil
}

// Beacon says that it is there, and keeps a table of the others. Its methods are safe for
// concurrent use.
type Beacon struct {
	cfg      Config
	id       ID
	network  *network // nil in a simulation
	reader   *udp.Reader
	announce announcer
	sender   *key.Sender // for the goroutine that sends
	life     service.Life
	events   *service.Events[Event]

	mu      sync.Mutex
	opener  *key.Opener
	table   table
	expiry  *time.Timer // fires when a peer may have expired
	failing service.Failures[target]
	refused service.Refusals // by host: the original program sends each HELLO from another port
	stats   Stats
}

// New opens the beacon's sockets and joins the group. An error wraps ErrConfig, or is the system's
// for the socket, such as syscall.EADDRINUSE if another program has the port and does not share it.
// The caller closes the beacon.
func New(cfg Config) (*Beacon, error) {
	id := newID()
	cfg, err := cfg.withDefaults(id)
	if err != nil {
		return nil, err
	}
	if err := udp.CheckInterfaces(cfg.Interfaces); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	n, err := openNetwork(cfg)
	if err != nil {
		return nil, err
	}
	reader, err := udp.NewReader(n.recv, udp.ReaderConfig{Size: MaxSize + key.MaxOverhead, Back: cfg.Record != nil})
	if err != nil { // impossible, the socket is open
		return nil, errors.Join(fmt.Errorf("the beacon cannot use port %d: %w", cfg.Port, err), n.close())
	}
	b := newBeacon(cfg, id, n.announce)
	b.network, b.reader = n, reader
	return b, nil
}

// newBeacon makes a beacon without a socket, which sends by announce.
func newBeacon(cfg Config, id ID, announce announcer) *Beacon {
	b := &Beacon{
		cfg: cfg, id: id, announce: announce,
		events:  service.NewEvents(cfg.OnEvent),
		table:   table{limit: cfg.MaxPeers, expiry: cfg.Expiry, entries: make(map[peerKey]*entry), runs: make(map[peerKey]runs)},
		expiry:  time.NewTimer(never),
		failing: make(service.Failures[target]),
		refused: service.Refusals{ByHost: true},
		sender:  cfg.Key.Sender(helloPurpose, key.Text, cfg.Seal),
		// Also those that have left are remembered, so that no recording brings them back.
		opener: cfg.Key.Opener(key.OpenerConfig{Purpose: helloPurpose, Form: key.Text, Sessions: max(1024, 2*cfg.MaxPeers)}),
	}
	return b
}

// ID returns the random number that names this run.
func (b *Beacon) ID() ID { return b.id }

// Name returns the name that others see.
func (b *Beacon) Name() string { return b.cfg.Name }

// Close closes the sockets, which ends a Run with net.ErrClosed and without a goodbye. It is
// idempotent.
func (b *Beacon) Close() error {
	b.Stats() // the kernel's counter goes with the socket
	return b.network.close()
}

// Run sends the first HELLO at once and then one an interval, and receives those of others, until
// ctx or MaxRuntime ends it; then it says goodbye and returns nil. A network that fails does not
// end it: failures are counted and reported, and sending goes on, and receiving after anything that
// passes by itself. It returns an error if receiving fails for good, or if the beacon is closed or
// ran before; that of a closed one satisfies net.ErrClosed.
func (b *Beacon) Run(ctx context.Context) error {
	return b.run(ctx, b.receive)
}

// run is Run, with the datagrams from receive.
func (b *Beacon) run(ctx context.Context, receive func(context.Context) error) error {
	began, err := b.life.Begin("beacon", "Beacon")
	if err != nil {
		return err
	}
	ctx, cancel := service.Limit(ctx, b.cfg.MaxRuntime)
	defer cancel()
	protection, _ := b.cfg.Key.Protection(b.cfg.Seal)
	start := StartEvent{
		At: began, Name: b.cfg.Name, ID: b.id, Port: b.cfg.Port, Group: b.cfg.Group,
		Interval: b.cfg.Interval, Expiry: b.cfg.Expiry, Key: protection, Silent: b.cfg.Silent,
	}
	if b.network != nil && !b.cfg.Silent {
		start.Targets = b.network.addrs()
	}
	b.events.Begin(start)
	var receiver sync.WaitGroup
	var failure error
	receiver.Go(func() {
		if err := receive(ctx); ctx.Err() == nil {
			failure = fmt.Errorf("the beacon cannot receive any more: %w", err)
			cancel()
		}
	})
	b.beat(ctx)
	receiver.Wait()
	b.tellRefused(b.refused.Rest(time.Now()))
	b.events.End(func() Event { return b.Stats() })
	return failure
}

// beat sends on the timer, lets peers expire, and says goodbye in the end.
func (b *Beacon) beat(ctx context.Context) {
	ticker := time.NewTicker(b.cfg.Interval)
	defer ticker.Stop()
	defer b.expiry.Stop()
	hello := Hello{Name: b.cfg.Name, ID: b.id}
	for b.say(hello); ; {
		select {
		case <-ctx.Done():
			hello.Bye = true
			b.say(hello)
			return
		case <-ticker.C:
			b.say(hello)
		case <-b.expiry.C:
			b.expire(time.Now())
		}
	}
}

// say sends h to each target, and reports what fails.
func (b *Beacon) say(h Hello) {
	var results []failure
	if !b.cfg.Silent {
		datagram, err := AppendHello(nil, h)
		if err != nil {
			return // impossible: the name was checked
		}
		results = b.announce(func() []byte { return b.sender.Datagram(datagram) })
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !h.Bye && !b.cfg.Silent {
		b.stats.Sent++
	}
	b.tellRefused(b.refused.Due(now))
	there := make(map[target]bool)
	for _, r := range results {
		if there[r.target] = true; r.err != nil {
			b.stats.SendErrors++
		}
		if err, over := b.failing.Note(r.target, r.err); err != nil {
			b.events.Emit(ErrorEvent{
				Err: err, Text: err.Error(), Target: r.target.To, Interface: r.target.Name, Ended: over, At: now,
			})
		}
	}
	maps.DeleteFunc(b.failing, func(t target, _ error) bool { return !there[t] })
}

// receive reads until ctx ends or the socket fails for good.
func (b *Beacon) receive(ctx context.Context) error {
	release := context.AfterFunc(ctx, func() { _ = b.network.recv.SetReadDeadline(time.Unix(1, 0)) })
	defer release()
	return b.readAll(ctx, b.reader)
}

// reader is where datagrams come from: udp.Reader, or a test's.
type reader interface {
	Next() *udp.Datagram
	Read(wait bool) error
}

func (b *Beacon) readAll(ctx context.Context, from reader) error {
	var failing service.Failure
	return udp.ReadAll(ctx, from, func(d *udp.Datagram) {
		said, err := b.handle(d.Payload, d.Truncated, d.Source, d.Received)
		b.heard(d, said, err)
	}, func(err error) {
		if err != nil {
			b.mu.Lock()
			b.stats.ReadErrors++
			b.mu.Unlock()
		}
		if failure, over := failing.Note(err); failure != nil {
			b.events.Emit(ErrorEvent{Err: failure, Text: fmt.Sprintf("cannot receive: %v", failure), Ended: over, At: time.Now()})
		}
	})
}

// errFull is the reason to refuse a new peer.
var errFull = errors.New("the table of peers is full")

func (b *Beacon) tellRefused(told []service.Refused) {
	for _, r := range told {
		b.events.Emit(RefusedEvent(r))
	}
}

// handle takes one datagram. It never makes the beacon send. It returns what the datagram says, or
// why it is refused.
func (b *Beacon) handle(payload []byte, truncated bool, from netip.AddrPort, now time.Time) (said string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var h Hello
	err = errTooLong
	if !truncated {
		if payload, err = b.opener.Open(payload, now); err != nil {
			b.tellRefused(b.refused.Note(from, err, now))
			return "", err
		}
		if h, err = Decode(payload); err != nil {
			err = cmp.Or(key.Needed(payload, key.Text), err)
		}
	}
	switch {
	case err != nil:
		b.stats.Malformed++
		b.tellRefused(b.refused.Note(from, err, now))
		return "", err
	case h.ID == b.id:
		b.stats.Own++
		return "own", nil
	}
	b.stats.Heard++
	v, peer, was := b.table.take(h, from, now)
	event := PeerEvent{Peer: peer, Was: was, At: now}
	switch v {
	case refused:
		b.stats.Refused++
		b.tellRefused(b.refused.Note(from, errFull, now))
		return "", errFull
	case ignored:
		b.stats.Ignored++
		return "ignored", nil
	case known:
		return "", nil
	case appeared:
		b.stats.Appeared++
		event.Change = Appeared
		if len(b.table.entries) == 1 { // else the timer runs already
			b.expiry.Reset(b.cfg.Expiry)
		}
	case renamed:
		event.Change = Renamed
	case left:
		b.stats.Left++
		event.Change = Left
	}
	b.events.Emit(event)
	return string(event.Change), nil
}

// expire removes the peers that have been silent for too long.
func (b *Beacon) expire(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	gone, next := b.table.expire(now)
	b.expiry.Reset(next)
	b.stats.Expired += uint64(len(gone))
	for _, p := range gone {
		b.events.Emit(PeerEvent{Change: Expired, Peer: p, At: now})
	}
}

// Peers returns the table, ordered by name. The slice is the caller's.
func (b *Beacon) Peers() []Peer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.table.list()
}

// Stats returns the counters up to now.
func (b *Beacon) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reader != nil {
		if count, ok := b.reader.Dropped(); ok {
			b.stats.KernelDropped += uint64(count - uint32(b.stats.KernelDropped)) // the kernel counts modulo 2^32
		}
	}
	s := b.stats
	s.Untrusted = b.opener.Refused()
	s.Peers = len(b.table.entries)
	s.Runtime, s.EventsDropped = b.life.Time(), b.events.Dropped()
	return s
}
