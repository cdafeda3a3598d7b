package relay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// TestAnyOrder has server, readers and writers start, stop, die and move at any time, over a bad
// network and with a log that is slow or fails. A message that a writer was told is stored is in
// the log, where it was told; none is there twice; each writer's are in their order. What a reader
// gets is without holes, and when it comes back it misses nothing. When all is well again,
// everything is delivered soon.
func TestAnyOrder(t *testing.T) {
	begin, err := strconv.ParseUint(os.Getenv("UDPKIT_SEED"), 10, 64) // of a failure
	if err != nil {
		begin = uint64(time.Now().UnixNano())
	}
	for seed := begin; seed < begin+max(3, 10/Slower); seed++ {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newChaos(t, seed).run() })
		})
		if !ok {
			break
		}
	}
}

// moodyLog is slow or fails by chance, until it is well.
type moodyLog struct {
	Log
	mu     sync.Mutex
	random *rand.Rand
	slow   float64
	fails  float64
}

var errMoody = errors.New("not now")

func (l *moodyLog) mood(ctx context.Context) error {
	l.mu.Lock()
	slow, fails := l.random.Float64() < l.slow, l.random.Float64() < l.fails
	wait := time.Duration(l.random.ExpFloat64() * float64(time.Second))
	l.mu.Unlock()
	if slow {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if fails {
		return errMoody
	}
	return nil
}

func (l *moodyLog) Append(ctx context.Context, records []Record) ([]uint64, error) {
	before := l.mood(ctx)
	l.mu.Lock()
	stored, told := len(records), len(records)
	if before != nil {
		stored = l.random.IntN(len(records) + 1)
		told = l.random.IntN(stored + 1)
	}
	l.mu.Unlock()
	seqs, err := l.Log.Append(context.WithoutCancel(ctx), records[:stored])
	return seqs[:told], errors.Join(before, err)
}

func (l *moodyLog) Stored(ctx context.Context, run ID, from uint64) (uint64, []uint64, error) {
	if err := l.mood(ctx); err != nil {
		return 0, nil, err
	}
	return l.Log.Stored(ctx, run, from)
}

func (l *moodyLog) Read(ctx context.Context, from uint64, limit int) ([]Message, error) {
	if err := l.mood(ctx); err != nil {
		return nil, err
	}
	return l.Log.Read(ctx, from, limit)
}

func (l *moodyLog) Follow(ctx context.Context, have func() uint64, deliver func([]Message)) error {
	if err := l.mood(ctx); err != nil {
		return err
	}
	failing, cancel := context.WithCancel(ctx)
	defer cancel()
	err := l.Log.Follow(failing, have, func(messages []Message) {
		if l.mood(failing) != nil {
			cancel()
			return
		}
		deliver(messages)
	})
	if err == nil && ctx.Err() == nil {
		return errMoody
	}
	return err
}

func (l *moodyLog) Claim(ctx context.Context, name string, owner ID, ttl time.Duration) error {
	if err := l.mood(ctx); err != nil {
		return err
	}
	return l.Log.Claim(ctx, name, owner, ttl)
}

func (l *moodyLog) Release(ctx context.Context, name string, owner ID) error {
	if err := l.mood(ctx); err != nil {
		return err
	}
	return l.Log.Release(ctx, name, owner)
}

func (l *moodyLog) Client(ctx context.Context, role Role, username string) (ClientRecord, error) {
	if err := l.mood(ctx); err != nil {
		return ClientRecord{}, err
	}
	return l.Log.Client(ctx, role, username)
}

func (l *moodyLog) SaveClient(ctx context.Context, r ClientRecord) error {
	if err := l.mood(ctx); err != nil {
		return err
	}
	return l.Log.SaveClient(ctx, r)
}

type chaos struct {
	*testing.T
	n   *network
	log *moodyLog

	mu     sync.Mutex
	random *rand.Rand
	ended  bool // all is well from now on

	addrs   int
	stored  map[uint64]string // what writers were told
	longest time.Duration
}

func newChaos(t *testing.T, seed uint64) *chaos {
	random := rand.New(rand.NewPCG(seed, 1))
	n := newNetwork(seed)
	n.Delay = time.Duration(random.ExpFloat64() * float64(10*time.Millisecond))
	n.Loss = []float64{0, 0.01, 0.1, 0.3}[random.IntN(4)]
	n.Duplicate = []float64{0, 0.1}[random.IntN(2)]
	n.Corrupt = []float64{0, 0.05}[random.IntN(2)]
	log := &moodyLog{Log: NewMemory(0), random: rand.New(rand.NewPCG(seed, 2))}
	log.slow = []float64{0, 0.05, 0.3}[random.IntN(3)]
	log.fails = []float64{0, 0.05, 0.3}[random.IntN(3)]
	t.Logf("loss %v, delay %v, duplicates %v, log slow %v, fails %v", n.Loss, n.Delay, n.Duplicate, log.slow, log.fails)
	return &chaos{T: t, n: n, log: log, random: random, stored: map[uint64]string{}}
}

func (c *chaos) chance(p float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.Float64() < p
}

func (c *chaos) number(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

// pause takes about as long, and reports whether to go on.
func (c *chaos) pause(about time.Duration) bool {
	c.mu.Lock()
	wait := time.Duration(c.random.ExpFloat64() * float64(about))
	c.mu.Unlock()
	time.Sleep(wait)
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.ended
}

func (c *chaos) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// place is where a client is in the network.
type place struct {
	c    *chaos
	cl   *client
	mu   sync.Mutex
	addr netip.AddrPort
	take func([]byte)
}

// connect gives a client an address, which moves until it ends.
func (c *chaos) connect(cl *client, a actor) (at *place) {
	at = &place{c: c, cl: cl, take: func(b []byte) {
		cl.handle(a, b, nil)
		cl.settled(a)
	}}
	at.move()
	cl.send = func(b []byte) {
		at.mu.Lock()
		from := at.addr
		at.mu.Unlock()
		c.n.Carry(b, from, func(b []byte) {
			c.n.mu.Lock()
			s := c.n.server
			c.n.mu.Unlock()
			if s != nil {
				s.handle(b, udp.Path{To: from, From: asked})
				s.pump()
			}
		})
	}
	return at
}

// gone takes it off the network for good.
func (at *place) gone() {
	at.mu.Lock()
	defer at.mu.Unlock()
	at.c.n.set(func() { delete(at.c.n.clients, at.addr) })
	at.take = nil
}

func (at *place) move() {
	at.c.mu.Lock()
	at.c.addrs++
	addr := clientAddr(at.c.addrs)
	at.c.mu.Unlock()
	at.mu.Lock()
	defer at.mu.Unlock()
	if at.take == nil {
		return
	}
	at.c.n.set(func() {
		delete(at.c.n.clients, at.addr)
		at.c.n.clients[addr] = at.take
	})
	at.addr = addr
}

// cut takes it off the network, or puts it back.
func (at *place) cut(off bool) {
	at.mu.Lock()
	defer at.mu.Unlock()
	at.c.n.Cut(at.addr, off)
}

// trouble moves and cuts a client until its end.
func (at *place) trouble(ctx context.Context) {
	for ctx.Err() == nil && at.c.pause(4*time.Second) {
		if at.c.chance(0.5) {
			at.move()
			continue
		}
		at.cut(true)
		at.c.pause(2 * time.Second)
		at.cut(false)
	}
	at.cut(false)
}

// live runs a client for about so long, and has it end with or without its last words.
func (c *chaos) live(at *place, about time.Duration, run func(context.Context) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	ended := make(chan struct{})
	var err error
	parts.Go(func() {
		defer close(ended)
		err = run(ctx)
	})
	parts.Go(func() { at.trouble(ctx) })
	c.pause(about)
	dies := c.chance(0.3)
	if dies {
		at.cut(true)
	}
	cancel()
	<-ended
	at.gone()
	parts.Wait()
	return err
}

func (c *chaos) serve() {
	cfg := ServerConfig{Log: c.log, Expire: []time.Duration{time.Second, 3 * time.Second, 15 * time.Second}[c.number(3)]}
	for {
		stop := c.n.serveWith(c.T, cfg)
		if !c.pause(8 * time.Second) {
			time.Sleep(time.Hour) // it serves to the end
			stop()
			return
		}
		stop()
		c.pause(time.Second)
	}
}

func (c *chaos) write(name string) {
	life := 0
	for more := true; more; {
		life++
		number := uint64(0)
		w, err := newWriter(WriterConfig{Username: name, OnEvent: func(e Event) {
			if e, ok := e.(StoredEvent); ok {
				number++
				assert.Equal(c, number, e.Number)
				c.set(func() {
					if e.Seq > 0 {
						assert.Empty(c, c.stored[e.Seq])
						c.stored[e.Seq] = e.Text
					}
				})
			}
		}})
		require.NoError(c, err)
		at := c.connect(w.client, w)
		err = c.live(at, 6*time.Second, func(ctx context.Context) error {
			sending, stop := context.WithCancel(ctx)
			defer stop()
			var sender sync.WaitGroup
			sender.Go(func() {
				for k := 1; sendTo(sending, w, fmt.Sprintf("%s/%d/%d", name, life, k)) == nil && k < 3000; k++ {
					if c.chance(0.05) {
						c.pause(100 * time.Millisecond)
					}
				}
			})
			err := w.run(ctx, w, idle)
			stop()
			sender.Wait()
			return err
		})
		if err != nil {
			assert.ErrorIs(c, err, ErrNameTaken)
		}
		stats := w.Stats()
		assert.Equal(c, stats.Written, stats.Stored+stats.Pending)
		more = c.pause(time.Second)
	}
	var begun time.Time
	w, err := newWriter(WriterConfig{Username: name, OnEvent: func(e Event) {
		if e, ok := e.(LinkEvent); ok && e.Up {
			begun = time.Now()
		}
	}})
	require.NoError(c, err)
	c.connect(w.client, w)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(c, w.run(ctx, w, idle)) })
	for k := range 1000 {
		assert.NoError(c, sendTo(ctx, w, fmt.Sprintf("%s/%d/%d", name, life+1, k+1)))
	}
	assert.NoError(c, w.Flush(ctx))
	c.soon(begun, "%s: %+v", name, w.Stats())
	cancel()
	running.Wait()
}

