package udpkit

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testPollers are the pollers that work on this system; selector_unix_test.go adds to it.
var testPollers = map[string]func() (poller, error){"default": newPoller}

// selectorLimit is how long a test waits for what must happen; it is a limit and never a pause.
const selectorLimit = 30 * time.Second

// TestSelector runs each scenario against each poller.
func TestSelector(t *testing.T) {
	scenarios := []struct {
		name string
		run  func(*testing.T, *Selector)
	}{
		{"several sockets", selectSeveral},
		{"level-triggered", selectLevelTriggered},
		{"timeout", selectTimeout},
		{"TCP and UDP", selectTCPAndUDP},
		{"writable", selectWritable},
		{"pipe and its end", selectPipe},
		{"register errors", selectRegisterErrors},
		{"unregister", selectUnregister},
		{"unregister in callbacks", selectUnregisterInCallback},
		{"register in callback", selectRegisterInCallback},
		{"register while waiting", selectRegisterWhileWaiting},
		{"closed socket", selectClosedSocket},
		{"descriptor used again", selectDescriptorReuse},
		{"descriptor used again in callback", selectDescriptorReuseInCallback},
		{"cancel", selectCancel},
		{"cancel in callback", selectCancelInCallback},
		{"many contexts", selectManyContexts},
		{"close", selectClose},
		{"close while waiting", selectCloseWhileWaiting},
		{"close in callback", selectCloseInCallback},
		{"busy", selectBusy},
		{"panic in callback", selectPanic},
		{"many sockets", selectMany},
		{"no allocation", selectNoAllocation},
	}
	for _, scenario := range scenarios {
		t.Run(scenario.name, func(t *testing.T) {
			for name, newPoller := range testPollers {
				t.Run(name, func(t *testing.T) {
					poller, err := newPoller()
					require.NoError(t, err)
					s := newSelector(poller)
					defer s.Close()
					scenario.run(t, s)
				})
			}
		})
	}
}

// socket is a UDP socket with a peer that sends to it.
type socket struct {
	*net.UDPConn
	peer *net.UDPConn
	t    *testing.T
}

func newSocket(t *testing.T) socket {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	peer, err := net.DialUDP("udp4", nil, conn.LocalAddr().(*net.UDPAddr))
	require.NoError(t, err)
	t.Cleanup(func() { _ = peer.Close() })
	return socket{conn, peer, t}
}

func (s socket) send(payload string) {
	_, err := s.peer.Write([]byte(payload))
	assert.NoError(s.t, err)
}

func (s socket) read() string {
	buf := make([]byte, 100)
	assert.NoError(s.t, s.SetReadDeadline(time.Now().Add(selectorLimit)))
	n, err := s.Read(buf)
	assert.NoError(s.t, err)
	return string(buf[:n])
}

// selectOnce runs a Select that should call callbacks.
func selectOnce(t *testing.T, s *Selector, want int) {
	t.Helper()
	n, err := s.Select(t.Context(), selectorLimit)
	require.NoError(t, err)
	require.Equal(t, want, n)
}

// selectNothing runs a Select that should call none.
func selectNothing(t *testing.T, s *Selector) {
	t.Helper()
	n, err := s.Select(t.Context(), 0)
	require.NoError(t, err)
	require.Zero(t, n)
}

func ignore(Events) {}

func selectSeveral(t *testing.T, s *Selector) {
	var sockets []socket
	var got []string
	for range 3 {
		sock := newSocket(t)
		sockets = append(sockets, sock)
		require.NoError(t, s.Register(sock, Readable, func(events Events) {
			assert.Equal(t, Readable, events)
			got = append(got, sock.read())
		}))
	}
	selectNothing(t, s)
	sockets[1].send("one")
	selectOnce(t, s, 1)
	sockets[0].send("zero")
	sockets[2].send("two")
	selectOnce(t, s, 2)
	assert.ElementsMatch(t, []string{"one", "zero", "two"}, got)
	selectNothing(t, s)
}

func selectLevelTriggered(t *testing.T, s *Selector) {
	sock := newSocket(t)
	calls := 0
	require.NoError(t, s.Register(sock, Readable, func(Events) { calls++ }))
	sock.send("x")
	sock.send("y")
	for range 3 {
		selectOnce(t, s, 1) // as long as something is left to read
	}
	sock.read()
	selectOnce(t, s, 1)
	sock.read()
	selectNothing(t, s)
	assert.Equal(t, 4, calls)
}

