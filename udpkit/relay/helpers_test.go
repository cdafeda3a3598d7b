package relay_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// patience is how long a test waits for what must come: nothing but a failure uses it up.
const patience = 30 * time.Second

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// journal keeps events and lets a test wait for one.
type journal struct {
	mu     sync.Mutex
	events []relay.Event
	come   []relay.Message // messages returns them
	from   int             // where wait begins
	more   chan struct{}   // closed and renewed with each event
	then   func(relay.Event)
}

func newJournal(then func(relay.Event)) *journal {
	return &journal{more: make(chan struct{}), then: then}
}

func (j *journal) on(e relay.Event) {
	j.mu.Lock()
	j.events = append(j.events, e)
	if m, ok := e.(relay.MessageEvent); ok {
		j.come = append(j.come, m.Message)
	}
	close(j.more)
	j.more = make(chan struct{})
	j.mu.Unlock()
	if j.then != nil {
		j.then(e)
	}
}

// mark has wait look at what comes from now on only.
func (j *journal) mark() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.from = len(j.events)
}

// wait returns the first event of a type that is as wanted.
func wait[E relay.Event](t testing.TB, j *journal, is func(E) bool) E {
	t.Helper()
	timeout := time.After(patience)
	j.mu.Lock()
	at := j.from
	j.mu.Unlock()
	for {
		j.mu.Lock()
		events, more := j.events[at:], j.more
		j.mu.Unlock()
		for _, e := range events {
			at++
			if e, ok := e.(E); ok && is(e) {
				return e
			}
		}
		select {
		case <-more:
		case <-timeout:
			var want E
			require.FailNow(t, "never came", "%T in %s", want, j)
		}
	}
}

func anyOf[E relay.Event](E) bool { return true }

func up(e relay.LinkEvent) bool   { return e.Up }
func down(e relay.LinkEvent) bool { return !e.Up }

// all returns the events of a type.
func all[E relay.Event](j *journal) (events []E) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e, ok := e.(E); ok {
			events = append(events, e)
		}
	}
	return events
}

// messages returns those that have come.
func (j *journal) messages() []relay.Message {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.come
}

// read returns the messages as soon as there are n.
func (j *journal) read(t testing.TB, n int) []relay.Message {
	t.Helper()
	timeout := time.After(patience)
	for {
		j.mu.Lock()
		messages, more := j.come, j.more
		j.mu.Unlock()
		if len(messages) >= n {
			return messages
		}
		select {
		case <-more:
		case <-timeout:
			require.FailNow(t, "too few messages", "%d of %d: %s", len(messages), n, j)
		}
	}
}

// String leaves out what there are too many of.
func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	text := fmt.Sprintf("%d messages", len(j.come))
	stored := 0
	for _, e := range j.events {
		switch e := e.(type) {
		case relay.MessageEvent:
		case relay.StoredEvent:
			stored++
		default:
			text += fmt.Sprintf("\n%s %+v", e.Kind(), e)
		}
	}
	return fmt.Sprintf("%s\n%d stored", text, stored)
}

// whole checks that the messages are those from first on, each once and in order.
func whole(t testing.TB, messages []relay.Message, first, n int) {
	t.Helper()
	require.Len(t, messages, n)
	for i, m := range messages {
		require.EqualValues(t, first+i, m.Seq, "message %d", i)
	}
}

// runner is something that runs beside the test.
type runner struct {
	*journal
	cancel context.CancelFunc
	ended  chan struct{}
	err    error
	close  func() error
}

func run(t testing.TB, j *journal, run func(context.Context) error, closing func() error) *runner {
	ctx, cancel := context.WithCancel(context.Background())
	r := &runner{journal: j, cancel: cancel, ended: make(chan struct{}), close: closing}
	go func() {
		defer close(r.ended)
		r.err = run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.ended
		_ = closing()
	})
	return r
}

// end waits for the end of Run and returns its error.
func (r *runner) end(t testing.TB) error {
	t.Helper()
	select {
	case <-r.ended:
		return r.err
	case <-time.After(patience):
		require.FailNow(t, "it does not end", "%s", r)
		return nil
	}
}

// stop ends Run as a user does.
func (r *runner) stop(t testing.TB) {
	t.Helper()
	begun := time.Now()
	r.cancel()
	require.NoError(t, r.end(t))
	assert.Less(t, time.Since(begun), 3*time.Second)
}

// kill ends it without its last words.
func (r *runner) kill(t testing.TB) {
	t.Helper()
	require.NoError(t, r.close())
	require.ErrorIs(t, r.end(t), net.ErrClosed)
}

type server struct {
	*relay.Server
	*runner
}

func serve(t testing.TB, cfg relay.ServerConfig) server {
	t.Helper()
	if !cfg.Listen.IsValid() {
		cfg.Listen = anyPort
	}
	j := newJournal(cfg.OnEvent)
	cfg.OnEvent = j.on
	s, err := relay.NewServer(cfg)
	require.NoError(t, err)
	return server{s, run(t, j, s.Run, s.Close)}
}

// end ends it, and frees its port.
func (s server) end(t testing.TB) {
	t.Helper()
	s.stop(t)
	require.NoError(t, s.Close())
}

type reader struct {
	*relay.Reader
	*runner
}

func newReader(t testing.TB, at netip.AddrPort, name string, cfg relay.ReaderConfig) reader {
	t.Helper()
	cfg.Username = name
	if cfg.Servers == nil {
		cfg.Servers = []string{at.String()}
	}
	j := newJournal(cfg.OnEvent)
	cfg.OnEvent = j.on
	r, err := relay.NewReader(cfg)
	require.NoError(t, err)
	return reader{r, run(t, j, r.Run, r.Close)}
}

