package udpkit

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// ClientConfig configures a Client. The zero value works; it is copied.
type ClientConfig struct {
	// ID names the client in its acknowledgements, 1 to MaxClientIDLen bytes of printable text.
	// Default "client-" and 8 random hexadecimal digits.
	ID string
	// Listen is the local address to receive on. Default 0.0.0.0 and DefaultPort. Any number of
	// clients on one host share it. On Linux a socket on another address than 0.0.0.0 receives no
	// broadcast.
	Listen netip.AddrPort
	// Receiver is the style to receive in. Default Goroutine. Its statistics and behaviour are the
	// same for all.
	Receiver Style
	// MaxMessages ends Run after this many messages. 0 means no limit.
	MaxMessages uint64
	// MaxRuntime ends Run after this time. 0 means no limit.
	MaxRuntime time.Duration
	// Timeout is how long a server may be silent before that is reported and counted. Default three
	// times the interval that it announces and at least 1 s, since a busy machine pauses for longer
	// than a short interval; 15 s if it announces none, or none from 1 ms to 1 h. An interval that
	// is another than before counts when it was announced twice.
	Timeout time.Duration
	// History is how many messages Client.History keeps. Default 1,000.
	History int
	// Key has the client take only messages that are signed or sealed with it, and sign what it
	// answers: see package key. Default: none.
	Key *key.Ring
	// Seal has it encrypt what it answers too. It needs a Key.
	Seal bool
	// NoAck turns acknowledgements off.
	NoAck bool
	// NoRepair keeps the client from asking the server for what it misses: each gap is reported at
	// once.
	NoRepair bool
	// Record is told what the client receives and sends. Default: none.
	Record Recorder
	// OnEvent is called for each event, one call at a time, on the goroutine that receives: while
	// it runs, datagrams wait in the socket's buffer.
	OnEvent func(Event)
	// OnIdle is called about ten times a second while no datagram comes, with the time since the
	// last one: for a waiting indicator. It may run at the same time as OnEvent.
	OnIdle func(elapsed time.Duration)
}

func (c ClientConfig) withDefaults() (ClientConfig, error) {
	if c.ID == "" {
		var b [4]byte
		rand.Read(b[:]) // never fails, see crypto/rand
		c.ID = fmt.Sprintf("client-%x", b)
	}
	if err := checkText("client id", c.ID, MaxClientIDLen); err != nil {
		return c, err
	}
	if !c.Listen.IsValid() {
		c.Listen = netip.AddrPortFrom(netip.IPv4Unspecified(), DefaultPort)
	}
	c.Receiver = cmp.Or(c.Receiver, Goroutine)
	if c.MaxRuntime < 0 || c.Timeout < 0 || c.History < 0 {
		return c, fmt.Errorf("%w: MaxRuntime, Timeout and History cannot be negative", ErrConfig)
	}
	if _, err := c.Key.Protection(c.Seal); err != nil {
		return c, err
	}
	c.History = cmp.Or(c.History, 1000)
	return c, nil
}

// Client receives the messages of any number of servers, each message once, and acknowledges them.
// Its methods are safe for concurrent use.
type Client struct {
	cfg      ClientConfig
	receiver Receiver
	answers  Receiver     // of what the client asks for
	conn     *net.UDPConn // shared port, receives
	ackConn  *net.UDPConn // own port: a reply to the shared one would reach only one client
	ack      func([]byte, netip.AddrPort) (int, error)
	seed     maphash.Seed
	// The addresses of conn and of ackConn.
	listen, own netip.AddrPort

	life   service.Life
	events sync.Mutex // held while OnEvent runs; taken before mu
	taken  taken      // what handle works with; guarded by events

	mu       sync.Mutex
	began    time.Time
	deaf     bool // that no server has been heard yet was said
	runs     runs
	told     uint64      // of runs.forgotten
	toldAt   time.Time   // when
	wake     time.Time   // when the watchdog looks for silences
	sender   *key.Sender // of answers
	opener   *key.Opener // of messages
	times    *key.Opener // of the times by servers' clocks
	decoder  decoder
	sent     timestampReader
	states   states
	history  []remembered // a ring, once it has History elements
	oldest   int
	refused  service.Refusals
	summary  ClientSummary
	latency  samples
	interval samples
	ackBuf   []byte
	finish   context.CancelFunc

	ackFailing bool        // the last acknowledgement could not be sent
	watchdog   *time.Timer // fires when a silence may have become too long
	asker      *time.Timer // fires when it is time to ask for what is missing
	askAt      time.Time   // when; zero for never

	asked clockQuestions
}

