package relay

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// network is that of a test, with a server and clients.
type network struct {
	testenv.Network
	key     *key.Ring  // of all, if not nil
	seal    bool       // of the server and the readers
	reading sync.Mutex // a socket has one reader

	mu      sync.Mutex
	server  *Server
	clients map[netip.AddrPort]func([]byte)
	wrong   int // of the server's datagrams: longer than MaxDatagram, or from another address than was asked
}

func newNetwork(seed uint64) *network {
	n := &network{clients: map[netip.AddrPort]func([]byte){}}
	n.Seed = seed
	n.Damage = func(b []byte, at int) []byte { return b[:at] } // what is changed within, UDP's checksum finds
	return n
}

func (n *network) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

// AddParts and Flush make it the carrier of a server.
func (n *network) AddParts(head, body []byte, path udp.Path) {
	_ = n.reply(slices.Concat(head, body), path)
}

func (n *network) Flush(func(udp.Path, error)) {}

// asked is the server's address: what leaves from another, clients would not get.
var asked = netip.MustParseAddr("10.0.0.1")

func (n *network) reply(b []byte, path udp.Path) error {
	to := path.To
	n.mu.Lock()
	if len(b) > MaxDatagram || path.From != asked {
		n.wrong++
	}
	deliver := n.clients[to]
	n.mu.Unlock()
	if deliver != nil {
		n.Carry(b, to, deliver)
	}
	return nil
}

// serve runs a server on the network until stop is called.
func (n *network) serve(t *testing.T, log Log, onEvent func(Event)) (stop func()) {
	return n.serveWith(t, ServerConfig{Log: log, OnEvent: onEvent})
}

func (n *network) serveWith(t *testing.T, cfg ServerConfig) (stop func()) {
	cfg, err := cfg.withDefaults()
	require.NoError(t, err)
	s := newServer(cfg)
	s.carrier, s.reply = n, n.reply
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	ready := make(chan struct{})
	go func() {
		ended <- s.run(ctx, StartEvent{At: time.Now()}, func(ctx context.Context) error {
			n.set(func() { n.server = s })
			close(ready)
			<-ctx.Done()
			n.set(func() { n.server = nil })
			return nil
		})
	}()
	<-ready
	return func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

// connect gives a client an address, and returns what to send with.
func (n *network) connect(c *client, a actor, addr netip.AddrPort) {
	n.set(func() {
		n.clients[addr] = func(b []byte) {
			n.reading.Lock()
			defer n.reading.Unlock()
			c.handle(a, b, nil)
			c.settled(a)
		}
	})
	c.send = func(b []byte) {
		n.Carry(b, addr, func(b []byte) {
			n.mu.Lock()
			s := n.server
			n.mu.Unlock()
			if s != nil {
				n.reading.Lock()
				s.handle(b, udp.Path{To: addr, From: asked})
				n.reading.Unlock()
				s.pump()
			}
		})
	}
}

// received is what a reader got.
type received struct {
	mu       sync.Mutex
	messages []Message
	gaps     []GapEvent
	logs     int
}

func (r *received) event(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e := e.(type) {
	case MessageEvent:
		r.messages = append(r.messages, e.Message)
	case GapEvent:
		r.gaps = append(r.gaps, e)
	case LogEvent:
		r.logs++
	}
}

func (r *received) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.messages)
}

// clientAddr is the address of client number i.
func clientAddr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 1 + byte(i>>8), byte(i)}), uint16(20000+i))
}

// TestDelivery writes and reads over networks of all kinds, with partitions and a restarted server:
// every message that a writer was told is stored is in the log once, in the order of its writer,
// and reaches every reader once, in order.
func TestDelivery(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	for name, set := range map[string]func(*network){
		"perfect":                  func(*network) {},
		"loss 1 %":                 func(n *network) { n.Loss, n.Delay = 0.01, 5*time.Millisecond },
		"loss 5 %, reordered":      func(n *network) { n.Loss, n.Duplicate, n.Delay = 0.05, 0.05, 50*time.Millisecond },
		"loss 20 %, corrupted":     func(n *network) { n.Loss, n.Duplicate, n.Corrupt, n.Delay = 0.2, 0.3, 0.01, 20*time.Millisecond },
		"loss 50 %, a second late": func(n *network) { n.Loss, n.Duplicate, n.Delay = 0.5, 0.5, time.Second },
		"bursts":                   func(n *network) { n.Loss, n.Burst, n.Delay = 0.02, 1, 10*time.Millisecond },
	} {
		for how, ring := range map[string]*key.Ring{"": nil, ", signed": testenv.Ring(t), ", sealed": testenv.Ring(t)} {
			t.Run(name+how, func(t *testing.T) {
				t.Logf("seed %d", seed)
				synctest.Test(t, func(t *testing.T) {
					n := newNetwork(seed)
					n.key, n.seal = ring, how == ", sealed"
					set(n)
					simulate(t, n, 400)
				})
			})
		}
	}
}

