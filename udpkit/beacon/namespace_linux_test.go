package beacon_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

const (
	port4, port6 = 3401, 3402
	interval     = 50 * time.Millisecond
	expiry       = 700 * time.Millisecond
	// hostVariable marks the process that runs the beacons of the other host.
	hostVariable = "UDPKIT_TEST_HOST"
)

func onNetwork(t *testing.T, b *beacon.Beacon, err error) (stop func()) {
	t.Helper()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done)
		assert.NoError(t, b.Close())
	})
	t.Cleanup(stop)
	return stop
}

// TestNamespaces: real broadcasts and multicasts need hosts of their own. A pair of virtual
// Ethernet cards connects them. On the other run the document's program as it stands there, and a
// beacon in a group for IPv4 and one for IPv6.
//
//	this host                    the other
//	  card1 192.168.1.1/24 ------- card1b 192.168.1.2/24
func TestNamespaces(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		testenv.Skip(t, "python3 is not installed")
	}
	if !testenv.Alone(t) {
		return
	}
	other := testenv.NewHost(t)

	// The beacons of this host start before there is a network.
	logs := map[string]*log{"broadcast": newLog(), "group4": newLog(), "group6": newLog()}
	broadcaster, err := beacon.New(beacon.Config{Name: "ann", Expiry: 3 * time.Second, OnEvent: logs["broadcast"].add})
	stopBroadcast := onNetwork(t, broadcaster, err)
	one4, err := beacon.New(beacon.Config{
		Name: "ann", Port: port4, Group: beacon.DefaultGroup4, Interval: interval, Expiry: expiry, OnEvent: logs["group4"].add,
	})
	stop4 := onNetwork(t, one4, err)
	one6, err := beacon.New(beacon.Config{
		Name: "ann", Port: port6, Group: beacon.DefaultGroup6, Interval: interval, Expiry: expiry, OnEvent: logs["group6"].add,
	})
	stop6 := onNetwork(t, one6, err)
	assert.ErrorIs(t, wait(t, logs["group6"], func(beacon.ErrorEvent) bool { return true }).Err, beacon.ErrNoTarget)

	testenv.IP(t, "link add card1 type veth peer name card1b netns "+other.Namespace)
	other.IP(t, "address add 192.168.1.2/24 dev card1b")
	other.IP(t, "link set up dev card1b")
	remote := &lines{more: make(chan struct{}, 1)}
	beacons := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOtherHost$", "-test.timeout=2m")
	beacons.Env = append(os.Environ(), hostVariable+"=1")
	endBeacons := startOn(t, other, beacons, remote)
	endProgram := startOn(t, other, exec.CommandContext(t.Context(), "python3", "testdata/hello.py"), remote)
	testenv.IP(t, "address add 192.168.1.1/24 dev card1")
	testenv.IP(t, "link set up dev card1")

	t.Run("the document's program, by broadcast", func(t *testing.T) {
		e := wait(t, logs["broadcast"], func(e beacon.PeerEvent) bool { return e.Change == beacon.Appeared && e.ID == 0 })
		assert.Equal(t, "192.168.1.2", e.Addr.Addr().String())
		remote.wait(t, "HELLO|", 1)
		remote.wait(t, "HELLO|ann|"+broadcaster.ID().String(), 1)
	})
	t.Run("multicast", func(t *testing.T) {
		// They appear, on an interface that was not there when the beacons joined.
		bob4 := wait(t, logs["group4"], change(beacon.Appeared, "bob"))
		bob6 := wait(t, logs["group6"], change(beacon.Appeared, "bob"))
		assert.Equal(t, "192.168.1.2", bob4.Addr.Addr().String())
		assert.True(t, bob6.Addr.Addr().IsLinkLocalUnicast())
		assert.Equal(t, "card1", bob6.Addr.Addr().Zone())
		remote.wait(t, "group4 appeared ann", 1)
		remote.wait(t, "group6 appeared ann", 1)
		wait(t, logs["group6"], func(e beacon.ErrorEvent) bool { return e.Ended && e.Target == netip.AddrPort{} })
		assert.Equal(t, 2, hops(t, "udp4", bob4.Addr))
		assert.Equal(t, 2, hops(t, "udp6", bob6.Addr))
	})
	t.Run("the card fails and comes back", func(t *testing.T) {
		testenv.IP(t, "link set down dev card1")
		for _, group := range []string{"group4", "group6"} {
			wait(t, logs[group], change(beacon.Expired, "bob"))
		}
		testenv.IP(t, "link set up dev card1")
		for _, group := range []string{"group4", "group6"} {
			wait(t, logs[group], func(beacon.PeerEvent) bool { return count(logs[group], beacon.Appeared) == 2 })
			remote.wait(t, group+" expired ann", 1)
			remote.wait(t, group+" appeared ann", 2)
		}
	})
	t.Run("goodbye", func(t *testing.T) {
		stopBroadcast()
		stop4()
		stop6()
		remote.wait(t, "BYE|ann|"+broadcaster.ID().String(), 1)
		remote.wait(t, "group4 left ann", 1)
		remote.wait(t, "group6 left ann", 1)
	})
	endProgram()
	endBeacons()
}