// read has a reader come and go; the last of its lives gets all there is.
func (c *chaos) read(name string, about time.Duration, delay time.Duration) {
	next := uint64(1) // nothing after this was delivered
	for more := true; more; {
		begun := false
		at := uint64(0)
		r, err := newReader(ReaderConfig{Username: name, Delay: delay, OnEvent: func(e Event) {
			switch e := e.(type) {
			case LinkEvent:
				if e.Up && !begun {
					begun, at = true, e.Next
					assert.LessOrEqual(c, e.Next, next, "%s misses nothing", name)
				}
			case MessageEvent:
				assert.Equal(c, at, e.Seq, name)
				at++
				next = max(next, at)
				if c.chance(0.001) {
					c.pause(time.Second)
				}
			case GapEvent, LogEvent:
				assert.Fail(c, "no", "%+v", e)
			}
		}})
		require.NoError(c, err)
		err = c.live(c.connect(r.client, r), about, func(ctx context.Context) error { return r.run(ctx, r, idle) })
		if err != nil {
			assert.ErrorIs(c, err, ErrNameTaken)
		}
		more = c.pause(time.Second)
	}
	var got received
	var begun time.Time
	r, err := newReader(ReaderConfig{Username: name, From: FromStart, OnEvent: func(e Event) {
		if e, ok := e.(LinkEvent); ok && e.Up {
			begun = time.Now()
		}
		got.event(e)
	}})
	require.NoError(c, err)
	c.connect(r.client, r)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(c, r.run(ctx, r, idle)) })
	_, last := c.log.Bounds()
	for patience := time.Now().Add(time.Minute); got.count() < int(last) && time.Now().Before(patience); {
		time.Sleep(time.Millisecond)
	}
	c.soon(begun, "%s: %d of %d", name, got.count(), last)
	cancel()
	running.Wait()
}

