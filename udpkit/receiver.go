package udpkit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// Defaults and limits of [ReceiverConfig].
const (
	// DefaultIdleInterval is the time between two calls of OnIdle.
	DefaultIdleInterval = 100 * time.Millisecond
	// DefaultPollInterval is how long [NonBlocking] rests after finding the socket empty. Fifty
	// looks a second cost well under 1 % of a core and delay a datagram by 10 ms on average.
	DefaultPollInterval = 20 * time.Millisecond
	// DefaultQueueSize is how many datagrams the [Channel] style holds between its reader and its
	// handler.
	DefaultQueueSize = 1024
	// MaxDatagramSize is the largest buffer a receiver uses, in bytes: no UDP payload is longer,
	// since the length field of its header has 16 bits (RFC 768; 65,507 bytes of payload over IPv4,
	// 65,527 over IPv6).
	MaxDatagramSize = 65535
)

// ErrReceiverBusy is returned by [Receiver.Receive] while another Receive of the same receiver
// runs.
var ErrReceiverBusy = errors.New("receiver is busy with another Receive")

// errReceiverClosed is what Receive returns after Close; it satisfies errors.Is(err,
// net.ErrClosed).
var errReceiverClosed = fmt.Errorf("receiver closed: %w", net.ErrClosed)

// Datagram is one received datagram.
//
// Payload belongs to the receiver, which writes the next datagram over it: it is valid only until
// the [Handler] that got it returns. Clone keeps it longer. The other fields are values and may be
// kept.
type Datagram struct {
	// Payload is what the datagram carried; it may be empty, since an empty datagram is a valid
	// one.
	Payload []byte
	// Source is the sender's address and port; an IPv4 address is never in its IPv6-mapped form.
	Source netip.AddrPort
	// Received is when the datagram was read from the socket, with a monotonic clock reading.
	Received time.Time
	// Truncated says that the datagram was longer than [ReceiverConfig.BufferSize]; Payload has its
	// beginning.
	Truncated bool
	// To is the address that the datagram was sent to, such as a broadcast address. Only who
	// records asks the system for it; else it is not valid.
	To netip.Addr
}

// Clone returns a copy of d that owns its payload.
func (d Datagram) Clone() Datagram {
	d.Payload = bytes.Clone(d.Payload)
	return d
}

// Handler is called for each datagram, in the order of arrival, never twice at the same time for
// one Receive. While it runs no other datagram is handled, so it should be quick. See [Datagram]
// for how long it may use the payload.
//
// It may call [Receiver.Close], cancel the context or close the socket: all of them end the Receive
// that called it. A panic in it passes through Receive to the caller of Receive, which cleans up on
// the way; the Goroutine style is the exception: there the handler runs on a goroutine of its own,
// and a panic ends the program.
type Handler func(Datagram)

// Receiver reads datagrams from a socket and gives them to a handler. All styles keep the same
// contract, so that they can be exchanged: the same datagrams, the same results, the same errors.
// They differ in how they wait, on which goroutine they call back, and in what that costs.
//
// A Receiver may be used by several goroutines.
type Receiver interface {
	// Receive reads datagrams from conn and calls handle for each, until
	//
	//   - ctx ends: it returns context.Cause(ctx), and may be called again;
	//   - the receiver or conn is closed: it returns an error that satisfies errors.Is(err,
	//     net.ErrClosed);
	//   - reading fails for good: it returns an error that names the local address.
	//
	// It never returns nil. A read error that passes by itself (an ICMP "port unreachable" of an
	// earlier send on a connected socket, a system short of buffers) is not the end: it reads on,
	// after a pause if errors follow one another. No handler call begins after ctx has ended, and
	// none is running when Receive returns. It leaves no goroutine behind.
	//
	// conn stays the caller's: it is not closed, and has no read deadline afterwards. While Receive
	// runs nobody else should read from conn or set its read deadline; writing is free.
	//
	// One Receive at a time for each receiver: another returns [ErrReceiverBusy].
	Receive(ctx context.Context, conn *net.UDPConn, handle Handler) error

	// Style returns which style this is.
	Style() Style

	// Dropped returns how many datagrams were read from the socket but never handled, in all calls
	// of Receive so far: the queue of the Channel style was full, or held them when Receive ended.
	// All styles read ahead where the system can read several datagrams at once; a later Receive on
	// the same socket goes on with those, and only after Close or with another socket they count as
	// dropped.
	Dropped() uint64

	// KernelDropped returns how many datagrams the kernel has dropped at the sockets of all calls
	// of Receive, since each was opened: mostly for want of room in the receive buffer. It is 0 on
	// systems other than Linux, which do not tell.
	KernelDropped() uint64

	// Close ends a running Receive and makes all later ones fail with an error that is
	// net.ErrClosed. It does not wait for Receive to return (so that a handler may call it) and
	// leaves the socket open. It may be called more than once and by any goroutine, and always
	// returns nil.
	Close() error
}

