package udpkit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// ErrNoAnswer means that no server with the key is heard, or that it does not answer.
var ErrNoAnswer = errors.New("no answer")

const (
	// answerTime is how long an answer is waited for, and firstAgain the first pause before a
	// command is sent again; each pause is twice as long as the one before.
	answerTime = 5 * time.Second
	firstAgain = 100 * time.Millisecond
)

// ControlConfig configures a Control. It is copied.
type ControlConfig struct {
	// Key is the server's. It is needed.
	Key *key.Ring
	// Seal has the commands encrypted too. The server decides for its replies.
	Seal bool
	// Server is where the server is. With port 0 the Control listens for the server of that host,
	// and without an address for the only one. It hears what is sent to this machine by IPv4; of
	// what is sent to no broadcast address, a client that shares the port may hear it instead.
	Server netip.AddrPort
	// Port is the UDP port that servers broadcast to. Default DefaultPort.
	Port uint16
	// Timeout is how long to listen for a server, at most. Default 15 s, three times
	// DefaultInterval.
	Timeout time.Duration
}

// Control is a remote hand: it asks a server that has a key, and tells it what to do. A command
// that is not answered is sent again for 5 s, and executed once. Its methods are safe for
// concurrent use; one waits for another.
type Control struct {
	server netip.AddrPort
	epoch  Epoch
	conn   *net.UDPConn

	mu       sync.Mutex
	receiver Receiver
	sender   *key.Sender
	opener   *key.Opener
}

