package echo

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// DefaultTimeout is how long a client waits for a reply.
const DefaultTimeout = time.Second

var (
	// ErrTimeout means that no reply came in time.
	ErrTimeout = errors.New("no reply in time")
	// ErrNoServer means that nobody listens at the address.
	ErrNoServer = errors.New("nobody listens there")
	// ErrTooLarge means that the payload does not fit into one datagram.
	ErrTooLarge = errors.New("too large for a datagram")
)

// maxLine is the longest line that Lines reads, in bytes; of these it can send MaxPayload.
const maxLine = 1 << 20

// Reply is the answer to a datagram.
type Reply struct {
	// Payload is what came back, as it came. It is not escaped: display it through panel.Printable.
	// It is the caller's.
	Payload []byte
	// Sent is when the datagram was sent, RTT the time until the reply was here.
	Sent time.Time
	RTT  time.Duration
}

// ClientConfig configures a Client. The zero value works; it is copied.
type ClientConfig struct {
	// Server is the server's address. Default 127.0.0.1 and DefaultPort.
	Server netip.AddrPort
	// Timeout is how long to wait for each reply. Default DefaultTimeout.
	Timeout time.Duration
	// Record is told what the client sends and receives. Default: none.
	Record Recorder
}

// ClientStats is what a Client has counted. Sent is the sum of the others when no Send is running.
type ClientStats struct {
	Sent     uint64 `json:"sent"` // calls of Send
	Answered uint64 `json:"answered"`
	TimedOut uint64 `json:"timed_out"`
	Errors   uint64 `json:"errors"` // all others, such as ErrNoServer
	// Altered counts those of Answered whose reply was not what had been sent: the server is no
	// echo server, or cuts long datagrams.
	Altered uint64 `json:"altered"`
}

// Client sends datagrams to a server and waits for the reply to each. Its methods are safe for
// concurrent use.
type Client struct {
	cfg    ClientConfig
	closed context.Context
	close  context.CancelFunc

	mu    sync.Mutex
	stats ClientStats
}

// NewClient returns a client. An error wraps ErrConfig. The caller closes the client.
func NewClient(cfg ClientConfig) (*Client, error) {
	cfg.Server = orLoopback(cfg.Server, DefaultPort)
	if err := check(cfg.Server, cfg.Timeout); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg}
	c.closed, c.close = context.WithCancel(context.Background())
	return c, nil
}

// Server returns the server's address.
func (c *Client) Server() netip.AddrPort { return c.cfg.Server }

// Close ends all calls of Send, which return net.ErrClosed as later ones do. It is idempotent.
func (c *Client) Close() error {
	c.close()
	return nil
}

// Stats returns what was counted up to now.
func (c *Client) Stats() ClientStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// Send sends a datagram and waits for the reply, at most for the timeout. The payload may be empty,
// and have up to MaxPayload bytes. An error is ErrTimeout, ErrNoServer, ErrTooLarge, net.ErrClosed,
// the cause of the end of ctx, or the system's; after each of them the client can go on, but for
// net.ErrClosed.
//
// A reply to this datagram that comes after the timeout is not taken for the reply to another, see
// the package's documentation.
func (c *Client) Send(ctx context.Context, payload []byte) (Reply, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(c.closed, func() { cancel(fmt.Errorf("the client was closed: %w", net.ErrClosed)) })
	defer stop()
	if c.closed.Err() != nil {
		return Reply{}, fmt.Errorf("the client was closed: %w", net.ErrClosed)
	}
	r, err := send(ctx, c.cfg.Server, payload, c.cfg.Timeout, c.cfg.Record)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Sent++
	switch {
	case err == nil:
		c.stats.Answered++
		if !bytes.Equal(r.Payload, payload) {
			c.stats.Altered++
		}
	case errors.Is(err, ErrTimeout):
		c.stats.TimedOut++
	default:
		c.stats.Errors++
	}
	return r, err
}

// Lines sends each line of in, without its end, and calls report with the reply or the error, after
// which it goes on. It returns nil when ctx ends, at the line "exit" in whatever case, and at the
// end of in; else the error of reading in (bufio.ErrTooLong for a line of more than a mebibyte),
// that of report, or net.ErrClosed if the client is closed.
//
// A read of in that is waiting when ctx ends is left waiting.
func (c *Client) Lines(ctx context.Context, in io.Reader, report func(line string, r Reply, err error) error) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxLine)
	for {
		more := make(chan bool, 1)
		go func() { more <- scanner.Scan() }()
		select {
		case <-ctx.Done():
			return nil
		case ok := <-more:
			if !ok {
				return scanner.Err()
			}
		}
		line := scanner.Text()
		if strings.EqualFold(line, "exit") {
			return nil
		}
		r, err := c.Send(ctx, []byte(line))
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		}
		if err := report(line, r, err); err != nil {
			return err
		}
	}
}