// Style names a way to receive.
type Style string

// The styles, in the order in which the walkthrough notebook meets them.
const (
	// Blocking waits in the read call: the simplest, and nothing else happens on that goroutine
	// meanwhile. Its OnIdle is called once before a wait, and then no more until a datagram
	// arrives: an indicator drawn by it stands still. That is the problem which the other styles
	// solve.
	Blocking Style = "blocking"
	// NonBlocking asks the socket without waiting, and rests for PollInterval where it is empty
	// (EAGAIN).
	NonBlocking Style = "nonblocking"
	// SelectorStyle waits for readiness with a [Selector], then reads until the socket is empty.
	// (The plain name is the type's.)
	SelectorStyle Style = "selector"
	// Goroutine reads and handles on a goroutine of its own. The caller's goroutine only calls
	// OnIdle, which may therefore run at the same time as the handler.
	Goroutine Style = "goroutine"
	// Channel reads on a goroutine into a bounded queue and tells of it over a channel; the
	// caller's goroutine selects over that, ticks and cancellation. A full queue drops the newest
	// datagram and counts it, see [Receiver.Dropped].
	Channel Style = "channel"
)

// Styles returns all styles.
func Styles() []Style { return []Style{Blocking, NonBlocking, SelectorStyle, Goroutine, Channel} }

// ParseStyle returns the style of that name, whatever its case. The error lists the names and wraps
// [ErrConfig].
func ParseStyle(s string) (Style, error) {
	var names []string
	for _, style := range Styles() {
		if strings.EqualFold(s, string(style)) {
			return style, nil
		}
		names = append(names, string(style))
	}
	return "", fmt.Errorf("%w: unknown receiver style %q: choose one of %s", ErrConfig, s, strings.Join(names, ", "))
}

// ReceiverConfig configures a receiver. The zero value works. [NewReceiver] copies it.
type ReceiverConfig struct {
	// OnIdle, where set, is called about every IdleInterval while no datagram arrives, with the
	// time since the last datagram (since the start of Receive where there was none yet): the hook
	// for a waiting indicator. It is called on the goroutine that called Receive; see [Blocking]
	// and [Goroutine] for what is special there. Without it a waiting receiver does not wake up at
	// all (NonBlocking does, as it polls).
	OnIdle func(elapsed time.Duration)
	// IdleInterval is the time between two calls of OnIdle; default [DefaultIdleInterval].
	// NonBlocking cannot tick more often than every PollInterval.
	IdleInterval time.Duration
	// PollInterval is for NonBlocking only: the pause after finding the socket empty; default
	// [DefaultPollInterval].
	PollInterval time.Duration
	// QueueSize is for Channel only: how many datagrams wait for the handler; default
	// [DefaultQueueSize]. The queue takes as much memory as the longest datagrams met, at most
	// QueueSize times BufferSize.
	QueueSize int
	// BufferSize is the longest payload in bytes, 1 to 65535; default [MaxDatagramSize]. Longer
	// datagrams are truncated and marked so.
	BufferSize int
	// Coalesce lets the kernel hand over equal datagrams of one sender in one piece, where it can
	// (UDP_GRO of Linux): ten times as fast if the sender sends them so (UDP_SEGMENT). The handler
	// gets each of them as always. The socket stays in that mode: afterwards only receivers should
	// read from it.
	Coalesce bool
	// destination asks for Datagram.To: see udp.ReaderConfig.Back.
	destination bool
}

