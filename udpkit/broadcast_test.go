package udpkit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// log collects events and lets a test wait for them.
type log struct {
	mu     sync.Mutex
	events []udpkit.Event
	more   chan struct{}
}

func newLog() *log { return &log{more: make(chan struct{}, 1)} }

func (l *log) add(e udpkit.Event) {
	if m, ok := e.(udpkit.MessageEvent); ok {
		m.Datagram = nil // it is the receiver's again when this returns
		e = m
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// wait returns when an event satisfies is.
func wait[E udpkit.Event](t *testing.T, l *log, is func(E) bool) E {
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

func all[E udpkit.Event](l *log) (found []E) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}
	return found
}

func any1[E udpkit.Event](E) bool { return true }

// start runs a role and returns a function that stops it and returns Run's error.
func start(t *testing.T, run func(context.Context) error, closer interface{ Close() error }) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() {
			cancel()
			err = <-done
			closer.Close()
		})
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

// newClient starts a client on port, 0 for any free one.
func newClient(t *testing.T, port uint16, cfg udpkit.ClientConfig) (*udpkit.Client, *log, func() error) {
	t.Helper()
	l := newLog()
	cfg.OnEvent = l.add
	cfg.Listen = netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	c, err := udpkit.NewClient(cfg)
	require.NoError(t, err)
	return c, l, start(t, c.Run, c)
}

func newServer(t *testing.T, port uint16, cfg udpkit.ServerConfig) (*udpkit.Server, *log, func() error) {
	t.Helper()
	l := newLog()
	cfg.OnEvent = l.add
	cfg.Port = port
	if cfg.Interval == 0 {
		cfg.Interval = 20 * time.Millisecond
	}
	if cfg.Targets.String() == "auto" {
		cfg.Targets = loopback
	}
	s, err := udpkit.NewServer(cfg)
	require.NoError(t, err)
	return s, l, start(t, s.Run, s)
}

var loopback = udpkit.ListTargets(netip.MustParseAddrPort("127.255.255.255:0"))

// TestBroadcast runs a server and three clients that share a port, each with another style, on
// loopback: every client gets and acknowledges every message.
func TestBroadcast(t *testing.T) {
	const messages = 9
	styles := udpkit.Styles()
	first, firstLog, stopFirst := newClient(t, 0, udpkit.ClientConfig{ID: "client 0", Receiver: styles[0], MaxMessages: messages})
	port := first.Addr().Port()
	clients, logs, stops := []*udpkit.Client{first}, []*log{firstLog}, []func() error{stopFirst}
	for i, style := range styles[1:] {
		c, l, stop := newClient(t, port, udpkit.ClientConfig{ID: fmt.Sprint("client ", i+1), Receiver: style, MaxMessages: messages})
		clients, logs, stops = append(clients, c), append(logs, l), append(stops, stop)
	}
	for _, l := range logs {
		wait(t, l, any1[udpkit.StartEvent])
	}
	server, serverLog, stopServer := newServer(t, port, udpkit.ServerConfig{MaxMessages: messages})

	for i, l := range logs {
		sum := wait(t, l, any1[udpkit.ClientSummary])
		assert.EqualValues(t, messages, sum.Received)
		assert.EqualValues(t, messages, sum.Acknowledged)
		assert.Positive(t, sum.ReadBuffer)
		assert.Equal(t, sum.ReadBuffer, wait(t, l, any1[udpkit.StartEvent]).ReadBuffer)
		assert.Zero(t, sum.Duplicates+sum.Missed+sum.Malformed+sum.Dropped+sum.Timeouts+sum.AckErrors)
		assert.EqualValues(t, messages-1, sum.Interval.Count)
		assert.NoError(t, stops[i](), "MaxMessages is no error")

		history := clients[i].History()
		require.Len(t, history, messages)
		compared := 0
		for n, m := range history {
			if m.Clock.Error > 0 {
				compared++
				assert.LessOrEqual(t, m.Clock.Ahead.Abs(), m.Clock.Error, "one clock")
			}
			assert.EqualValues(t, n+1, m.MessageID)
			assert.Equal(t, udpkit.DefaultStates()[n%4], m.State)
			assert.Equal(t, server.Epoch(), m.Epoch)
			assert.Equal(t, server.Addr().Port(), m.Server.Port())
			assert.Less(t, m.Latency, time.Minute)
		}
		assert.Equal(t, all[udpkit.MessageEvent](l), history)
		assert.Positive(t, compared)
		assert.EqualValues(t, compared, sum.Latency.Count)
	}

	sum := wait(t, serverLog, any1[udpkit.ServerSummary])
	assert.NoError(t, stopServer())
	assert.EqualValues(t, messages, sum.Sent)
	assert.EqualValues(t, messages*len(styles), sum.Acks)
	assert.Equal(t, len(styles), sum.Clients)
	assert.Positive(t, sum.ReadBuffer)
	assert.Equal(t, sum.ReadBuffer, wait(t, serverLog, any1[udpkit.StartEvent]).ReadBuffer)
	assert.Zero(t, sum.SendErrors+sum.DuplicateAcks+sum.RefusedAcks+sum.Malformed+sum.EventsDropped)
	for i, info := range server.Clients() {
		assert.Equal(t, fmt.Sprint("client ", i), info.ID)
		assert.EqualValues(t, messages, info.Acks)
		assert.EqualValues(t, messages, info.LastID)
		assert.Positive(t, info.RTT)
		assert.Zero(t, info.Loss())
	}
	order := map[uint64]bool{}
	for _, e := range serverLog.events {
		switch e := e.(type) {
		case udpkit.SentEvent:
			order[e.MessageID] = true
			assert.Equal(t, 1, e.Targets)
		case udpkit.AckEvent:
			assert.True(t, order[e.MessageID], "the message's event comes before its acknowledgements'")
		}
	}
}

