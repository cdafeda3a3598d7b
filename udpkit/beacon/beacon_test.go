package beacon_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

var loopback = []netip.AddrPort{netip.MustParseAddrPort("127.255.255.255:0")}

// log collects events and lets a test wait for them.
type log struct {
	mu     sync.Mutex
	events []beacon.Event
	more   chan struct{}
}

func newLog() *log { return &log{more: make(chan struct{}, 1)} }

func (l *log) add(e beacon.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func all[E beacon.Event](l *log) (found []E) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}
	return found
}

// wait returns an event that satisfies is, once there is one.
func wait[E beacon.Event](t *testing.T, l *log, is func(E) bool) E {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		for _, e := range all[E](l) {
			if is(e) {
				return e
			}
		}
		select {
		case <-l.more:
		case <-limit:
			require.FailNow(t, "no such event", "%T among %v", *new(E), l.events)
		}
	}
}

func change(c beacon.Change, name string) func(beacon.PeerEvent) bool {
	return func(e beacon.PeerEvent) bool { return e.Change == c && e.Name == name }
}

// start runs a beacon on the loopback interface; stop ends it and returns Run's error.
func start(t *testing.T, cfg beacon.Config) (_ *beacon.Beacon, _ *log, stop func() error) {
	t.Helper()
	l := newLog()
	cfg.OnEvent = l.add
	if cfg.Interval == 0 {
		cfg.Interval = 20 * time.Millisecond
	}
	if cfg.Targets == nil && !cfg.Group.IsValid() {
		cfg.Targets = loopback
	}
	b, err := beacon.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		err := <-done
		require.NoError(t, b.Close())
		return err
	})
	t.Cleanup(func() { _ = stop() })
	return b, l, stop
}

func TestTwoSeeEachOther(t *testing.T) {
	port := testenv.FreePort(t)
	ann, annLog, stopAnn := start(t, beacon.Config{Name: "ann", Port: port})
	bob, bobLog, stopBob := start(t, beacon.Config{Name: "bob", Port: port})
	atBob := wait(t, bobLog, change(beacon.Appeared, "ann"))
	wait(t, annLog, change(beacon.Appeared, "bob"))
	assert.Equal(t, ann.ID(), atBob.ID)
	assert.Equal(t, "127.0.0.1", atBob.Addr.Addr().String())
	assert.NotEqual(t, ann.ID(), bob.ID())
	require.Eventually(t, func() bool {
		p := ann.Peers()
		return len(p) == 1 && p[0].Heard > 2 && p[0].LastSeen.After(p[0].FirstSeen) && ann.Stats().Own > 2
	}, 30*time.Second, time.Millisecond)

	require.NoError(t, stopAnn())
	wait(t, bobLog, change(beacon.Left, "ann"))
	assert.Empty(t, bob.Peers())
	require.NoError(t, stopBob())
	sum := all[beacon.Stats](bobLog)
	require.Len(t, sum, 1)
	assert.EqualValues(t, 1, sum[0].Appeared)
	assert.EqualValues(t, 1, sum[0].Left)
	assert.Positive(t, sum[0].Own)
	assert.Positive(t, sum[0].Heard)
	assert.Positive(t, sum[0].Sent)
	assert.Zero(t, sum[0].Peers+int(sum[0].Malformed+sum[0].Refused+sum[0].Expired+sum[0].SendErrors+sum[0].EventsDropped))
	begun := all[beacon.StartEvent](bobLog)
	require.Len(t, begun, 1)
	assert.Equal(t, []netip.AddrPort{netip.AddrPortFrom(loopback[0].Addr(), port)}, begun[0].Targets)
}

// peer is a socket of the test's own, and how it sends to a port.
func peer(t *testing.T, host string, port uint16) func(string) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(host)})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return func(text string) {
		t.Helper()
		_, err := conn.WriteToUDPAddrPort([]byte(text), netip.AddrPortFrom(loopback[0].Addr(), port))
		require.NoError(t, err)
	}
}

