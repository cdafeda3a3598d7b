package chat_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
)

const patience = 10 * time.Second

// log keeps events and lets a test wait for one.
type log struct {
	mu     sync.Mutex
	events []chat.Event
	more   chan struct{} // closed and renewed with each event
}

func newLog() *log { return &log{more: make(chan struct{})} }

func (l *log) on(e chat.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	close(l.more)
	l.more = make(chan struct{})
}

// wait returns the first event of a type that is as wanted.
func wait[E chat.Event](t *testing.T, l *log, is func(E) bool) E {
	t.Helper()
	timeout := time.After(patience)
	for {
		l.mu.Lock()
		events, more := l.events, l.more
		l.mu.Unlock()
		for _, e := range events {
			if e, ok := e.(E); ok && is(e) {
				return e
			}
		}
		select {
		case <-more:
		case <-timeout:
			var want E
			require.FailNow(t, "never came", "%T in %+v", want, events)
		}
	}
}

func anyOf[E chat.Event](E) bool { return true }

// server is one that runs beside the test.
type server struct {
	*chat.Server
	*log
	stop func() error
}

func newServer(t *testing.T, cfg chat.ServerConfig) *server {
	t.Helper()
	return newServerOn(t, cfg, func(chat.Event) {})
}

func newServerOn(t *testing.T, cfg chat.ServerConfig, on func(chat.Event)) *server {
	t.Helper()
	s := &server{log: newLog()}
	cfg.Listen = netip.MustParseAddrPort("127.0.0.1:0")
	cfg.OnEvent = func(e chat.Event) {
		s.on(e)
		on(e)
	}
	var err error
	s.Server, err = chat.NewServer(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		_ = s.stop()
		_ = s.Close()
	})
	return s
}

// peer is a client that is nothing but a connection, such as netcat.
type peer struct {
	t *testing.T
	*net.TCPConn
	lines *bufio.Scanner
}

// connect connects, and waits until the server has let it in.
func connect(t *testing.T, s *server) *peer {
	t.Helper()
	p := connectFrom(t, s, "127.0.0.1")
	p.expect("* you are " + p.addr())
	return p
}

func connectFrom(t *testing.T, s *server, source string) *peer {
	t.Helper()
	conn, err := net.DialTCP("tcp4", &net.TCPAddr{IP: net.ParseIP(source)}, net.TCPAddrFromAddrPort(s.Addr()))
	require.NoError(t, err)
	p := &peer{t, conn, bufio.NewScanner(conn)}
	p.lines.Buffer(nil, 1<<20)
	t.Cleanup(func() { _ = conn.Close() })
	return p
}

func (p *peer) addr() string { return p.LocalAddr().String() }

func (p *peer) send(text string) {
	p.t.Helper()
	_, err := io.WriteString(p, text)
	require.NoError(p.t, err)
}

// next returns the next line.
func (p *peer) next() string {
	p.t.Helper()
	require.NoError(p.t, p.SetReadDeadline(time.Now().Add(patience)))
	require.True(p.t, p.lines.Scan(), "the connection ended: %v", p.lines.Err())
	return p.lines.Text()
}

// expect returns the next line that contains the part, and checks that no other came but notices.
func (p *peer) expect(part string) string {
	p.t.Helper()
	for {
		line := p.next()
		if strings.Contains(line, part) {
			return line
		}
		require.True(p.t, strings.HasPrefix(line, "* "), "%.200q instead of %q", line, part)
	}
}

// ended reads what is left and checks that the server has closed the connection.
func (p *peer) ended() string {
	p.t.Helper()
	require.NoError(p.t, p.SetReadDeadline(time.Now().Add(patience)))
	var rest strings.Builder
	for p.lines.Scan() {
		fmt.Fprintln(&rest, p.lines.Text())
	}
	require.NotErrorIs(p.t, p.lines.Err(), context.DeadlineExceeded)
	var timeout net.Error
	require.False(p.t, errors.As(p.lines.Err(), &timeout) && timeout.Timeout(), "the connection is still open")
	return rest.String()
}

