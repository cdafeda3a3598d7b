package relay

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

const (
	// maxWaiting is how many messages a reader holds for a slow OnEvent, or out of order.
	maxWaiting = 1 << 14
	// reporting is how long after an acknowledgement another one says what was delivered since:
	// messages are acknowledged when they come, which is before.
	reporting = 20 * time.Millisecond
	// An acknowledgement is for ackEvery datagrams, or comes ackDelay after the first of them, long
	// before the server would send it again. It comes at once for the first ackQuick datagrams, and
	// for as many after something was lost or came twice: the server's window may be small then,
	// and grows with each of them.
	ackEvery = 8
	ackDelay = minTimeout / 4
	ackQuick = 64
)

// From says where in the log a reader begins: the number of a message, or one of the constants. A
// number below the oldest message that is kept is a gap, and one that is not there yet is that of
// the next message.
type From uint64

// The other beginnings. A reader that loses its server goes on where it was in any case.
const (
	// FromLast goes on where a reader of this name has stopped, if that is still kept; a new name
	// begins with the oldest message.
	FromLast From = 0
	// FromStart begins with the oldest message.
	FromStart From = 1 << 63
	// FromNow begins with the next message.
	FromNow From = 1<<63 + 1
)

var fromNames = map[From]string{FromLast: "last", FromStart: "start", FromNow: "now"}

// ParseFrom reads "last", "start", "now" or the number of a message, such as "17". An error wraps
// ErrConfig.
func ParseFrom(text string) (From, error) {
	for from, name := range fromNames {
		if text == name {
			return from, nil
		}
	}
	if number, err := strconv.ParseUint(text, 10, 63); err == nil && number > 0 {
		return From(number), nil
	}
	return 0, fmt.Errorf("%w: a reader cannot begin at %q, choose last, start, now or the number of a message", ErrConfig, text)
}

// String returns what ParseFrom reads.
func (f From) String() string {
	if name, ok := fromNames[f]; ok {
		return name
	}
	return strconv.FormatUint(uint64(f), 10)
}

// ReaderConfig configures a Reader. It is copied.
type ReaderConfig struct {
	// Servers are the servers to look for: each is HOST or HOST:PORT, and HOST a name or an IP
	// address. The reader stays with one that serves it, and looks for another when it does not any
	// more: it tries them in turn, and of a name, which is looked up again, up to 16 addresses.
	// They must share a log, see the package's documentation. Default 127.0.0.1.
	Servers []string
	// Port is that of Servers without one. Default DefaultPort.
	Port uint16
	// Resolver looks names up. Default net.DefaultResolver.
	Resolver *net.Resolver
	// Username is needed, see CheckUsername.
	Username string
	// From is where in the log to begin. Default FromLast.
	From From
	// Delay collects messages for this time and delivers them together, or sooner if there are more
	// than 8,192. Default 0: each as it comes.
	Delay time.Duration
	// MaxMessages ends Run after this number of messages. 0 means no limit.
	MaxMessages uint64
	// Key, if not nil, is shared with the server: the reader believes only what is signed with it,
	// and signs what it sends. Default nil.
	Key *key.Ring
	// Seal encrypts what is sent, with the Key. What comes may be signed or sealed in any case.
	Seal bool
	// Record is told what the reader sends and receives. Default: none.
	Record Recorder
	// OnEvent is called for each event, one call at a time, on a goroutine of its own. While it
	// does not return, up to 16,384 further messages wait, and then the server does. Without Flush,
	// what it was called for counts as delivered when it returns.
	OnEvent func(Event)
	// Flush, if set, makes sure of what OnEvent has only collected. It is called on the same
	// goroutine after a message that is the Last, after 8 KiB of them, after each GapEvent and
	// LogEvent, and before Run ends. It returns how many of the MessageEvents, GapEvents and
	// LogEvents since the last call are safe: those count as delivered. If that is not all of them,
	// Run ends, with the error of Flush, and the next reader of the name gets the others again.
	// Default: none.
	Flush func() (safe int, err error)
}

// Reader gets every message of a relay's log, in order, each once, or a GapEvent for those that are
// not kept any more. Its methods are safe for concurrent use.
type Reader struct {
	*client
	cfg ReaderConfig

	// client.mu guards these.
	next    uint64    // the message to come
	done    uint64    // the message after the last that was delivered
	highest uint64    // the highest that has come
	log     uint64    // next is of this one; 0: nothing is known
	early   []span    // what came before its turn: in order, with holes between
	waiting int       // messages in early and in queue
	owed    int       // datagrams to acknowledge
	since   time.Time // when the first of them came
	later   bool      // act acknowledges them
	quick   int       // how many datagrams are still acknowledged at once
	granted int       // room in the last one
	unsaid  bool      // done is more than in the last one
	said    time.Time // when it was sent
	names   map[string]string
	stats   ReaderStats
	dropped uint64 // by the kernel, of the sockets before this one
	drops   func() (uint32, bool)
}

