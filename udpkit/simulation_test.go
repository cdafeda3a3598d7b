package udpkit

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestPromise runs a day of broadcasts over networks of all kinds: each message is delivered
// exactly once or reported in a gap, and what is lost at the end shows as a timeout.
func TestPromise(t *testing.T) {
	const longAway = "loss 50 %, long away"
	seed := uint64(time.Now().UnixNano())
	day := uint64(24 * time.Hour / DefaultInterval)
	for name, n := range map[string]*testenv.Network{
		"perfect":                  {},
		"loss 1 %":                 {Loss: 0.01, Delay: time.Second},
		"loss 5 %, reordered":      {Loss: 0.05, Duplicate: 0.05, Delay: 12 * time.Second},
		"loss 20 %, corrupted":     {Loss: 0.2, Duplicate: 0.3, Delay: time.Minute, Corrupt: 0.01},
		"loss 50 %, a minute late": {Loss: 0.5, Duplicate: 0.5, Delay: time.Minute},
		"bursts":                   {Loss: 0.02, Burst: 1, Delay: time.Second},
		longAway:                   {Loss: 0.5, Duplicate: 0.2, Delay: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Logf("seed %d", seed)
			n.Seed = seed
			n.Damage = func(b []byte, at int) []byte { // as UDP's checksum would miss only by chance
				b[at] = 0xff
				return b
			}
			away := time.Hour
			if name == longAway {
				away = 3 * time.Hour // a jump of 2,160 ids
			}
			synctest.Test(t, func(t *testing.T) { simulate(t, n, away, day) })
		})
	}
}

// simulate runs a day with a partition of the length of away in its middle.
func simulate(t *testing.T, n *testenv.Network, away time.Duration, messages uint64) {
	var (
		delivered = map[uint64]int{}
		reported  = map[uint64]bool{}
		first     uint64 // what the client hears first: the promise begins there
		lateOnes  uint64
		timeouts  int
	)
	clientConfig, err := ClientConfig{ID: "simulated", OnEvent: func(e Event) {
		switch e := e.(type) {
		case MessageEvent:
			if len(delivered) == 0 {
				first = e.MessageID
			}
			delivered[e.MessageID]++
			if e.Late {
				lateOnes++
				require.True(t, reported[e.MessageID], "late without a gap")
			}
		case GapEvent:
			for id := e.From; id <= e.To; id++ {
				require.False(t, reported[id], "message %d is reported twice", id)
				reported[id] = true
			}
		case TimeoutEvent:
			timeouts++
		}
	}, NoRepair: true}.withDefaults()
	require.NoError(t, err)
	serverConfig, err := ServerConfig{MaxMessages: messages, AckWait: time.Hour}.withDefaults()
	require.NoError(t, err)

	client := newClient(clientConfig)
	clientAddr, serverAddr := netip.MustParseAddrPort("10.0.0.2:37020"), netip.MustParseAddrPort("10.0.0.1:9")
	deliver := func(source netip.AddrPort, to func(Datagram)) func([]byte) {
		return func(b []byte) { to(Datagram{Payload: b, Source: source, Received: time.Now()}) }
	}
	server := newServer(serverConfig, func(b []byte, _ netip.AddrPort) (int, error) {
		n.Carry(b, clientAddr, deliver(serverAddr, client.handle))
		return len(b), nil
	})
	client.ack = func(b []byte, to netip.AddrPort) (int, error) {
		require.Equal(t, serverAddr, to)
		n.Carry(b, clientAddr, deliver(clientAddr, server.handleAck))
		return len(b), nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	go client.watch(ctx)
	client.began = time.Now()
	server.cfg.Targets = ListTargets(netip.MustParseAddrPort("10.255.255.255:37020"))

	// A partition in the middle of the day, and one at its end.
	time.AfterFunc(10*time.Hour, func() { n.Cut(clientAddr, true) })
	time.AfterFunc(10*time.Hour+away, n.Heal)
	time.AfterFunc(24*time.Hour-time.Minute, func() { n.Cut(clientAddr, true) })
	server.broadcast(ctx)
	cancel()
	synctest.Wait()

	var missing, highest uint64
	for id := range delivered {
		highest = max(highest, id)
	}
	for id := first; id <= highest; id++ {
		if delivered[id] == 0 {
			require.True(t, reported[id], "message %d was lost in silence", id)
			missing++
		}
		require.LessOrEqual(t, delivered[id], 1, "message %d", id)
	}
	t.Logf("%d sent: %d delivered once, %d reported missing, %d of them late, none silent", messages, len(delivered), len(reported), lateOnes)
	sum := client.Stats()
	assert.EqualValues(t, len(delivered), sum.Received)
	assert.Equal(t, missing, sum.Missed)
	assert.Equal(t, lateOnes, sum.Late)
	assert.Greater(t, missing, uint64(60*60/5-10), "the partition")
	assert.Less(t, highest, messages)
	assert.Positive(t, timeouts, "the loss of the last messages shows")
	if n.Duplicate == 0 {
		assert.Zero(t, sum.Duplicates)
	} else {
		assert.Positive(t, sum.Duplicates)
	}

	// The server counts only what the client has decoded.
	heard := server.Stats()
	assert.LessOrEqual(t, heard.Acks, sum.Received)
	infos := server.Clients()
	require.Len(t, infos, 1)
	assert.Equal(t, heard.Acks, infos[0].Acks)
	assert.InDelta(t, 1-float64(heard.Acks)/float64(messages), infos[0].Loss(), 0.001)
}

// crowd is a client that hears what is sent with hear.
type crowd struct {
	*Client
	events []Event
}

func newCrowd(t *testing.T, cfg ClientConfig) *crowd {
	c := &crowd{}
	cfg.NoAck, cfg.OnEvent = true, func(e Event) { c.events = append(c.events, e) }
	cfg, err := cfg.withDefaults()
	require.NoError(t, err)
	c.Client = newClient(cfg)
	c.began = time.Now()
	return c
}

// hear has the client hear messages of a run: ids from from to to.
func (c *crowd) hear(t *testing.T, m Message, from, to uint64) {
	m.Timestamp, m.State = "t", "A"
	server := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(m.Epoch >> 8), byte(m.Epoch)}), 9)
	for m.ID = from; m.ID <= to; m.ID++ {
		b, err := AppendMessage(nil, m)
		require.NoError(t, err)
		c.handle(Datagram{Payload: b, Source: server, Received: time.Now()})
	}
}