// withDefaults returns cfg with its zero fields filled in, or what is wrong with it.
func (cfg ReceiverConfig) withDefaults() (ReceiverConfig, error) {
	cfg.IdleInterval = cmp.Or(cfg.IdleInterval, DefaultIdleInterval)
	cfg.PollInterval = cmp.Or(cfg.PollInterval, DefaultPollInterval)
	cfg.QueueSize = cmp.Or(cfg.QueueSize, DefaultQueueSize)
	cfg.BufferSize = cmp.Or(cfg.BufferSize, MaxDatagramSize)
	switch {
	case cfg.IdleInterval < 0:
		return cfg, fmt.Errorf("%w: IdleInterval is %v: it must not be negative", ErrConfig, cfg.IdleInterval)
	case cfg.PollInterval < 0:
		return cfg, fmt.Errorf("%w: PollInterval is %v: it must not be negative", ErrConfig, cfg.PollInterval)
	case cfg.QueueSize < 0:
		return cfg, fmt.Errorf("%w: QueueSize is %d: it must not be negative", ErrConfig, cfg.QueueSize)
	case cfg.BufferSize < 1 || cfg.BufferSize > MaxDatagramSize:
		return cfg, fmt.Errorf("%w: BufferSize is %d: it must be 1 to %d bytes", ErrConfig, cfg.BufferSize, MaxDatagramSize)
	}
	return cfg, nil
}

// loops has the one function that makes each style what it is.
var loops = map[Style]func(*session) error{
	Blocking:      (*session).blocking,
	NonBlocking:   (*session).nonBlocking,
	SelectorStyle: (*session).selecting,
	Goroutine:     (*session).goroutine,
	Channel:       (*session).channel,
}

// NewReceiver returns a receiver of the given style, or an error that wraps [ErrConfig] if the
// style is unknown or cfg has a value out of range. It uses no resources until Receive is called.
func NewReceiver(style Style, cfg ReceiverConfig) (Receiver, error) {
	loop, ok := loops[style]
	if !ok {
		_, err := ParseStyle(string(style))
		return nil, err
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &receiver{style: style, cfg: cfg, loop: loop}, nil
}

// receiver is the part that all styles share: one Receive at a time, and Close.
type receiver struct {
	style   Style
	cfg     ReceiverConfig
	loop    func(*session) error
	dropped atomic.Uint64

	mu     sync.Mutex
	closed bool
	cancel context.CancelCauseFunc // ends the running Receive; nil if none runs

	// The last socket, and what was read ahead from it.
	conn          *net.UDPConn
	reader        *udp.Reader
	counted       uint32 // kernel drops of this socket that are in kernelDropped
	kernelDropped uint64
}

var _ Receiver = (*receiver)(nil)

func (r *receiver) Style() Style    { return r.style }
func (r *receiver) Dropped() uint64 { return r.dropped.Load() }

func (r *receiver) KernelDropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.countKernelDrops()
}

// countKernelDrops brings kernelDropped up to date; of a closed socket it keeps what was counted
// before.
func (r *receiver) countKernelDrops() uint64 {
	if r.reader != nil {
		if count, ok := r.reader.Dropped(); ok {
			r.kernelDropped += uint64(count - r.counted) // right also when the kernel's 32 bits wrap
			r.counted = count
		}
	}
	return r.kernelDropped
}

func (r *receiver) Receive(ctx context.Context, conn *net.UDPConn, handle Handler) error {
	if conn == nil || handle == nil {
		return errors.New("Receive needs a socket and a handler")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	reader, err := r.begin(conn, cancel)
	if err != nil {
		return err
	}
	defer r.end()
	return r.loop(&session{ctx: ctx, conn: conn, cfg: r.cfg, handle: handle, reader: reader, dropped: &r.dropped})
}

func (r *receiver) begin(conn *net.UDPConn, cancel context.CancelCauseFunc) (*udp.Reader, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, errReceiverClosed
	case r.cancel != nil:
		return nil, ErrReceiverBusy
	}
	if conn != r.conn {
		reader, err := udp.NewReader(conn, udp.ReaderConfig{Size: r.cfg.BufferSize, Coalesce: r.cfg.Coalesce, Back: r.cfg.destination})
		if err != nil {
			return nil, fmt.Errorf("receive: %w", err)
		}
		r.release()
		r.conn, r.reader = conn, reader
	}
	r.cancel = cancel
	return r.reader, nil
}