func selectTimeout(t *testing.T, s *Selector) {
	sock := newSocket(t)
	require.NoError(t, s.Register(sock, Readable, ignore))
	for _, timeout := range []time.Duration{0, 1, 1500 * time.Microsecond, 10 * time.Millisecond} {
		start := time.Now()
		n, err := s.Select(t.Context(), timeout)
		require.NoError(t, err)
		assert.Zero(t, n)
		assert.GreaterOrEqual(t, time.Since(start), timeout, "never early")
	}
	sock.send("x")
	n, err := s.Select(t.Context(), 0)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	n, err = s.Select(t.Context(), -1)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	n, err = s.Select(t.Context(), 1<<62) // more than the systems take
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}

func selectTCPAndUDP(t *testing.T, s *Selector) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer listener.Close()
	sock := newSocket(t)
	var got []string
	require.NoError(t, s.Register(sock, Readable, func(Events) { got = append(got, "UDP "+sock.read()) }))
	var server *net.TCPConn
	require.NoError(t, s.Register(listener, Readable, func(Events) {
		server, err = listener.AcceptTCP()
		require.NoError(t, err)
		require.NoError(t, s.Register(server, Readable, func(events Events) {
			buf := make([]byte, 10)
			n, err := server.Read(buf)
			if err != nil {
				got = append(got, err.Error())
				require.NoError(t, s.Unregister(server))
				return
			}
			got = append(got, "TCP "+string(buf[:n]))
		}))
	}))
	client, err := net.DialTCP("tcp4", nil, listener.Addr().(*net.TCPAddr))
	require.NoError(t, err)
	selectOnce(t, s, 1)
	defer server.Close()
	_, err = client.Write([]byte("hello"))
	require.NoError(t, err)
	selectOnce(t, s, 1)
	sock.send("hello")
	selectOnce(t, s, 1)
	require.NoError(t, client.Close())
	selectOnce(t, s, 1) // hang-up is readable: the end of the stream
	assert.Equal(t, []string{"TCP hello", "UDP hello", "EOF"}, got)
	selectNothing(t, s)
}

func selectWritable(t *testing.T, s *Selector) {
	sock := newSocket(t)
	var events []Events
	require.NoError(t, s.Register(sock, Readable|Writable, func(e Events) { events = append(events, e) }))
	selectOnce(t, s, 1)
	sock.send("x")
	selectOnce(t, s, 1)
	require.NoError(t, s.Unregister(sock))
	require.NoError(t, s.Register(sock, Writable, func(e Events) { events = append(events, e) }))
	selectOnce(t, s, 1)
	assert.Equal(t, []Events{Writable, Readable | Writable, Writable}, events)
}

func selectPipe(t *testing.T, s *Selector) {
	if runtime.GOOS == "windows" {
		t.Skip("WSAPoll knows sockets only")
	}
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	calls := 0
	require.NoError(t, s.Register(r, Readable, func(events Events) {
		calls++
		assert.Equal(t, Readable, events)
	}))
	selectNothing(t, s)
	_, err = w.WriteString("x")
	require.NoError(t, err)
	selectOnce(t, s, 1)
	_, err = r.Read(make([]byte, 1))
	require.NoError(t, err)
	selectNothing(t, s)
	require.NoError(t, w.Close())
	selectOnce(t, s, 1) // hang-up
	_, err = r.Read(make([]byte, 1))
	require.Error(t, err)
	assert.Equal(t, 2, calls)
}

// incomparable is a syscall.Conn that cannot be a map key.
type incomparable struct {
	*net.UDPConn
	_ []int
}

