package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

const (
	// maxUnstored is how many messages a writer sends before the first of them is stored.
	maxUnstored = 512
	// firstUnstored is how many it is at first, and after a loss.
	firstUnstored = 32
)

// WriterConfig configures a Writer. It is copied.
type WriterConfig struct {
	// Servers are the servers to look for: each is HOST or HOST:PORT, and HOST a name or an IP
	// address. The writer stays with one that serves it, and looks for another when it does not any
	// more: it tries them in turn, and of a name, which is looked up again, up to 16 addresses.
	// They must share a log, see the package's documentation. Default 127.0.0.1.
	Servers []string
	// Port is that of Servers without one. Default DefaultPort.
	Port uint16
	// Resolver looks names up. Default net.DefaultResolver.
	Resolver *net.Resolver
	// Username is needed, see CheckUsername.
	Username string
	// Key, if not nil, is shared with the server: the writer believes only what is signed with it,
	// and signs what it sends. Default nil.
	Key *key.Ring
	// Seal encrypts what is sent, with the Key. What comes may be signed or sealed in any case.
	Seal bool
	// Record is told what the writer sends and receives. Default: none.
	Record Recorder
	// OnEvent is called for each event, one call at a time, on a goroutine of its own.
	OnEvent func(Event)
}

// Writer writes messages into a relay's log. Send and Flush may be called before Run. Its methods
// are safe for concurrent use.
type Writer struct {
	*client

	// client.mu guards these.
	messages []written // what is not stored, in order
	base     uint64    // number of the first of them
	log      uint64    // of the server, 0: there was none yet
	sent     int       // how many of them were sent
	again    uint64    // numbers below it were sent before
	window   int       // how many may be
	rtt      estimator
	sample   uint64 // the message whose answer is measured, 0: none
	sampled  time.Time
	at       time.Time     // when the timeout began
	resent   time.Time     // when the last loss was reacted to
	changed  chan struct{} // closed when there is room, or nothing pending
	storing  service.Failure
	stats    WriterStats
	untold   int // StoredEvents in the queue
}

type written struct {
	text  string
	given time.Time
}

// NewWriter opens a writer's socket, if there is one server, with an IP address; else Run does. An
// error wraps ErrConfig, or is the system's. The caller closes the writer.
func NewWriter(cfg WriterConfig) (*Writer, error) {
	w, err := newWriter(cfg)
	if err != nil {
		return nil, err
	}
	return w, w.open()
}

// newWriter makes a writer without a socket. Set client.send.
func newWriter(cfg WriterConfig) (*Writer, error) {
	c, err := newClient(RoleWriter, cfg.Servers, cfg.Port, cfg.Resolver, cfg.Username, cfg.OnEvent)
	if err != nil {
		return nil, err
	}
	c.tape = cfg.Record
	if err := c.trust(cfg.Key, cfg.Seal); err != nil {
		return nil, err
	}
	c.hello.At = 1
	return &Writer{client: c, base: 1, window: firstUnstored, changed: make(chan struct{})}, nil
}

// Send gives a message to the writer, which sends it until the server has stored it: then a
// StoredEvent with the number that Send returns tells, which may be before Send returns. It waits
// while 512 messages are on their way. It returns an error that wraps ErrConfig for a text that
// cannot be sent, the cause of the end of ctx, or what has ended Run.
func (w *Writer) Send(ctx context.Context, text string) (number uint64, err error) {
	if err := CheckText(text); err != nil {
		return 0, err
	}
	given := time.Now()
	err = w.until(ctx, func() bool {
		select {
		case <-w.ended: // nobody would send it
			return false
		default:
		}
		if len(w.messages)+w.untold >= maxUnstored {
			return false
		}
		w.messages = append(w.messages, written{text, given})
		w.stats.Written++
		number = w.stats.Written
		w.poke()
		return true
	})
	return number, err
}

// Flush waits until everything that was given to Send is stored, and told. An error is the cause of
// the end of ctx, or what has ended Run: then Stats tells how much is not.
func (w *Writer) Flush(ctx context.Context) error {
	return w.until(ctx, func() bool { return len(w.messages)+w.untold == 0 })
}

// errEnded is what Send and Flush return after a Run that has ended well.
var errEnded = errors.New("the writer has ended")

// until waits for what try does, which is called with mu held.
func (w *Writer) until(ctx context.Context, try func() bool) error {
	for {
		w.mu.Lock()
		done, changed := try(), w.changed
		w.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.ended:
			w.mu.Lock()
			defer w.mu.Unlock()
			if try() { // at the last moment
				return nil
			}
			if w.failed != nil {
				return w.failed
			}
			return errEnded
		}
	}
}

// Run registers and sends until ctx ends, takes leave of the server and returns nil. What is not
// stored then is lost: call Flush before. A server that is away is waited for, which a LinkEvent
// tells. The error wraps ErrNameTaken if another writer had the name for longer than a dead one
// could, or net.ErrClosed.
func (w *Writer) Run(ctx context.Context) error {
	if _, err := w.life.Begin("writer", "Writer"); err != nil {
		return err
	}
	err := w.run(ctx, w, func(ctx context.Context) error {
		return w.receive(ctx, w, udp.ReaderConfig{Size: MaxDatagram}, func(*udp.Reader) {})
	})
	w.tell(WriterSummary{WriterStats: w.Stats(), Runtime: w.life.Time()})
	return err
}

