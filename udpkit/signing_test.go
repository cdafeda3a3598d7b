package udpkit

import (
	"context"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// keyed returns a server whose datagrams sent takes, and a client whose answers go to it.
func keyed(t testing.TB, ring *key.Ring, seal bool, sent func([]byte)) (*Server, *Client) {
	cfg, err := ServerConfig{Key: ring, Seal: seal}.withDefaults()
	require.NoError(t, err)
	s := newServer(cfg, func(b []byte, _ netip.AddrPort) (int, error) {
		sent(b)
		return len(b), nil
	})
	s.cfg.Targets = ListTargets(netip.MustParseAddrPort("127.255.255.255:1"))
	c := hotClientOf(t, ring, seal)
	c.ack = func(b []byte, _ netip.AddrPort) (int, error) {
		s.handleAck(Datagram{Payload: b, Source: hotServer, Received: time.Now()})
		return len(b), nil
	}
	return s, c
}

// hear has a client hear a datagram now.
func hear(c *Client, b []byte) {
	c.handle(Datagram{Payload: b, Source: hotServer, Received: time.Now()})
}

// broadcasts has a server send n messages to all its targets.
func broadcasts(s *Server, n int) {
	targets, _ := s.cfg.Targets.now(0, &s.scanner)
	for range n {
		s.send(nil, targets, false)
	}
}

// forgery makes a message that comes from no holder of the key.
func forgery(id uint64, epoch Epoch) []byte {
	b, err := AppendMessage(nil, Message{Timestamp: "t", State: "FORGED", ID: id, Epoch: epoch, Repair: true, End: id%2 == 0})
	if err != nil {
		panic(err)
	}
	return b
}

// TestKeyedFlood: a hundred thousand forged datagrams with random epochs cost a client with a key
// neither a message nor memory (P2).
func TestKeyedFlood(t *testing.T) {
	const genuine, each = 100, 1000
	for _, seal := range []bool{false, true} {
		t.Run(fmt.Sprint("seal ", seal), func(t *testing.T) {
			var wire []byte
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			dice := mathrand.New(mathrand.NewPCG(seed, 1))
			ring := testenv.Ring(t)
			s, c := keyed(t, ring, seal, func(b []byte) { wire = append(wire[:0], b...) })
			var buf []byte
			other := testenv.Ring(t)
			forgers := []func([]byte) []byte{
				func(b []byte) []byte { return b },
				func(b []byte) []byte { return other.Sender(statusPurpose, key.JSON, false).Append(buf[:0], b) },
				func(b []byte) []byte { return other.Sender(statusPurpose, key.JSON, true).Append(buf[:0], b) },
				func(b []byte) []byte { return ring.Sender(answerPurpose, key.JSON, seal).Append(buf[:0], b) }, // by a reflected answer
				func([]byte) []byte { // damaged
					b := append(buf[:0], wire...)
					b[dice.IntN(len(b))] ^= 1
					return b
				},
			}
			began := time.Now()
			for range genuine {
				broadcasts(s, 1)
				hear(c, wire)
				for i := range each {
					hear(c, forgers[i%len(forgers)](forgery(dice.Uint64N(MaxMessageID), NewEpoch())))
				}
			}
			sum := c.Stats()
			t.Logf("%d forged ones in %v: %v", genuine*each, time.Since(began), sum.Untrusted)
			assert.EqualValues(t, genuine, sum.Received)
			assert.Zero(t, sum.Missed+sum.Duplicates+sum.Late+sum.Malformed+sum.Forgotten)
			assert.EqualValues(t, 1, sum.Servers)
			assert.EqualValues(t, genuine*each, sum.Untrusted.Unsigned+sum.Untrusted.Forged)
			assert.Len(t, c.runs.known, 1)
			assert.EqualValues(t, genuine, s.Stats().Acks)
			assert.Zero(t, s.Stats().Untrusted)
			for _, m := range c.History() {
				assert.NotEqual(t, State("FORGED"), m.State)
			}
		})
	}
}

// TestKeyedServer: a server with a key believes and answers nobody without it, and nothing that was
// recorded.
func TestKeyedServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := testenv.Ring(t)
		answers, answered := 0, 0 // datagrams and bytes
		s, _ := keyed(t, ring, false, func(b []byte) { answers, answered = answers+1, answered+len(b) })
		broadcasts(s, 3)
		answers, answered = 0, 0
		ctx, cancel := context.WithCancel(t.Context())
		go s.repair(ctx)
		defer synctest.Wait()
		defer cancel()
		from := func(host byte, b []byte) {
			s.handleAck(Datagram{Payload: b, Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, host}), 9), Received: time.Now()})
		}
		plain, err := AppendAck(nil, Ack{ClientID: "mallory", MessageID: 1, Epoch: s.epoch})
		require.NoError(t, err)
		genuine := ring.Sender(answerPurpose, key.Text, false).Append(nil, []byte("Client ann received message 1 epoch "+s.epoch.String()))
		from(1, genuine)
		require.Len(t, s.Clients(), 1)
		from(2, genuine) // played to it as if from another host
		from(1, genuine)
		from(3, plain)
		other := testenv.Ring(t).Sender(answerPurpose, key.Text, true)
		from(3, other.Append(nil, plain))
		for _, sender := range []*key.Sender{nil, other} {
			for range 5 {
				from(3, sender.Append(nil, question{"mallory", 1, 3, s.epoch}.append(nil, sender.Overhead())))
				from(3, sender.Append(nil, command{NewEpoch(), s.epoch, verbStop, ""}.append(nil, sender.Overhead())))
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		sum := s.Stats()
		assert.Equal(t, key.Refused{Unsigned: 11, Forged: 11, Repeated: 2}, sum.Untrusted)
		assert.Equal(t, "11 unsigned, 11 forged, 2 repeated", sum.Untrusted.String())
		assert.Len(t, s.Clients(), 1)
		assert.EqualValues(t, 1, sum.Acks)
		assert.Zero(t, sum.Questions+sum.Commands+sum.Malformed+sum.RefusedAcks)
		assert.Zero(t, answers)

		// A question is as long with a key as without; what it gets is at most three times as long.
		for _, seal := range []bool{false, true} {
			sender := ring.Sender(answerPurpose, key.Text, seal)
			q := sender.Append(nil, question{"ann", 1, 3, s.epoch}.append(nil, sender.Overhead()))
			assert.Len(t, q, questionSize)
			answers, answered = 0, 0
			from(1, q)
			time.Sleep(time.Second)
			synctest.Wait()
			assert.Positive(t, answers)
			assert.LessOrEqual(t, answered, 3*questionSize)
		}
		assert.EqualValues(t, 2, s.Stats().Questions)
	})
}