// soon checks that no more time has passed than a healthy network takes.
func (c *chaos) soon(begun time.Time, format string, args ...any) {
	took := time.Since(begun)
	c.set(func() { c.longest = max(c.longest, took) })
	assert.Less(c, took, 30*time.Second, append([]any{format}, args...)...)
}

func (c *chaos) run() {
	var parts sync.WaitGroup
	parts.Go(c.serve)
	var clients sync.WaitGroup
	for i := range 3 {
		clients.Go(func() { c.write(fmt.Sprintf("writer%c", 'A'+i)) })
		clients.Go(func() {
			c.read(fmt.Sprintf("reader%c", 'A'+i), time.Duration(1+5*i)*3*time.Second, time.Duration(i)*time.Second)
		})
	}
	time.Sleep(time.Minute)
	c.set(func() { c.ended = true })
	c.log.mu.Lock()
	c.log.slow, c.log.fails = 0, 0
	c.log.mu.Unlock()
	c.n.Improve()
	clients.Wait()
	all, err := c.log.Log.Read(c.Context(), 1, 1<<30)
	require.NoError(c, err)
	times := map[string]int{}
	order := map[string][2]int{}
	for _, m := range all {
		times[m.Text]++
		require.Equal(c, 1, times[m.Text], m.Text)
		var life, k int
		_, err := fmt.Sscanf(m.Text[len(m.Username)+1:], "%d/%d", &life, &k)
		require.NoError(c, err)
		if before := order[m.Username]; life == before[0] {
			require.Equal(c, before[1]+1, k, m.Text)
		} else {
			require.Greater(c, life, before[0])
			require.Equal(c, 1, k)
		}
		order[m.Username] = [2]int{life, k}
	}
	for seq, text := range c.stored {
		require.Equal(c, text, all[seq-1].Text)
	}
	parts.Wait()
	c.Logf("%d messages, %d of them told, %d datagrams; all was well in %v", len(all), len(c.stored), c.n.Carried(), c.longest)
}

