package udpkit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

func TestQuestion(t *testing.T) {
	for _, q := range []question{
		{"ann", 1, 1, 1}, {strings.Repeat("x", MaxClientIDLen), MaxMessageID - 1, MaxMessageID, 1<<64 - 1}, {"a misses messages 1 to 2 epoch b", 0, 7, 9},
	} {
		b := q.append(nil, 0)
		assert.Len(t, b, questionSize)
		got, ok := parseQuestion(b, len(b))
		assert.True(t, ok)
		assert.Equal(t, q, got)
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add(question{"ann", 3, 9, 0xabc}.append(nil, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, ok := parseQuestion(b, len(b)); ok {
			require.Equal(t, string(b), string(q.append(nil, 0)))
		}
	})
}

// fleet is a server and clients on a simulated network.
type fleet struct {
	server  *Server
	clients []*crowd
	again   atomic.Int64 // datagrams that were sent again, each to one or to all
}

// sail runs a server that sends messages to clients, and after it the clients for a minute.
func sail(t *testing.T, n *testenv.Network, clients int, messages uint64, miss func(client int, b []byte) bool, cfg ClientConfig) *fleet {
	f := &fleet{}
	serverConfig, err := ServerConfig{MaxMessages: messages, Interval: 100 * time.Millisecond, AckWait: 5 * time.Second, Key: cfg.Key, Seal: cfg.Seal}.withDefaults()
	require.NoError(t, err)
	all, serverAddr := netip.MustParseAddrPort("10.255.255.255:37020"), netip.MustParseAddrPort("10.0.0.1:9")
	at := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 5)
	}
	sent := make(map[string]bool)
	f.server = newServer(serverConfig, func(b []byte, to netip.AddrPort) (int, error) {
		again := sent[string(b)]
		sent[string(b)] = true
		if again {
			f.again.Add(1)
		}
		for i, c := range f.clients {
			if to != all && to != at(i) || !again && miss != nil && miss(i, b) {
				continue
			}
			n.Carry(b, at(i), func(b []byte) { c.handle(Datagram{Payload: b, Source: serverAddr, Received: time.Now()}) })
		}
		return len(b), nil
	})
	f.server.cfg.Targets = ListTargets(all)
	ctx, cancel := context.WithCancel(t.Context())
	for i := range clients {
		cfg.ID = fmt.Sprint("client ", i)
		c := newCrowd(t, cfg)
		c.cfg.NoAck = false
		c.ack = func(b []byte, _ netip.AddrPort) (int, error) {
			n.Carry(b, serverAddr, func(b []byte) { f.server.handleAck(Datagram{Payload: b, Source: at(i), Received: time.Now()}) })
			return len(b), nil
		}
		f.clients = append(f.clients, c)
		go c.watch(ctx)
	}
	go f.server.repair(ctx)
	f.server.broadcast(ctx)
	time.Sleep(time.Minute)
	synctest.Wait()
	cancel()
	for _, c := range f.clients {
		c.giveUp()
	}
	synctest.Wait()
	return f
}

// check fails if a client has got a message twice, or lost one in silence. It returns the share of
// the messages that have come.
func (f *fleet) check(t *testing.T, messages uint64) float64 {
	come := 0
	for i, c := range f.clients {
		seen, reported := make(map[uint64]int), make(map[uint64]bool)
		first := messages
		for _, e := range c.events {
			switch e := e.(type) {
			case MessageEvent:
				if len(seen) == 0 {
					first = e.MessageID
				}
				seen[e.MessageID]++
			case GapEvent:
				for id := e.From; id <= e.To; id++ {
					reported[id] = true
				}
			}
		}
		for id := range uint64(messages) { // what was lost before the first that it heard was not promised
			if seen[id+1] > 0 || id+1 < first {
				come++
			}
		}
		for id := first; id <= messages; id++ {
			require.LessOrEqual(t, seen[id], 1, "client %d, message %d", i, id)
			if id < messages { // the last can be lost to one that hears nothing at the end: a timeout
				require.True(t, seen[id] == 1 || reported[id], "client %d: message %d is lost in silence", i, id)
			}
		}
	}
	return float64(come) / float64(uint64(len(f.clients))*messages)
}

