package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/tcp"
)

// ErrServerClosed is what Client.Run returns when the server has ended the connection in an orderly
// way.
var ErrServerClosed = errors.New("the server closed the connection")

// ClientConfig configures a Client. The zero value works; it is copied.
type ClientConfig struct {
	// Server is the server's address. Default 127.0.0.1 and DefaultPort.
	Server netip.AddrPort
	// Name is the name to ask for, see CheckName. A server that is not ours takes the request for a
	// message. Default: none, others see the address.
	Name string
	// DialTimeout is how long connecting may take. Default 5 s.
	DialTimeout time.Duration
	// WriteTimeout is how long the server may take nothing of what is sent to it. Default 10 s.
	WriteTimeout time.Duration
	// LostTimeout is what ServerConfig.LostTimeout is, for a server that has vanished.
	LostTimeout time.Duration
	// Pause is what ReaderConfig.Pause is, for a server that sends no newlines. Ours does, which
	// its first line tells. Default DefaultPause.
	Pause time.Duration
	// Secure protects the connection, see Secure and package keytls. It has DialTimeout too.
	// Default: none.
	Secure Secure
	// Record is told what goes through the connection as segments of TCP, rebuilt: see package
	// record. What is encrypted is recorded encrypted. Default: none.
	Record Recorder
	// OnEvent is called for each event, one call at a time, on the goroutine of Run. While it runs,
	// lines wait in the connection; if that takes too long, the server disconnects this client.
	OnEvent func(Event)
}

func (c ClientConfig) withDefaults() (ClientConfig, error) {
	if c.DialTimeout < 0 || c.WriteTimeout < 0 || c.Pause < 0 {
		return c, fmt.Errorf("%w: the times cannot be negative", ErrConfig)
	}
	if !c.Server.IsValid() {
		c.Server = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), DefaultPort)
	}
	if c.Server.Port() == 0 {
		return c, fmt.Errorf("%w: port 0 is no port of a server", ErrConfig)
	}
	if c.Name != "" {
		if err := CheckName(c.Name); err != nil {
			return c, err
		}
	}
	c.DialTimeout = cmp.Or(c.DialTimeout, 5*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.Pause = cmp.Or(c.Pause, DefaultPause)
	c.LostTimeout = cmp.Or(c.LostTimeout, DefaultLostTimeout)
	return c, checkLostTimeout(c.LostTimeout)
}

// Client is a connection to a server. Its methods are safe for concurrent use.
type Client struct {
	cfg   ClientConfig
	tcp   wire
	conn  net.Conn // what tcp carries
	lines *Reader
	life  service.Life

	sending sync.Mutex // one line at a time

	mu      sync.Mutex
	leaving bool
	summary ClientSummary
}

// Dial connects to the server and asks for the name. An error wraps ErrConfig, or is the system's,
// such as syscall.ECONNREFUSED, and says what to do. The caller closes the client.
func Dial(ctx context.Context, cfg ClientConfig) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: cfg.DialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", cfg.Server.String())
	if err != nil {
		advice := "is the server running, and are address and port right?"
		if failure := net.Error(nil); errors.As(err, &failure) && failure.Timeout() {
			advice = fmt.Sprintf("no answer within %v: is the address right, and does a firewall allow TCP port %d?", cfg.DialTimeout, cfg.Server.Port())
		}
		return nil, fmt.Errorf("cannot connect to the chat server at %v: %s (%w)", cfg.Server, advice, err)
	}
	c := &Client{cfg: cfg, tcp: recorded(cfg.Record, conn.(*net.TCPConn), true)}
	_ = tcp.FindVanished(conn.(*net.TCPConn), cfg.LostTimeout) // fails where the system has no such option
	if c.conn, err = cfg.secured(ctx, c.tcp); err != nil {
		return nil, err
	}
	c.lines = NewReader(c.conn, ReaderConfig{MaxLine: maxRelayed, Pause: cfg.Pause, KeepPause: true})
	if cfg.Name != "" {
		if err := c.write("/name " + cfg.Name); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	return c, nil
}