func TestClientsHaveUniqueIDs(t *testing.T) {
	a, _, _ := newClient(t, 0, udpkit.ClientConfig{})
	b, _, _ := newClient(t, a.Addr().Port(), udpkit.ClientConfig{})
	assert.NotEqual(t, a.ID(), b.ID())
	assert.Regexp(t, "^client-[0-9a-f]{8}$", a.ID())
}

// TestStateByHand sets the state while the server runs and goes back.
func TestStateByHand(t *testing.T) {
	client, clientLog, _ := newClient(t, 0, udpkit.ClientConfig{})
	server, _, _ := newServer(t, client.Addr().Port(), udpkit.ServerConfig{States: []udpkit.State{"A", "B"}})
	is := func(state udpkit.State) func(udpkit.MessageEvent) bool {
		return func(e udpkit.MessageEvent) bool { return e.State == state }
	}
	wait(t, clientLog, is("A"))
	wait(t, clientLog, is("B"))
	require.NoError(t, server.SetState("by hand"))
	set := wait(t, clientLog, is("by hand"))
	wait(t, clientLog, func(e udpkit.MessageEvent) bool { return e.MessageID == set.MessageID+2 && e.State == "by hand" })
	require.NoError(t, server.SetState(""))
	wait(t, clientLog, func(e udpkit.MessageEvent) bool { return e.MessageID > set.MessageID+2 && e.State == "A" })
	assert.ErrorIs(t, server.SetState("\x1b[2J"), udpkit.ErrConfig)
}

// TestServerSurvivesItsCallback blocks OnEvent: broadcasts go on, and what the callback missed is
// counted.
func TestServerSurvivesItsCallback(t *testing.T) {
	client, clientLog, _ := newClient(t, 0, udpkit.ClientConfig{NoAck: true})
	block := make(chan struct{})
	s, err := udpkit.NewServer(udpkit.ServerConfig{
		Port: client.Addr().Port(), Targets: loopback, Interval: time.Millisecond,
		OnEvent: func(e udpkit.Event) {
			if _, ok := e.(udpkit.SentEvent); ok {
				<-block
			}
		},
	})
	require.NoError(t, err)
	stop := start(t, s.Run, s)
	wait(t, clientLog, func(e udpkit.MessageEvent) bool { return e.MessageID >= 20 })
	close(block)
	require.NoError(t, stop())
}