// TestRepair: what is lost comes back.
func TestRepair(t *testing.T) {
	const clients, messages = 20, 500
	for name, test := range map[string]struct {
		n     *testenv.Network
		share float64
	}{
		"no loss":           {&testenv.Network{}, 1},
		"loss 20 %":         {&testenv.Network{Loss: 0.2, Delay: 10 * time.Millisecond}, 1},
		"loss 20 %, bursts": {&testenv.Network{Loss: 0.012, Burst: 1, Delay: 10 * time.Millisecond}, 1},
		"late":              {&testenv.Network{Delay: time.Second}, 1},
		"all kinds":         {&testenv.Network{Loss: 0.2, Duplicate: 0.2, Delay: 500 * time.Millisecond}, 1},
		"loss 50 %":         {&testenv.Network{Loss: 0.5, Delay: 10 * time.Millisecond}, 0.995},
	} {
		t.Run(name, func(t *testing.T) {
			test.n.Seed = uint64(time.Now().UnixNano())
			t.Logf("seed %d", test.n.Seed)
			synctest.Test(t, func(t *testing.T) {
				f := sail(t, test.n, clients, messages, nil, ClientConfig{})
				share := f.check(t, messages)
				sum := f.server.Stats()
				t.Logf("%.4f of the messages, %d questions, %d repairs of %d messages", share, sum.Questions, sum.Repairs, sum.Sent)
				assert.GreaterOrEqual(t, share, test.share)
				if name == "no loss" {
					assert.Zero(t, sum.Questions+sum.Repairs)
				}
				assert.LessOrEqual(t, sum.Repairs, uint64(maxRepairs+repairsPerSecond*120))
			})
		})
	}
}

// TestRepairOff: without it, losses are gaps at once.
func TestRepairOff(t *testing.T) {
	const messages = 200
	n := testenv.Network{Loss: 0.2, Seed: uint64(time.Now().UnixNano())}
	synctest.Test(t, func(t *testing.T) {
		f := sail(t, &n, 5, messages, nil, ClientConfig{NoRepair: true})
		assert.Less(t, f.check(t, messages), 0.9)
		assert.Zero(t, f.server.Stats().Questions)
	})
}

// TestManyMissTheSame: what a thousand clients miss is sent again to all, and not to each.
func TestManyMissTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testenv.Network{Delay: time.Millisecond, Seed: 1}
		f := sail(t, &n, 1000, 20, func(_ int, b []byte) bool { return strings.Contains(string(b), `"message_id":10,`) }, ClientConfig{})
		assert.InDelta(t, 1, f.check(t, 20), 1e-9)
		assert.LessOrEqual(t, f.again.Load(), int64(3))
		assert.EqualValues(t, 1000, repaired(f))
	})
}

// TestRepairsAreBounded: what a server does not send again, as it is too much, is counted.
func TestRepairsAreBounded(t *testing.T) {
	r := newRing(0)
	for id := range uint64(RepairRing) {
		r.keep(id, []byte("x"))
	}
	now := time.Now()
	for id := range uint64(RepairRing) {
		require.True(t, r.ask(question{from: id, to: id}, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(id / 10)}), 9), now))
	}
	repairs, over := r.again(now, nil)
	assert.Len(t, repairs, maxRepairs)
	assert.EqualValues(t, RepairRing-maxRepairs, over)
}

func repaired(f *fleet) (n uint64) {
	for _, c := range f.clients {
		n += c.Stats().Repaired
	}
	return n
}

// TestPartitionIsRepaired: a client that heard nothing for ninety seconds gets what the server
// still has, eight messages for a question.
func TestPartitionIsRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := testenv.Network{Seed: 1}
		f := sail(t, &n, 1, 2000, func(_ int, b []byte) bool {
			if _, ok := DecodeTime(b); ok {
				return false
			}
			m, err := DecodeMessage(b)
			require.NoError(t, err)
			return m.ID > 500 && m.ID <= 1800 // 1,300, of which 1,023 before the next are kept
		}, ClientConfig{})
		f.check(t, 2000)
		sum := f.clients[0].Stats()
		assert.EqualValues(t, 1300-1023, sum.Missed)
		assert.EqualValues(t, 1023, sum.Repaired)
		assert.Len(t, told[GapEvent](f.clients[0]), 1)
	})
}