// told returns the events of one kind.
func told[E Event](c *crowd) (found []E) {
	for _, e := range c.events {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}
	return found
}

// TestRunsAreBounded forges messages of many runs: memory is bounded, and the genuine server is
// heard all the same, with its duplicates and gaps.
func TestRunsAreBounded(t *testing.T) {
	c := newCrowd(t, ClientConfig{})
	const genuine, forged = 500, 10
	for id := uint64(1); id <= genuine; id++ {
		if id%10 != 0 { // else it is lost
			c.hear(t, Message{Epoch: 1}, id, id)
			c.hear(t, Message{Epoch: 1}, id, id)
		}
		for range forged {
			c.hear(t, Message{Epoch: NewEpoch()}, id, id)
		}
	}
	sum := c.Stats()
	assert.EqualValues(t, genuine*9/10+genuine*forged, sum.Received)
	assert.EqualValues(t, genuine*9/10, sum.Duplicates)
	assert.EqualValues(t, genuine/10-1, sum.Missed, "but for the last, after which nothing comes")
	assert.Len(t, c.runs.known, 1+maxNewcomers)
	assert.EqualValues(t, genuine*forged-maxNewcomers, sum.Forgotten)
	c.tellForgotten(0)
	forgotten := uint64(0)
	for _, e := range told[ForgottenEvent](c) {
		forgotten += e.Runs
	}
	assert.Len(t, told[ForgottenEvent](c), 2, "at once, and in the end")
	assert.Equal(t, sum.Forgotten, forgotten)
}

// TestRunsAreSmall holds the memory that the documentation names: windows with the most gaps, and
// as many holes as there can be.
func TestRunsAreSmall(t *testing.T) {
	const each = unsafe.Sizeof(run{}) + unsafe.Sizeof(window{}) + maxGaps*unsafe.Sizeof(gap{}) + RepairRing/2*unsafe.Sizeof(hole{})
	const newcomer = unsafe.Sizeof(run{})
	const asked = uintptr(len(clockQuestions{}.asked)) // which may hold as many that are forgotten
	assert.LessOrEqual(t, maxRuns*each+(maxNewcomers+asked)*newcomer, uintptr(64<<20))
}

