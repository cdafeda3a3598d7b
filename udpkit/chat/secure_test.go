package chat_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
	"github.com/gonb-labs/udp-notebooks/udpkit/key/keytls"
)

func newSecureServer(t *testing.T, cfg chat.ServerConfig) *server {
	t.Helper()
	cfg.Secure = keytls.Server(testenv.Ring(t, 1))
	return newServer(t, cfg)
}

// securePeer is a client with the key that is nothing but a connection.
type securePeer struct {
	net.Conn
	tcp   *net.TCPConn
	lines *bufio.Scanner
}

func connectSecure(t *testing.T, s *server) *securePeer {
	t.Helper()
	tcp := connectFrom(t, s, "127.0.0.1").TCPConn
	conn, err := keytls.Client(testenv.Ring(t, 1))(t.Context(), tcp)
	require.NoError(t, err)
	p := &securePeer{conn, tcp, bufio.NewScanner(conn)}
	p.expect(t, "* you are ")
	return p
}

func (p *securePeer) expect(t *testing.T, part string) string {
	t.Helper()
	require.NoError(t, p.SetReadDeadline(time.Now().Add(patience)))
	for p.lines.Scan() {
		if strings.Contains(p.lines.Text(), part) {
			return p.lines.Text()
		}
	}
	require.FailNow(t, "the connection ended", "%v", p.lines.Err())
	return ""
}

// proxy passes connections on to a server, and keeps what it sees.
type proxy struct {
	*listener
	mu   sync.Mutex
	seen bytes.Buffer
}

func (p *proxy) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.Write(b)
}

func (p *proxy) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// pass passes the next connection on.
func (p *proxy) pass(t *testing.T, s *server) {
	client := p.accept(t)
	there, err := net.Dial("tcp4", s.Addr().String())
	require.NoError(t, err)
	var copying sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, there}, {there, client}} {
		copying.Go(func() {
			_, _ = io.Copy(io.MultiWriter(p, way[1]), way[0])
			_ = way[1].(*net.TCPConn).CloseWrite()
		})
	}
	t.Cleanup(func() {
		_ = client.Close()
		_ = there.Close()
		copying.Wait()
	})
}

// TestSecure: with a key messages go both ways as without one, and who listens on the way sees none
// of them.
func TestSecure(t *testing.T) {
	for _, secure := range []bool{true, false} {
		cfg, way := chat.ServerConfig{}, chat.Secure(nil)
		if secure {
			cfg.Secure, way = keytls.Server(testenv.Ring(t, 1)), keytls.Client(testenv.Ring(t, 1))
		}
		s := newServer(t, cfg)
		p := &proxy{listener: listen(t)}
		passed := make(chan struct{})
		go func() {
			defer close(passed)
			p.pass(t, s)
		}()
		ann, annLog, annEnded := client(t, chat.ClientConfig{Server: p.addr, Name: "annabella", Secure: way})
		<-passed
		assert.Equal(t, secure, wait(t, annLog, anyOf[chat.StartEvent]).Secure)
		assert.Equal(t, secure, wait(t, s.log, anyOf[chat.StartEvent]).Secure)
		wait(t, annLog, says("is now annabella")) // from here on she hears who comes
		bob, bobLog, bobEnded := client(t, chat.ClientConfig{Server: s.Addr(), Name: "bob", Secure: way})
		wait(t, annLog, says("is now bob"))
		require.NoError(t, ann.Send("meet me at noon"))
		wait(t, bobLog, says("annabella: meet me at noon"))
		require.NoError(t, bob.Send("not before one"))
		wait(t, annLog, says("bob: not before one"))
		require.NoError(t, s.Say("lunch is ready"))
		wait(t, annLog, says("server: lunch is ready"))
		for _, part := range []string{"noon", "annabella", "before one", "lunch", "* you are"} {
			assert.Equal(t, secure, !strings.Contains(p.text(), part), part)
		}
		require.NoError(t, ann.Leave())
		require.NoError(t, annEnded())
		wait(t, bobLog, says("annabella", " left")) // else it might be on its way still
		require.NoError(t, bob.Close())
		assert.Error(t, bobEnded())
		require.Eventually(t, func() bool { return s.Stats().Left[chat.ReasonLeft] == 2 }, patience, time.Millisecond, "%v", s.Stats().Left)
		assert.Empty(t, s.Stats().Refused)
	}
}

// TestWrongKey: a client with another key neither joins nor is spoken to, and both sides are told.
func TestWrongKey(t *testing.T) {
	s := newSecureServer(t, chat.ServerConfig{})
	_, err := chat.Dial(t.Context(), chat.ClientConfig{Server: s.Addr(), Secure: keytls.Client(testenv.Ring(t, 2))})
	assert.ErrorIs(t, err, key.ErrForged)
	assert.ErrorContains(t, err, "it has another key")
	refused := wait(t, s.log, anyOf[chat.RefuseEvent])
	assert.Equal(t, chat.ReasonOtherKey, refused.Reason)
	assert.EqualValues(t, map[chat.Reason]uint64{chat.ReasonOtherKey: 1}, s.Stats().Refused)
	assert.Zero(t, s.Stats().Accepted)
}