// Stats returns the counters.
func (w *Writer) Stats() WriterStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	stats := w.stats
	stats.Pending = uint64(len(w.messages))
	stats.Malformed, stats.Untrusted, stats.Registered = w.malformed, w.untrusted, w.registered
	return stats
}

func (w *Writer) welcomed(f *relaywire.Frame, now time.Time) {
	if w.log != 0 && w.log != f.Log {
		w.emit(LogEvent{Role: RoleWriter, At: now})
	}
	w.log = f.Log
	w.back(now) // what the server has of it, it says when it comes again
	w.rtt.backoff = 0
	w.emit(LinkEvent{Up: true, Server: w.found(), At: now})
}

// back begins anew with the first message that is not stored.
func (w *Writer) back(now time.Time) {
	w.again = max(w.again, w.base+uint64(w.sent))
	w.sent, w.sample, w.window = 0, 0, firstUnstored
	w.resent, w.at = now, now
	w.poke()
}

func (w *Writer) take(f *relaywire.Frame, now time.Time) {
	switch f.Kind {
	case relaywire.Pong:
	case relaywire.Stored:
		w.stored(f, now)
	case relaywire.Failed:
		if f.First >= w.base && f.First <= w.base+uint64(w.sent) {
			err := fmt.Errorf("the server at %v could not store message %d, still trying: %w", w.server, f.First, errors.New(string(f.Entries)))
			if failure, _ := w.storing.Note(err); failure != nil {
				w.emit(ErrorEvent{Err: failure, Text: failure.Error(), What: storing.begins, At: now})
			}
			// It comes again after a timeout, which grows.
			w.rtt.backoff++
		}
	default:
		w.refuse(errNotTo, now)
	}
}

// stored takes what the server has stored.
func (w *Writer) stored(f *relaywire.Frame, now time.Time) {
	progress := 0
	end := max(w.again, w.base+uint64(w.sent)) // what was sent ever
	for i := range f.Count {
		run := f.Run(i)
		for i := range uint64(run.Count) {
			if run.Number+i != w.base || w.base == end {
				continue
			}
			m := w.messages[progress]
			e := StoredEvent{Number: w.base, Text: m.text, Took: now.Sub(m.given)}
			if run.Seq > 0 {
				e.Seq = run.Seq + i
			}
			w.emit(e)
			w.untold++
			w.stats.Stored++
			w.base++
			progress++
			// The loop above is bounded by what a datagram can say: 64 runs of 2^16.
		}
	}
	if progress == 0 {
		// The server waits for a message before those that came: do not wait for the timeout.
		if w.sent > 0 && f.Last < w.base+uint64(w.sent)-1 && now.Sub(w.resent) > max(w.rtt.smooth, time.Millisecond) && f.Last+1 >= w.base && f.Count == 0 {
			w.back(now)
		}
		return
	}
	w.messages = append(w.messages[:0], w.messages[progress:]...)
	w.sent = max(0, w.sent-progress)
	w.hello.At = w.base
	w.window = min(w.window+progress, maxUnstored)
	w.at = now
	if w.sample > 0 && w.sample < w.base {
		w.rtt.sample(now.Sub(w.sampled))
		w.sample = 0
	}
	w.rtt.backoff = 0
	if failure, _ := w.storing.Note(nil); failure != nil {
		w.emit(ErrorEvent{Err: failure, Text: storing.ends, What: storing.begins, Ended: true, At: now})
	}
	w.poke()
}

func (w *Writer) settle(bool) {}

// act sends what is due.
func (w *Writer) act(now time.Time) time.Duration {
	if w.sent > 0 {
		timeout := w.rtt.timeout()
		if now.Sub(w.at) >= timeout {
			w.back(now)
			w.rtt.backoff++
		}
	}
	for w.sent < len(w.messages) && w.sent < w.window {
		first := w.base + uint64(w.sent)
		f := relaywire.Frame{Kind: relaywire.Write, ID: w.hello.ID, First: first}
		size := relaywire.HeaderSize + 8 + 1
		for w.sent < len(w.messages) && w.sent < w.window && f.Count < 255 {
			text := w.messages[w.sent].text
			if size += 2 + len(text); size > w.room {
				break
			}
			f.Entries = relaywire.AppendText(f.Entries, text)
			f.Count++
			w.sent++
		}
		if w.sent == f.Count {
			w.at = now
		}
		end := first + uint64(f.Count)
		if first < w.again {
			w.stats.Resent += min(end, w.again) - first
		} else if w.sample == 0 {
			w.sample, w.sampled = first, now
		}
		w.stats.Datagrams++
		w.say(f.Append(nil))
	}
	if w.sent == 0 {
		return time.Hour
	}
	return w.at.Add(w.rtt.timeout()).Sub(now)
}

func (w *Writer) farewell(*relaywire.Frame) {}

// deliver tells what is queued.
func (w *Writer) deliver(done <-chan struct{}) {
	var batch []Event
	for {
		select {
		case <-w.queued:
		case <-done:
		}
		w.mu.Lock()
		batch, w.queue = append(batch[:0], w.queue...), w.queue[:0]
		w.mu.Unlock()
		told := 0
		for _, e := range batch { // also when the end has come: what is stored is told
			w.tell(e)
			if _, ok := e.(StoredEvent); ok {
				told++
			}
		}
		w.mu.Lock()
		w.untold -= told
		close(w.changed)
		w.changed = make(chan struct{})
		more := len(w.queue) > 0
		w.mu.Unlock()
		clear(batch)
		select {
		case <-done:
			if !more {
				return
			}
			signal(w.queued)
		default:
		}
	}
}