func selectRegisterErrors(t *testing.T, s *Selector) {
	sock := newSocket(t)
	assert.Error(t, s.Register(sock.UDPConn, 0, ignore))
	assert.Error(t, s.Register(sock.UDPConn, 4, ignore))
	assert.Error(t, s.Register(sock.UDPConn, Readable, nil))
	assert.Error(t, s.Register(nil, Readable, ignore))
	assert.Error(t, s.Unregister(nil))
	assert.Error(t, s.Register(incomparable{UDPConn: sock.UDPConn}, Readable, ignore))
	assert.Error(t, s.Unregister(incomparable{UDPConn: sock.UDPConn}))
	assert.Error(t, s.Register(new(net.UDPConn), Readable, ignore))
	assert.Error(t, s.Unregister(sock.UDPConn), "not registered")
	require.NoError(t, s.Register(sock.UDPConn, Readable, ignore))
	assert.ErrorContains(t, s.Register(sock.UDPConn, Readable, ignore), "already")
	assert.ErrorContains(t, s.Register(sock, Readable, ignore), "already", "the same descriptor in other clothes")
	sock.send("x")
	selectOnce(t, s, 1) // the first registration is not disturbed

	closed := newSocket(t)
	require.NoError(t, closed.Close())
	assert.ErrorIs(t, s.Register(closed, Readable, ignore), net.ErrClosed)
}

func selectUnregister(t *testing.T, s *Selector) {
	sock := newSocket(t)
	require.NoError(t, s.Register(sock, Readable, func(Events) { t.Error("called") }))
	sock.send("x")
	require.NoError(t, s.Unregister(sock))
	selectNothing(t, s)
	assert.Error(t, s.Unregister(sock))
	calls := 0
	require.NoError(t, s.Register(sock, Readable, func(Events) { calls++ }))
	selectOnce(t, s, 1)
	assert.Equal(t, 1, calls)
}

func selectUnregisterInCallback(t *testing.T, s *Selector) {
	a, b := newSocket(t), newSocket(t)
	called := 0
	both := func(Events) { // whichever is first removes itself and the other
		called++
		assert.NoError(t, s.Unregister(a))
		assert.NoError(t, s.Unregister(b))
	}
	require.NoError(t, s.Register(a, Readable, both))
	require.NoError(t, s.Register(b, Readable, both))
	a.send("x")
	b.send("x")
	selectOnce(t, s, 1)
	selectNothing(t, s)
	assert.Equal(t, 1, called)
}

func selectRegisterInCallback(t *testing.T, s *Selector) {
	a, b := newSocket(t), newSocket(t)
	b.send("b")
	var got []string
	require.NoError(t, s.Register(a, Readable, func(Events) {
		got = append(got, a.read())
		assert.NoError(t, s.Register(b, Readable, func(Events) { got = append(got, b.read()) }))
	}))
	a.send("a")
	selectOnce(t, s, 1)
	selectOnce(t, s, 1)
	assert.Equal(t, []string{"a", "b"}, got)
}

// selectResult is what a Select in the background returned.
type selectResult struct {
	n   int
	err error
}

// selecting runs a Select in the background.
func selectInBackground(ctx context.Context, s *Selector) <-chan selectResult {
	result := make(chan selectResult, 1)
	go func() {
		n, err := s.Select(ctx, -1)
		result <- selectResult{n, err}
	}()
	return result
}

func requireResult(t *testing.T, result <-chan selectResult) selectResult {
	t.Helper()
	select {
	case r := <-result:
		return r
	case <-time.After(selectorLimit):
		require.FailNow(t, "Select did not return")
	}
	return selectResult{}
}

// awaitWaiting returns once a Select has begun. It may not be in the system call yet, which must
// make no difference.
func awaitWaiting(s *Selector) {
	for waiting := false; !waiting; runtime.Gosched() {
		s.mu.Lock()
		waiting = s.selecting
		s.mu.Unlock()
	}
}

func selectRegisterWhileWaiting(t *testing.T, s *Selector) {
	a, b := newSocket(t), newSocket(t)
	require.NoError(t, s.Register(a, Readable, func(Events) { t.Error("called") }))
	result := selectInBackground(t.Context(), s)
	awaitWaiting(s)
	require.NoError(t, s.Unregister(a))
	a.send("x")
	b.send("x")
	require.NoError(t, s.Register(b, Readable, ignore))
	assert.Equal(t, selectResult{1, nil}, requireResult(t, result))
}