// Send sends one datagram and waits for the reply, at most for the timeout; 0 means DefaultTimeout.
// For the errors see [Client.Send]; one about an argument wraps ErrConfig.
func Send(ctx context.Context, to netip.AddrPort, payload []byte, timeout time.Duration) (Reply, error) {
	return send(ctx, to, payload, timeout, nil)
}

// send is Send, with a tape that may be nil.
func send(ctx context.Context, to netip.AddrPort, payload []byte, timeout time.Duration, tape Recorder) (Reply, error) {
	if err := check(to, timeout); err != nil {
		return Reply{}, err
	}
	if len(payload) > MaxPayload {
		return Reply{}, fmt.Errorf("%d bytes are %w: it holds %d", len(payload), ErrTooLarge, MaxPayload)
	}
	conn, err := dial(ctx, to)
	if err != nil {
		return Reply{}, err
	}
	defer conn.Close()
	return exchange(ctx, conn, payload, timeout, tape)
}

// check returns an error that wraps ErrConfig.
func check(to netip.AddrPort, timeout time.Duration) error {
	// An unspecified address is this host, as the system sees it.
	if !to.IsValid() || !to.Addr().IsUnspecified() && udp.CheckPeer(to) != nil || to.Port() == 0 {
		return fmt.Errorf("%w: %v is not the address and port of a server", ErrConfig, to)
	}
	if timeout < 0 {
		return fmt.Errorf("%w: the timeout cannot be negative", ErrConfig)
	}
	return nil
}

// dial opens the socket of one exchange. It is connected to the server.
func dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err // opening does not wait, and so need not look
	}
	conn, err := new(net.Dialer).DialContext(ctx, "udp", to.String())
	if err != nil {
		return nil, fmt.Errorf("cannot open a socket for the server: %w", err)
	}
	_ = conn.(*net.UDPConn).SetWriteBuffer(writeBuffer) // if not, a long datagram fails with an error
	return conn, nil
}

// record records one of the two datagrams of an exchange.
func record(tape Recorder, conn net.Conn, at time.Time, payload []byte, sent bool) {
	if tape == nil {
		return
	}
	from, to := service.AddrOf(conn.RemoteAddr()), service.AddrOf(conn.LocalAddr())
	if sent {
		from, to = to, from
	}
	tape.Record(service.Recorded{At: at, From: from, To: to, Sent: sent, Payload: payload})
}

// exchange sends on a connected socket and waits for the reply.
func exchange(ctx context.Context, conn net.Conn, payload []byte, timeout time.Duration, tape Recorder) (Reply, error) {
	timeout = cmp.Or(timeout, DefaultTimeout)
	_ = conn.SetDeadline(time.Now().Add(timeout)) // fails for a closed socket only, as the next call tells
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-ended
		}
	}()
	buf := make([]byte, 65535)
	n := 0
	r := Reply{Sent: time.Now()}
	_, err := conn.Write(payload)
	if err == nil {
		record(tape, conn, r.Sent, payload, true)
		n, err = conn.Read(buf)
		r.RTT = time.Since(r.Sent)
	}
	if err == nil {
		record(tape, conn, r.Sent.Add(r.RTT), buf[:n], false)
	}
	to := conn.RemoteAddr()
	switch {
	case err == nil:
		r.Payload = bytes.Clone(buf[:n])
		return r, nil
	case ctx.Err() != nil:
		return Reply{}, context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Reply{}, fmt.Errorf("%w: nothing from %v for %v; it or the datagram was lost, or the server is absent or slow", ErrTimeout, to, timeout)
	case udp.Refused(err):
		return Reply{}, fmt.Errorf("%w: no server at %v; start it, or choose another address or port: %w", ErrNoServer, to, err)
	case errors.Is(err, syscall.EMSGSIZE):
		return Reply{}, fmt.Errorf("%d bytes are %w on this system: %w", len(payload), ErrTooLarge, err)
	}
	return Reply{}, fmt.Errorf("no exchange with %v: %w", to, err)
}