// A writer that comes back while its messages are being stored, for its old registration, goes on
// after them.
func TestComesBackWhileStoring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(1)
		n.Delay = 20 * time.Millisecond
		log := &heldLog{Log: NewMemory(0), hold: make(chan struct{})}
		joined := 0
		stop := n.serveWith(t, ServerConfig{Log: log, Expire: time.Second, OnEvent: func(e Event) {
			if _, ok := e.(JoinEvent); ok {
				if joined++; joined == 2 {
					close(log.hold)
				}
			}
		}})
		w, err := newWriter(WriterConfig{Username: "ann"})
		require.NoError(t, err)
		n.connect(w.client, w, clientAddr(1))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { assert.NoError(t, w.run(ctx, w, idle)) })
		for i := range 3 {
			require.NoError(t, sendTo(ctx, w, fmt.Sprint(i)))
		}
		time.Sleep(100 * time.Millisecond)
		n.Cut(clientAddr(1), true)
		time.Sleep(4 * time.Second) // it expires
		n.Heal()
		<-log.hold // it is registered again
		for i := range 3 {
			require.NoError(t, sendTo(ctx, w, fmt.Sprint(3+i)))
		}
		soon, done := context.WithTimeout(ctx, 5*time.Second)
		defer done()
		require.NoError(t, w.Flush(soon))
		messages, err := log.Read(ctx, 1, 100)
		require.NoError(t, err)
		require.Len(t, messages, 6)
		for i, m := range messages {
			assert.Equal(t, fmt.Sprint(i), m.Text)
		}
		cancel()
		running.Wait()
		stop()
	})
}

// heldLog stores nothing until it is let go.
type heldLog struct {
	Log
	hold chan struct{}
}

func (l *heldLog) Append(ctx context.Context, records []Record) ([]uint64, error) {
	select {
	case <-l.hold:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return l.Log.Append(ctx, records)
}