type writer struct {
	*relay.Writer
	*runner
}

func newWriter(t testing.TB, at netip.AddrPort, name string) writer {
	t.Helper()
	return newWriterWith(t, at, name, relay.WriterConfig{})
}

func newWriterWith(t testing.TB, at netip.AddrPort, name string, cfg relay.WriterConfig) writer {
	t.Helper()
	j := newJournal(nil)
	cfg.Username, cfg.OnEvent = name, j.on
	if cfg.Servers == nil {
		cfg.Servers = []string{at.String()}
	}
	w, err := relay.NewWriter(cfg)
	require.NoError(t, err)
	return writer{w, run(t, j, w.Run, w.Close)}
}

// Send gives it a message whose number does not matter.
func (w writer) Send(ctx context.Context, text string) error {
	_, err := w.Writer.Send(ctx, text)
	return err
}

// write has n messages stored, numbered from from on.
func (w writer) write(t testing.TB, from, n int) {
	t.Helper()
	assert.NoError(t, w.send(from, n))
}

func (w writer) send(from, n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	for i := range n {
		if err := w.Send(ctx, fmt.Sprint(from+i)); err != nil {
			return err
		}
	}
	return w.Flush(ctx)
}

// forwarder is a network address translator between clients and a server.
type forwarder struct {
	t      testing.TB
	front  *net.UDPConn // clients send here
	server netip.AddrPort
	cut    atomic.Bool // it carries nothing
	work   sync.WaitGroup

	mu     sync.Mutex
	client netip.AddrPort // there is one
	back   *net.UDPConn
	also   func(b []byte, send func([]byte)) // sends more than what is carried
}

func newForwarder(t testing.TB, to netip.AddrPort) *forwarder {
	t.Helper()
	front, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(anyPort))
	require.NoError(t, err)
	f := &forwarder{t: t, front: front, server: to}
	f.move()
	f.work.Go(func() {
		b := make([]byte, 2048)
		for {
			n, from, err := front.ReadFromUDPAddrPort(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			f.mu.Lock()
			f.client = from
			if err == nil && !f.cut.Load() {
				f.carry(b[:n], func(b []byte) { _, _ = f.back.Write(b) })
			}
			f.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = front.Close()
		_ = f.back.Close()
		f.work.Wait()
	})
	return f
}

func (f *forwarder) carry(b []byte, send func([]byte)) {
	if f.also != nil {
		f.also(b, send)
	}
	send(b)
}

func (f *forwarder) addr() netip.AddrPort { return f.front.LocalAddr().(*net.UDPAddr).AddrPort() }

// move gives the client another address.
func (f *forwarder) move() netip.AddrPort {
	back, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(f.server))
	require.NoError(f.t, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.back != nil {
		_ = f.back.Close()
	}
	f.back = back
	f.work.Go(func() {
		b := make([]byte, 2048)
		for {
			n, err := back.Read(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			f.mu.Lock()
			if err == nil && !f.cut.Load() {
				f.carry(b[:n], func(b []byte) { _, _ = f.front.WriteToUDPAddrPort(b, f.client) })
			}
			f.mu.Unlock()
		}
	})
	return back.LocalAddr().(*net.UDPAddr).AddrPort()
}

// faultyLog is a log that fails on command.
type faultyLog struct {
	relay.Log
	mu    sync.Mutex
	fails map[string]error // by method
	// append is called instead of Append, if not nil.
	append func(ctx context.Context, records []relay.Record) ([]uint64, error)
	// claimed is called before Claim, if not nil.
	claimed func()
}

func newFaultyLog() *faultyLog {
	return &faultyLog{Log: relay.NewMemory(0), fails: map[string]error{}}
}

func (l *faultyLog) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *faultyLog) err(method string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fails[method]
}

func (l *faultyLog) Append(ctx context.Context, records []relay.Record) ([]uint64, error) {
	l.mu.Lock()
	instead := l.append
	l.mu.Unlock()
	if instead != nil {
		return instead(ctx, records)
	}
	return l.Log.Append(ctx, records)
}

func (l *faultyLog) Stored(ctx context.Context, run relay.ID, from uint64) (uint64, []uint64, error) {
	if err := l.err("Stored"); err != nil {
		return 0, nil, err
	}
	return l.Log.Stored(ctx, run, from)
}

func (l *faultyLog) Read(ctx context.Context, from uint64, limit int) ([]relay.Message, error) {
	if err := l.err("Read"); err != nil {
		return nil, err
	}
	return l.Log.Read(ctx, from, limit)
}

// Follow fails also in the middle, at the next message.
func (l *faultyLog) Follow(ctx context.Context, have func() uint64, deliver func([]relay.Message)) error {
	if err := l.err("Follow"); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := l.Log.Follow(ctx, have, func(messages []relay.Message) {
		if err := l.err("Follow"); err != nil {
			cancel(err)
			return
		}
		deliver(messages)
	})
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

func (l *faultyLog) Claim(ctx context.Context, name string, owner relay.ID, ttl time.Duration) error {
	if err := l.err("Claim"); err != nil {
		return err
	}
	if l.claimed != nil {
		l.claimed()
	}
	return l.Log.Claim(ctx, name, owner, ttl)
}

func (l *faultyLog) SaveClient(ctx context.Context, r relay.ClientRecord) error {
	if err := l.err("SaveClient"); err != nil {
		return err
	}
	return l.Log.SaveClient(ctx, r)
}