// TestServerSurvivesTheNetwork sends to an address that fails beside one that works.
func TestServerSurvivesTheNetwork(t *testing.T) {
	client, clientLog, _ := newClient(t, 0, udpkit.ClientConfig{})
	targets, err := udpkit.ParseTargets("192.0.2.1:9,127.255.255.255") // from a loopback address nothing leaves this machine
	require.NoError(t, err)
	_, serverLog, stop := newServer(t, client.Addr().Port(), udpkit.ServerConfig{Targets: targets, Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	wait(t, clientLog, func(e udpkit.MessageEvent) bool { return e.MessageID >= 3 })
	require.NoError(t, stop())
	failures := all[udpkit.ErrorEvent](serverLog)
	require.Len(t, failures, 1, "a failure that repeats is reported once")
	assert.Equal(t, netip.MustParseAddrPort("192.0.2.1:9"), failures[0].Peer)
	sum := wait(t, serverLog, any1[udpkit.ServerSummary])
	assert.Equal(t, sum.Sent, sum.SendErrors)
}

// TestEnd: a server that ends says so, however it ends, in one more message or in the last.
func TestEnd(t *testing.T) {
	client, clientLog, _ := newClient(t, 0, udpkit.ClientConfig{})
	port := client.Addr().Port()
	for name, cfg := range map[string]udpkit.ServerConfig{
		"stopped": {}, "after a time": {MaxRuntime: 50 * time.Millisecond}, "after a number": {MaxMessages: 2, AckWait: time.Millisecond},
	} {
		server, serverLog, stop := newServer(t, port, cfg)
		wait(t, clientLog, func(e udpkit.MessageEvent) bool { return e.Epoch == server.Epoch() })
		if name == "stopped" {
			require.NoError(t, stop())
		}
		sum := wait(t, serverLog, any1[udpkit.ServerSummary])
		end := wait(t, clientLog, func(e udpkit.EndEvent) bool { return e.Epoch == server.Epoch() })
		assert.True(t, end.Said, name)
		assert.Equal(t, sum.Sent, end.LastID, name)
		assert.Equal(t, server.Addr().Port(), end.Server.Port(), name)
	}
	assert.Zero(t, client.Stats().Missed+client.Stats().Timeouts)
}

func TestMaxRuntime(t *testing.T) {
	client, clientLog, _ := newClient(t, 0, udpkit.ClientConfig{MaxRuntime: 50 * time.Millisecond})
	_, serverLog, _ := newServer(t, client.Addr().Port(), udpkit.ServerConfig{MaxRuntime: 50 * time.Millisecond})
	assert.GreaterOrEqual(t, wait(t, clientLog, any1[udpkit.ClientSummary]).Runtime, 50*time.Millisecond)
	assert.GreaterOrEqual(t, wait(t, serverLog, any1[udpkit.ServerSummary]).Runtime, 50*time.Millisecond)
}

func TestClientTimeout(t *testing.T) {
	_, clientLog, stop := newClient(t, 0, udpkit.ClientConfig{Timeout: 30 * time.Millisecond})
	e := wait(t, clientLog, any1[udpkit.TimeoutEvent])
	assert.GreaterOrEqual(t, e.Elapsed, 30*time.Millisecond)
	require.NoError(t, stop())
	assert.EqualValues(t, 1, wait(t, clientLog, any1[udpkit.ClientSummary]).Timeouts, "one for a silence")
}

// TestTimeoutFollowsTheInterval: a server that announces 400 ms and falls silent is missed after
// 1.2 s, not after the default of 15 s.
func TestTimeoutFollowsTheInterval(t *testing.T) {
	client, clientLog, _ := newClient(t, 0, udpkit.ClientConfig{})
	b, err := udpkit.AppendMessage(nil, udpkit.Message{Timestamp: "t", State: "A", ID: 7, Epoch: 9, Interval: 400 * time.Millisecond})
	require.NoError(t, err)
	server, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", client.Addr().Port()))
	require.NoError(t, err)
	defer server.Close()
	_, err = server.Write(b)
	require.NoError(t, err)
	e := wait(t, clientLog, any1[udpkit.TimeoutEvent])
	assert.Equal(t, []any{server.LocalAddr().String(), udpkit.Epoch(9), uint64(7)}, []any{e.Server.String(), e.Epoch, e.LastID})
	assert.GreaterOrEqual(t, e.Elapsed, 1200*time.Millisecond)
	assert.Less(t, e.Elapsed, 10*time.Second)
}

func TestClosed(t *testing.T) {
	c, err := udpkit.NewClient(udpkit.ClientConfig{Listen: netip.MustParseAddrPort("0.0.0.0:0")})
	require.NoError(t, err)
	s, err := udpkit.NewServer(udpkit.ServerConfig{Targets: udpkit.ListTargets(netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), c.Addr().Port()))})
	require.NoError(t, err)
	for name, role := range map[string]interface {
		Run(context.Context) error
		Close() error
	}{"client": c, "server": s} {
		done := make(chan error, 1)
		go func() { done <- role.Run(t.Context()) }()
		require.NoError(t, role.Close(), name)
		assert.ErrorIs(t, <-done, net.ErrClosed, name)
		assert.NoError(t, role.Close(), name)
		err := role.Run(t.Context())
		assert.Error(t, err, "%s: one run", name)
	}
}