// TestNoKey: a client without a key gets nothing from a server that has one.
func TestNoKey(t *testing.T) {
	s := newSecureServer(t, chat.ServerConfig{})
	nc := connectFrom(t, s, "127.0.0.1")
	nc.send("let me in\n")
	assert.Empty(t, nc.ended())
	assert.Equal(t, nc.addr(), wait(t, s.log, anyOf[chat.RefuseEvent]).Client.String())

	_, _, ended := client(t, chat.ClientConfig{Server: s.Addr(), Name: "ann"})
	err := ended()
	assert.NotErrorIs(t, err, chat.ErrServerClosed)
	assert.ErrorContains(t, err, "does it want a key? Then give --key-file")
	require.Eventually(t, func() bool { return s.Stats().Refused[chat.ReasonNoKey] == 2 }, patience, time.Millisecond)
	assert.Zero(t, s.Stats().Accepted+s.Stats().Messages)
}

// TestServerWithoutKey: a client with a key does not speak to a server without, and what it has
// sent to find out is no message.
func TestServerWithoutKey(t *testing.T) {
	s := newServer(t, chat.ServerConfig{})
	bob := connect(t, s)
	_, err := chat.Dial(t.Context(), chat.ClientConfig{Server: s.Addr(), Secure: keytls.Client(testenv.Ring(t, 1))})
	assert.ErrorIs(t, err, key.ErrUnsigned)
	assert.ErrorContains(t, err, "it speaks no TLS: was it started without --key-file?")
	bob.expect("left: " + string(chat.ReasonHasKey))
	assert.EqualValues(t, 1, s.Stats().Left[chat.ReasonHasKey])
	assert.Zero(t, s.Stats().Messages)

	silent := listen(t)
	_, err = chat.Dial(t.Context(), chat.ClientConfig{Server: silent.addr, DialTimeout: 100 * time.Millisecond, Secure: keytls.Client(testenv.Ring(t, 1))})
	assert.ErrorContains(t, err, "it has shown no key within 100ms")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestSilentConnections: those that say nothing count as connected, delay nobody, and are cut off.
func TestSilentConnections(t *testing.T) {
	s := newSecureServer(t, chat.ServerConfig{MaxPerAddress: 4})
	ann, bob := connectSecure(t, s), connectSecure(t, s)
	for range 2 {
		connectFrom(t, s, "127.0.0.1")
	}
	full := connectFrom(t, s, "127.0.0.1")
	assert.Empty(t, full.ended())
	assert.Equal(t, chat.ReasonSameSource, wait(t, s.log, anyOf[chat.RefuseEvent]).Reason)
	_, err := io.WriteString(ann, "still here\n")
	require.NoError(t, err)
	bob.expect(t, ": still here")
	assert.Zero(t, s.Stats().Refused[chat.ReasonNoProof], "nobody had to wait for them")
	require.Eventually(t, func() bool { return s.Stats().Refused[chat.ReasonNoProof] == 2 }, patience, time.Millisecond)
	connectSecure(t, s)
	assert.EqualValues(t, 3, s.Stats().Accepted)
}

// TestServerEndsWhileSomeoneIsSilent: no handshake holds it up.
func TestServerEndsWhileSomeoneIsSilent(t *testing.T) {
	s := newSecureServer(t, chat.ServerConfig{})
	silent := connectFrom(t, s, "127.0.0.1")
	ann := connectSecure(t, s) // so the other one was accepted
	begun := time.Now()
	require.NoError(t, s.stop())
	assert.Less(t, time.Since(begun), 3*time.Second)
	assert.Empty(t, silent.ended())
	ann.expect(t, "* the server has ended")
	assert.Empty(t, s.Stats().Refused)
}

// TestSecureStream: what holds for a connection holds for a secure one: pauses end messages without
// a newline, half a line of one that broke, or was cut by somebody on the way, is none, and who
// does not read is disconnected.
func TestSecureStream(t *testing.T) {
	s := newSecureServer(t, chat.ServerConfig{Pause: 20 * time.Millisecond, WriteTimeout: 200 * time.Millisecond, Queue: 1 << 16, Rate: 1e6})
	ann := connectSecure(t, s)
	paused := connectSecure(t, s)
	for range 3 {
		_, err := io.WriteString(paused, "no newline")
		require.NoError(t, err)
		ann.expect(t, ": no newline")
	}
	for name, cut := range map[string]func(*net.TCPConn) error{
		"reset": func(c *net.TCPConn) error {
			_ = c.SetLinger(0)
			return c.Close()
		},
		"ended by somebody on the way": (*net.TCPConn).CloseWrite,
	} {
		broken := connectSecure(t, s)
		_, err := io.WriteString(broken, "whole\nhalf")
		require.NoError(t, err)
		ann.expect(t, ": whole")
		require.NoError(t, cut(broken.tcp), name)
		assert.Contains(t, ann.expect(t, " left"), string(chat.ReasonLost), name)
	}
	assert.EqualValues(t, 5, s.Stats().Messages)

	stopped := connectSecure(t, s)
	require.NoError(t, stopped.tcp.SetReadBuffer(4096))
	line := strings.Repeat("x", chat.MaxLine) + "\n"
	for begun := time.Now(); s.Stats().Left[chat.ReasonSlow] == 0; { // until the kernel's buffers are full
		require.Less(t, time.Since(begun), 30*time.Second, "the stopped client is still there")
		require.NoError(t, s.Say(line[:chat.MaxLine]))
		ann.expect(t, ": xxx")
		paused.expect(t, ": xxx")
	}
	leave := wait(t, s.log, func(e chat.LeaveEvent) bool { return e.Reason == chat.ReasonSlow })
	assert.Equal(t, stopped.LocalAddr().String(), leave.Client.String())
}
