package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

const (
	// Bounds of the pause between two attempts to register, which doubles each time.
	minRetry = 50 * time.Millisecond
	maxRetry = time.Second
	// leaving is how long a client waits for the answer when it takes leave, and insisting how
	// often it says so.
	leaving   = time.Second
	insisting = 100 * time.Millisecond
	// usualExpire is taken for ServerConfig.Expire until a server has told it.
	usualExpire = 15 * time.Second
)

// client is what readers and writers have in common: a socket, a registration, and events that are
// told one by one on a goroutine of their own.
type client struct {
	hello  relaywire.Frame // as it is sent; the cookie is the last that came
	role   Role
	onTell func(Event)
	room   int         // how long a datagram may be before it is signed
	opener *key.Opener // of the one who receives; nil: there is no key
	tape   Recorder    // nil for none

	life service.Life

	// Where to look for a server. Beside seek they do not change.
	candidates []*candidate
	resolver   *net.Resolver
	fixed      bool // there is one, with an IP address

	mu     sync.Mutex
	server netip.AddrPort // not valid if its address is not known yet
	conn   *net.UDPConn   // nil in a simulation, and until there is a server to turn to
	send   func(b []byte) // nil as long as conn
	closed bool
	turned chan struct{} // there is another conn, or it is closed
	linked chan struct{} // seek has something to look at
	since  time.Time     // when the server was turned to or lost
	away   bool          // there is no use in waiting for the server
	brief  string        // why it does not serve

	ended  chan struct{} // Run is over
	failed error         // why it must end
	stop   context.CancelCauseFunc
	wake   chan struct{} // there is something to do before the time that was set

	up         bool
	told       string    // the text of the last LinkEvent
	heard      time.Time // when a server was heard last
	asked      time.Time // when it was last asked for a sign of life
	expire     time.Duration
	retry      time.Duration // the next pause between attempts, 0: at once
	tried      time.Time
	answered   bool // a challenge was answered since
	trying     bool // a hello with a cookie was sent: a server may have taken us
	leaving    bool
	takenSince time.Time // zero: the name is not taken, as far as is known
	registered uint64
	malformed  uint64
	untrusted  key.Refused
	sender     *key.Sender // nil: there is no key
	refusals   service.Refusals
	judged     error // why the last datagram was refused, for a recording
	gone       bool  // the server has said goodbye, or does not know us

	queue  []Event
	queued chan struct{} // there are events
}

func newClient(role Role, servers []string, port uint16, resolver *net.Resolver, username string, onEvent func(Event)) (*client, error) {
	if err := CheckUsername(username); err != nil {
		return nil, err
	}
	if len(servers) == 0 {
		servers = []string{"127.0.0.1"}
	}
	candidates, err := parseCandidates(servers, cmp.Or(port, DefaultPort))
	if err != nil {
		return nil, err
	}
	c := &client{
		hello: relaywire.Frame{Kind: relaywire.Hello, ID: uint64(NewID()), Role: uint8(role), Name: username},
		role:  role, onTell: onEvent, expire: usualExpire,
		candidates: candidates, resolver: cmp.Or(resolver, net.DefaultResolver),
		turned: make(chan struct{}, 1), linked: make(chan struct{}, 1),
		ended: make(chan struct{}), wake: make(chan struct{}, 1), queued: make(chan struct{}, 1),
	}
	if addr, ok := candidates[0].addr(); ok && len(candidates) == 1 {
		c.server, c.fixed = addr, true
	}
	return c, nil
}