// TestManyServers: of as many servers as there is room for, nothing is lost in silence, nothing
// comes twice, and one more does not change that.
func TestManyServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, ClientConfig{})
		for server := range Epoch(maxRuns) {
			c.hear(t, Message{Epoch: 1 + server}, 1, 2)
		}
		for server := range Epoch(maxRuns + 1) { // 3 and 4 are lost
			c.hear(t, Message{Epoch: 1 + server}, 5, 6)
			c.hear(t, Message{Epoch: 1 + server}, 6, 6)
		}
		sum := c.Stats()
		assert.EqualValues(t, maxRuns, sum.Gaps)
		assert.EqualValues(t, 2*maxRuns, sum.Missed)
		assert.EqualValues(t, maxRuns+1, sum.Duplicates)
		assert.EqualValues(t, 1, sum.Forgotten, "the one more, which begins to go on")
		assert.Equal(t, []ForgottenEvent{{Runs: 1, At: time.Now()}}, told[ForgottenEvent](c))
		// One that is silent makes room.
		time.Sleep(10 * time.Second)
		for server := range Epoch(maxRuns - 1) {
			c.hear(t, Message{Epoch: 1 + server}, 7, 7)
		}
		time.Sleep(10 * time.Second)
		c.checkSilence(time.Now())
		require.Len(t, told[TimeoutEvent](c), 2)
		c.hear(t, Message{Epoch: 1 + maxRuns}, 10, 10)
		c.hear(t, Message{Epoch: 1 + maxRuns}, 12, 12)
		assert.EqualValues(t, 1, c.Stats().Forgotten)
		gaps := told[GapEvent](c)[maxRuns:]
		require.Len(t, gaps, 2)
		assert.Equal(t, []uint64{7, 9, 11, 11}, []uint64{gaps[0].From, gaps[0].To, gaps[1].From, gaps[1].To})
		assert.Len(t, c.runs.known, maxRuns)
	})
}

// TestForgottenAmongOthers: a server of which one message has come, and then those of many others.
func TestForgottenAmongOthers(t *testing.T) {
	c := newCrowd(t, ClientConfig{})
	c.hear(t, Message{Epoch: 1}, 1, 1)
	for server := range Epoch(64) {
		c.hear(t, Message{Epoch: 2 + server}, 1, 1)
	}
	c.hear(t, Message{Epoch: 1}, 5, 5)
	require.Len(t, told[GapEvent](c), 1)
	assert.Equal(t, [2]uint64{2, 4}, [2]uint64{told[GapEvent](c)[0].From, told[GapEvent](c)[0].To})
}

// TestSilenceOfEachRun: each run's end shows, however much is heard of others.
func TestSilenceOfEachRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, ClientConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		go c.watch(ctx)
		c.hear(t, Message{Epoch: 1, Interval: time.Second}, 1, 3)
		c.hear(t, Message{Epoch: 2, Interval: time.Second}, 1, 3)
		c.hear(t, Message{Epoch: 3, Interval: time.Second, End: true}, 4, 4)
		for id := uint64(4); id <= 10; id++ { // the second goes on
			time.Sleep(time.Second)
			c.hear(t, Message{Epoch: 2, Interval: time.Second}, id, id)
		}
		c.hear(t, Message{Epoch: 2, End: true}, 13, 13) // 11 and 12 are lost
		c.hear(t, Message{Epoch: 2}, 12, 12)            // or late
		time.Sleep(time.Hour)
		synctest.Wait()
		cancel()
		silences := told[TimeoutEvent](c)
		require.Len(t, silences, 1)
		assert.Equal(t, []uint64{1, 3}, []uint64{uint64(silences[0].Epoch), silences[0].LastID})
		assert.Equal(t, 3*time.Second, silences[0].Elapsed)
		ends := told[EndEvent](c)
		require.Len(t, ends, 2)
		assert.Equal(t, []uint64{3, 4}, []uint64{uint64(ends[0].Epoch), ends[0].LastID})
		assert.Equal(t, []uint64{2, 13}, []uint64{uint64(ends[1].Epoch), ends[1].LastID})
		assert.True(t, ends[0].Said && ends[1].Said)
		assert.EqualValues(t, 1, c.Stats().Missed)
	})
}