// TestAwait: what a client awaits is a set of ids, in whatever order they come and however often
// they are reported.
func TestAwait(t *testing.T) {
	dice, now := rand.New(rand.NewPCG(1, 2)), time.Now()
	for range 2000 {
		r, want := &run{}, make(map[uint64]bool)
		for range 12 {
			from := dice.Uint64N(40)
			to := from + dice.Uint64N(20)
			if dice.IntN(2) == 0 {
				lost := r.await([]gap{{from, to}}, 100, now)
				require.Empty(t, lost)
				for id := from; id <= to; id++ {
					want[id] = true
				}
			} else {
				require.Equal(t, want[from], r.fill(from, now))
				delete(want, from)
			}
			got := make(map[uint64]bool)
			for _, h := range r.holes {
				for id := h.from; id <= h.to; id++ {
					require.False(t, got[id], "%d is awaited twice", id)
					got[id] = true
				}
			}
			require.Equal(t, want, got)
		}
	}
}

// TestForgedServerIsHardlyAsked: whoever forges messages makes a client send no more questions than
// that to the address on them.
func TestForgedServerIsHardlyAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, ClientConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		asked := 0
		c.ack = func([]byte, netip.AddrPort) (int, error) { asked++; return 0, nil }
		go c.watch(ctx)
		for server := range Epoch(100) {
			c.hear(t, Message{Epoch: 1 + server, Repair: true}, 1, 1)
			c.hear(t, Message{Epoch: 1 + server, Repair: true}, 1000, 1000)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		cancel()
		assert.LessOrEqual(t, asked, 2*100)
		assert.Positive(t, asked)
		assert.Len(t, told[GapEvent](c), 100)
	})
}

// TestNobodyIsAsked: no question goes to an address that is not a host's.
func TestNobodyIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, ClientConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		c.ack = func(_ []byte, to netip.AddrPort) (int, error) {
			t.Errorf("%v is asked", to)
			return 0, nil
		}
		go c.watch(ctx)
		for i, from := range []string{"255.255.255.255:9", "224.0.0.251:9", "0.0.0.0:9", "10.0.0.7:0"} {
			for _, id := range []uint64{1, 5} {
				b, err := AppendMessage(nil, Message{Timestamp: "t", State: "A", ID: id, Epoch: Epoch(i + 1), Repair: true})
				require.NoError(t, err)
				c.handle(Datagram{Payload: b, Source: netip.MustParseAddrPort(from), Received: time.Now()})
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		cancel()
		assert.Len(t, told[GapEvent](c), 4)
	})
}

// TestQuestionsAreBounded: who asks too often, for another run, or from an address that nobody has,
// gets nothing.
func TestQuestionsAreBounded(t *testing.T) {
	cfg, err := ServerConfig{}.withDefaults()
	require.NoError(t, err)
	sent := 0
	server := newServer(cfg, func(b []byte, _ netip.AddrPort) (int, error) {
		sent += len(b)
		return len(b), nil
	})
	for range 10 {
		server.send(nil, nil, false)
	}
	now, asked := time.Now(), 0
	ask := func(from string, epoch Epoch) {
		b := question{"mallory", 1, 10, epoch}.append(nil, 0)
		asked += len(b)
		server.handleAck(Datagram{Payload: b, Source: netip.MustParseAddrPort(from), Received: now})
	}
	for range 1000 {
		ask("10.0.0.7:9", server.epoch)
		ask("10.0.0.7:9", server.epoch+1)
		ask("255.255.255.255:9", server.epoch)
		ask("10.0.0.7:0", server.epoch)
	}
	sum := server.Stats()
	assert.EqualValues(t, 4000, sum.Questions)
	assert.EqualValues(t, 4000-askedPerSecond, sum.RefusedAcks)
	repairs, _ := server.ring.again(now, nil)
	server.sendAgain(repairs)
	assert.LessOrEqual(t, sent, 3*questionSize)
	assert.Positive(t, sent)
}