func TestPortTakenByAStranger(t *testing.T) {
	stranger, err := net.ListenUDP("udp4", &net.UDPAddr{})
	require.NoError(t, err)
	defer stranger.Close()
	port := stranger.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	_, err = udpkit.NewClient(udpkit.ClientConfig{Listen: netip.AddrPortFrom(netip.IPv4Unspecified(), port)})
	assert.ErrorIs(t, err, syscall.EADDRINUSE)
	assert.ErrorContains(t, err, fmt.Sprintf("port %d is taken by another program that does not share it", port))
}

func TestConfigRefused(t *testing.T) {
	for name, cfg := range map[string]udpkit.ServerConfig{
		"interval":    {Interval: time.Microsecond},
		"negative":    {Interval: -1},
		"state":       {States: []udpkit.State{""}},
		"max runtime": {MaxRuntime: -1},
	} {
		_, err := udpkit.NewServer(cfg)
		assert.ErrorIs(t, err, udpkit.ErrConfig, name)
	}
	for name, cfg := range map[string]udpkit.ClientConfig{
		"id":      {ID: strings.Repeat("x", 65)},
		"escape":  {ID: "\x1b]0;x\a"},
		"style":   {Receiver: "telepathy"},
		"history": {History: -1},
	} {
		_, err := udpkit.NewClient(cfg)
		assert.ErrorIs(t, err, udpkit.ErrConfig, name)
	}
}

// peer is a socket of the test's own.
func peer(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestClientCountsWhatItRefuses sends what is not a message between messages.
func TestClientCountsWhatItRefuses(t *testing.T) {
	client, clientLog, stop := newClient(t, 0, udpkit.ClientConfig{ID: "c", History: 2})
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), client.Addr().Port())
	sender := peer(t)
	send := func(text string) {
		_, err := sender.WriteToUDPAddrPort([]byte(text), to)
		require.NoError(t, err)
	}
	message := func(id uint64) string { return fmt.Sprintf(`{"timestamp":"t%d","state":"A","message_id":%d}`, id, id) }
	for _, text := range []string{
		message(0), "", "hello", `{"state":"A"}`, strings.Repeat("x", 5000), message(0), message(3), message(2), message(1 << 50), message(4),
	} {
		send(text)
	}
	wait(t, clientLog, func(e udpkit.MessageEvent) bool { return e.MessageID == 4 })
	require.NoError(t, stop())
	sum := wait(t, clientLog, any1[udpkit.ClientSummary])
	assert.EqualValues(t, 5, sum.Received)
	assert.EqualValues(t, 1, sum.Duplicates)
	assert.EqualValues(t, 1, sum.Gaps)
	assert.EqualValues(t, 1, sum.Missed)
	assert.EqualValues(t, 1, sum.Late)
	assert.EqualValues(t, 3, sum.Malformed)
	assert.EqualValues(t, 1, sum.Truncated)
	assert.EqualValues(t, 1, sum.Servers)
	assert.Equal(t, map[string]uint64{
		"not a JSON object": 2, "no timestamp, state or message_id": 1, "longer than 1,024 bytes": 1,
	}, refusals(t, clientLog, sender), "each is told")
	gap := wait(t, clientLog, any1[udpkit.GapEvent])
	assert.Equal(t, [2]uint64{1, 2}, [2]uint64{gap.From, gap.To})
	require.Len(t, client.History(), 2)
	assert.Equal(t, uint64(1<<50), client.History()[0].MessageID, "oldest first")

	// The answer to a server without an epoch is exactly the documents' text.
	buf := make([]byte, 100)
	n, from, err := sender.ReadFromUDPAddrPort(buf)
	require.NoError(t, err)
	assert.Equal(t, "Client c received message 0", string(buf[:n]))
	assert.NotEqual(t, client.Addr().Port(), from.Port(), "acknowledgements come from a socket of their own")
}