// span is a run of messages.
type span struct {
	first    uint64
	messages []Message
}

func (s *span) end() uint64 { return s.first + uint64(len(s.messages)) }

// NewReader opens a reader's socket, if there is one server, with an IP address; else Run does. An
// error wraps ErrConfig, or is the system's. The caller closes the reader.
func NewReader(cfg ReaderConfig) (*Reader, error) {
	r, err := newReader(cfg)
	if err != nil {
		return nil, err
	}
	return r, r.open()
}

// newReader makes a reader without a socket. Set client.send.
func newReader(cfg ReaderConfig) (*Reader, error) {
	if cfg.From > FromNow || cfg.Delay < 0 {
		return nil, fmt.Errorf("%w: From is %v, Delay is %v", ErrConfig, cfg.From, cfg.Delay)
	}
	c, err := newClient(RoleReader, cfg.Servers, cfg.Port, cfg.Resolver, cfg.Username, cfg.OnEvent)
	if err != nil {
		return nil, err
	}
	c.tape = cfg.Record
	if err := c.trust(cfg.Key, cfg.Seal); err != nil {
		return nil, err
	}
	switch cfg.From {
	case FromLast:
	case FromStart:
		c.hello.From = relaywire.FromStart
	case FromNow:
		c.hello.From = relaywire.FromNow
	default:
		c.hello.From, c.hello.At = relaywire.FromAt, uint64(cfg.From)
	}
	return &Reader{client: c, cfg: cfg, names: make(map[string]string), granted: maxWaiting}, nil
}

// Run registers and delivers messages until ctx ends or MaxMessages are delivered, takes leave of
// the server and returns nil. A server that is away is waited for, which a LinkEvent tells. The
// error wraps ErrNameTaken if another reader had the name for longer than a dead one could, or
// net.ErrClosed.
func (r *Reader) Run(ctx context.Context) error {
	if _, err := r.life.Begin("reader", "Reader"); err != nil {
		return err
	}
	err := r.run(ctx, r, func(ctx context.Context) error {
		return r.receive(ctx, r, udp.ReaderConfig{Size: MaxDatagram, Coalesce: true}, func(reader *udp.Reader) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.dropped = r.droppedNow()
			r.drops = reader.Dropped
		})
	})
	r.tell(ReaderSummary{ReaderStats: r.Stats(), Runtime: r.life.Time()})
	return err
}

// Stats returns the counters.
func (r *Reader) Stats() ReaderStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	stats := r.stats
	stats.Next, stats.Last = r.done, max(r.stats.Last, r.highest)
	stats.Malformed, stats.Untrusted, stats.Registered = r.malformed, r.untrusted, r.registered
	stats.KernelDropped = r.droppedNow()
	return stats
}

// droppedNow returns how many datagrams the kernel has dropped, of all sockets, with mu held.
func (r *Reader) droppedNow() uint64 {
	if r.drops == nil {
		return r.dropped
	}
	dropped, _ := r.drops()
	return r.dropped + uint64(dropped)
}

func (r *Reader) welcomed(f *relaywire.Frame, now time.Time) {
	r.stats.Last = f.Last
	switch {
	case r.log == f.Log && (f.Next >= r.next || f.Last+1 >= r.next):
		// It goes on. The server may not have heard yet how far the reader is, or know only older
		// messages for now.
	default:
		if r.log != 0 {
			r.emit(LogEvent{Role: RoleReader, Next: f.Next, At: now})
		} else {
			r.done = f.Next
		}
		r.next, r.highest = f.Next, f.Next-1
		for _, s := range r.early {
			r.waiting -= len(s.messages)
		}
		r.early = nil
	}
	r.log = f.Log
	r.quick = ackQuick
	r.emit(LinkEvent{Up: true, Server: r.found(), Next: r.next, At: now})
	r.settle(true)
}

func (r *Reader) take(f *relaywire.Frame, now time.Time) {
	switch f.Kind {
	case relaywire.Pong:
		r.stats.Last = f.Last
	case relaywire.Gap:
		r.owe(now)
		r.quick = ackQuick
		if f.First <= r.next && f.Last >= r.next {
			r.emit(GapEvent{From: r.next, To: f.Last})
			r.next = f.Last + 1
			r.highest = max(r.highest, f.Last)
			r.drain()
		}
	case relaywire.Data:
		r.owe(now)
		r.data(f)
	default:
		r.refuse(errNotTo, now)
	}
}