// TestRecordedRun: a client that starts is not fooled by what was recorded of a run, and one that
// knows the run is shown nothing of it again.
func TestRecordedRun(t *testing.T) {
	for _, seal := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var recorded [][]byte
			ring := testenv.Ring(t)
			s, c := keyed(t, ring, seal, func(b []byte) { recorded = append(recorded, append([]byte(nil), b...)) })
			broadcasts(s, 3)
			for _, b := range recorded {
				hear(c, b)
			}
			recorded = recorded[:3] // without the time that the client has asked for
			time.Sleep(key.MaxAge + time.Second)
			_, late := keyed(t, ring, seal, func([]byte) {})
			for _, b := range recorded {
				hear(c, b)
				hear(late, b)
			}
			assert.EqualValues(t, 3, c.Stats().Received)
			assert.Equal(t, key.Refused{Expired: 3}, c.Stats().Untrusted)
			assert.Zero(t, late.Stats().Received+late.Stats().Servers)
			assert.Equal(t, key.Refused{Expired: 3}, late.Stats().Untrusted)

			recorded = nil // what is sent again is signed anew
			s.mu.Lock()
			old := repair{s.ring.get(1).b, s.resolved()}
			s.mu.Unlock()
			s.sendAgain([]repair{old})
			require.Len(t, recorded, 1)
			hear(late, recorded[0])
			hear(c, recorded[0])
			assert.EqualValues(t, 1, late.Stats().Received)
			assert.EqualValues(t, 1, c.Stats().Duplicates, "the same message, though its signature is another")
			c.watchdog.Stop()
		})
	}
}