// refusals returns what was told of the refused datagrams of one source: all that was.
func refusals(t *testing.T, l *log, source *net.UDPConn) map[string]uint64 {
	t.Helper()
	told := make(map[string]uint64)
	for _, e := range all[udpkit.RefusedEvent](l) {
		assert.Equal(t, source.LocalAddr().(*net.UDPAddr).AddrPort(), e.From)
		assert.ErrorContains(t, e.Err, e.Reason)
		told[e.Reason] += e.Count
	}
	return told
}

// TestServerRefusesAcks answers a server with what it must not count.
func TestServerRefusesAcks(t *testing.T) {
	receiver := peer(t)
	at := receiver.LocalAddr().(*net.UDPAddr).AddrPort()
	server, serverLog, stop := newServer(t, 0, udpkit.ServerConfig{
		Targets: udpkit.ListTargets(at), Interval: time.Hour, MaxClients: 2,
	})
	buf := make([]byte, udpkit.MaxMessageSize)
	n, from, err := receiver.ReadFromUDPAddrPort(buf)
	require.NoError(t, err)
	m, err := udpkit.DecodeMessage(buf[:n])
	require.NoError(t, err)
	require.EqualValues(t, 1, m.ID)
	require.Equal(t, server.Epoch(), m.Epoch)
	require.Equal(t, time.Hour, m.Interval)

	send := func(text string) {
		_, err := receiver.WriteToUDPAddrPort([]byte(text), from)
		require.NoError(t, err)
	}
	send("Client a received message 1")                        // counted: an old client
	send("Client a received message 1")                        // again
	send("Client b received message 2")                        // not sent yet
	send("Client b received message 0")                        // never sent
	send("Client b received message 1 epoch 0123456789abcdef") // another run's
	send("hello")
	send(strings.Repeat("x", 2000))
	send("Client b received message 1 epoch " + m.Epoch.String()) // counted
	send("Client c received message 1")                           // the table is full
	send("Client a received message 1")
	assert.True(t, wait(t, serverLog, func(e udpkit.AckEvent) bool { return e.ClientID == "b" }).Proved)
	require.Eventually(t, func() bool { return server.Stats().DuplicateAcks == 2 }, 30*time.Second, time.Millisecond)
	require.NoError(t, stop())
	assert.Equal(t, map[string]uint64{
		"it acknowledges a message that was never sent, or long ago":   2,
		"it acknowledges a message of another run: its epoch is wrong": 1,
		"not an acknowledgement":                1,
		"longer than an acknowledgement can be": 1,
		"the table of clients is full":          1,
	}, refusals(t, serverLog, receiver), "each is told")
	sum := server.Stats()
	assert.EqualValues(t, 1, sum.Acks)
	assert.EqualValues(t, 1, sum.UnprovedAcks)
	assert.EqualValues(t, 4, sum.RefusedAcks)
	assert.EqualValues(t, 2, sum.Malformed)
	assert.Equal(t, 2, sum.Clients)
}

// TestLossPerClient lets a client acknowledge two of four messages.
func TestLossPerClient(t *testing.T) {
	receiver := peer(t)
	server, _, stop := newServer(t, 0, udpkit.ServerConfig{
		Targets: udpkit.ListTargets(receiver.LocalAddr().(*net.UDPAddr).AddrPort()), MaxMessages: 4, AckWait: 50 * time.Millisecond,
	})
	buf := make([]byte, udpkit.MaxMessageSize)
	for id := 1; id <= 4; id++ {
		_, from, err := receiver.ReadFromUDPAddrPort(buf)
		require.NoError(t, err)
		if id <= 2 {
			_, err = receiver.WriteToUDPAddrPort(fmt.Appendf(nil, "Client half received message %d epoch %v", id, server.Epoch()), from)
			require.NoError(t, err)
		}
	}
	require.Eventually(t, func() bool {
		infos := server.Clients()
		return len(infos) == 1 && infos[0].Expected == 4 && infos[0].Acks == 2 && infos[0].Loss() == 0.5
	}, 30*time.Second, time.Millisecond)
	require.NoError(t, stop())
}

