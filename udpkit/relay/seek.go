package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

const (
	// A server that says nothing is given up after unheard, one that says something but does not
	// take the client, as its log is slow, after heard.
	unheardPatience = time.Second
	heardPatience   = 5 * time.Second
	// A name is looked up every lookUpAgain at most, and a round of all addresses takes minRound at
	// least.
	lookUpAgain = 2 * time.Second
	minRound    = time.Second
	// maxFound is how many addresses of a name are tried.
	maxFound = 16
	// maxReasons is how many reasons are told why there is no server.
	maxReasons = 3
)

// ParseServers reads addresses of servers, separated by commas: each is HOST or HOST:PORT, and HOST
// a name or an IP address. An error wraps ErrConfig.
func ParseServers(text string) ([]string, error) {
	servers := strings.Split(text, ",")
	for i := range servers {
		servers[i] = strings.TrimSpace(servers[i])
	}
	_, err := parseCandidates(servers, DefaultPort)
	return servers, err
}

// candidate is where a server may be.
type candidate struct {
	host string
	port uint16

	asked time.Time // when the name was looked up last
	found []netip.AddrPort
	err   error
}

// String is it as it was typed, with the port.
func (p *candidate) String() string { return net.JoinHostPort(p.host, strconv.Itoa(int(p.port))) }

// addr returns the address if it is none that is to be looked up.
func (p *candidate) addr() (addr netip.AddrPort, ok bool) {
	ip, err := netip.ParseAddr(p.host)
	return netip.AddrPortFrom(ip.Unmap(), p.port), err == nil
}

func parseCandidates(servers []string, port uint16) ([]*candidate, error) {
	var candidates []*candidate
	for _, text := range servers {
		host, port, err := udp.SplitHost(text, port)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		case host == "":
			return nil, fmt.Errorf("%w: the host is missing", ErrConfig)
		case port == 0:
			return nil, fmt.Errorf("%w: port 0 is no port of a server", ErrConfig)
		}
		p := &candidate{host: host, port: port}
		if addr, ok := p.addr(); ok && udp.CheckPeer(addr) != nil {
			return nil, fmt.Errorf("%w: %v is not an address of a server", ErrConfig, addr)
		}
		candidates = append(candidates, p)
	}
	return candidates, nil
}

// lookUp looks the addresses up, unless that was done a moment ago. If it fails those that were
// found before stay.
func (p *candidate) lookUp(ctx context.Context, resolver *net.Resolver) {
	if addr, ok := p.addr(); ok {
		p.found = []netip.AddrPort{addr}
		return
	}
	if !p.asked.IsZero() && time.Since(p.asked) < lookUpAgain {
		return
	}
	ips, err := udp.LookUp(ctx, resolver, p.host)
	p.asked, p.err = time.Now(), err
	if err != nil {
		return
	}
	p.found = p.found[:0]
	for _, ip := range ips[:min(len(ips), maxFound)] {
		if addr := netip.AddrPortFrom(ip, p.port); udp.CheckPeer(addr) == nil {
			p.found = append(p.found, addr)
		} else {
			p.err = fmt.Errorf("the name %q has the address %v, which is none of a server", p.host, ip)
		}
	}
}

// where says where the servers may be, for a person.
func (c *client) where() string {
	texts := make([]string, len(c.candidates))
	for i, p := range c.candidates {
		texts[i] = p.String()
	}
	return strings.Join(texts, ", ")
}

// found returns which server it is, if there was a choice, with mu held.
func (c *client) found() netip.AddrPort {
	if c.fixed {
		return netip.AddrPort{}
	}
	return c.server
}

// turn has the client talk to a server from a new socket, with mu held.
func (c *client) turn(to netip.AddrPort) error {
	if c.closed {
		return net.ErrClosed
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return fmt.Errorf("the %v cannot open a socket to %v: %w", c.role, to, err)
	}
	_ = conn.SetReadBuffer(readBuffer) // the system may grant less, which costs datagrams and no messages
	if c.conn != nil {
		_ = c.conn.Close() // receive goes on with the new one
	}
	c.server, c.conn = to, conn
	send := recorded(c.tape, conn)
	c.send = func(b []byte) {
		// What is not sent is not answered, and sent again; see receive for what an error can tell.
		_ = send(b)
	}
	c.hello.Cookie, c.answered, c.trying, c.gone = [20]byte{}, false, false, false
	c.hello.Try++
	c.retry, c.tried = 0, time.Time{}
	c.poke()
	signal(c.turned)
	return nil
}

// Addr returns the local address, which changes when the client turns to another server. It is not
// valid before there is a server's address to turn to, see the Servers of the configuration.
func (c *client) Addr() netip.AddrPort {
	if conn := c.socket(); conn != nil {
		return service.AddrOf(conn.LocalAddr())
	}
	return netip.AddrPort{}
}

func (c *client) socket() *net.UDPConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// Close closes the socket, which ends a Run with net.ErrClosed. It is idempotent.
func (c *client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	signal(c.turned)
	if c.conn == nil {
		return nil
	}
	return service.Close(c.conn)
}

// seek turns to one server after another, until ctx ends: to the next when one does not serve the
// client, or not any more.
func (c *client) seek(ctx context.Context) {
	for ctx.Err() == nil {
		begun := time.Now()
		if why, served := c.round(ctx); !served && ctx.Err() == nil {
			c.mu.Lock()
			if !c.up {
				c.down(reasonsIn(why) + "; still trying")
			}
			c.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(begun.Add(minRound))):
		}
	}
}