func (s *Server) resolved() []udp.Target {
	targets, _ := s.cfg.Targets.now(0, &s.scanner)
	return targets
}

// TestKeylessClient: who knows no key reads a signed message as any other, also one that was sent
// again, and says of a sealed one what is missing.
func TestKeylessClient(t *testing.T) {
	var wire [][]byte
	ring := testenv.Ring(t)
	s, _ := keyed(t, ring, false, func(b []byte) { wire = append(wire, append([]byte(nil), b...)) })
	require.NoError(t, s.SetData(json.RawMessage(`"`+strings.Repeat("x", MaxDataLen-57-2)+`"`)))
	require.ErrorIs(t, s.SetData(json.RawMessage(`"`+strings.Repeat("x", MaxDataLen-57-1)+`"`)), ErrConfig)
	require.NoError(t, s.SetState(State(strings.Repeat("\"", MaxStateLen))))
	broadcasts(s, 1)
	s.sendAgain([]repair{{s.ring.get(1).b, s.resolved()}})
	require.Len(t, wire, 2)
	c := hotClient(t)
	for _, b := range wire {
		assert.LessOrEqual(t, len(b), MaxMessageSize)
		hear(c, b)
	}
	assert.EqualValues(t, 1, c.Stats().Received)
	assert.EqualValues(t, 1, c.Stats().Duplicates)

	sealed, _ := keyed(t, ring, true, func(b []byte) { wire = append(wire[:0], b) })
	broadcasts(sealed, 1)
	assert.NotContains(t, string(wire[0]), "ACTIVE")
	var reasons []string
	c.cfg.OnEvent = func(e Event) {
		if e, ok := e.(RefusedEvent); ok {
			reasons = append(reasons, e.Reason)
		}
	}
	hear(c, wire[0])
	assert.Equal(t, []string{"it is sealed with a key: give --key-file"}, reasons)
}

func TestSealNeedsAKey(t *testing.T) {
	_, err := NewServer(ServerConfig{Seal: true})
	assert.ErrorIs(t, err, ErrConfig)
	_, err = NewClient(ClientConfig{Seal: true})
	assert.ErrorIs(t, err, ErrConfig)
}

// TestKeyedRepair: what is lost comes back with a key as without.
func TestKeyedRepair(t *testing.T) {
	for _, seal := range []bool{false, true} {
		n := testenv.Network{Loss: 0.2, Duplicate: 0.1, Delay: 10 * time.Millisecond, Seed: uint64(time.Now().UnixNano())}
		t.Logf("seed %d", n.Seed)
		ring := testenv.Ring(t)
		synctest.Test(t, func(t *testing.T) {
			f := sail(t, &n, 5, 200, nil, ClientConfig{Key: ring, Seal: seal})
			assert.InDelta(t, 1, f.check(t, 200), 1e-9)
			assert.Positive(t, repaired(f))
			assert.Positive(t, f.server.Stats().Acks)
		})
	}
}