func TestJournal(t *testing.T) {
	client, clientLog, stopClient := newClient(t, 0, udpkit.ClientConfig{})
	_, serverLog, stopServer := newServer(t, client.Addr().Port(), udpkit.ServerConfig{MaxMessages: 2, States: []udpkit.State{`<b>"&`}})
	wait(t, serverLog, any1[udpkit.ServerSummary])
	require.NoError(t, stopServer())
	require.NoError(t, stopClient())

	for _, l := range []*log{clientLog, serverLog} {
		var file bytes.Buffer
		j := udpkit.NewJournal(&file)
		for _, e := range l.events {
			require.NoError(t, j.Write(e))
		}
		refused := udpkit.RefusedEvent{From: netip.MustParseAddrPort("10.0.0.7:5000"), Reason: "not a JSON object", Count: 11}
		require.NoError(t, j.Write(refused))
		assert.Contains(t, file.String(), `{"event":"refused","from":"10.0.0.7:5000","reason":"not a JSON object","count":11,`)
		require.NoError(t, j.Write(udpkit.GapEvent{From: 1, To: 2}))
		for line := range strings.Lines(file.String()) {
			assert.True(t, strings.HasPrefix(line, `{"event":"`), line)
		}
		file.WriteString(`{"event":"of a later version","x":1}` + "\n")
		var kinds, want []string
		for e, err := range udpkit.ReadJournal(bytes.NewReader(file.Bytes())) {
			require.NoError(t, err)
			kinds = append(kinds, fmt.Sprintf("%T", e))
		}
		for _, e := range append(l.events, udpkit.RefusedEvent{}, udpkit.GapEvent{}) {
			want = append(want, fmt.Sprintf("%T", e))
		}
		assert.Equal(t, want, kinds)
	}
}

func TestJournalErrors(t *testing.T) {
	var events int
	var last error
	for _, err := range udpkit.ReadJournal(strings.NewReader("{\"event\":\"gap\",\"from\":1,\"to\":1}\n{\"event\":\n")) {
		events++
		last = err
	}
	assert.Equal(t, 2, events)
	assert.ErrorContains(t, last, "line 2")

	full := errors.New("disk full")
	j := udpkit.NewJournal(writerFunc(func([]byte) (int, error) { return 0, full }))
	assert.ErrorIs(t, j.Write(udpkit.GapEvent{}), full)
	assert.ErrorIs(t, j.Write(udpkit.GapEvent{}), full)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestRepairOfOurs: a client asks a server on a real socket for what it misses, and a server
// answers.
func TestRepairOfOurs(t *testing.T) {
	client, clientLog, _ := newClient(t, 0, udpkit.ClientConfig{ID: "ann"})
	server := peer(t)
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), client.Addr().Port())
	message := func(id uint64) []byte {
		b, err := udpkit.AppendMessage(nil, udpkit.Message{Timestamp: "t", State: "A", ID: id, Epoch: 9, Repair: true})
		require.NoError(t, err)
		return b
	}
	buf := make([]byte, udpkit.MaxMessageSize)
	for _, id := range []uint64{1, 2, 5} {
		_, err := server.WriteToUDPAddrPort(message(id), to)
		require.NoError(t, err)
	}
	for {
		n, from, err := server.ReadFromUDPAddrPort(buf)
		require.NoError(t, err)
		text := strings.TrimSpace(string(buf[:n]))
		if strings.Contains(text, "received") {
			continue
		}
		assert.Equal(t, "Client ann misses messages 3 to 4 epoch 0000000000000009", text)
		_, err = server.WriteToUDPAddrPort(message(4), from)
		require.NoError(t, err)
		break
	}
	fourth := wait(t, clientLog, func(e udpkit.MessageEvent) bool { return e.MessageID == 4 })
	assert.True(t, fourth.Repaired)
	assert.False(t, fourth.Late)

	real, realLog, stop := newServer(t, server.LocalAddr().(*net.UDPAddr).AddrPort().Port(), udpkit.ServerConfig{
		Interval: time.Hour, Targets: udpkit.ListTargets(server.LocalAddr().(*net.UDPAddr).AddrPort()),
	})
	first := wait(t, realLog, any1[udpkit.SentEvent])
	var sent []byte
	for range 20 { // acknowledgements and questions of the client may be in between
		n, _, err := server.ReadFromUDPAddrPort(buf)
		require.NoError(t, err)
		if sent = bytes.Clone(buf[:n]); sent[0] == '{' {
			break
		}
	}
	asker := peer(t)
	question := fmt.Sprintf("%-342s", fmt.Sprintf("Client bob misses messages %d to 7 epoch %v", first.MessageID, real.Epoch()))
	_, err := asker.WriteToUDPAddrPort([]byte(question), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), real.Addr().Port()))
	require.NoError(t, err)
	n, _, err := asker.ReadFromUDPAddrPort(buf)
	require.NoError(t, err)
	assert.Equal(t, string(sent), string(buf[:n]), "byte for byte")
	require.NoError(t, stop())
	assert.EqualValues(t, 1, real.Stats().Repairs)
}