func selectClosedSocket(t *testing.T, s *Selector) {
	a, b := newSocket(t), newSocket(t)
	require.NoError(t, s.Register(a, Readable, func(Events) { t.Error("called") }))
	require.NoError(t, s.Register(b, Readable, ignore))
	a.send("x")
	require.NoError(t, a.Close())
	for range 3 {
		selectNothing(t, s)
	}
	start := time.Now()
	n, err := s.Select(t.Context(), 5*time.Millisecond)
	require.NoError(t, err)
	assert.Zero(t, n)
	assert.GreaterOrEqual(t, time.Since(start), 5*time.Millisecond)
	b.send("x")
	selectOnce(t, s, 1)
	require.NoError(t, s.Unregister(a))
	assert.Error(t, s.Unregister(a))
	selectOnce(t, s, 1)
}

// descriptor returns the number of the socket's descriptor.
func descriptor(t *testing.T, conn syscall.Conn) (number uintptr) {
	raw, err := conn.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { number = fd }))
	return number
}

// replace closes a socket and opens others until one has got its descriptor's number.
func replace(t *testing.T, old socket) (replacement socket, ok bool) {
	number := descriptor(t, old)
	require.NoError(t, old.Close())
	for range 10 {
		replacement = newSocket(t)
		if descriptor(t, replacement) == number {
			return replacement, true
		}
		if descriptor(t, replacement.peer) == number {
			return socket{replacement.peer, replacement.UDPConn, t}, true
		}
	}
	return replacement, false
}

func selectDescriptorReuse(t *testing.T, s *Selector) {
	a := newSocket(t)
	require.NoError(t, s.Register(a, Readable, func(Events) { t.Error("the old one was called") }))
	b, ok := replace(t, a)
	if !ok {
		t.Skip("the system did not use the number again")
	}
	_, err := b.peer.WriteTo([]byte("x"), b.LocalAddr())
	if err != nil { // connected
		b.send("x")
	}
	selectNothing(t, s) // b is not registered, although its number is

	calls := 0
	require.NoError(t, s.Register(b, Readable, func(Events) { calls++ }))
	selectOnce(t, s, 1)
	require.NoError(t, s.Unregister(a)) // does not touch b
	selectOnce(t, s, 1)
	assert.Equal(t, 2, calls)
	require.NoError(t, s.Unregister(b))
	selectNothing(t, s)

	require.NoError(t, s.Register(b, Readable, func(Events) { t.Error("the old one was called") }))
	c, ok := replace(t, b)
	if !ok {
		t.Skip("the system did not use the number again")
	}
	require.NoError(t, s.Register(c, Readable, ignore)) // at once: no Select has missed b
	require.NoError(t, s.Unregister(c))
	_, err = c.WriteTo([]byte("x"), c.LocalAddr())
	if err != nil { // connected
		_, err = c.peer.WriteTo([]byte("x"), c.LocalAddr())
	}
	require.NoError(t, err)
	found, err := s.poller.wait(0, nil)
	require.NoError(t, err)
	assert.Empty(t, found, "nothing is left in the poller")
}

func selectDescriptorReuseInCallback(t *testing.T, s *Selector) {
	a, b := newSocket(t), newSocket(t)
	ok, called := false, 0
	other := map[*net.UDPConn]socket{a.UDPConn: b, b.UDPConn: a}
	callback := func(sock socket) func(Events) {
		return func(Events) {
			// The event of the other socket is waiting to be delivered. Give its number to a silent
			// one.
			called++
			var silent socket
			silent, ok = replace(t, other[sock.UDPConn])
			require.NoError(t, s.Register(silent, Readable, func(Events) { t.Error("nothing came for this one") }))
		}
	}
	require.NoError(t, s.Register(a, Readable, callback(a)))
	require.NoError(t, s.Register(b, Readable, callback(b)))
	a.send("x")
	b.send("x")
	n, err := s.Select(t.Context(), selectorLimit)
	require.NoError(t, err)
	if !ok {
		t.Skip("the system did not use the number again")
	}
	assert.Equal(t, 1, n)
	assert.Equal(t, 1, called)
}