// NewClient opens the client's sockets. An error wraps ErrConfig, or is the system's for the
// socket, such as syscall.EADDRINUSE if another program has the port and does not share it. The
// caller closes the client.
func NewClient(cfg ClientConfig) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := newClient(cfg)
	c.receiver, err = NewReceiver(cfg.Receiver, ReceiverConfig{OnIdle: cfg.OnIdle, BufferSize: MaxMessageSize + 1, Coalesce: true, destination: cfg.Record != nil})
	if err != nil {
		return nil, err
	}
	c.answers, err = NewReceiver(Blocking, ReceiverConfig{BufferSize: MaxMessageSize + 1, destination: cfg.Record != nil})
	if err != nil { // it does not happen: the configuration is right
		return nil, err
	}
	ctx := context.Background()
	c.conn, err = udp.Listen(ctx, cfg.Listen, udp.Options{Reuse: true, ReadBuffer: ReadBufferSize})
	if err != nil {
		return nil, fmt.Errorf("the client cannot open %v: %w", cfg.Listen, err)
	}
	c.summary.ReadBuffer = grantedReadBuffer(c.conn)
	own := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if cfg.Listen.Addr().Is6() {
		own = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	c.ackConn, err = udp.Listen(ctx, own, udp.Options{NoBroadcast: true})
	if err != nil {
		c.conn.Close()
		return nil, fmt.Errorf("the client cannot open a socket for acknowledgements: %w", err)
	}
	c.ack = c.ackConn.WriteToUDPAddrPort
	c.listen, c.own = c.Addr(), service.AddrOf(c.ackConn.LocalAddr())
	c.record()
	return c, nil
}

// newClient makes a client without sockets.
func newClient(cfg ClientConfig) *Client {
	c := &Client{
		cfg:    cfg,
		seed:   maphash.MakeSeed(),
		runs:   newRuns(cfg.Timeout),
		states: make(states),
		sender: cfg.Key.Sender(answerPurpose, key.Text, cfg.Seal),
		opener: cfg.Key.Opener(key.OpenerConfig{Purpose: statusPurpose, Form: key.JSON, Sessions: maxRuns, Repeats: true}),
		times:  cfg.Key.Opener(key.OpenerConfig{Purpose: timePurpose, Form: key.Text, Sessions: maxRuns, Repeats: true}),
		finish: func() {},
	}
	c.summary.ClientID = cfg.ID
	c.watchdog, c.asker = time.NewTimer(time.Hour), time.NewTimer(time.Hour)
	c.lookIn(time.Now(), c.runs.none())
	return c
}

// ID returns the client's name.
func (c *Client) ID() string { return c.cfg.ID }

// Addr returns the address that the client receives on.
func (c *Client) Addr() netip.AddrPort {
	return service.AddrOf(c.conn.LocalAddr())
}

// Close closes the sockets, which ends a Run with net.ErrClosed. It is idempotent.
func (c *Client) Close() error {
	return service.Close(c.receiver, c.answers, c.conn, c.ackConn)
}

// Run receives until ctx, MaxRuntime or MaxMessages ends it, and returns nil. It returns an error
// if the client is closed or ran before; that of a closed one satisfies net.ErrClosed.
func (c *Client) Run(ctx context.Context) error {
	now, err := c.life.Begin("client", "Client")
	if err != nil {
		return err
	}
	ctx, cancel := service.Limit(ctx, c.cfg.MaxRuntime)
	defer cancel()
	c.mu.Lock()
	c.began, c.finish = now, cancel
	c.lookIn(now, c.runs.none())
	c.mu.Unlock()

	protection, _ := c.cfg.Key.Protection(c.cfg.Seal)
	c.emit(StartEvent{At: now, ClientID: c.cfg.ID, Listen: c.Addr(), Receiver: c.cfg.Receiver, ReadBuffer: c.summary.ReadBuffer, Key: protection})
	var watch sync.WaitGroup
	watch.Go(func() { c.watch(ctx) })
	if !c.cfg.NoRepair || !c.cfg.NoAck {
		// What the client has asked for comes to the socket that it asked from. That it cannot be
		// read is no reason to end: the messages are reported missing then.
		watch.Go(func() { _ = c.answers.Receive(ctx, c.ackConn, c.handleAnswer) })
	}
	err = c.receiver.Receive(ctx, c.conn, c.handle)
	ended := ctx.Err() != nil
	cancel()
	watch.Wait()
	c.events.Lock()
	c.tellRefused(c.refused.Rest)
	c.tellForgotten(0)
	c.giveUp()
	c.events.Unlock()
	c.emit(c.Stats())
	if ended {
		return nil
	}
	return fmt.Errorf("the client cannot receive any more: %w", err)
}