// TestLifeOfAPeer: it comes, is renamed, leaves, comes back and falls silent.
func TestLifeOfAPeer(t *testing.T) {
	port := testenv.FreePort(t)
	b, l, _ := start(t, beacon.Config{Port: port, Expiry: 300 * time.Millisecond})
	send := peer(t, "127.0.0.1", port)
	send("HELLO|cat|0123456789abcdef")
	wait(t, l, change(beacon.Appeared, "cat"))
	send("HELLO|dog|0123456789abcdef")
	assert.Equal(t, "cat", wait(t, l, change(beacon.Renamed, "dog")).Was)
	require.Len(t, b.Peers(), 1)
	send("BYE|dog|0123456789abcdef")
	wait(t, l, change(beacon.Left, "dog"))
	send("HELLO|eel|0123456789abcdef")
	e := wait(t, l, change(beacon.Expired, "eel"))
	assert.GreaterOrEqual(t, e.At.Sub(e.LastSeen), 300*time.Millisecond)
	assert.Empty(t, b.Peers())
}

// TestOtherAddresses: a peer is its id, whatever address it is heard from; but only from the one
// that the table has can it be renamed or sent away.
func TestOtherAddresses(t *testing.T) {
	port := testenv.FreePort(t)
	b, l, _ := start(t, beacon.Config{Port: port})
	one, two := peer(t, "127.0.0.1", port), peer(t, "127.0.0.2", port)
	one("HELLO|cat|0123456789abcdef")
	two("HELLO|forged|0123456789abcdef")
	two("BYE|forged|0123456789abcdef")
	two("HELLO|done")
	wait(t, l, change(beacon.Appeared, "done"))
	require.Len(t, b.Peers(), 2)
	assert.Equal(t, "cat", b.Peers()[0].Name)
	assert.Equal(t, "127.0.0.1", b.Peers()[0].Addr.Addr().String())
	assert.EqualValues(t, 2, b.Peers()[0].Heard)
	assert.EqualValues(t, 1, b.Stats().Ignored)
	one("BYE|cat|0123456789abcdef")
	wait(t, l, change(beacon.Left, "cat"))
}

// TestWithoutID: bare senders are told apart by their IP addresses, not by their ports, since the
// original program takes a new one each time.
func TestWithoutID(t *testing.T) {
	port := testenv.FreePort(t)
	b, l, _ := start(t, beacon.Config{Port: port})
	for range 3 {
		peer(t, "127.0.0.1", port)("HELLO|")
	}
	peer(t, "127.0.0.2", port)("HELLO|")
	peer(t, "127.0.0.2", port)("HELLO|cat")
	wait(t, l, change(beacon.Appeared, "cat"))
	peers := b.Peers()
	require.Len(t, peers, 3)
	assert.Equal(t, "cat", peers[0].Name, "those without a name come last")
	assert.EqualValues(t, 3, peers[1].Heard)
	assert.Zero(t, peers[1].ID)
}

func TestMalformedIsCounted(t *testing.T) {
	port := testenv.FreePort(t)
	b, l, stop := start(t, beacon.Config{Port: port})
	send := peer(t, "127.0.0.1", port)
	bad := []string{"", "hello|", "HELLO|\x1b[2J", "HELLO|" + strings.Repeat("x", 2000), "HELLO|cat|0123456789abcdef" + strings.Repeat("x", 60), "BYE|"}
	for _, text := range bad {
		send(text)
	}
	send("HELLO|done")
	wait(t, l, change(beacon.Appeared, "done"))
	assert.EqualValues(t, len(bad), b.Stats().Malformed)
	assert.EqualValues(t, 1, b.Stats().Heard)
	require.NoError(t, stop())
	told := make(map[string]uint64)
	for _, e := range all[beacon.RefusedEvent](l) {
		told[e.Reason] += e.Count
		assert.ErrorIs(t, e.Err, beacon.ErrMalformed)
		assert.Equal(t, "127.0.0.1", e.From.Addr().String())
	}
	assert.Equal(t, map[string]uint64{
		"it begins neither with HELLO| nor with BYE|":       2,
		"the name is not 1 to 64 bytes of printable text":   1,
		"longer than a HELLO can be":                        1,
		"the id is not 16 hexadecimal digits in lower case": 1,
		"a goodbye needs an id":                             1,
	}, told, "each is told")
}