// round tries all servers once, the one of before last. It ends early when one has served and has
// stopped to. It returns why none of them serves.
func (c *client) round(ctx context.Context) (why []string, served bool) {
	c.mu.Lock()
	last := c.server
	c.mu.Unlock()
	var tried []netip.AddrPort
	unknown := false
	try := func(to netip.AddrPort) bool {
		reason, served := c.try(ctx, to)
		tried, why = append(tried, to), append(why, reason)
		return served
	}
	for _, p := range c.candidates {
		p.lookUp(ctx, c.resolver)
		if p.err != nil {
			why, unknown = append(why, p.err.Error()), true
		}
		for _, to := range p.found {
			if to != last && !slices.Contains(tried, to) && try(to) {
				return nil, true
			}
		}
	}
	// A name that has another address now has given up the one of before.
	current := slices.ContainsFunc(c.candidates, func(p *candidate) bool { return slices.Contains(p.found, last) })
	if last.IsValid() && (current || unknown) && try(last) {
		return nil, true
	}
	return why, false
}

// reasonsIn returns reasons as a sentence, the same in whatever order the addresses were.
func reasonsIn(why []string) string {
	slices.Sort(why)
	if more := len(why) - maxReasons; more > 0 {
		why = append(why[:maxReasons], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(why, "; ")
}

// try turns to a server and waits until it has not served the client for too long, or not any more.
// It returns why, and whether the client was served at all.
func (c *client) try(ctx context.Context, to netip.AddrPort) (why string, served bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.registered
	if c.up {
		before-- // while a name was looked up, the one of before has come back
	} else if c.server != to || c.conn == nil {
		if err := c.turn(to); err != nil {
			return err.Error(), false
		}
	}
	c.away, c.since, c.brief = false, time.Now(), ""
	for ctx.Err() == nil {
		wait := c.patience(time.Now())
		if wait <= 0 {
			break
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-c.linked:
		case <-time.After(wait):
		}
		c.mu.Lock()
	}
	if c.brief == "" {
		c.brief = c.silence()
	}
	return c.brief, c.registered > before
}

// patience returns how long it is still worth waiting for the server, with mu held.
func (c *client) patience(now time.Time) time.Duration {
	switch {
	case c.up:
		return time.Hour
	case c.away:
		return 0
	case c.heard.After(c.since):
		return c.heard.Add(heardPatience).Sub(now)
	}
	return c.since.Add(unheardPatience).Sub(now)
}

// unusable notes, with mu held, that the server cannot be used now. If it is the only one, or was
// in use, that is told at once.
func (c *client) unusable(brief, advice string) {
	c.away, c.brief = true, brief
	switch {
	case c.fixed:
		c.down(brief + advice)
	case c.up:
		c.down(brief + "; still trying") // as seek tells it, if there is no other
	}
	signal(c.linked)
}

// receive takes datagrams from one socket after another, until ctx ends. It calls opened with each
// reader.
func (c *client) receive(ctx context.Context, a actor, cfg udp.ReaderConfig, opened func(*udp.Reader)) error {
	defer context.AfterFunc(ctx, func() {
		if conn := c.socket(); conn != nil {
			_ = conn.SetReadDeadline(time.Unix(1, 0))
		}
	})()
	for {
		c.mu.Lock()
		conn, closed := c.conn, c.closed
		c.mu.Unlock()
		if conn == nil && !closed {
			select {
			case <-ctx.Done():
				return nil
			case <-c.turned:
			}
			continue
		}
		err := net.ErrClosed
		if !closed {
			err = c.receiveFrom(ctx, conn, a, cfg, opened)
		}
		if ctx.Err() != nil {
			return nil
		}
		if c.socket() == conn {
			return fmt.Errorf("the %v cannot go on: %w", c.role, err)
		}
	}
}

// receiveFrom takes datagrams from a socket until ctx ends or the socket fails.
func (c *client) receiveFrom(ctx context.Context, conn *net.UDPConn, a actor, cfg udp.ReaderConfig, opened func(*udp.Reader)) error {
	reader, err := udp.NewReader(conn, cfg)
	if err != nil {
		return err
	}
	opened(reader)
	var failures udp.Failures
	for {
		for d := reader.Next(); d != nil; d = reader.Next() {
			if d.Truncated {
				c.mu.Lock()
				c.refuse(errTooLong, time.Now())
				c.mu.Unlock()
			} else {
				c.handle(a, d.Payload, conn)
			}
			c.heardFrom(conn, d)
		}
		c.settled(a)
		err := reader.Read(true)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			failures.Over()
			continue
		}
		c.failing(err, conn)
		if !udp.Refused(err) && !failures.Rest(ctx, err) { // that is an answer to what was sent, once for each
			return err
		}
	}
}

// failing says why nothing can be received from a socket. While the client is registered it waits
// for the silence that follows, which may be short enough to do no harm.
func (c *client) failing(err error, from *net.UDPConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.conn != from: // it has turned away from it
	case udp.Refused(err):
		c.gone = true
		c.unusable(fmt.Sprintf("nothing listens at %v", c.server), ": is the server running, and are address and port right? It goes on trying")
		c.poke()
	case !c.up && !errors.Is(err, net.ErrClosed):
		c.unusable(fmt.Sprintf("cannot receive: %v", err), "; still trying")
	}
}
