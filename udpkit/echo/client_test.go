package echo_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
)

// listen opens a socket that the test answers from itself.
func listen(t testing.TB, at string) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

func addr(conn *net.UDPConn) netip.AddrPort { return conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func local(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

func read(t testing.TB, conn *net.UDPConn) (string, netip.AddrPort) {
	t.Helper()
	b := make([]byte, 65535)
	n, from, err := conn.ReadFromUDPAddrPort(b)
	require.NoError(t, err)
	return string(b[:n]), from
}

func write(t testing.TB, conn *net.UDPConn, text string, to netip.AddrPort) {
	t.Helper()
	_, err := conn.WriteToUDPAddrPort([]byte(text), to)
	require.NoError(t, err)
}

// A reply that comes too late, or twice, is not taken for the reply to another datagram, even if
// that is equal; nor is what another program sends.
func TestLateReply(t *testing.T) {
	server, stranger := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	c := newClient(t, addr(server), 50*time.Millisecond)
	_, err := c.Send(t.Context(), []byte("same"))
	require.ErrorIs(t, err, echo.ErrTimeout)
	assert.ErrorContains(t, err, addr(server).String())
	assert.ErrorContains(t, err, "50ms")
	_, first := read(t, server)
	require.NoError(t, listen(t, first.String()).Close(), "a late reply goes to a closed port, which others can open")

	c = newClient(t, addr(server), patience)
	last := first
	for i := range 3 {
		type result struct {
			echo.Reply
			error
		}
		done := make(chan result, 1)
		go func() {
			r, err := c.Send(t.Context(), []byte("same"))
			done <- result{r, err}
		}()
		text, from := read(t, server)
		assert.Equal(t, "same", text)
		write(t, server, "late", first)
		write(t, server, "duplicate", last)
		write(t, stranger, "forged", from)
		write(t, server, "right", from)
		write(t, server, "duplicate", from)
		r := <-done
		require.NoError(t, r.error)
		assert.Equal(t, "right", string(r.Payload), i)
		assert.Positive(t, r.RTT)
		last = from
	}
	assert.Equal(t, echo.ClientStats{Sent: 3, Answered: 3, Altered: 3}, c.Stats())
}

// What fails is reported, and the client goes on: a server that is absent, a lost reply, a line
// that is too long.
func TestLinesGoOn(t *testing.T) {
	server := listen(t, "127.0.0.1:0")
	at := addr(server)
	require.NoError(t, server.Close())
	c := newClient(t, at, 300*time.Millisecond)
	in, keyboard := io.Pipe()
	type line struct {
		text, reply string
		err         error
	}
	lines := make(chan line)
	ended := make(chan error, 1)
	go func() {
		ended <- c.Lines(t.Context(), in, func(text string, r echo.Reply, err error) error {
			lines <- line{text, string(r.Payload), err}
			return nil
		})
	}()
	enter := func(text string) line {
		_, err := io.WriteString(keyboard, text+"\n")
		require.NoError(t, err)
		return <-lines
	}
	l := enter("nobody")
	assert.ErrorIs(t, l.err, echo.ErrNoServer)
	assert.ErrorContains(t, l.err, "no server at "+at.String())

	server = listen(t, at.String())
	l = enter("lost")
	assert.ErrorIs(t, l.err, echo.ErrTimeout)
	text, _ := read(t, server)
	assert.Equal(t, "lost", text)
	require.NoError(t, server.Close())

	newServer(t, echo.ServerConfig{Listen: at})
	assert.Equal(t, line{"found", "found", nil}, enter("found"))
	assert.Equal(t, line{"exit ", "exit ", nil}, enter("exit \r"), "only the end of the line is cut")
	assert.ErrorIs(t, enter(strings.Repeat("x", 70_000)).err, echo.ErrTooLarge)
	assert.Equal(t, line{"", "", nil}, enter(""))
	assert.Equal(t, echo.ClientStats{Sent: 6, Answered: 3, TimedOut: 1, Errors: 2}, c.Stats())
	_, err := io.WriteString(keyboard, "eXiT\n")
	require.NoError(t, err)
	assert.NoError(t, <-ended)
}

func TestLinesEnd(t *testing.T) {
	s, _ := newServer(t, echo.ServerConfig{})
	c := newClient(t, s.Addr(), patience)
	nothing := func(string, echo.Reply, error) error { return nil }
	assert.NoError(t, c.Lines(t.Context(), strings.NewReader("no newline at the end"), nothing))
	assert.ErrorIs(t, c.Lines(t.Context(), strings.NewReader(strings.Repeat("x", 2<<20)), nothing), bufio.ErrTooLong)
	full := errors.New("the disk is full")
	assert.ErrorIs(t, c.Lines(t.Context(), strings.NewReader("a\nb\n"), func(string, echo.Reply, error) error { return full }), full)
	broken := errors.New("the keyboard is broken")
	assert.ErrorIs(t, c.Lines(t.Context(), io.MultiReader(strings.NewReader("a\n"), failing{broken}), nothing), broken)

	// While it waits for a line, and while it waits for a reply.
	in, keyboard := io.Pipe()
	defer keyboard.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Lines(ctx, in, nothing) }()
	cancel()
	assert.NoError(t, <-ended)

	silent := listen(t, "127.0.0.1:0")
	c = newClient(t, addr(silent), time.Hour)
	ctx, cancel = context.WithCancel(t.Context())
	go func() { ended <- c.Lines(ctx, strings.NewReader("a\nb\n"), nothing) }()
	read(t, silent)
	cancel()
	assert.NoError(t, <-ended)

	go func() { ended <- c.Lines(t.Context(), strings.NewReader("a\nb\n"), nothing) }()
	read(t, silent)
	require.NoError(t, c.Close())
	assert.ErrorIs(t, <-ended, net.ErrClosed)
	_, err := c.Send(t.Context(), nil)
	assert.ErrorIs(t, err, net.ErrClosed)
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

func TestSendEnds(t *testing.T) {
	silent := listen(t, "127.0.0.1:0")
	why := errors.New("the user has gone home")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := echo.Send(ctx, addr(silent), []byte("x"), time.Hour)
		ended <- err
	}()
	read(t, silent)
	cancel(why)
	assert.ErrorIs(t, <-ended, why)
	_, err := echo.Send(ctx, addr(silent), nil, 0)
	assert.ErrorIs(t, err, why)
	_, err = echo.Load(ctx, addr(silent), 2, 0)
	assert.ErrorIs(t, err, why)

	ctx, cancel = context.WithCancelCause(t.Context())
	go func() {
		exchanges, err := echo.Load(ctx, addr(silent), 2, time.Hour)
		assert.Len(t, exchanges, 2)
		for i, e := range exchanges {
			assert.Equal(t, i, e.Client)
			assert.False(t, e.Sent.IsZero())
			assert.Zero(t, e.RTT())
			assert.ErrorIs(t, e.Err, why)
		}
		ended <- err
	}()
	read(t, silent)
	cancel(why)
	assert.ErrorIs(t, <-ended, why)
}

func TestBadArguments(t *testing.T) {
	for _, to := range []string{"127.0.0.1:0", "224.0.0.1:5", "255.255.255.255:5"} {
		_, err := echo.Send(t.Context(), netip.MustParseAddrPort(to), nil, 0)
		assert.ErrorIs(t, err, echo.ErrConfig, to)
		_, err = echo.Load(t.Context(), netip.MustParseAddrPort(to), 1, 0)
		assert.ErrorIs(t, err, echo.ErrConfig, to)
		_, err = echo.NewClient(echo.ClientConfig{Server: netip.MustParseAddrPort(to)})
		assert.ErrorIs(t, err, echo.ErrConfig, to)
	}
	_, err := echo.Send(t.Context(), netip.AddrPort{}, nil, 0)
	assert.ErrorIs(t, err, echo.ErrConfig)
	_, err = echo.NewClient(echo.ClientConfig{Timeout: -1})
	assert.ErrorIs(t, err, echo.ErrConfig)
	for _, n := range []int{0, -1, echo.MaxLoad + 1} {
		_, err = echo.Load(t.Context(), local(9), n, 0)
		assert.ErrorIs(t, err, echo.ErrConfig, n)
	}
	_, err = echo.NewServer(echo.ServerConfig{Limit: -1})
	assert.ErrorIs(t, err, echo.ErrConfig)
	for _, cfg := range []echo.ResponderConfig{
		{Workers: -1}, {Workers: 1025}, {Queue: -1}, {Queue: 4097}, {Work: -1}, {Limit: -1}, {Mode: "quantum"},
	} {
		_, err = echo.NewResponder(cfg)
		assert.ErrorIs(t, err, echo.ErrConfig, "%+v", cfg)
	}
	c, err := echo.NewClient(echo.ClientConfig{})
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:12345", c.Server().String())
}

// Any payload comes back as it was sent.
func TestPayloads(t *testing.T) {
	s, stop := newServer(t, echo.ServerConfig{})
	c := newClient(t, s.Addr(), patience)
	payload := make([]byte, echo.MaxPayload)
	for i := range payload {
		payload[i] = byte(i ^ i>>8)
	}
	sizes := []int{0, 1, 1024, 1025, 1472, 1473, 9217, echo.MaxPayload}
	for _, size := range sizes {
		r, err := c.Send(t.Context(), payload[:size])
		require.NoError(t, err, size)
		assert.True(t, bytes.Equal(payload[:size], r.Payload), size)
	}
	_, err := c.Send(t.Context(), make([]byte, echo.MaxPayload+1))
	assert.ErrorIs(t, err, echo.ErrTooLarge)
	assert.ErrorContains(t, err, "65508")
	assert.EqualValues(t, len(sizes), c.Stats().Answered)
	assert.Zero(t, c.Stats().Altered)
	stop()
	assert.EqualValues(t, len(sizes), s.Stats().Answered)
}

func TestIPv6(t *testing.T) {
	s, err := echo.NewServer(echo.ServerConfig{Listen: netip.MustParseAddrPort("[::1]:0")})
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	start(t, s)
	assert.Equal(t, "Hello", send(t, s.Addr(), "Hello"))
}

func FuzzEcho(f *testing.F) {
	s, _ := newServer(f, echo.ServerConfig{})
	c := newClient(f, s.Addr(), patience)
	for _, payload := range []string{"", "Hello", "\x00\xff", echo.Acknowledgement} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := c.Send(t.Context(), payload)
		if len(payload) > echo.MaxPayload {
			require.ErrorIs(t, err, echo.ErrTooLarge)
			return
		}
		require.NoError(t, err)
		require.True(t, bytes.Equal(payload, r.Payload))
	})
}

func FuzzLines(f *testing.F) {
	s, _ := newServer(f, echo.ServerConfig{})
	c := newClient(f, s.Addr(), patience)
	for _, in := range []string{"", "a\nb", "a\r\n\n\nExit\nb\n", "exit", "\nexit \n"} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		var want, got []string
		for line := range strings.Lines(in) {
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			if strings.ToLower(line) == "exit" {
				break
			}
			want = append(want, line)
		}
		if len(in) > 1000 || len(want) > 20 {
			return // one after the other, each takes its time
		}
		require.NoError(t, c.Lines(t.Context(), strings.NewReader(in), func(line string, r echo.Reply, err error) error {
			require.NoError(t, err)
			require.Equal(t, line, string(r.Payload))
			got = append(got, line)
			return nil
		}))
		require.Equal(t, want, got)
	})
}