// open opens the socket, if the address of the server is known.
func (c *client) open() error {
	if !c.fixed {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.turn(c.server)
}

// actor is what differs between a reader and a writer. All but deliver are called with mu held.
type actor interface {
	// welcomed takes the confirmation of a registration.
	welcomed(f *relaywire.Frame, now time.Time)
	// take takes another datagram of the server that the client is registered with.
	take(f *relaywire.Frame, now time.Time)
	// settle acknowledges what has come, when no more datagrams are waiting, and always as a sign
	// of life.
	settle(always bool)
	// act does what is due and returns how long it can wait then.
	act(now time.Time) time.Duration
	// farewell fills in a leave datagram.
	farewell(f *relaywire.Frame)
	// deliver tells the events that are queued, until done.
	deliver(done <-chan struct{})
}

// run is Run without the summary, with the datagrams from receive.
func (c *client) run(ctx context.Context, a actor, receive func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.mu.Lock()
	c.stop = cancel
	start := StartEvent{At: time.Now(), Server: c.where(), Role: c.role, Username: c.hello.Name}
	if c.conn != nil {
		start.Local = service.AddrOf(c.conn.LocalAddr())
	}
	c.emit(start)
	c.mu.Unlock()

	var parts sync.WaitGroup
	delivered := make(chan struct{})
	parts.Go(func() { a.deliver(delivered) })
	acting, stopActing := context.WithCancel(ctx)
	var actors sync.WaitGroup
	actors.Go(func() { c.act(acting, a) })
	if !c.fixed {
		actors.Go(func() { c.seek(acting) })
	}
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	var served error
	var receiver sync.WaitGroup
	receiver.Go(func() {
		if served = receive(serving); served != nil {
			cancel(served)
		}
	})

	<-ctx.Done()
	stopActing()
	actors.Wait()
	close(delivered) // no event begins any more
	parts.Wait()
	if !errors.Is(context.Cause(ctx), net.ErrClosed) { // a closed socket cannot take leave
		c.leave(a)
	}
	stopServing()
	receiver.Wait()
	c.mu.Lock()
	c.tellRefused(c.refusals.Rest(time.Now()))
	rest := c.queue
	c.queue = nil
	c.mu.Unlock()
	for _, e := range rest { // what else there is comes too late
		if e, ok := e.(RefusedEvent); ok {
			c.tell(e)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.failed
	if err == nil {
		err = served
	}
	c.failed = err
	close(c.ended)
	return err
}

// refuse counts a datagram, and tells why it is refused, with mu held.
func (c *client) refuse(why error, now time.Time) {
	c.malformed++
	c.judged = why
	c.tellRefused(c.refusals.Note(c.server, why, now))
}

func (c *client) tellRefused(told []service.Refused) {
	for _, r := range told {
		c.emit(RefusedEvent(r))
	}
}

// fail ends the run with an error, with mu held; nil ends it well.
func (c *client) fail(err error) {
	if c.failed == nil {
		c.failed = err
	}
	if c.stop != nil {
		c.stop(nil)
	}
}

// poke has act look at what is due, with mu held.
func (c *client) poke() { signal(c.wake) }

// signal wakes whoever waits for c, which has room for one token.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// emit queues an event, with mu held.
func (c *client) emit(e Event) {
	c.queue = append(c.queue, e)
	signal(c.queued)
}

func (c *client) tell(e Event) {
	if c.onTell != nil {
		c.onTell(e)
	}
}

// down notes that no server serves the client, with mu held.
func (c *client) down(why string) {
	if c.up {
		c.up, c.retry, c.since = false, 0, time.Now()
		c.hello.Try++
		signal(c.linked)
	}
	if why != c.told {
		c.told = why
		c.emit(LinkEvent{Text: why, At: time.Now()})
	}
}

// handle takes a datagram that came by a socket. The caller calls settled when no more are waiting.
func (c *client) handle(a actor, b []byte, by *net.UDPConn) {
	now := time.Now()
	b, untrusted := c.opener.Open(b, now)
	f, err := relaywire.Parse(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case by != c.conn: // from a server that it has turned away from
		return
	case untrusted != nil:
		c.untrusted = c.opener.Refused()
		c.judged = untrusted
		c.tellRefused(c.refusals.Note(c.server, untrusted, now))
		return
	case err != nil:
		c.refuse(foreign(b), now)
		return
	case f.ID != c.hello.ID:
		c.refuse(errOther, now)
		return
	case f.Kind == relaywire.Welcome && c.role == RoleReader && f.Next > f.Last+1:
		c.refuse(errPlace, now)
		return
	}
	if c.gone = false; f.Kind == relaywire.Bye || f.Kind == relaywire.Reset {
		c.gone = true
	}
	c.heard = now
	switch f.Kind {
	case relaywire.Challenge:
		if c.up || c.answered || c.leaving {
			return
		}
		c.hello.Cookie = f.Cookie
		c.answered = true
		c.register(now)
	case relaywire.Refuse:
		if c.trying = false; c.up {
			return
		}
		c.turnedAway(&f, now)
	case relaywire.Reset, relaywire.Bye:
		why := fmt.Sprintf("the server at %v has begun anew; registering again", c.server)
		if f.Kind == relaywire.Bye {
			why = fmt.Sprintf("the server at %v has ended; waiting for it to come back", c.server)
			if !c.fixed {
				why = fmt.Sprintf("the server at %v has ended; looking for one that serves", c.server)
			}
			c.away = true
		}
		if c.up {
			c.down(why)
			c.poke()
		} else if c.leaving {
			c.poke()
		}
	case relaywire.Welcome:
		if c.up || f.Try != c.hello.Try { // an old one: things have changed since
			return
		}
		c.expire = min(max(f.Expire, time.Second), time.Hour)
		c.takenSince = time.Time{}
		c.up, c.told, c.asked = true, "", now
		c.registered++
		a.welcomed(&f, now)
		signal(c.linked)
		c.poke()
	default:
		if c.up {
			a.take(&f, now)
		}
	}
}

func (c *client) settled(a actor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up {
		a.settle(false)
	}
}

// turnedAway takes a refusal, with mu held.
func (c *client) turnedAway(f *relaywire.Frame, now time.Time) {
	reason := reasons[f.Reason]
	if reason != ReasonNameTaken {
		c.takenSince = time.Time{}
		c.unusable(fmt.Sprintf("the server at %v takes nobody now: %s", c.server, reason), "; still trying")
		return
	}
	// The one who has the name may be dead, or our own earlier run: then it is free soon.
	if c.takenSince.IsZero() {
		c.takenSince = now
	}
	patience := f.Expire + f.Expire/2 + time.Second
	if now.Sub(c.takenSince) > patience {
		c.fail(fmt.Errorf("%w: another %v is %s at %v; choose another name", ErrNameTaken, c.role, c.hello.Name, c.server))
		return
	}
	c.down(fmt.Sprintf("another %v is %s at %v; trying for %v, in case it is gone", c.role, c.hello.Name, c.server, patience))
}

// register sends a hello, with mu held.
func (c *client) register(now time.Time) {
	c.tried = now
	c.trying = c.trying || c.hello.Cookie != relaywire.Cookie{}
	c.say(c.hello.Append(nil))
}

// act does what is due, until ctx ends.
func (c *client) act(ctx context.Context, a actor) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-c.wake:
		}
		c.mu.Lock()
		pause := c.due(a, time.Now())
		c.mu.Unlock()
		timer.Reset(pause)
	}
}