// TestNeverAnswers: whatever comes, what goes out is what the timer says.
func TestNeverAnswers(t *testing.T) {
	port := testenv.FreePort(t)
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer sink.Close()
	b, l, stop := start(t, beacon.Config{
		Name: "ann", Port: port, Interval: time.Hour, Expiry: 3 * time.Hour, Targets: []netip.AddrPort{sink.LocalAddr().(*net.UDPAddr).AddrPort()},
	})
	for i := range 1000 {
		_, err := sink.WriteToUDPAddrPort(fmt.Appendf(nil, "HELLO|p%d|%016x", i, i+1), netip.AddrPortFrom(loopback[0].Addr(), port))
		require.NoError(t, err)
	}
	wait(t, l, change(beacon.Appeared, "p999"))
	require.NoError(t, stop())
	var got []string
	buf := make([]byte, 2000)
	for len(got) < 2 {
		n, _, err := sink.ReadFromUDPAddrPort(buf)
		require.NoError(t, err)
		got = append(got, string(buf[:n]))
	}
	assert.Equal(t, []string{"HELLO|ann|" + b.ID().String(), "BYE|ann|" + b.ID().String()}, got)
}

func TestClosed(t *testing.T) {
	b, err := beacon.New(beacon.Config{Port: testenv.FreePort(t), Targets: loopback})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- b.Run(t.Context()) }()
	require.NoError(t, b.Close())
	assert.ErrorIs(t, <-done, net.ErrClosed)
	assert.NoError(t, b.Close())
	assert.Error(t, b.Run(t.Context()), "one run")
}

func TestPortTakenByAStranger(t *testing.T) {
	stranger, err := net.ListenUDP("udp4", &net.UDPAddr{})
	require.NoError(t, err)
	defer stranger.Close()
	port := stranger.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	_, err = beacon.New(beacon.Config{Port: port})
	assert.ErrorIs(t, err, syscall.EADDRINUSE)
	assert.ErrorContains(t, err, fmt.Sprintf("port %d is taken by another program that does not share it", port))
}

func TestConfigRefused(t *testing.T) {
	ip := netip.MustParseAddr
	for says, cfg := range map[string]beacon.Config{
		"U+007C":                   {Name: "a|b"},
		"U+001B":                   {Name: "\x1b]0;x\a"},
		"65 bytes":                 {Name: strings.Repeat("x", 65)},
		"shorter than 1ms":         {Interval: time.Microsecond},
		"-1ns is shorter":          {Interval: -1},
		"two intervals":            {Interval: time.Second, Expiry: time.Second},
		"negative":                 {MaxPeers: -1},
		"not a multicast group":    {Group: ip("10.0.0.1")},
		"without a zone":           {Group: ip("ff02::1%lo")},
		"has no address":           {Targets: make([]netip.AddrPort, 1)},
		"set it as the group":      {Targets: []netip.AddrPort{netip.AddrPortFrom(beacon.DefaultGroup4, 0)}},
		"not of the same family":   {Group: beacon.DefaultGroup6, Targets: loopback},
		"not for a list of target": {Interfaces: []string{"lo"}, Targets: loopback},
	} {
		_, err := beacon.New(cfg)
		assert.ErrorIs(t, err, beacon.ErrConfig, says)
		assert.ErrorContains(t, err, says)
	}
}