func (r *receiver) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancel = nil
	r.countKernelDrops()
	if r.closed {
		r.release()
	}
}

// release forgets the socket. What was read ahead from it is lost.
func (r *receiver) release() {
	if r.reader == nil {
		return
	}
	r.countKernelDrops()
	for r.reader.Next() != nil {
		r.dropped.Add(1)
	}
	r.conn, r.reader, r.counted = nil, nil, 0
}

func (r *receiver) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.cancel != nil {
		r.cancel(errReceiverClosed)
		r.countKernelDrops() // the caller may close the socket next
	} else {
		r.release()
	}
	return nil
}

// session is one call of Receive: what every style's loop works with. Closing the receiver ends its
// ctx, so that a loop has one thing to watch.
type session struct {
	ctx      context.Context
	conn     *net.UDPConn
	cfg      ReceiverConfig
	handle   Handler
	reader   *udp.Reader
	dropped  *atomic.Uint64
	failures udp.Failures // of the goroutine that reads
}

// errWouldBlock means that no datagram is waiting: EAGAIN on Unix, EWOULDBLOCK in older books,
// BlockingIOError in Python.
var errWouldBlock = udp.ErrWouldBlock

// next returns the next datagram, valid until the next call. The reader may have it already, as it
// reads several at once where the system can. If not it waits for one, or without wait returns
// errWouldBlock.
func (s *session) next(wait bool) (*Datagram, error) {
	d := s.reader.Next()
	for d == nil {
		if err := s.reader.Read(wait); err != nil {
			return nil, err
		}
		s.failures.Over()
		d = s.reader.Next()
	}
	return (*Datagram)(d), nil
}

// failed decides about a read error, the same for all styles. It returns nil if reading should go
// on, and else what Receive is to return.
func (s *session) failed(err error) error {
	switch {
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	case errors.Is(err, net.ErrClosed):
		return fmt.Errorf("receive on %s: socket closed: %w", s.conn.LocalAddr(), err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		// Not our own deadline, as ctx has not ended: someone else's. If ctx ends just now, then
		// the deadline that is removed here might have been ours after all; so look again.
		_ = s.conn.SetReadDeadline(time.Time{})
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		return nil
	case s.failures.Rest(s.ctx, err):
		return nil
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	}
	return fmt.Errorf("receive on %s: %w", s.conn.LocalAddr(), err)
}

// interruptReads makes blocking reads of s.conn fail once ctx ends, by way of a read deadline in
// the past: one timer operation for a whole session, where a deadline for each read costs a quarter
// of the speed. The function it returns undoes it: afterwards no watcher is running and no deadline
// is set.
func (s *session) interruptReads(ctx context.Context) (release func()) {
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		_ = s.conn.SetReadDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-fired
			_ = s.conn.SetReadDeadline(time.Time{})
		}
	}
}

// idleClock tells when OnIdle is due.
type idleClock struct {
	onIdle   func(elapsed time.Duration) // nil: never due
	interval time.Duration
	last     time.Time // the last datagram
	due      time.Time // the next call
}

func (s *session) newIdleClock() idleClock {
	c := idleClock{onIdle: s.cfg.OnIdle, interval: s.cfg.IdleInterval}
	c.seen(time.Now())
	return c
}

// seen notes that a datagram came at that time.
func (c *idleClock) seen(at time.Time) {
	c.last = at
	c.due = at.Add(c.interval)
}

// tick calls OnIdle if it is due, and returns how long to wait for the next time; -1 means forever.
func (c *idleClock) tick() time.Duration {
	if c.onIdle == nil {
		return -1
	}
	now := time.Now()
	if !now.Before(c.due) {
		c.due = now.Add(c.interval)
		c.onIdle(now.Sub(c.last))
	}
	return c.due.Sub(now)
}

// newTimer returns a timer for the first tick, or one that fires in 292 years where there is no
// OnIdle.
func (c *idleClock) newTimer() *time.Timer {
	if c.onIdle == nil {
		return time.NewTimer(math.MaxInt64)
	}
	return time.NewTimer(c.interval)
}