// TestKeyedDay: twenty clients, a day of messages every five seconds with losses in bursts both
// ways, a server that is started anew five times, once in the middle of a partition, and somebody
// who forges and plays back what he hears. Each message is delivered once or reported, nothing
// forged is, and the memory does not grow.
func TestKeyedDay(t *testing.T) {
	const clients, runs, told = 20, 6, 128
	const messages = uint64(24 * time.Hour / DefaultInterval / runs)
	n := &testenv.Network{Loss: 0.01, Burst: 0.3, Duplicate: 0.02, Delay: time.Second, Seed: uint64(time.Now().UnixNano())}
	t.Logf("seed %d", n.Seed)
	ring, stranger := testenv.Ring(t), testenv.Ring(t)
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		all := netip.MustParseAddrPort("10.255.255.255:37020")
		at := func(i int) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), 5) }
		var (
			now      atomic.Pointer[Server]
			mu       sync.Mutex // guards the next two
			recorder = mathrand.New(mathrand.NewPCG(n.Seed, 2))
			crowd    [clients]*Client
			ids      [clients]map[Epoch]*[messages + 2]byte // how often each has come, and told
			first    [clients]map[Epoch]uint64              // what was heard first: the promise begins there
			last     [clients]map[Epoch]uint64              // what a run's end, or silence, was reported after
			recorded [100][]byte
		)
		for i := range crowd {
			ids[i], first[i], last[i] = make(map[Epoch]*[messages + 2]byte), make(map[Epoch]uint64), make(map[Epoch]uint64)
			cfg, err := ClientConfig{ID: fmt.Sprint("client ", i), Key: ring, History: 10, OnEvent: func(e Event) {
				switch e := e.(type) {
				case MessageEvent:
					require.NotEqual(t, State("FORGED"), e.State)
					if ids[i][e.Epoch] == nil {
						ids[i][e.Epoch], first[i][e.Epoch] = new([messages + 2]byte), e.MessageID
					}
					ids[i][e.Epoch][e.MessageID]++
				case GapEvent:
					for id := e.From; id <= e.To; id++ {
						ids[i][e.Epoch][id] |= told
					}
				case EndEvent:
					last[i][e.Epoch] = e.LastID
				case TimeoutEvent:
					last[i][e.Epoch] = e.LastID
				}
			}}.withDefaults()
			require.NoError(t, err)
			c := newClient(cfg)
			c.began = time.Now()
			c.ack = func(b []byte, _ netip.AddrPort) (int, error) {
				to := now.Load()
				n.Carry(b, at(i), func(b []byte) { to.handleAck(Datagram{Payload: b, Source: at(i), Received: time.Now()}) })
				return len(b), nil
			}
			crowd[i] = c
			go c.watch(ctx)
		}
		deliver := func(i int, b []byte) {
			crowd[i].handle(Datagram{Payload: b, Source: netip.MustParseAddrPort("10.0.0.1:9"), Received: time.Now()})
		}
		go func() { // the forger is heard by all, whatever the network does
			sender := stranger.Sender(statusPurpose, key.JSON, false)
			dice := mathrand.New(mathrand.NewPCG(n.Seed, 1))
			for ctx.Err() == nil {
				time.Sleep(time.Minute)
				server := now.Load()
				epoch := server.epoch
				for i := range crowd {
					deliver(i, forgery(dice.Uint64N(1<<20), epoch))
					deliver(i, sender.Append(nil, forgery(dice.Uint64N(1<<20), epoch)))
					for range 3 {
						mu.Lock()
						b := recorded[dice.IntN(len(recorded))]
						mu.Unlock()
						deliver(i, b)
					}
				}
				server.handleAck(Datagram{Payload: fmt.Appendf(nil, "Client client 1 received message 7 epoch %v", epoch), Source: at(1), Received: time.Now()})
			}
		}()
		var heap [runs]uint64
		for run := range runs {
			cfg, err := ServerConfig{Key: ring, MaxMessages: messages, AckWait: 10 * time.Second}.withDefaults()
			require.NoError(t, err)
			server := newServer(cfg, func(b []byte, to netip.AddrPort) (int, error) {
				mu.Lock()
				recorded[recorder.IntN(len(recorded))] = append([]byte(nil), b...)
				mu.Unlock()
				for i := range crowd {
					if to == all || to == at(i) {
						n.Carry(b, at(i), func(b []byte) { deliver(i, b) })
					}
				}
				return len(b), nil
			})
			server.cfg.Targets = ListTargets(all)
			now.Store(server)
			if run == 2 { // a third of the clients is away for twenty minutes, and at this run's end
				for i := range clients / 3 {
					time.AfterFunc(time.Hour, func() { n.Cut(at(i), true) })
					time.AfterFunc(time.Hour+20*time.Minute, func() { n.Cut(at(i), false) })
					time.AfterFunc(4*time.Hour-time.Minute, func() { n.Cut(at(i), true) })
					time.AfterFunc(4*time.Hour+time.Minute, func() { n.Cut(at(i), false) })
				}
			}
			repairing, stop := context.WithCancel(ctx)
			go server.repair(repairing)
			server.broadcast(ctx)
			stop()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			heap[run] = m.HeapAlloc
		}
		time.Sleep(5 * time.Minute)
		cancel()
		time.Sleep(time.Minute) // the forger ends
		for _, c := range crowd {
			c.giveUp()
		}
		var delivered, reported, refused uint64
		for i := range crowd {
			require.Len(t, ids[i], runs, "client %d", i)
			for epoch, ids := range ids[i] {
				require.NotZero(t, last[i][epoch], "client %d: how did the run end?", i)
				for id := range last[i][epoch] + 1 {
					switch times := ids[id] &^ told; {
					case times > 0:
						require.EqualValues(t, 1, times, "client %d, message %d", i, id)
						delivered++
					case id >= first[i][epoch]:
						require.NotZero(t, ids[id], "client %d lost message %d in silence", i, id)
						reported++
					}
				}
			}
			no := crowd[i].Stats().Untrusted
			refused += no.Unsigned + no.Forged + no.Expired
		}
		assert.Greater(t, float64(delivered)/float64(clients*runs*messages), 0.98)
		assert.Positive(t, refused)
		t.Logf("%d delivered, %d reported, %d refused; heap after each run %v MB", delivered, reported, refused, mega(heap[:]))
		assert.Less(t, heap[runs-1], heap[1]+4<<20)
	})
	t.Logf("in %v", time.Since(began))
}

