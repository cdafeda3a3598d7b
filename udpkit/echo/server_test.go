package echo_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
)

// reached waits until a count is what it should be.
func reached(t testing.TB, want int, count func() uint64) {
	t.Helper()
	require.Eventually(t, func() bool { return count() >= uint64(want) }, patience, time.Millisecond)
	require.EqualValues(t, want, count())
}

// complete asserts that each datagram is in one of the counts.
func complete(t testing.TB, s echo.ServerStats) {
	t.Helper()
	assert.Equal(t, s.Received, s.Answered+s.Refused+s.Dropped+s.SendErrors, "%+v", s)
	assert.Zero(t, s.ReadErrors)
}

func TestServerEvents(t *testing.T) {
	events := make(chan echo.Event, 10)
	s, stop := newServer(t, echo.ServerConfig{OnEvent: func(e echo.Event) { events <- e }})
	client := listen(t, "127.0.0.1:0")
	texts := []string{"Hello", "World", ""}
	for _, text := range texts {
		write(t, client, text, s.Addr())
		got, from := read(t, client)
		assert.Equal(t, text, got)
		assert.Equal(t, s.Addr(), from)
	}
	var kept []echo.Event
	for range 2 * len(texts) {
		kept = append(kept, <-events)
	}
	for i, e := range kept {
		answered := i%2 == 1
		assert.Equal(t, map[bool]echo.Kind{false: echo.Received, true: echo.Answered}[answered], e.Kind)
		assert.Equal(t, texts[i/2], string(e.Payload))
		assert.Equal(t, addr(client), e.Peer)
		assert.WithinDuration(t, time.Now(), e.At, patience)
		assert.Equal(t, answered, e.Took > 0)
	}
	stop()
	assert.Equal(t, echo.ServerStats{Received: 3, Answered: 3}, s.Stats())
}

func TestServerEnds(t *testing.T) {
	s, err := echo.NewServer(echo.ServerConfig{Listen: anyPort})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(t.Context()) }()
	send(t, s.Addr(), "it runs")
	assert.ErrorContains(t, s.Run(t.Context()), "has run already")
	require.NoError(t, s.Close())
	assert.ErrorIs(t, <-ended, net.ErrClosed)

	r, err := echo.NewResponder(echo.ResponderConfig{Listen: anyPort})
	require.NoError(t, err)
	require.NoError(t, r.Close())
	assert.ErrorIs(t, r.Run(t.Context()), net.ErrClosed)

	r, err = echo.NewResponder(echo.ResponderConfig{Listen: anyPort})
	require.NoError(t, err)
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.NoError(t, r.Run(ctx))
}

func TestPortTaken(t *testing.T) {
	s, _ := newServer(t, echo.ServerConfig{})
	_, err := echo.NewServer(echo.ServerConfig{Listen: s.Addr()})
	if runtime.GOOS != "windows" {
		assert.ErrorIs(t, err, syscall.EADDRINUSE)
	}
	assert.ErrorContains(t, err, fmt.Sprintf("port %d is taken", s.Addr().Port()))
	assert.ErrorContains(t, err, "choose another")
}

// Twenty clients at once. Whether the server works on them one after the other is seen by what
// begins while nothing can end.
func TestOneOrManyAtATime(t *testing.T) {
	const clients = 20
	for mode, want := range map[echo.Mode]int{echo.Sequential: 1, echo.Concurrent: clients} {
		t.Run(string(mode), func(t *testing.T) {
			begun := make(chan netip.AddrPort, clients)
			r, stop := newResponder(t, echo.ResponderConfig{Mode: mode, Workers: clients, Work: time.Hour, OnEvent: func(e echo.Event) {
				if e.Kind == echo.Received {
					begun <- e.Peer
				}
			}})
			ctx, cancel := context.WithCancel(t.Context())
			loaded := make(chan error, 1)
			go func() {
				_, err := echo.Load(ctx, r.Addr(), clients, time.Hour)
				loaded <- err
			}()
			var peers []netip.AddrPort
			for range want {
				peers = append(peers, <-begun)
			}
			assert.Zero(t, r.Stats().Answered)
			slices.SortFunc(peers, netip.AddrPort.Compare)
			assert.Len(t, slices.Compact(peers), want, "each client has a port of its own")
			stop() // within 3 s, though the work takes an hour
			assert.Empty(t, begun)
			assert.EqualValues(t, want, r.Stats().Dropped)
			complete(t, r.Stats())
			cancel()
			assert.ErrorIs(t, <-loaded, context.Canceled)
		})
	}
}