func (c *Client) emit(e Event) {
	c.events.Lock()
	defer c.events.Unlock()
	c.tell(e)
}

// tellRefused tells what is due of refused datagrams, with events held.
func (c *Client) tellRefused(due func(now time.Time) []service.Refused) {
	c.mu.Lock()
	told := due(time.Now())
	c.mu.Unlock()
	for _, r := range told {
		c.tell(RefusedEvent(r))
	}
}

// tell calls OnEvent, with events held.
func (c *Client) tell(e Event) {
	if c.cfg.OnEvent != nil {
		c.cfg.OnEvent(e)
	}
}

// handle takes one datagram of the shared port.
func (c *Client) handle(d Datagram) { c.handleAt(d, c.listen) }

// handleAnswer takes one datagram of the client's own port.
func (c *Client) handleAnswer(d Datagram) { c.handleAt(d, c.own) }

func (c *Client) handleAt(d Datagram, local netip.AddrPort) {
	c.events.Lock()
	defer c.events.Unlock()
	r := &c.taken
	r.local = local
	r.ok, r.ended, r.forgotten, r.done, r.gaps, r.ackErr, r.refused = false, false, false, false, nil, nil, nil
	c.take(d, r)
	for _, refused := range r.refused {
		c.tell(RefusedEvent(refused))
	}
	if !r.ok {
		return
	}
	if c.cfg.OnEvent != nil { // else each event would be made in vain
		for _, g := range r.gaps {
			c.cfg.OnEvent(GapEvent{Server: d.Source, Epoch: r.event.Epoch, From: g.from, To: g.to, At: d.Received})
		}
		c.cfg.OnEvent(r.event)
		if r.ackErr != nil {
			c.cfg.OnEvent(ErrorEvent{Err: r.ackErr, Text: r.ackErr.Error(), Peer: d.Source, At: d.Received})
		}
	}
	if r.ended {
		c.tell(EndEvent{Server: d.Source, Epoch: r.event.Epoch, LastID: r.event.MessageID, Said: true, At: d.Received})
	}
	if r.forgotten {
		c.tellForgotten(time.Minute)
	}
	if r.done {
		c.finish()
	}
}

// taken is what a datagram has brought.
type taken struct {
	ok               bool              // a message that had not been seen
	event            MessageEvent      // made only if there is an OnEvent
	gaps             []gap             // left out before it; the window's
	ackErr           error             // the first failure to acknowledge since the last success
	refused          []service.Refused // to be told
	ended, forgotten bool              // the server has said that it ends; runs had to be forgotten
	done             bool              // it was the last of MaxMessages
	local            netip.AddrPort    // where it came in
}