// TestRepairOnALossyPath: of what a server sends and a client answers a fifth is lost on the way,
// and the client gets all of it.
func TestRepairOnALossyPath(t *testing.T) {
	const messages = 60
	client, clientLog, stop := newClient(t, 0, udpkit.ClientConfig{})
	entrance, exit := peer(t), peer(t)
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), client.Addr().Port())
	var server atomic.Pointer[netip.AddrPort]
	carry := func(in, out *net.UDPConn, to func(from netip.AddrPort) netip.AddrPort) {
		dice, buf := rand.New(rand.NewPCG(uint64(in.LocalAddr().(*net.UDPAddr).Port), 1)), make([]byte, 2000)
		for {
			n, from, err := in.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if dice.IntN(5) > 0 {
				_, _ = out.WriteToUDPAddrPort(buf[:n], to(from))
			}
		}
	}
	var both sync.WaitGroup
	both.Go(func() {
		carry(entrance, exit, func(from netip.AddrPort) netip.AddrPort { server.Store(&from); return to })
	})
	both.Go(func() { carry(exit, entrance, func(netip.AddrPort) netip.AddrPort { return *server.Load() }) })
	_, serverLog, stopServer := newServer(t, 0, udpkit.ServerConfig{
		Targets: udpkit.ListTargets(entrance.LocalAddr().(*net.UDPAddr).AddrPort()), MaxMessages: messages, AckWait: time.Minute,
	})
	require.Eventually(t, func() bool {
		first := all[udpkit.MessageEvent](clientLog)
		return len(first) > 0 && client.Stats().Received > messages-first[0].MessageID
	}, 50*time.Second, 10*time.Millisecond)
	require.NoError(t, stop())
	require.NoError(t, stopServer())
	assert.Empty(t, all[udpkit.GapEvent](clientLog))
	assert.Positive(t, client.Stats().Repaired)
	assert.Positive(t, wait(t, serverLog, any1[udpkit.ServerSummary]).Repairs)
	entrance.Close()
	exit.Close()
	both.Wait()
}

// TestWhoAsksForTheTime: a client that does not repair learns the server's clock too, and one that
// does not acknowledge does not: its latencies count as they are.
func TestWhoAsksForTheTime(t *testing.T) {
	asks, asksLog, stopAsks := newClient(t, 0, udpkit.ClientConfig{NoRepair: true})
	silent, silentLog, stopSilent := newClient(t, asks.Addr().Port(), udpkit.ClientConfig{NoAck: true})
	server, _, stopServer := newServer(t, asks.Addr().Port(), udpkit.ServerConfig{NoRepair: true})
	m := wait(t, asksLog, func(e udpkit.MessageEvent) bool { return e.Clock.Error > 0 })
	assert.LessOrEqual(t, m.Clock.Ahead.Abs(), m.Clock.Error, "one clock")
	wait(t, silentLog, func(e udpkit.MessageEvent) bool { return e.MessageID > m.MessageID })
	require.NoError(t, stopServer())
	require.NoError(t, stopAsks())
	require.NoError(t, stopSilent())
	sum := silent.Stats()
	assert.Equal(t, sum.Received, sum.Latency.Count)
	for _, m := range silent.History() {
		assert.Zero(t, m.Clock)
	}
	assert.Positive(t, server.Stats().Times)
	assert.Zero(t, server.Stats().NotTold)
}