func selectCancel(t *testing.T, s *Selector) {
	require.NoError(t, s.Register(newSocket(t), Readable, ignore))
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	result := selectInBackground(ctx, s)
	awaitWaiting(s)
	cancel(cause)
	assert.Equal(t, selectResult{0, cause}, requireResult(t, result))
	_, err := s.Select(ctx, 0)
	assert.Same(t, cause, err)
	selectNothing(t, s) // with another context it goes on

	ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
	defer stop()
	_, err = s.Select(ctx, -1)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func selectCancelInCallback(t *testing.T, s *Selector) {
	a, b := newSocket(t), newSocket(t)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	require.NoError(t, s.Register(a, Readable, func(Events) { cancel(cause) }))
	require.NoError(t, s.Register(b, Readable, func(Events) { cancel(cause) }))
	a.send("x")
	b.send("x")
	n, err := s.Select(ctx, -1)
	assert.Same(t, cause, err)
	assert.Equal(t, 1, n)
}

func selectManyContexts(t *testing.T, s *Selector) {
	sock := newSocket(t)
	require.NoError(t, s.Register(sock, Readable, func(Events) { sock.read() }))
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		sock.send("x")
		n, err := s.Select(ctx, -1)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		cancel() // an old context wakes nobody up
	}
	sock.send("x")
	n, err := s.Select(context.Background(), -1) // and this one never ends
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func selectClose(t *testing.T, s *Selector) {
	sock := newSocket(t)
	require.NoError(t, s.Register(sock, Readable, ignore))
	_, err := s.Select(t.Context(), 0)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	_, err = s.Select(t.Context(), -1)
	assert.ErrorIs(t, err, net.ErrClosed)
	assert.ErrorIs(t, s.Register(newSocket(t), Readable, ignore), net.ErrClosed)
	assert.ErrorIs(t, s.Unregister(sock), net.ErrClosed)
	sock.send("still open")
	assert.Equal(t, "still open", sock.read())
}

func selectCloseWhileWaiting(t *testing.T, s *Selector) {
	require.NoError(t, s.Register(newSocket(t), Readable, ignore))
	result := selectInBackground(t.Context(), s)
	awaitWaiting(s)
	require.NoError(t, s.Close())
	assert.ErrorIs(t, requireResult(t, result).err, net.ErrClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	assert.True(t, s.released)
}

func selectCloseInCallback(t *testing.T, s *Selector) {
	a, b := newSocket(t), newSocket(t)
	require.NoError(t, s.Register(a, Readable, func(Events) { assert.NoError(t, s.Close()) }))
	require.NoError(t, s.Register(b, Readable, func(Events) { assert.NoError(t, s.Close()) }))
	a.send("x")
	b.send("x")
	n, err := s.Select(t.Context(), -1)
	assert.ErrorIs(t, err, net.ErrClosed)
	assert.Equal(t, 1, n)
	assert.True(t, s.released)
}

func selectBusy(t *testing.T, s *Selector) {
	sock := newSocket(t)
	require.NoError(t, s.Register(sock, Readable, func(Events) {
		_, err := s.Select(t.Context(), 0)
		assert.ErrorIs(t, err, errSelectorBusy)
	}))
	sock.send("x")
	selectOnce(t, s, 1)
}

func selectPanic(t *testing.T, s *Selector) {
	sock := newSocket(t)
	require.NoError(t, s.Register(sock, Readable, func(Events) {
		sock.read()
		panic("oops")
	}))
	for range 2 {
		sock.send("x")
		require.PanicsWithValue(t, "oops", func() { _, _ = s.Select(t.Context(), -1) })
	}
	selectNothing(t, s)
}

// More sockets than one system call reports: each gets its turn.
func selectMany(t *testing.T, s *Selector) {
	const count = 150
	read := make(map[int]string)
	for i := range count {
		sock := newSocket(t)
		require.NoError(t, s.Register(sock, Readable, func(Events) { read[i] += sock.read() }))
		sock.send("x")
	}
	for len(read) < count {
		n, err := s.Select(t.Context(), selectorLimit)
		require.NoError(t, err)
		require.NotZero(t, n)
	}
	for _, payload := range read {
		require.Equal(t, "x", payload)
	}
	selectNothing(t, s)
}

func selectNoAllocation(t *testing.T, s *Selector) {
	sock := newSocket(t)
	require.NoError(t, s.Register(sock, Readable, ignore))
	sock.send("x")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if n, err := s.Select(ctx, selectorLimit); n != 1 || err != nil {
			t.Error(n, err)
		}
	}))
}

func TestEventsString(t *testing.T) {
	for events, want := range map[Events]string{
		0: "none", Readable: "readable", Writable: "writable", Readable | Writable: "readable|writable", 8: "Events(8)",
	} {
		assert.Equal(t, want, events.String())
	}
}