// startOn starts a program on a host. It ends when end is called, which closes its input.
func startOn(t *testing.T, h *testenv.Host, program *exec.Cmd, output *lines) (end func()) {
	t.Helper()
	stdin, err := program.StdinPipe()
	require.NoError(t, err)
	stdout, err := program.StdoutPipe()
	require.NoError(t, err)
	program.Stderr = os.Stderr
	h.Do(func() { err = program.Start() })
	require.NoError(t, err)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			output.add(s.Text())
		}
	}()
	return func() {
		assert.NoError(t, stdin.Close())
		<-read
		assert.NoError(t, program.Wait())
	}
}

func count(l *log, c beacon.Change) (n int) {
	for _, e := range all[beacon.PeerEvent](l) {
		if e.Change == c {
			n++
		}
	}
	return n
}

// hops returns the TTL or hop limit with which a peer's multicast arrives.
func hops(t *testing.T, network string, from netip.AddrPort) int {
	t.Helper()
	card, err := net.InterfaceByName("card1")
	require.NoError(t, err)
	// On another port than the beacon's there is nothing to hear, and to share its port a socket
	// needs the same options; ListenMulticastUDP sets them.
	group := &net.UDPAddr{IP: net.IP(beacon.DefaultGroup4.AsSlice()), Port: port4}
	if network == "udp6" {
		group = &net.UDPAddr{IP: net.IP(beacon.DefaultGroup6.AsSlice()), Port: port6}
	}
	conn, err := net.ListenMulticastUDP(network, card, group)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	b := make([]byte, beacon.MaxSize)
	for {
		var source net.Addr
		var hops int
		if network == "udp4" {
			p := ipv4.NewPacketConn(conn)
			require.NoError(t, p.SetControlMessage(ipv4.FlagTTL, true))
			_, control, s, err := p.ReadFrom(b)
			require.NoError(t, err)
			if control != nil {
				source, hops = s, control.TTL
			}
		} else {
			p := ipv6.NewPacketConn(conn)
			require.NoError(t, p.SetControlMessage(ipv6.FlagHopLimit, true))
			_, control, s, err := p.ReadFrom(b)
			require.NoError(t, err)
			if control != nil {
				source, hops = s, control.HopLimit
			}
		}
		if source != nil && source.String() == from.String() {
			return hops
		}
	}
}

// lines collects text and lets a test wait for a line.
type lines struct {
	mu   sync.Mutex
	list []string
	more chan struct{}
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, line)
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// wait returns once a line has come that many times.
func (l *lines) wait(t *testing.T, line string, times int) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		l.mu.Lock()
		list := l.list
		l.mu.Unlock()
		n := 0
		for _, s := range list {
			if s == line {
				n++
			}
		}
		if n >= times {
			return
		}
		select {
		case <-l.more:
		case <-limit:
			require.FailNow(t, "no such line", "%q among %q", line, list)
		}
	}
}

// TestOtherHost runs beacons until its input ends.
func TestOtherHost(t *testing.T) {
	if os.Getenv(hostVariable) == "" {
		t.Skip("TestNamespaces runs this")
	}
	for name, cfg := range map[string]beacon.Config{
		"group4": {Port: port4, Group: beacon.DefaultGroup4},
		"group6": {Port: port6, Group: beacon.DefaultGroup6},
	} {
		cfg.Name, cfg.Interval, cfg.Expiry = "bob", interval, expiry
		cfg.OnEvent = func(e beacon.Event) {
			if e, ok := e.(beacon.PeerEvent); ok {
				fmt.Println(name, e.Change, e.Name)
			}
		}
		b, err := beacon.New(cfg)
		onNetwork(t, b, err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}