func mega(bytes []uint64) (mb []uint64) {
	for _, b := range bytes {
		mb = append(mb, b>>20)
	}
	return mb
}

// Nothing is allocated for a datagram with a key either.
func TestKeyedHotPathAllocatesNothing(t *testing.T) {
	for _, seal := range []bool{false, true} {
		var wire []byte
		s, c := keyed(t, testenv.Ring(t), seal, func(b []byte) { wire = append(wire[:0], b...) })
		var buf []byte
		m := hotMessage
		next := func() {
			m.ID++
			var err error
			buf, err = AppendMessage(buf[:0], m)
			require.NoError(t, err)
			hear(c, s.sender.Datagram(buf))
		}
		for range 300 {
			next()
		}
		assert.Zero(t, testing.AllocsPerRun(100, next))
		assert.EqualValues(t, m.ID-hotMessage.ID, c.Stats().Received)
	}
}

// BenchmarkKeyedClient is BenchmarkClient's way of a message with a key.
func BenchmarkKeyedClient(b *testing.B) {
	for _, kind := range []key.Protection{key.Unprotected, key.Signed, key.Sealed} {
		b.Run("key="+string(kind), func(b *testing.B) {
			var ring *key.Ring
			if kind != key.Unprotected {
				ring = testenv.Ring(b)
			}
			s, c := keyed(b, ring, kind == key.Sealed, func([]byte) {})
			c.cfg.NoAck = true
			datagrams := make([][]byte, 1<<12)
			m := hotMessage
			for i := range datagrams {
				m.ID = uint64(i + 1)
				buf, err := AppendMessage(nil, m)
				require.NoError(b, err)
				datagrams[i] = append([]byte(nil), s.sender.Datagram(buf)...)
			}
			now := time.Now()
			for i := 0; b.Loop(); i++ {
				if i == len(datagrams) {
					b.StopTimer()
					i = 0
					clear(c.runs.known)
					c.runs = newRuns(0)
					b.StartTimer()
				}
				c.handle(Datagram{Payload: datagrams[i], Source: hotServer, Received: now})
			}
		})
	}
}
