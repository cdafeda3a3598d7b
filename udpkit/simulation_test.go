package udpkit

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

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
	}}.withDefaults()
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
	client.last = time.Now()
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

// TestServersAreBounded forges messages of many runs: memory is bounded and the genuine server is
// heard all the same.
func TestServersAreBounded(t *testing.T) {
	cfg, err := ClientConfig{NoAck: true}.withDefaults()
	require.NoError(t, err)
	client := newClient(cfg)
	hear := func(m Message) {
		b, err := AppendMessage(nil, m)
		require.NoError(t, err)
		client.handle(Datagram{Payload: b, Received: time.Now()})
	}
	const genuine = 500
	for id := range uint64(genuine) {
		hear(Message{Timestamp: "t", State: "A", ID: id, Epoch: 1})
		for range 10 {
			hear(Message{Timestamp: "t", State: "A", ID: id, Epoch: NewEpoch()})
		}
	}
	received := client.Stats().Received
	assert.EqualValues(t, genuine*11, received)
	assert.Len(t, client.servers, maxServers)
	assert.EqualValues(t, genuine*10+1-maxServers, client.Stats().Forgotten)
	assert.Zero(t, client.Stats().Missed)
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
	for range 5000 {
		epoch := NewEpoch()
		for _, id := range []uint64{0, MaxMessageID - 1, MaxMessageID} {
			b, err := AppendMessage(nil, Message{Timestamp: "t", State: "A", ID: id, Epoch: epoch})
			require.NoError(t, err)
			client.handle(Datagram{Payload: b, Received: time.Now()})
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
		b, err := AppendAck(nil, Ack{ClientID: id, MessageID: message})
		require.NoError(t, err)
		ip := netip.AddrFrom4([4]byte{127, byte(host >> 16), byte(host >> 8), byte(host)})
		server.handleAck(Datagram{Payload: b, Source: netip.AddrPortFrom(ip, 1), Received: time.Now()})
	}
	server.send(nil, nil)
	for i := range uint32(genuine) {
		hear(i, fmt.Sprint("genuine ", i), 1)
	}
	for i := range uint32(flood) {
		hear(i, fmt.Sprint("forged ", i), 1)
	}
	server.send(nil, nil)
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