// TestSuccessor: a server that begins anew on its host has lost what it sent last.
func TestSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, ClientConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		go c.watch(ctx)
		c.hear(t, Message{Epoch: 1, Interval: time.Second}, 1, 10)
		time.Sleep(2 * time.Second)
		for id := uint64(1); id < 5; id++ {
			c.hear(t, Message{Epoch: 1<<16 + 1, Interval: time.Second}, id, id) // the same address
			time.Sleep(time.Second)
		}
		synctest.Wait()
		cancel()
		require.Empty(t, told[TimeoutEvent](c))
		ends := told[EndEvent](c)
		require.Len(t, ends, 1)
		assert.Equal(t, EndEvent{Server: ends[0].Server, Epoch: 1, LastID: 10, At: ends[0].At}, ends[0])
	})
}

// TestInterval: what somebody forges once does not change when a silence is told.
func TestInterval(t *testing.T) {
	for name, test := range map[string]struct {
		intervals []time.Duration
		silence   time.Duration
	}{
		"announced":   {[]time.Duration{2 * time.Second}, 6 * time.Second},
		"none":        {[]time.Duration{0}, 15 * time.Second},
		"short":       {[]time.Duration{time.Millisecond}, time.Second},
		"too long":    {[]time.Duration{time.Hour + time.Millisecond, time.Hour + time.Millisecond}, 15 * time.Second},
		"long":        {[]time.Duration{time.Hour}, 3 * time.Hour},
		"forged once": {[]time.Duration{2 * time.Second, time.Hour, 2 * time.Second}, 6 * time.Second},
		"at its end":  {[]time.Duration{2 * time.Second, time.Hour}, 6 * time.Second},
		"changed":     {[]time.Duration{2 * time.Second, 4 * time.Second, 4 * time.Second}, 12 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(t, ClientConfig{})
				ctx, cancel := context.WithCancel(t.Context())
				go c.watch(ctx)
				for i, interval := range test.intervals {
					c.hear(t, Message{Epoch: 1, Interval: interval}, uint64(i), uint64(i))
				}
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				cancel()
				require.Len(t, told[TimeoutEvent](c), 1)
				assert.Equal(t, test.silence, told[TimeoutEvent](c)[0].Elapsed)
			})
		})
	}
}

// TestMissedNeverWraps: what is forged can make the counter wrong, but not absurd.
func TestMissedNeverWraps(t *testing.T) {
	for name, test := range map[string]struct {
		epoch  Epoch
		ids    []uint64
		missed uint64
	}{
		"with an epoch":    {7, []uint64{1, 5121, 1}, 5119},
		"without":          {0, []uint64{1, 5121, 1}, 0},
		"much forged":      {7, []uint64{1, 1 << 52, MaxMessageID - 1, 2, 1 << 51, 3, 5}, 1},
		"forged at first":  {7, []uint64{1 << 52, 1<<52 + 9, 1, 2, 4}, 1},
		"twice, not taken": {0, []uint64{1, 1 << 52, 1<<52 + 1, 2, 3, 1 << 52, 1<<52 + 1}, 1<<52 - 2},
	} {
		cfg, err := ClientConfig{NoAck: true}.withDefaults()
		require.NoError(t, err)
		client := newClient(cfg)
		for i, id := range test.ids {
			b, err := AppendMessage(nil, Message{Timestamp: "t", State: "A", ID: id, Epoch: test.epoch})
			require.NoError(t, err)
			client.handle(Datagram{Payload: b, Received: time.Now()})
			require.LessOrEqual(t, client.Stats().Missed, uint64(MaxMessageID), "%s: message %d", name, i)
		}
		assert.Equal(t, test.missed, client.Stats().Missed, name)
	}

	// One run after the other with the longest gap.
	cfg, err := ClientConfig{NoAck: true}.withDefaults()
	require.NoError(t, err)
	client := newClient(cfg)
	begun := time.Now()
	for i := range 5000 {
		epoch := NewEpoch()
		for _, id := range []uint64{0, MaxMessageID - 1, MaxMessageID} {
			b, err := AppendMessage(nil, Message{Timestamp: "t", State: "A", ID: id, Epoch: epoch})
			require.NoError(t, err)
			client.handle(Datagram{Payload: b, Received: begun.Add(time.Duration(i) * time.Minute)})
		}
	}
	assert.EqualValues(t, uint64(MaxMessageID), client.Stats().Missed)
	assert.EqualValues(t, 5000, client.Stats().Gaps)
}