// due does what is due and returns how long it can wait then, with mu held.
func (c *client) due(a actor, now time.Time) time.Duration {
	c.tellRefused(c.refusals.Due(now))
	if !c.up {
		if c.send == nil { // there is no server to turn to yet
			return maxRetry
		}
		if wait := c.tried.Add(c.retry).Sub(now); wait > 0 {
			return wait
		}
		c.retry = min(max(minRetry, 2*c.retry), maxRetry)
		c.answered = false
		c.register(now)
		if c.fixed && c.told == "" && c.retry == maxRetry {
			c.down(c.unanswered("yet"))
		}
		return c.retry
	}
	silent := now.Sub(c.heard)
	if silent > c.expire*3/5 {
		c.down(c.unanswered("for " + silent.Round(time.Second).String()))
		return 0
	}
	ping := c.expire / 5
	if wait := c.asked.Add(ping).Sub(now); wait <= 0 {
		c.asked = now
		c.say(relaywire.Begin(nil, relaywire.Ping, c.hello.ID))
		a.settle(true)
	}
	return max(time.Millisecond, min(a.act(now), c.asked.Add(ping).Sub(now)))
}

// leave takes leave of the server, and insists for a while.
func (c *client) leave(a actor) {
	c.mu.Lock()
	c.leaving = true
	f := relaywire.Frame{Kind: relaywire.Leave, ID: c.hello.ID}
	a.farewell(&f)
	c.mu.Unlock()
	for end := time.Now().Add(leaving); time.Now().Before(end); {
		c.mu.Lock()
		gone := c.gone || !c.up && !c.trying
		if !gone {
			c.say(f.Append(nil))
		}
		c.mu.Unlock()
		if gone {
			return
		}
		select { // an answer wakes
		case <-c.wake:
		case <-time.After(insisting):
		}
	}
}