// take decodes, recognises, counts, remembers and acknowledges a message.
func (c *Client) take(d Datagram, r *taken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg.MaxMessages > 0 && c.summary.Received >= c.cfg.MaxMessages {
		c.heard(d, "after the last")
		return // came while Run was ending
	}
	if d.Truncated {
		c.summary.Truncated++
		r.refused = c.refused.Note(d.Source, errTooLong, d.Received)
		c.heardRefused(d, errTooLong)
		return
	}
	if len(d.Payload) <= timeSize+key.MaxOverhead {
		if t, ok := c.openTime(d); ok {
			c.takeTime(t, d, r)
			return
		}
	}
	content, err := c.opener.Open(d.Payload, d.Received)
	if err != nil {
		r.refused = c.refused.Note(d.Source, err, d.Received)
		c.heardRefused(d, err)
		return
	}
	m, err := c.decoder.decode(content)
	if err != nil {
		c.summary.Malformed++
		err = cmp.Or(key.Needed(content, key.JSON), err)
		r.refused = c.refused.Note(d.Source, err, d.Received)
		c.heardRefused(d, err)
		return
	}
	run, isNew := c.runs.of(m.epoch, d.Source, d.Received)
	if isNew {
		c.summary.Servers++
	}
	missing := run.missing()
	v, gaps := c.runs.observe(run, isNew, m.id, maphash.Bytes(c.seed, m.content), d.Received)
	r.forgotten = c.runs.forgotten > c.told
	if v == duplicate {
		c.summary.Duplicates++
		c.heard(d, saidDuplicate)
		return
	}
	repaired := len(run.holes) > 0 && run.fill(m.id, d.Received)
	c.heardMessage(d, v, repaired, gaps)
	if m.repair && m.epoch != 0 && !c.cfg.NoRepair && len(gaps) > 0 {
		gaps = run.await(gaps, m.id, d.Received)
	}
	for i := range run.holes {
		c.askBy(run.holes[i].at)
	}
	r.ok, r.gaps = true, gaps
	h := c.remember()
	h.length = uint8(copy(h.timestamp[:], m.timestamp))
	h.data = append(h.data[:0], m.data...)
	h.event = MessageEvent{
		MessageID:  m.id,
		State:      c.states.get(m.state),
		Server:     d.Source,
		ReceivedAt: d.Received,
		Epoch:      m.epoch,
		Late:       v == late && !repaired,
		Repaired:   repaired,
	}
	if sent, ok := c.sent.read(m.timestamp); ok {
		h.event.Latency, h.event.Clock = run.clock.latency(d.Received, sent)
		if h.event.Clock.Error > 0 || !m.clock || c.cfg.NoAck {
			c.latency.add(h.event.Latency)
		}
	}
	if !run.last.IsZero() {
		c.interval.add(d.Received.Sub(run.last))
	}
	if run.heard(d, m, v) {
		if timeout := run.timeout(c.cfg.Timeout); d.Received.Add(timeout).Before(c.wake) {
			c.lookIn(d.Received, timeout)
		}
	}
	r.ended = m.end
	c.summary.Received++
	if repaired {
		c.summary.Repaired++
	} else if v == late {
		c.summary.Late++
	}
	c.summary.Gaps += uint64(len(gaps))
	// No forged id makes it wrap: neither many gaps of the longest, nor one taken back.
	if now := run.missing(); now >= missing {
		c.summary.Missed = min(c.summary.Missed+now-missing, MaxMessageID)
	} else {
		c.summary.Missed -= min(c.summary.Missed, missing-now)
	}
	if c.cfg.OnEvent != nil {
		h.copyTo(&r.event)
		r.event.Datagram = d.Payload
	}
	r.ackErr = c.acknowledge(m, run, d)
	r.done = c.summary.Received == c.cfg.MaxMessages
}

// acknowledge answers a message, with mu held. Only a server that sent its epoch gets it back: the
// answer to any other is exactly the text of the original documents. It returns an error only if
// the answer before was sent.
func (c *Client) acknowledge(m *rawMessage, run *run, d Datagram) (err error) {
	if c.cfg.NoAck {
		return nil
	}
	to, ack := d.Source, Ack{ClientID: c.cfg.ID, MessageID: m.id, Epoch: m.epoch}
	if m.clock {
		ack.Clock = c.asked.ask(run, d.Received)
	}
	if err = udp.CheckPeer(to); err != nil {
		err = fmt.Errorf("%w: %v", err, to)
	} else if c.ackBuf, err = AppendAck(c.ackBuf[:0], ack); err == nil {
		_, err = c.ack(c.sender.Datagram(c.ackBuf), to)
	}
	if err == nil {
		c.summary.Acknowledged++
		c.ackFailing = false
		return nil
	}
	c.summary.AckErrors++
	if c.ackFailing {
		return nil
	}
	c.ackFailing = true
	return fmt.Errorf("cannot acknowledge message %d: %w", m.id, err)
}

// Stats returns the counters up to now.
func (c *Client) Stats() ClientSummary {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.summary
	sum.Forgotten = c.runs.forgotten
	sum.Untrusted = c.opener.Refused()
	sum.Latency = c.latency.distribution()
	sum.Interval = c.interval.distribution()
	if c.receiver != nil {
		sum.Dropped = c.receiver.Dropped()
		sum.KernelDropped = c.receiver.KernelDropped() + c.answers.KernelDropped()
	}
	sum.Runtime = c.life.Time()
	return sum
}