// NewControl finds the server. To hear whether there are several, it listens for one more interval
// of the first that it hears, unless the configuration has the server's port. An error wraps
// ErrConfig, also if there are several servers; ErrNoAnswer; or is the context's, or the system's
// for a socket. The caller closes the Control.
func NewControl(ctx context.Context, cfg ControlConfig) (*Control, error) {
	if cfg.Key == nil {
		return nil, fmt.Errorf("%w: a Control needs the server's Key", ErrConfig)
	}
	if cfg.Timeout < 0 {
		return nil, fmt.Errorf("%w: Timeout cannot be negative", ErrConfig)
	}
	cfg.Port = cmp.Or(cfg.Port, DefaultPort)
	cfg.Timeout = cmp.Or(cfg.Timeout, 3*DefaultInterval)
	receiver, err := NewReceiver(Blocking, ReceiverConfig{BufferSize: MaxMessageSize + 1})
	if err != nil { // it does not happen: the configuration is right
		return nil, err
	}
	c := &Control{
		server: cfg.Server, receiver: receiver,
		sender: cfg.Key.Sender(answerPurpose, key.Text, cfg.Seal),
		opener: cfg.Key.Opener(key.OpenerConfig{Purpose: replyPurpose, Form: key.Text, Sessions: maxRuns}),
	}
	if cfg.Server.Port() == 0 {
		if err := c.find(ctx, cfg); err != nil {
			return nil, err
		}
	}
	own := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	if c.server.Addr().Unmap().Is6() {
		own = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	if c.conn, err = udp.Listen(ctx, own, udp.Options{NoBroadcast: true}); err != nil {
		return nil, fmt.Errorf("cannot open a socket for commands: %w", err)
	}
	if c.epoch == 0 {
		status, err := c.Status(ctx)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.epoch = status.Epoch
	}
	return c, nil
}

// Server returns the server's address.
func (c *Control) Server() netip.AddrPort { return c.server }

// Close closes the socket. It is idempotent.
func (c *Control) Close() error { return service.Close(c.receiver, c.conn) }

// Status asks the server what it says of itself. An error wraps ErrNoAnswer, or is the context's.
func (c *Control) Status(ctx context.Context) (ControlStatus, error) {
	return c.tell(ctx, verbStatus, "")
}

// State fixes the server's state, as Server.SetState does; "" or "auto" goes back to the cycle.
// Spaces around it are dropped. An error wraps ErrConfig or ErrNoAnswer, or is the context's.
func (c *Control) State(ctx context.Context, state State) (ControlStatus, error) {
	text := cmp.Or(strings.TrimSpace(string(state)), auto)
	if strings.EqualFold(text, auto) {
		text = auto
	}
	if err := State(text).check(); err != nil {
		return ControlStatus{}, err
	}
	return c.tell(ctx, verbState, text)
}

// Interval changes the server's interval, as Server.SetInterval does. An error wraps ErrConfig or
// ErrNoAnswer, or is the context's.
func (c *Control) Interval(ctx context.Context, interval time.Duration) (ControlStatus, error) {
	if err := checkInterval(interval); err != nil {
		return ControlStatus{}, err
	}
	return c.tell(ctx, verbInterval, interval.String())
}

// Stop ends the server: its next message, 100 ms after the one before at the earliest, says that it
// is the last, and Run returns nil after AckWait. An error wraps ErrNoAnswer, or is the context's.
func (c *Control) Stop(ctx context.Context) (ControlStatus, error) { return c.tell(ctx, verbStop, "") }

// tell sends a command that is answered with the status.
func (c *Control) tell(ctx context.Context, verb, argument string) (ControlStatus, error) {
	r, _, err := c.ask(ctx, verb, argument)
	if err != nil || r.Status == nil {
		return ControlStatus{}, err
	}
	return *r.Status, nil
}

// Clients returns the server's clients, ordered by id. They come in pages of about a dozen, one
// after the other, at most a page for three clients. An error wraps ErrNoAnswer, or is the
// context's.
func (c *Control) Clients(ctx context.Context) (clients []ControlClient, err error) {
	for range 3 { // somebody else may have asked for the list meanwhile
		if clients, err = c.clients(ctx); err == nil || err != refusal(errOtherList.Error()) {
			return clients, err
		}
	}
	return nil, err
}

func (c *Control) clients(ctx context.Context) (clients []ControlClient, err error) {
	argument := ""
	var list Epoch
	for page, pages := 1, 1; page <= pages; page++ {
		if page > 1 {
			argument = pageArgument(page, list)
		}
		r, nonce, err := c.ask(ctx, verbClients, argument)
		if err != nil {
			return nil, err
		}
		if page == 1 {
			list, pages = nonce, r.Pages
		}
		for _, text := range r.Page {
			var one ControlClient
			if err := json.Unmarshal(text, &one); err != nil {
				return nil, fmt.Errorf("the server's list of clients cannot be read: %w", err)
			}
			clients = append(clients, one)
		}
	}
	return clients, nil
}

// refusal is what a server says when it does not do what it is told.
type refusal string

func (r refusal) Error() string { return "the server has refused it: " + string(r) }

// ask sends a command until it is answered, and returns the reply and the nonce.
func (c *Control) ask(ctx context.Context, verb, argument string) (r reply, nonce Epoch, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := udp.CheckPeer(c.server); err != nil {
		return r, 0, fmt.Errorf("%w: %v is no server's address", ErrConfig, c.server)
	}
	text := command{nonce: NewEpoch(), epoch: c.epoch, verb: verb, argument: argument}
	content := text.append(nil, c.sender.Overhead())
	waiting, answered := context.WithTimeout(ctx, answerTime)
	defer answered()
	var (
		sending sync.WaitGroup
		failure error
		is      bool
	)
	sending.Go(func() {
		for pause := firstAgain; ; pause *= 2 {
			_, failure = c.conn.WriteToUDPAddrPort(c.sender.Datagram(content), c.server)
			select {
			case <-waiting.Done():
				return
			case <-time.After(pause):
			}
		}
	})
	err = c.receiver.Receive(waiting, c.conn, func(d Datagram) {
		if content, err := c.opener.Open(d.Payload, d.Received); err == nil && !is {
			if r, is = parseReply(content, text.nonce); is {
				answered()
			}
		}
	})
	early := waiting.Err() == nil
	answered()
	sending.Wait()
	switch {
	case is && r.Error != "":
		return r, text.nonce, refusal(r.Error)
	case is:
		return r, text.nonce, nil
	case ctx.Err() != nil:
		return r, 0, context.Cause(ctx)
	case early:
		return r, 0, fmt.Errorf("cannot receive any more: %w", err)
	case failure != nil:
		return r, 0, fmt.Errorf("%w: cannot send to %v: %w", ErrNoAnswer, c.server, failure)
	}
	why := "it has ended, or has another key or none"
	if refused := c.opener.Refused().String(); refused != "" {
		why = "what came was not signed by it: " + refused
	}
	return r, 0, fmt.Errorf("%w from %v within %v: %s", ErrNoAnswer, c.server, answerTime, why)
}

// find listens for the server.
func (c *Control) find(ctx context.Context, cfg ControlConfig) error {
	conn, err := udp.Listen(ctx, netip.AddrPortFrom(netip.IPv4Unspecified(), cfg.Port), udp.Options{Reuse: true})
	if err != nil {
		return fmt.Errorf("cannot listen for servers: %w", err)
	}
	defer conn.Close()
	listening, stop := context.WithTimeout(ctx, cfg.Timeout)
	defer stop()
	var (
		opener  = cfg.Key.Opener(key.OpenerConfig{Purpose: statusPurpose, Form: key.JSON, Sessions: maxRuns, Repeats: true})
		decoder decoder
		servers = make(map[Epoch]netip.AddrPort)
		once    sync.Once
		refused error
		by      netip.AddrPort
	)
	err = c.receiver.Receive(listening, conn, func(d Datagram) {
		if wanted := cfg.Server.Addr(); wanted.IsValid() && wanted.Unmap() != d.Source.Addr() {
			return
		}
		content, err := opener.Open(d.Payload, d.Received)
		if err != nil {
			refused, by = err, d.Source
			return
		}
		m, err := decoder.decode(content)
		if err != nil || m.epoch == 0 {
			return
		}
		if _, known := servers[m.epoch]; m.end {
			delete(servers, m.epoch)
		} else if !known && len(servers) < maxRuns { // what comes by several interfaces counts once
			servers[m.epoch] = d.Source
			once.Do(func() { time.AfterFunc(m.interval+firstAgain, stop) })
		}
	})
	listens := listening.Err() != nil
	switch all := slices.SortedFunc(maps.Values(servers), netip.AddrPort.Compare); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !listens:
		return fmt.Errorf("cannot listen for servers: %w", err)
	case len(all) == 1:
		for epoch, at := range servers {
			c.epoch, c.server = epoch, at
		}
		return nil
	case len(all) > 1:
		var list bytes.Buffer
		for _, at := range all[:min(len(all), 20)] {
			fmt.Fprintf(&list, " %v", at)
		}
		return fmt.Errorf("%w: %d servers with this key are heard; name one of%s", ErrConfig, len(all), &list)
	case refused != nil:
		return fmt.Errorf("%w: the server at %v is heard, but not believed: %w", ErrNoAnswer, by, refused)
	case cfg.Server.Addr().IsValid():
		return fmt.Errorf("%w: no server at %v is heard on port %d within %v; is it running, and does what it sends come here? HOST:PORT asks it at once",
			ErrNoAnswer, cfg.Server.Addr(), cfg.Port, cfg.Timeout)
	}
	return fmt.Errorf("%w: no server is heard on port %d within %v; is one running, and does what it sends come here?", ErrNoAnswer, cfg.Port, cfg.Timeout)
}