func TestToAllButTheSender(t *testing.T) {
	s := newServer(t, chat.ServerConfig{})
	ann, bob, eve := connect(t, s), connect(t, s), connect(t, s)
	ann.send("hello\n")
	for _, p := range []*peer{bob, eve} {
		assert.Equal(t, ann.addr()+": hello", p.expect("hello"))
	}
	bob.send("hi\r\n")
	assert.Equal(t, bob.addr()+": hi", ann.expect(": hi"), "and nothing that ann said herself")
	eve.expect(": hi")
	require.NoError(t, s.Say("welcome"))
	for _, p := range []*peer{ann, bob, eve} {
		assert.Equal(t, "server: welcome", p.expect("welcome"))
	}
	m := wait(t, s.log, func(e chat.MessageEvent) bool { return e.Text == "hi" })
	assert.Equal(t, bob.addr(), m.From)
	assert.Equal(t, bob.addr(), m.Client.String())
	stats := s.Stats()
	assert.EqualValues(t, 3, stats.Accepted)
	assert.EqualValues(t, 2, stats.Messages)
	assert.EqualValues(t, 1, stats.Said)
}

func TestMessageWithoutNewline(t *testing.T) {
	s := newServer(t, chat.ServerConfig{Pause: 50 * time.Millisecond})
	python, ann := connect(t, s), connect(t, s)
	python.send("no newline")
	assert.Equal(t, python.addr()+": no newline", ann.expect("no newline"))
	python.send("another")
	ann.expect("another")
}

func TestNames(t *testing.T) {
	s := newServer(t, chat.ServerConfig{Rate: 1000})
	ann, eve := connect(t, s), connect(t, s)
	ann.send("/name ann-ll\n")
	assert.Equal(t, fmt.Sprintf("* %s is now ann-ll", ann.addr()), eve.expect("is now"))
	ann.expect("is now")
	ann.send("hello\n")
	assert.Equal(t, "ann-ll: hello", eve.expect("hello"))

	for _, name := range []string{
		"ann-ll", "Ann-LL", "ann-1I", "an_nll", // taken, or looks like it
		"", "1st", "a b", "a:b", "* ann", "аnn", "a\u202eb", "a\x1b[2Jb", strings.Repeat("x", 25), "127.0.0.1:9",
		"server", "SERVER", "5erver", "ser-ver", // the operator's
	} {
		eve.send("/name " + name + "\n")
		answer := eve.expect("not accepted")
		assert.NotContains(t, answer, "\x1b")
	}
	assert.Empty(t, s.Who()[1].Name)

	eve.send("/name eve\n")
	eve.expect("is now eve")
	ann.send("/name annette\n")
	assert.Contains(t, eve.expect("annette"), "ann-ll ("+ann.addr()+") is now annette")
	eve.send("/name ann-ll\n") // free again
	eve.expect("is now ann-ll")
	assert.Equal(t, []string{"annette", "ann-ll"}, []string{s.Who()[0].Name, s.Who()[1].Name})

	require.NoError(t, eve.Close())
	assert.Equal(t, fmt.Sprintf("* ann-ll (%s) left", eve.addr()), ann.expect(" left"))
	ann.send("/name ann-ll\n") // belonged to a connection that is gone
	ann.expect("is now ann-ll")
}

func TestWho(t *testing.T) {
	s := newServer(t, chat.ServerConfig{})
	var last *peer
	for i := range 30 {
		last = connect(t, s)
		last.send(fmt.Sprintf("/name person-%c\n", 'a'+i%26))
	}
	ann := connect(t, s)
	ann.send("/name ann\n/who\n")
	list := ann.expect("31 here:")
	for strings.Count(list, "127.0.0.1:") < 31 {
		line := ann.expect("")
		assert.LessOrEqual(t, len(line), 1024)
		list += line
	}
	assert.Contains(t, list, "ann ("+ann.addr()+")")
	ann.send("/frobnicate\n")
	ann.expect("no such command")
	assert.Zero(t, s.Stats().Messages, "commands are not for the others")
}