// TestClientTableIsBounded forges a flood of clients against 100 genuine ones.
func TestClientTableIsBounded(t *testing.T) {
	const genuine, flood = 100, 200_000
	cfg, err := ServerConfig{MaxClients: 1000}.withDefaults()
	require.NoError(t, err)
	server := newServer(cfg, func(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil })
	hear := func(host uint32, id string, message uint64) {
		b, err := AppendAck(nil, Ack{ClientID: id, MessageID: message, Epoch: server.Epoch()})
		require.NoError(t, err)
		ip := netip.AddrFrom4([4]byte{127, byte(host >> 16), byte(host >> 8), byte(host)})
		server.handleAck(Datagram{Payload: b, Source: netip.AddrPortFrom(ip, 1), Received: time.Now()})
	}
	server.send(nil, nil, false)
	for i := range uint32(genuine) {
		hear(i, fmt.Sprint("genuine ", i), 1)
	}
	for i := range uint32(flood) {
		hear(i, fmt.Sprint("forged ", i), 1)
	}
	server.send(nil, nil, false)
	for i := range uint32(genuine) {
		hear(i, fmt.Sprint("genuine ", i), 2)
	}
	sum := server.Stats()
	assert.Equal(t, 1000, sum.Clients)
	assert.EqualValues(t, flood-900, sum.RefusedAcks)
	served := 0
	for _, info := range server.Clients() {
		if info.LastID == 2 && info.Acks == 2 {
			served++
		}
	}
	assert.Equal(t, genuine, served)
}

// TestUnprovedAcks: acknowledgements that somebody makes up hide no loss and keep nobody out.
func TestUnprovedAcks(t *testing.T) {
	const limit, messages = 1000, 20
	cfg, err := ServerConfig{MaxClients: limit}.withDefaults()
	require.NoError(t, err)
	server := newServer(cfg, func(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil })
	host := func(n int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 1)
	}
	hear := func(from netip.AddrPort, id string, message uint64, epoch Epoch) {
		b, err := AppendAck(nil, Ack{ClientID: id, MessageID: message, Epoch: epoch})
		require.NoError(t, err)
		server.handleAck(Datagram{Payload: b, Source: from, Received: time.Now()})
	}
	for id := uint64(1); id <= messages; id++ {
		server.send(nil, nil, false)
		if id%2 == 1 { // the others are lost
			hear(host(0), "genuine", id, server.Epoch())
		}
		hear(host(0), "genuine", id, 0) // from the same address, by somebody who reads nothing
	}
	for n := range 10 * limit { // names of one host, which has read the messages
		hear(host(1), fmt.Sprint("name ", n), messages, server.Epoch())
	}
	for n := range 10 * limit { // and of as many hosts that have read nothing
		hear(host(100+n), "forged", messages, 0)
	}
	for n := range 20 {
		hear(host(50+n), "newcomer", messages, server.Epoch())
	}
	newcomers := 0
	for _, c := range server.Clients() {
		switch c.ID {
		case "newcomer":
			newcomers++
		case "genuine":
			assert.Equal(t, map[bool]uint64{true: messages / 2, false: messages}[c.Proved], c.Acks)
		}
	}
	assert.Equal(t, 20, newcomers)
	sum := server.Stats()
	assert.EqualValues(t, messages/2+limit/8+20, sum.Acks)
	assert.EqualValues(t, messages+limit/2-1, sum.UnprovedAcks)
	assert.Equal(t, 1+limit/8+limit/2+20, sum.Clients)
}

func TestClientTable(t *testing.T) {
	var e clientEntry
	e.last = 10
	for _, step := range []struct {
		id  uint64
		new bool
	}{{10, false}, {9, true}, {9, false}, {12, true}, {11, true}, {10, false}, {9, false}, {74, true}, {10, false}, {73, true}, {1000, true}, {74, false}, {936, true}, {935, false}} {
		assert.Equal(t, step.new, e.mark(step.id), "%+v", step)
	}
}