// What the clients see of it.
func TestTwentyClients(t *testing.T) {
	const work = 20 * time.Millisecond
	took := map[echo.Mode]time.Duration{} // from the first question to the last answer
	for _, mode := range echo.Modes() {
		var peers []netip.AddrPort
		r, stop := newResponder(t, echo.ResponderConfig{Mode: mode, Work: work, OnEvent: func(e echo.Event) {
			if e.Kind == echo.Received {
				peers = append(peers, e.Peer)
			}
		}})
		exchanges, err := echo.Load(t.Context(), r.Addr(), 20, patience)
		require.NoError(t, err)
		require.Len(t, exchanges, 20)
		first, last := exchanges[0].Sent, exchanges[0].Answered
		for i, e := range exchanges {
			require.NoError(t, e.Err)
			assert.Equal(t, i, e.Client)
			assert.Equal(t, echo.Acknowledgement, string(e.Payload))
			assert.GreaterOrEqual(t, e.RTT(), work)
			if e.Sent.Before(first) {
				first = e.Sent
			}
			if e.Answered.After(last) {
				last = e.Answered
			}
		}
		took[mode] = last.Sub(first)
		stop()
		assert.EqualValues(t, 20, r.Stats().Answered)
		for _, peer := range peers {
			require.NoError(t, listen(t, peer.String()).Close(), "the clients' sockets are closed")
		}
		complete(t, r.Stats())
	}
	t.Log(took)
	assert.GreaterOrEqual(t, took[echo.Sequential], 20*work)
	assert.Less(t, took[echo.Concurrent], took[echo.Sequential])
}

// One is worked on, two wait, the rest is dropped and counted.
func TestQueueOverflow(t *testing.T) {
	begun, dropped := make(chan struct{}, 10), make(chan string, 10)
	r, stop := newResponder(t, echo.ResponderConfig{Workers: 1, Queue: 2, Work: time.Hour, OnEvent: func(e echo.Event) {
		switch e.Kind {
		case echo.Received:
			begun <- struct{}{}
		case echo.Dropped:
			dropped <- string(e.Payload)
		}
	}})
	client := listen(t, "127.0.0.1:0")
	write(t, client, "0", r.Addr())
	<-begun
	for i := range 5 {
		write(t, client, fmt.Sprint(i+1), r.Addr())
	}
	for _, text := range []string{"3", "4", "5"} {
		assert.Equal(t, text, <-dropped)
	}
	assert.EqualValues(t, 3, r.Stats().Dropped)
	stop()
	assert.Equal(t, echo.ServerStats{Received: 6, Dropped: 6}, r.Stats())
	assert.ElementsMatch(t, []string{"0", "1", "2"}, []string{<-dropped, <-dropped, <-dropped}, "each its own text")
}

// forge opens a server at, having sent it a datagram in the name of from, where the server to be
// opened next can stand.
func forge(t *testing.T, from string, to netip.AddrPort, text string) netip.AddrPort {
	t.Helper()
	conn := listen(t, from)
	defer conn.Close()
	write(t, conn, text, to)
	return addr(conn)
}

// Two echo servers that one forged datagram makes talk to each other (CVE-2024-2169) come to an
// end.
func TestLoopEnds(t *testing.T) {
	a, err := echo.NewServer(echo.ServerConfig{Listen: anyPort})
	require.NoError(t, err)
	b, err := echo.NewServer(echo.ServerConfig{Listen: forge(t, "127.0.0.1:0", a.Addr(), "loop")})
	require.NoError(t, err)
	stopA, stopB := start(t, a), start(t, b)
	reached(t, 1, func() uint64 { return a.Stats().Refused + b.Stats().Refused })
	stopA()
	stopB()
	// What one has answered the other has received: nothing is under way any more.
	assert.Equal(t, echo.ServerStats{Received: echo.DefaultLimit + 1, Answered: echo.DefaultLimit, Refused: 1}, a.Stats())
	assert.Equal(t, echo.ServerStats{Received: echo.DefaultLimit, Answered: echo.DefaultLimit}, b.Stats())
}