// data takes messages.
func (r *Reader) data(f *relaywire.Frame) {
	r.stats.Datagrams++
	end := f.First + uint64(f.Count)
	if end <= r.next {
		r.stats.Duplicates++
		r.quick = ackQuick
		return
	}
	if end > r.next+maxWaiting || r.waiting+f.Count > maxWaiting {
		r.stats.Refused++
		r.quick = ackQuick
		return
	}
	if f.First > r.next {
		r.stats.Early++
		r.quick = ackQuick
		messages := make([]Message, 0, f.Count)
		for e := range f.Messages() {
			messages = append(messages, r.message(e))
		}
		r.hold(span{f.First, messages})
		return
	}
	for e := range f.Messages() {
		if e.Seq >= r.next {
			r.emit(MessageEvent{Message: r.message(e)})
			r.waiting++
		}
	}
	r.next = end
	r.highest = max(r.highest, end-1)
	if len(r.early) > 0 {
		r.drain()
	}
}

// message takes a message of a data datagram. Its name is most often one that came before.
func (r *Reader) message(e relaywire.Entry) Message {
	username, ok := r.names[string(e.Name)]
	if !ok {
		if len(r.names) >= 1024 {
			clear(r.names)
		}
		username = string(e.Name)
		r.names[username] = username
	}
	return Message{Seq: e.Seq, Username: username, Text: string(e.Text), At: time.Unix(0, e.At)}
}

// hold keeps messages until it is their turn.
func (r *Reader) hold(s span) {
	at := sort.Search(len(r.early), func(i int) bool { return r.early[i].end() > s.first })
	for len(s.messages) > 0 {
		if at == len(r.early) || s.end() <= r.early[at].first {
			r.early = slices.Insert(r.early, at, s)
			r.waiting += len(s.messages)
			break
		}
		have := r.early[at]
		if s.first < have.first { // what is before it
			part := span{s.first, s.messages[:have.first-s.first]}
			r.early = slices.Insert(r.early, at, part)
			r.waiting += len(part.messages)
			at++
		}
		if s.end() <= have.end() {
			break
		}
		s = span{have.end(), s.messages[have.end()-s.first:]}
		at++
	}
	r.highest = max(r.highest, r.early[len(r.early)-1].end()-1)
}

// drain delivers what was early and has its turn now.
func (r *Reader) drain() {
	n := 0
	for n < len(r.early) && r.early[n].first <= r.next {
		for _, m := range r.early[n].messages {
			if m.Seq < r.next {
				r.waiting--
				continue
			}
			r.emit(MessageEvent{Message: m})
			r.next++
		}
		n++
	}
	r.early = slices.Delete(r.early, 0, n)
}

// owe notes a datagram that is to be acknowledged.
func (r *Reader) owe(now time.Time) {
	if r.owed == 0 {
		r.since = now
	}
	r.owed++
}

// settle acknowledges, if it is time to.
func (r *Reader) settle(always bool) {
	if r.owed == 0 && !always {
		return
	}
	if !always && r.quick == 0 && r.owed < ackEvery {
		if !r.later {
			r.later = true
			r.poke()
		}
		return
	}
	r.quick -= min(r.owed, r.quick)
	r.owed, r.later, r.unsaid, r.said = 0, false, false, time.Now()
	r.hello.From, r.hello.At, r.hello.Log = relaywire.FromAt, r.next, r.log // for the next registration
	r.granted = maxWaiting - r.waiting
	f := relaywire.Frame{Kind: relaywire.Ack, ID: r.hello.ID, Next: r.next, Done: min(r.done, r.next), Last: r.next - 1, Window: uint32(r.granted)}
	var entries [relaywire.MaxRanges * relaywire.RangeSize]byte
	f.Entries = entries[:0]
	for from, i := r.next, 0; i < len(r.early) && f.Count < relaywire.MaxRanges; i++ {
		if s := &r.early[i]; s.first > from {
			f.Entries = relaywire.Missing{Offset: uint32(from - r.next), Count: uint32(s.first - from)}.Append(f.Entries)
			f.Count++
		}
		from = r.early[i].end()
		f.Last = from - 1
	}
	r.say(f.Append(nil))
}

func (r *Reader) act(now time.Time) time.Duration {
	wait := time.Hour
	if r.owed > 0 {
		wait = r.since.Add(ackDelay).Sub(now)
	}
	if r.unsaid {
		wait = min(wait, r.said.Add(reporting).Sub(now))
	}
	if wait <= 0 {
		r.settle(true)
		return time.Hour
	}
	return wait
}

func (r *Reader) farewell(f *relaywire.Frame) {
	if r.up && r.owed > 0 {
		r.settle(true) // the server counts what it knows
	}
	f.Done = r.done
}