func simulate(t *testing.T, n *network, each int) {
	const writers, readers = 3, 4
	log := NewMemory(0)
	serving := ServerConfig{Log: log, Key: n.key, Seal: n.seal}
	stop := n.serveWith(t, serving)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup

	var stored [writers]map[uint64]string // what each writer was told
	var flushed sync.WaitGroup
	for i := range writers {
		stored[i] = map[uint64]string{}
		w, err := newWriter(WriterConfig{Username: fmt.Sprintf("writer%c", 'A'+i), Key: n.key, OnEvent: func(e Event) {
			if e, ok := e.(StoredEvent); ok {
				assert.Equal(t, uint64(len(stored[i])+1), e.Number)
				stored[i][e.Seq] = e.Text
			}
		}})
		require.NoError(t, err)
		n.connect(w.client, w, clientAddr(100+i))
		running.Go(func() { assert.NoError(t, w.run(ctx, w, idle)) })
		flushed.Go(func() {
			for k := range each {
				assert.NoError(t, sendTo(ctx, w, fmt.Sprintf("%d of %s", k, w.hello.Name)))
				if k%50 == 0 {
					time.Sleep(time.Duration(k) * time.Millisecond)
				}
			}
			assert.NoError(t, w.Flush(ctx))
		})
	}
	var got [readers]received
	for i := range readers {
		cfg := ReaderConfig{Username: fmt.Sprintf("reader%c", 'A'+i), Key: n.key, Seal: n.seal, OnEvent: got[i].event}
		if i == 1 {
			cfg.Delay = 3 * time.Second
		}
		r, err := newReader(cfg)
		require.NoError(t, err)
		n.connect(r.client, r, clientAddr(i))
		running.Go(func() {
			time.Sleep(time.Duration(i) * 700 * time.Millisecond) // they come at any time
			assert.NoError(t, r.run(ctx, r, idle))
		})
	}
	// One reader is cut off for half a minute, so that its registration expires, and all are for
	// two seconds; the server ends and another begins.
	time.Sleep(1500 * time.Millisecond)
	n.Cut(clientAddr(0), true)
	time.Sleep(time.Second)
	for i := range 4 {
		n.Cut(clientAddr(i), true)
		n.Cut(clientAddr(100+i), true)
	}
	time.Sleep(2 * time.Second)
	n.Heal()
	n.Cut(clientAddr(0), true)
	time.Sleep(time.Second)
	stop()
	time.Sleep(time.Second)
	stop = n.serveWith(t, serving)
	time.Sleep(30 * time.Second)
	n.Heal()

	flushed.Wait()
	_, last := log.Bounds()
	require.EqualValues(t, writers*each, last, "each is stored once")
	patience := time.Now().Add(time.Hour)
	for i := range got {
		for got[i].count() < int(last) && time.Now().Before(patience) {
			time.Sleep(time.Second)
		}
	}
	cancel()
	running.Wait()
	stop()
	synctest.Wait()

	all, err := log.Read(t.Context(), 1, int(last))
	require.NoError(t, err)
	numbers := map[string]int{}
	for _, m := range all {
		require.Equal(t, fmt.Sprintf("%d of %s", numbers[m.Username], m.Username), m.Text, "in the order of their writer")
		numbers[m.Username]++
		if i := m.Username[len(m.Username)-1] - 'A'; m.Text != stored[i][m.Seq] {
			t.Errorf("%s was told that %d is %q, the log has %q", m.Username, m.Seq, stored[i][m.Seq], m.Text)
		}
	}
	for i := range got {
		require.Equal(t, len(all), len(got[i].messages), "reader %d", i)
		for k, m := range got[i].messages {
			require.Equal(t, all[k].Seq, m.Seq, "reader %d", i)
			require.Equal(t, all[k].Text, m.Text)
			require.Equal(t, all[k].Username, m.Username)
		}
		assert.Empty(t, got[i].gaps)
		assert.Zero(t, got[i].logs)
	}
	assert.Zero(t, n.wrong)
	t.Logf("%d datagrams for %d messages to %d readers", n.Carried(), last, readers)
}

// A reader that loses nothing does not acknowledge every datagram, and the server neither sends
// anything twice for that nor waits for long to know.
func TestAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 1000
		n := newNetwork(1)
		stop := n.serve(t, NewMemory(0), nil)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		var got received
		r, err := newReader(ReaderConfig{Username: "bob", OnEvent: got.event})
		require.NoError(t, err)
		n.connect(r.client, r, clientAddr(0))
		send, acks := r.send, 0
		r.send = func(b []byte) {
			if relaywire.Kind(b[3]) == relaywire.Ack {
				acks++
			}
			send(b)
		}
		running.Go(func() { assert.NoError(t, r.run(ctx, r, idle)) })
		w, err := newWriter(WriterConfig{Username: "ann"})
		require.NoError(t, err)
		n.connect(w.client, w, clientAddr(1))
		running.Go(func() { assert.NoError(t, w.run(ctx, w, idle)) })
		for range messages {
			time.Sleep(time.Millisecond)
			require.NoError(t, sendTo(ctx, w, "one by one"))
		}
		time.Sleep(ackDelay + time.Millisecond)
		synctest.Wait()
		assert.Equal(t, messages, got.count())
		for _, c := range n.server.Clients() {
			assert.Zero(t, c.Lag)
		}
		stats := n.server.Stats()
		assert.EqualValues(t, messages, stats.Delivered)
		assert.Zero(t, stats.Resent)
		assert.EqualValues(t, messages, stats.Sent)
		assert.Less(t, acks, messages/3)
		cancel()
		running.Wait()
		stop()
	})
}

// sendTo gives a writer a message whose number does not matter.
func sendTo(ctx context.Context, w *Writer, text string) error {
	_, err := w.Send(ctx, text)
	return err
}

// idle serves nothing: the network of the test does.
func idle(ctx context.Context) error { <-ctx.Done(); return nil }