// Servers on one port number, as by default, do not even begin.
func TestLoopOfEqualPorts(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only 127.0.0.1 of 127/8 is there")
	}
	reasons := make(chan echo.Event, 1)
	a, err := echo.NewServer(echo.ServerConfig{Listen: anyPort, OnEvent: func(e echo.Event) {
		if e.Kind == echo.Refused {
			reasons <- e
		}
	}})
	require.NoError(t, err)
	from := forge(t, fmt.Sprint("127.0.0.2:", a.Addr().Port()), a.Addr(), "loop")
	stop := start(t, a)
	reached(t, 1, func() uint64 { return a.Stats().Refused })
	e := <-reasons
	assert.Equal(t, from, e.Peer)
	assert.ErrorContains(t, e.Err, "the server's own port")
	stop()
	assert.Equal(t, echo.ServerStats{Received: 1, Refused: 1}, a.Stats())
}

// A responder does not answer an answer, whether from another responder or from an echo server.
func TestResponderLoopEnds(t *testing.T) {
	for _, mode := range echo.Modes() {
		a, err := echo.NewResponder(echo.ResponderConfig{Listen: anyPort, Mode: mode})
		require.NoError(t, err)
		b, err := echo.NewResponder(echo.ResponderConfig{Listen: forge(t, "127.0.0.1:0", a.Addr(), "loop"), Mode: mode})
		require.NoError(t, err)
		stopA, stopB := start(t, a), start(t, b)
		reached(t, 1, func() uint64 { return b.Stats().Refused })
		stopA()
		stopB()
		assert.Equal(t, echo.ServerStats{Received: 1, Answered: 1}, a.Stats())
		assert.Equal(t, echo.ServerStats{Received: 1, Refused: 1}, b.Stats())

		a, err = echo.NewResponder(echo.ResponderConfig{Listen: anyPort, Mode: mode})
		require.NoError(t, err)
		e, err := echo.NewServer(echo.ServerConfig{Listen: forge(t, "127.0.0.1:0", a.Addr(), "loop")})
		require.NoError(t, err)
		stopA, stopB = start(t, a), start(t, e)
		reached(t, 1, func() uint64 { return a.Stats().Refused })
		stopA()
		stopB()
		assert.Equal(t, echo.ServerStats{Received: 2, Answered: 1, Refused: 1}, a.Stats())
		assert.Equal(t, echo.ServerStats{Received: 1, Answered: 1}, e.Stats())
	}
}

// What is refused is told at once, and the rest with its count in the end.
func TestRefusedIsTold(t *testing.T) {
	events := make(chan echo.Event, 100)
	s, err := echo.NewServer(echo.ServerConfig{Listen: anyPort, Limit: 1, OnEvent: func(e echo.Event) {
		if e.Kind == echo.Refused {
			events <- e
		}
	}})
	require.NoError(t, err)
	stop := start(t, s)
	busy := listen(t, "127.0.0.1:0")
	for range 12 {
		write(t, busy, "x", s.Addr())
	}
	reached(t, 11, func() uint64 { return s.Stats().Refused })
	stop()
	for _, count := range []uint64{1, 10} {
		e := <-events
		assert.Equal(t, count, e.Count)
		assert.Equal(t, busy.LocalAddr().(*net.UDPAddr).AddrPort(), e.Peer)
		assert.ErrorContains(t, e.Err, "share of answers")
	}
	assert.Empty(t, events)
}

// The limit is one source's; after a pause it is answered again.
func TestLimit(t *testing.T) {
	s, _ := newServer(t, echo.ServerConfig{Limit: 3})
	busy := listen(t, "127.0.0.1:0")
	for range 5 {
		write(t, busy, "x", s.Addr())
	}
	reached(t, 2, func() uint64 { return s.Stats().Refused })
	for range 3 {
		read(t, busy)
	}
	for range 3 { // one of them may share the count of busy, by chance
		write(t, listen(t, "127.0.0.1:0"), "y", s.Addr())
	}
	require.Eventually(t, func() bool { return s.Stats().Answered >= 5 }, patience, time.Millisecond)
	refused := time.Now()
	require.Eventually(t, func() bool {
		write(t, busy, "again", s.Addr())
		_ = busy.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, _, err := busy.ReadFromUDPAddrPort(make([]byte, 10))
		return err == nil
	}, patience, 50*time.Millisecond)
	assert.Greater(t, time.Since(refused), 500*time.Millisecond)
}