func TestLeaving(t *testing.T) {
	s := newServer(t, chat.ServerConfig{})
	ann, bob, eve := connect(t, s), connect(t, s), connect(t, s)
	bob.send("EXIT\n")
	assert.Equal(t, fmt.Sprintf("* %s left", bob.addr()), ann.expect(" left"))
	assert.NotContains(t, bob.ended(), ": exit")
	// Who sends a file and closes its side still gets what was under way.
	eve.send("last words\n")
	require.NoError(t, eve.CloseWrite())
	ann.expect("last words")
	assert.Equal(t, fmt.Sprintf("* %s left", eve.addr()), ann.expect(" left"))
	eve.ended()
	assert.EqualValues(t, 2, s.Stats().Left[chat.ReasonLeft])

	// One that cannot be reached any more is removed, and disturbs nobody.
	lost := connect(t, s)
	require.NoError(t, lost.SetLinger(0))
	require.NoError(t, lost.Close())
	assert.Contains(t, ann.expect(lost.addr()+" left"), "connection lost")
	require.NoError(t, s.Say("still here"))
	ann.expect("still here")
}

func TestServerEnds(t *testing.T) {
	s := newServer(t, chat.ServerConfig{})
	var peers []*peer
	for range 5 {
		peers = append(peers, connect(t, s))
	}
	require.NoError(t, s.Say("goodbye"))
	begun := time.Now()
	require.NoError(t, s.stop())
	assert.Less(t, time.Since(begun), time.Second)
	for _, p := range peers {
		assert.Contains(t, p.ended(), "server: goodbye\n* the server has ended\n")
		require.NoError(t, p.lines.Err(), "an orderly end")
	}
	var order []string
	for _, e := range s.events {
		if e, ok := e.(chat.LeaveEvent); ok {
			assert.Equal(t, chat.ReasonServerEnded, e.Reason)
			order = append(order, e.Client.String())
		}
	}
	for i, p := range peers {
		assert.Equal(t, p.addr(), order[i])
	}
	assert.Equal(t, "summary", s.events[len(s.events)-1].Kind())
	assert.ErrorIs(t, s.Say("too late"), net.ErrClosed)
	require.NoError(t, s.Close())

	// The port is free at once.
	again, err := chat.NewServer(chat.ServerConfig{Listen: s.Addr()})
	require.NoError(t, err)
	require.NoError(t, again.Close())
	require.ErrorIs(t, again.Run(t.Context()), net.ErrClosed)
}

// client runs one of ours beside the test.
func client(t *testing.T, cfg chat.ClientConfig) (*chat.Client, *log, func() error) {
	t.Helper()
	l := newLog()
	cfg.OnEvent = l.on
	c, err := chat.Dial(t.Context(), cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var result error
	go func() {
		defer close(done)
		result = c.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		_ = c.Close()
	})
	return c, l, func() error {
		select {
		case <-done:
			return result
		case <-time.After(patience):
			require.Fail(t, "the client does not end")
			return nil
		}
	}
}

// listener stands for a server that is not ours.
type listener struct {
	*net.TCPListener
	addr netip.AddrPort
}

func listen(t *testing.T) *listener {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return &listener{l, netip.MustParseAddrPort(l.Addr().String())}
}