// Addr returns the client's own address, which the others see.
func (c *Client) Addr() netip.AddrPort { return service.AddrOf(c.conn.LocalAddr()) }

// Send sends a message to everybody else. A line that begins with / is a command for the server. An
// error wraps ErrConfig for a text that is no line; any other is final.
func (c *Client) Send(text string) error {
	text, err := checkLine(text)
	if err != nil {
		return err
	}
	if err := c.write(text); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.summary.Sent++
	return nil
}

func (c *Client) write(line string) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	err := c.conn.SetWriteDeadline(time.Now().Add(c.cfg.WriteTimeout))
	if err == nil {
		_, err = io.WriteString(c.conn, line+"\n")
	}
	if err != nil {
		// Half of the line may be out: nothing can follow it.
		_ = c.conn.Close()
		return fmt.Errorf("cannot send to the chat server at %v: %w", c.cfg.Server, err)
	}
	return nil
}

// Leave says that nothing more will be sent. Once the server has read all that was, it ends the
// connection, and Run returns nil.
func (c *Client) Leave() error {
	c.mu.Lock()
	c.leaving = true
	c.mu.Unlock()
	if err := closeWrite(c.conn); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("cannot leave the chat server at %v: %w", c.cfg.Server, err)
	}
	return nil
}

// Close ends the connection at once, which ends a Run with net.ErrClosed. It is idempotent.
func (c *Client) Close() error {
	if c.cfg.Secure == nil { // a secure one says goodbye when it closes
		_ = c.tcp.CloseWrite() // so that the server sees a client that left, not a lost one
	}
	return service.Close(c.conn)
}

// Run receives until ctx ends, or the server after Leave, and returns nil. If the server ends the
// connection by itself, it returns ErrServerClosed; a closed client returns net.ErrClosed, a broken
// connection the system's error. If that comes soon and the server has said nothing at all, the
// error asks for a key, and wraps io.EOF in the place of ErrServerClosed.
func (c *Client) Run(ctx context.Context) error {
	began, err := c.life.Begin("chat client", "Client")
	if err != nil {
		return err
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = c.Close()
	})
	c.tell(StartEvent{At: began, Local: c.Addr(), Server: c.cfg.Server, Name: c.cfg.Name, Secure: c.cfg.Secure != nil})
	err = c.receive()
	if !stop() {
		<-closed
	}
	c.tell(c.Stats())
	c.mu.Lock()
	leaving, heard := c.leaving, c.summary.Received > 0
	c.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, io.EOF) && leaving:
		return nil
	case !heard && c.cfg.Secure == nil && c.life.Time() < 2*handshaking && isCut(err): // as a server that has a key does
		return fmt.Errorf("disconnected from the chat server at %v before it said anything: does it want a key? Then give --key-file (%w)", c.cfg.Server, err)
	case errors.Is(err, io.EOF):
		return ErrServerClosed
	}
	return fmt.Errorf("disconnected from the chat server at %v: %w", c.cfg.Server, err)
}

// receive reports lines until the connection ends.
func (c *Client) receive() error {
	for {
		line, err := c.lines.Next()
		if err != nil {
			return err
		}
		c.mu.Lock()
		if c.summary.Received == 0 && strings.HasPrefix(line, welcome) {
			c.lines.cfg.Pause = -1
		}
		c.summary.Received++
		c.mu.Unlock()
		c.tell(MessageEvent{Text: line, At: time.Now()})
	}
}

func (c *Client) tell(e Event) {
	if c.cfg.OnEvent != nil {
		c.cfg.OnEvent(e)
	}
}

// Stats returns the counters up to now.
func (c *Client) Stats() ClientSummary {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.summary
	sum.Runtime = c.life.Time()
	return sum
}