func TestDefaults(t *testing.T) {
	port := testenv.FreePort(t)
	targets := slices.Clone(loopback)
	l := newLog()
	b, err := beacon.New(beacon.Config{Port: port, Targets: targets, MaxRuntime: time.Millisecond, OnEvent: l.add})
	require.NoError(t, err)
	defer b.Close()
	assert.Equal(t, loopback, targets, "the configuration is copied")
	assert.Regexp(t, "^beacon-[0-9a-f]{8}$", b.Name())
	require.NoError(t, b.Run(t.Context()))
	begun := all[beacon.StartEvent](l)[0]
	assert.Equal(t, 800*time.Millisecond, begun.Interval)
	assert.Equal(t, 4*time.Second, begun.Expiry)
}

// TestFlood: who is there stays there while a stranger sends forged HELLOs as fast as it can.
func TestFlood(t *testing.T) {
	port := testenv.FreePort(t)
	ann, annLog, _ := start(t, beacon.Config{Name: "ann", Port: port, MaxPeers: 100})
	_, _, _ = start(t, beacon.Config{Name: "bob", Port: port})
	wait(t, annLog, change(beacon.Appeared, "bob"))
	send := peer(t, "127.0.0.3", port)
	for i := range 200_000 {
		send(fmt.Sprintf("HELLO|forged|%016x", i+1))
	}
	require.Eventually(t, func() bool { return ann.Stats().Refused > 1000 }, 30*time.Second, time.Millisecond)
	assert.LessOrEqual(t, len(ann.Peers()), 100)
	assert.True(t, slices.ContainsFunc(ann.Peers(), func(p beacon.Peer) bool { return p.Name == "bob" }))
	for _, e := range all[beacon.PeerEvent](annLog) {
		if e.Name == "bob" {
			assert.Equal(t, beacon.Appeared, e.Change)
		}
	}
}

// TestGroup4 multicasts on the loopback interface.
func TestGroup4(t *testing.T) {
	lo, err := net.InterfaceByIndex(1)
	if err != nil || lo.Flags&net.FlagLoopback == 0 {
		t.Skip("interface 1 is not the loopback interface here")
	}
	cfg := beacon.Config{Name: "ann", Port: testenv.FreePort(t), Group: beacon.DefaultGroup4, Interfaces: []string{lo.Name}}
	ann, annLog, stopAnn := start(t, cfg)
	cfg.Name = "bob"
	_, bobLog, _ := start(t, cfg)
	wait(t, annLog, change(beacon.Appeared, "bob"))
	wait(t, bobLog, change(beacon.Appeared, "ann"))
	require.Eventually(t, func() bool { return ann.Stats().Own > 0 }, 30*time.Second, time.Millisecond)
	assert.Empty(t, all[beacon.ErrorEvent](annLog))
	assert.Equal(t, []netip.AddrPort{netip.AddrPortFrom(cfg.Group, cfg.Port)}, all[beacon.StartEvent](annLog)[0].Targets)
	require.NoError(t, stopAnn())
	wait(t, bobLog, change(beacon.Left, "ann"))
}

// TestNoTarget: a beacon without an interface says so, and goes on listening. An interface that
// does not exist is a mistake.
func TestNoTarget(t *testing.T) {
	_, err := beacon.New(beacon.Config{Port: testenv.FreePort(t), Interfaces: []string{"no such card"}})
	require.ErrorIs(t, err, beacon.ErrConfig)
	require.ErrorContains(t, err, `no network interface "no such card": choose among `)

	if !alone(t) {
		return
	}
	for _, group := range []netip.Addr{{}, beacon.DefaultGroup4} {
		port, l := testenv.FreePort(t), newLog()
		b, err := beacon.New(beacon.Config{Port: port, Group: group, Interfaces: []string{"spare"}, OnEvent: l.add})
		require.NoError(t, err)
		defer b.Close()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		assert.ErrorIs(t, wait(t, l, func(beacon.ErrorEvent) bool { return true }).Err, beacon.ErrNoTarget)
		peer(t, "127.0.0.1", port)("HELLO|cat")
		wait(t, l, change(beacon.Appeared, "cat"))
		stop()
		require.NoError(t, <-done)
	}
}