func (l *listener) accept(t *testing.T) *net.TCPConn {
	t.Helper()
	require.NoError(t, l.SetDeadline(time.Now().Add(patience)))
	conn, err := l.AcceptTCP()
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func says(parts ...string) func(chat.MessageEvent) bool {
	return func(e chat.MessageEvent) bool {
		for _, p := range parts {
			if !strings.Contains(e.Text, p) {
				return false
			}
		}
		return true
	}
}

func TestClient(t *testing.T) {
	s := newServer(t, chat.ServerConfig{})
	ann, annLog, annEnded := client(t, chat.ClientConfig{Server: s.Addr(), Name: "ann"})
	wait(t, annLog, says("is now ann")) // from here on she hears who comes
	bob, bobLog, bobEnded := client(t, chat.ClientConfig{Server: s.Addr(), Name: "bob"})
	wait(t, annLog, says("is now bob"))
	require.NoError(t, ann.Send("hello bob"))
	assert.Equal(t, "ann: hello bob", wait(t, bobLog, says("hello")).Text)
	for _, bad := range []string{"", "  ", "two\nlines", strings.Repeat("x", chat.MaxLine+1), strings.Repeat("\x01", chat.MaxLine)} {
		assert.ErrorIs(t, ann.Send(bad), chat.ErrConfig, "%.10q", bad)
	}
	longest := strings.Repeat("ü", chat.MaxLine/2)
	require.NoError(t, ann.Send(longest))
	assert.Equal(t, "ann: "+longest, wait(t, bobLog, says("üü")).Text)

	// All that was sent before leaving arrives.
	for i := range 30 {
		require.NoError(t, ann.Send(fmt.Sprint("line ", i)))
	}
	require.NoError(t, ann.Leave())
	require.NoError(t, annEnded(), "left")
	wait(t, bobLog, says("line 29"))
	wait(t, bobLog, says("ann (", ") left"))
	assert.EqualValues(t, 32, ann.Stats().Sent)
	assert.Equal(t, "summary", annLog.events[len(annLog.events)-1].Kind())
	assert.Error(t, ann.Run(t.Context()), "once only")

	require.NoError(t, s.stop())
	assert.ErrorIs(t, bobEnded(), chat.ErrServerClosed)
	wait(t, bobLog, says("the server has ended"))
	_ = bob.Close()
	assert.ErrorIs(t, bob.Send("late"), net.ErrClosed)
}

func TestClientStops(t *testing.T) {
	s := newServer(t, chat.ServerConfig{})
	cancelled, err := chat.Dial(t.Context(), chat.ClientConfig{Server: s.Addr()})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	wait(t, s.log, anyOf[chat.JoinEvent])
	cancel()
	require.NoError(t, cancelled.Run(ctx))
	leave := wait(t, s.log, anyOf[chat.LeaveEvent])
	assert.Equal(t, chat.ReasonLeft, leave.Reason, "not lost")

	closed, err := chat.Dial(t.Context(), chat.ClientConfig{Server: s.Addr()})
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	require.NoError(t, closed.Close())
	assert.ErrorIs(t, closed.Run(t.Context()), net.ErrClosed)
}

func TestCannotConnect(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, err = chat.Dial(t.Context(), chat.ClientConfig{Server: netip.MustParseAddrPort(nobody)})
	require.ErrorContains(t, err, "cannot connect to the chat server at "+nobody)
	assert.ErrorContains(t, err, "is the server running")
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = chat.Dial(ctx, chat.ClientConfig{Server: netip.MustParseAddrPort(nobody)})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestConfig(t *testing.T) {
	for _, cfg := range []chat.ServerConfig{{MaxClients: -1}, {MaxPerAddress: -1}, {Queue: -1}, {Rate: -1}, {Pause: -1}, {IdleTimeout: -1}, {WriteTimeout: -1}} {
		_, err := chat.NewServer(cfg)
		assert.ErrorIs(t, err, chat.ErrConfig)
	}
	for _, cfg := range []chat.ClientConfig{
		{Name: "a b"}, {DialTimeout: -1}, {WriteTimeout: -1}, {Pause: -1}, {Server: netip.MustParseAddrPort("127.0.0.1:0")},
	} {
		_, err := chat.Dial(t.Context(), cfg)
		assert.ErrorIs(t, err, chat.ErrConfig)
	}
	s := newServer(t, chat.ServerConfig{})
	wait(t, s.log, anyOf[chat.StartEvent])
	_, err := chat.NewServer(chat.ServerConfig{Listen: s.Addr()})
	assert.ErrorIs(t, err, syscall.EADDRINUSE)
	assert.ErrorContains(t, err, "choose another port")
	assert.Error(t, s.Run(t.Context()), "runs once")
	for _, text := range []string{"", "a\nb", strings.Repeat("x", chat.MaxLine+1)} {
		assert.ErrorIs(t, s.Say(text), chat.ErrConfig)
	}
}
