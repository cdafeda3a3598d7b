package udpkit_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// patience is how long a test waits for what must happen; it is a limit and never a pause.
const patience = 30 * time.Second

// TestReceiver is the conformance suite: each scenario runs against each style.
func TestReceiver(t *testing.T) {
	scenarios := []struct {
		name string
		run  func(*testing.T, udpkit.Style)
	}{
		{"order", rxOrder},
		{"empty datagram", rxEmpty},
		{"largest datagram", rxLargest},
		{"truncation", rxTruncation},
		{"source and time", rxSource},
		{"IPv6", rxIPv6},
		{"payload belongs to the receiver", rxClone},
		{"cancelled before", rxCancelledBefore},
		{"cancelled while waiting", rxCancelled},
		{"cancelled by the handler", rxCancelledByHandler},
		{"deadline of the context", rxContextDeadline},
		{"closed before", rxClosedBefore},
		{"closed while waiting", rxClosed},
		{"closed by the handler", rxClosedByHandler},
		{"socket closed before", rxSocketClosedBefore},
		{"socket closed while waiting", rxSocketClosed},
		{"socket closed by the handler", rxSocketClosedByHandler},
		{"used again after cancel", rxUsedAgain},
		{"no deadline left", rxNoDeadlineLeft},
		{"deadline of someone else", rxForeignDeadline},
		{"busy", rxBusy},
		{"writing meanwhile", rxWriting},
		{"idle", rxIdle},
		{"idle counts from the last datagram", rxIdleSinceLast},
		{"not idle while datagrams flow", rxNotIdle},
		{"slow handler", rxSlowHandler},
		{"several receivers", rxSeveral},
		{"read ahead", rxReadAhead},
		{"read ahead and closed", rxReadAheadClosed},
		{"kernel drops", rxKernelDropped},
		{"transient errors", rxTransient},
		{"panic in the handler", rxPanic},
		{"panic in OnIdle", rxPanicInIdle},
		{"no allocation", rxNoAllocation},
		{"no descriptor left", rxNoDescriptorLeft},
		{"bad arguments", rxBadArguments},
	}
	for _, scenario := range scenarios {
		t.Run(scenario.name, func(t *testing.T) {
			for _, style := range udpkit.Styles() {
				t.Run(string(style), func(t *testing.T) { scenario.run(t, style) })
			}
		})
	}
}

// fast makes the polling style look often, so that tests are quick.
var fast = udpkit.ReceiverConfig{PollInterval: time.Millisecond}

// rxListen opens a socket on loopback.
func rxListen(t testing.TB) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// rxDial opens a socket that sends to conn.
func rxDial(t testing.TB, conn *net.UDPConn) *net.UDPConn {
	t.Helper()
	sender, err := net.DialUDP("udp", nil, conn.LocalAddr().(*net.UDPAddr))
	require.NoError(t, err)
	t.Cleanup(func() { _ = sender.Close() })
	return sender
}

func rxSend(t testing.TB, sender *net.UDPConn, payloads ...string) {
	t.Helper()
	for _, payload := range payloads {
		_, err := sender.Write([]byte(payload))
		require.NoError(t, err)
	}
}

// reception is a Receive that runs in the background.
type reception struct {
	t        testing.TB
	receiver udpkit.Receiver
	conn     *net.UDPConn
	sender   *net.UDPConn
	got      chan udpkit.Datagram
	ended    chan error
	stop     context.CancelCauseFunc
}

func newReceiver(t testing.TB, style udpkit.Style, cfg udpkit.ReceiverConfig) udpkit.Receiver {
	t.Helper()
	receiver, err := udpkit.NewReceiver(style, cfg)
	require.NoError(t, err)
	require.Equal(t, style, receiver.Style())
	return receiver
}

// receive starts a receiver on conn (nil: a new one) whose datagrams come out of got, after handle
// (which may be nil).
func receive(
	t testing.TB, receiver udpkit.Receiver, conn *net.UDPConn, handle func(udpkit.Datagram),
) *reception {
	t.Helper()
	if conn == nil {
		conn = rxListen(t)
	}
	ctx, stop := context.WithCancelCause(context.Background())
	r := &reception{
		t: t, receiver: receiver, conn: conn, sender: rxDial(t, conn), stop: stop,
		got: make(chan udpkit.Datagram, 10_000), ended: make(chan error, 1),
	}
	go func() {
		err := errors.New("Receive did not return")
		defer func() { r.ended <- err }()
		err = receiver.Receive(ctx, conn, func(d udpkit.Datagram) {
			if handle != nil {
				handle(d)
			}
			r.got <- d.Clone()
		})
	}()
	return r
}

// next returns the next datagram.
func (r *reception) next() udpkit.Datagram {
	r.t.Helper()
	select {
	case d := <-r.got:
		return d
	case err := <-r.ended:
		require.FailNow(r.t, "ended instead of receiving", "%v", err)
	case <-time.After(patience):
		require.FailNow(r.t, "no datagram came")
	}
	return udpkit.Datagram{}
}

// end returns the result of Receive.
func (r *reception) end() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		require.Error(r.t, err)
		return err
	case <-time.After(patience):
		require.FailNow(r.t, "Receive did not end")
	}
	return nil
}

// cancel ends the reception and checks that Receive returns the cause.
func (r *reception) cancel() {
	r.t.Helper()
	cause := errors.New("the test is over")
	r.stop(cause)
	require.Same(r.t, cause, r.end())
}

// waitFor waits until the condition is true, for conditions that nobody reports.
func waitFor(t testing.TB, condition func() bool, what string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); runtime.Gosched() {
		if time.Now().After(deadline) {
			require.FailNow(t, "waited in vain", what)
		}
	}
}

func rxOrder(t *testing.T, style udpkit.Style) {
	r := receive(t, newReceiver(t, style, fast), nil, nil)
	const bursts, burst = 20, 32
	for i := range bursts {
		for j := range burst {
			rxSend(t, r.sender, string(binary.BigEndian.AppendUint32(nil, uint32(i*burst+j))))
		}
		for j := range burst {
			require.EqualValues(t, i*burst+j, binary.BigEndian.Uint32(r.next().Payload))
		}
	}
	r.cancel()
	assert.Zero(t, r.receiver.Dropped())
}

func rxEmpty(t *testing.T, style udpkit.Style) {
	r := receive(t, newReceiver(t, style, fast), nil, nil)
	rxSend(t, r.sender, "", "after")
	assert.Empty(t, r.next().Payload)
	assert.Equal(t, "after", string(r.next().Payload))
	r.cancel()
}

func rxLargest(t *testing.T, style udpkit.Style) {
	r := receive(t, newReceiver(t, style, fast), nil, nil)
	payload := strings.Repeat("0123456789abcdef", 4095)[:65507]
	require.NoError(t, r.sender.SetWriteBuffer(1<<20))
	for range 2 {
		rxSend(t, r.sender, payload, "small")
		d := r.next()
		assert.Equal(t, payload, string(d.Payload))
		assert.False(t, d.Truncated)
		assert.Equal(t, "small", string(r.next().Payload))
	}
	r.cancel()
}

func rxTruncation(t *testing.T, style udpkit.Style) {
	r := receive(t, newReceiver(t, style, udpkit.ReceiverConfig{BufferSize: 5, PollInterval: time.Millisecond}), nil, nil)
	rxSend(t, r.sender, "1234", "12345", "123456", "1234567890", "12345")
	for _, want := range []struct {
		payload   string
		truncated bool
	}{{"1234", false}, {"12345", false}, {"12345", true}, {"12345", true}, {"12345", false}} {
		d := r.next()
		assert.Equal(t, want.payload, string(d.Payload))
		assert.Equal(t, want.truncated, d.Truncated)
		assert.Equal(t, r.sender.LocalAddr().(*net.UDPAddr).AddrPort(), d.Source)
	}
	r.cancel()
}

func rxSource(t *testing.T, style udpkit.Style) {
	r := receive(t, newReceiver(t, style, fast), nil, nil)
	other := rxDial(t, r.conn)
	for _, sender := range []*net.UDPConn{r.sender, other, r.sender} {
		before := time.Now()
		rxSend(t, sender, "x")
		d := r.next()
		assert.Equal(t, sender.LocalAddr().(*net.UDPAddr).AddrPort(), d.Source)
		assert.True(t, d.Source.Addr().Is4())
		assert.False(t, d.Received.Before(before) || d.Received.After(time.Now()), "time of receipt")
		assert.Contains(t, d.Received.String(), "m=", "monotonic clock")
	}
	r.cancel()
}

func rxIPv6(t *testing.T, style udpkit.Style) {
	conn, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	defer conn.Close()
	r := receive(t, newReceiver(t, style, fast), conn, nil)
	rxSend(t, r.sender, "six")
	d := r.next()
	assert.Equal(t, "six", string(d.Payload))
	assert.Equal(t, r.sender.LocalAddr().(*net.UDPAddr).AddrPort(), d.Source)
	assert.Equal(t, netip.IPv6Unspecified().Next(), d.Source.Addr())
	r.cancel()
}

func rxClone(t *testing.T, style udpkit.Style) {
	var clones []udpkit.Datagram
	r := receive(t, newReceiver(t, style, fast), nil, func(d udpkit.Datagram) {
		clones = append(clones, d.Clone())
		copy(d.Payload, "******") // the handler may write to what it got
	})
	for _, payload := range []string{"first", "second", "third"} {
		rxSend(t, r.sender, payload)
		r.next()
	}
	r.cancel()
	require.Len(t, clones, 3)
	for i, want := range []string{"first", "second", "third"} {
		assert.Equal(t, want, string(clones[i].Payload))
	}
}

func rxCancelledBefore(t *testing.T, style udpkit.Style) {
	conn := rxListen(t)
	rxSend(t, rxDial(t, conn), "waiting")
	cause := errors.New("too late")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	err := newReceiver(t, style, fast).Receive(ctx, conn, func(udpkit.Datagram) { t.Error("handled") })
	require.Same(t, cause, err)
	requirePlainRead(t, conn, "waiting")
}

func rxCancelled(t *testing.T, style udpkit.Style) {
	r := receive(t, newReceiver(t, style, fast), nil, nil)
	rxSend(t, r.sender, "x")
	r.next()
	r.cancel()

	r = receive(t, newReceiver(t, style, udpkit.ReceiverConfig{PollInterval: time.Hour}), nil, nil)
	r.cancel() // at any moment of its start

	ticks := make(chan struct{}, 1)
	r = receive(t, newReceiver(t, style, udpkit.ReceiverConfig{
		OnIdle: func(time.Duration) {
			select {
			case ticks <- struct{}{}:
			default:
			}
		},
		IdleInterval: time.Nanosecond, PollInterval: time.Hour, // due at the first look: a quick one takes less than a microsecond
	}), nil, nil)
	<-ticks
	if style == udpkit.NonBlocking { // blocking has none before a datagram comes
		<-ticks
	}
	r.cancel() // also in a long poll interval
}

func rxCancelledByHandler(t *testing.T, style udpkit.Style) {
	receiver := newReceiver(t, style, fast)
	conn := rxListen(t)
	rxSend(t, rxDial(t, conn), "1", "2", "3", "4", "5")
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("three are enough")
	handled := 0
	err := receiver.Receive(ctx, conn, func(udpkit.Datagram) {
		if handled++; handled == 3 {
			cancel(cause)
		}
	})
	require.Same(t, cause, err)
	require.Equal(t, 3, handled)
	// The rest is still in the socket, or was dropped and counted: nothing is lost in silence.
	if dropped := int(receiver.Dropped()); dropped < 2 {
		r := receive(t, receiver, conn, nil)
		for i := 3 + dropped; i < 5; i++ {
			assert.Equal(t, string(rune('1'+i)), string(r.next().Payload))
		}
		r.cancel()
	}
}

func rxContextDeadline(t *testing.T, style udpkit.Style) {
	conn := rxListen(t)
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err := newReceiver(t, style, udpkit.ReceiverConfig{}).Receive(ctx, conn, func(udpkit.Datagram) {})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.GreaterOrEqual(t, time.Since(start), 10*time.Millisecond)
}

func rxClosedBefore(t *testing.T, style udpkit.Style) {
	receiver := newReceiver(t, style, fast)
	require.NoError(t, receiver.Close())
	require.NoError(t, receiver.Close())
	conn := rxListen(t)
	rxSend(t, rxDial(t, conn), "waiting")
	err := receiver.Receive(context.Background(), conn, func(udpkit.Datagram) { t.Error("handled") })
	require.ErrorIs(t, err, net.ErrClosed)
	requirePlainRead(t, conn, "waiting") // the socket is not the receiver's
}

func rxClosed(t *testing.T, style udpkit.Style) {
	r := receive(t, newReceiver(t, style, udpkit.ReceiverConfig{PollInterval: time.Hour}), nil, nil)
	rxSend(t, r.sender, "x")
	if style != udpkit.NonBlocking { // which may have to wait an hour
		r.next()
	}
	require.NoError(t, r.receiver.Close())
	require.ErrorIs(t, r.end(), net.ErrClosed)
	require.NoError(t, r.receiver.Close())
	err := r.receiver.Receive(context.Background(), r.conn, func(udpkit.Datagram) {})
	require.ErrorIs(t, err, net.ErrClosed)
	rxSend(t, r.sender, "end")
	if style != udpkit.NonBlocking {
		requirePlainRead(t, r.conn, "end")
	}
}

func rxClosedByHandler(t *testing.T, style udpkit.Style) {
	receiver := newReceiver(t, style, fast)
	handled := 0
	r := receive(t, receiver, nil, func(udpkit.Datagram) {
		handled++
		assert.NoError(t, receiver.Close())
	})
	rxSend(t, r.sender, "1", "2", "3")
	require.ErrorIs(t, r.end(), net.ErrClosed)
	assert.Equal(t, 1, handled)
}

func rxSocketClosedBefore(t *testing.T, style udpkit.Style) {
	conn := rxListen(t)
	require.NoError(t, conn.Close())
	err := newReceiver(t, style, fast).Receive(context.Background(), conn, func(udpkit.Datagram) {})
	require.ErrorIs(t, err, net.ErrClosed)
}

func rxSocketClosed(t *testing.T, style udpkit.Style) {
	r := receive(t, newReceiver(t, style, fast), nil, nil)
	rxSend(t, r.sender, "x")
	r.next()
	require.NoError(t, r.conn.Close())
	err := r.end()
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorContains(t, err, r.conn.LocalAddr().String())

	r = receive(t, newReceiver(t, style, fast), nil, nil)
	require.NoError(t, r.conn.Close()) // at any moment of its start
	require.ErrorIs(t, r.end(), net.ErrClosed)

	// The receiver itself is not closed.
	r = receive(t, r.receiver, nil, nil)
	rxSend(t, r.sender, "x")
	r.next()
	r.cancel()
}

func rxSocketClosedByHandler(t *testing.T, style udpkit.Style) {
	conn := rxListen(t)
	r := receive(t, newReceiver(t, style, fast), conn, func(udpkit.Datagram) { _ = conn.Close() })
	rxSend(t, r.sender, "x")
	require.ErrorIs(t, r.end(), net.ErrClosed)
}

func rxUsedAgain(t *testing.T, style udpkit.Style) {
	receiver := newReceiver(t, style, fast)
	conn := rxListen(t)
	for range 5 {
		r := receive(t, receiver, conn, nil)
		rxSend(t, r.sender, "again")
		assert.Equal(t, "again", string(r.next().Payload))
		r.cancel()
	}
}

// requirePlainRead checks that the socket works as if no receiver had been there: it has no
// deadline.
func requirePlainRead(t *testing.T, conn *net.UDPConn, want string) {
	t.Helper()
	buf := make([]byte, 100)
	n, _, err := conn.ReadFromUDPAddrPort(buf)
	require.NoError(t, err)
	require.Equal(t, want, string(buf[:n]))
}

func rxNoDeadlineLeft(t *testing.T, style udpkit.Style) {
	r := receive(t, newReceiver(t, style, fast), nil, nil)
	rxSend(t, r.sender, "x")
	r.next()
	r.cancel()
	read := make(chan error)
	go func() {
		_, _, err := r.conn.ReadFromUDPAddrPort(make([]byte, 1))
		read <- err
	}()
	select {
	case err := <-read:
		require.FailNow(t, "did not wait", "%v", err)
	case <-time.After(20 * time.Millisecond):
	}
	rxSend(t, r.sender, "y")
	require.NoError(t, <-read)
}

func rxForeignDeadline(t *testing.T, style udpkit.Style) {
	conn := rxListen(t)
	require.NoError(t, conn.SetReadDeadline(time.Unix(1, 0)))
	r := receive(t, newReceiver(t, style, fast), conn, nil)
	rxSend(t, r.sender, "before")
	r.next()
	require.NoError(t, conn.SetReadDeadline(time.Unix(1, 0)))
	rxSend(t, r.sender, "meanwhile")
	assert.Equal(t, "meanwhile", string(r.next().Payload))
	r.cancel()
}

func rxBusy(t *testing.T, style udpkit.Style) {
	r := receive(t, newReceiver(t, style, fast), nil, nil)
	rxSend(t, r.sender, "x")
	r.next()
	err := r.receiver.Receive(context.Background(), rxListen(t), func(udpkit.Datagram) {})
	require.ErrorIs(t, err, udpkit.ErrReceiverBusy)
	rxSend(t, r.sender, "y") // the first is not disturbed
	r.next()
	r.cancel()
}

func rxWriting(t *testing.T, style udpkit.Style) {
	conn := rxListen(t)
	r := receive(t, newReceiver(t, style, fast), conn, func(d udpkit.Datagram) {
		_, err := conn.WriteToUDPAddrPort(d.Payload, d.Source)
		assert.NoError(t, err)
	})
	for range 3 {
		rxSend(t, r.sender, "echo")
		requirePlainRead(t, r.sender, "echo")
	}
	r.cancel()
}

func rxIdle(t *testing.T, style udpkit.Style) {
	ticks := make(chan time.Duration, 10_000)
	r := receive(t, newReceiver(t, style, udpkit.ReceiverConfig{
		OnIdle:       func(elapsed time.Duration) { ticks <- elapsed },
		IdleInterval: 3 * time.Millisecond,
		PollInterval: time.Millisecond,
	}), nil, nil)
	first := requireTick(t, ticks)
	if style != udpkit.Blocking {
		second := requireTick(t, ticks)
		third := requireTick(t, ticks)
		assert.GreaterOrEqual(t, first, 3*time.Millisecond)
		assert.GreaterOrEqual(t, second-first, 3*time.Millisecond)
		assert.GreaterOrEqual(t, third-second, 3*time.Millisecond)
	}
	r.cancel()
	// After Receive has returned, no more calls.
	for len(ticks) > 0 {
		<-ticks
	}
	select {
	case <-ticks:
		assert.Fail(t, "OnIdle after the end")
	case <-time.After(10 * time.Millisecond):
	}
}

func requireTick(t *testing.T, ticks <-chan time.Duration) time.Duration {
	t.Helper()
	select {
	case elapsed := <-ticks:
		return elapsed
	case <-time.After(patience):
		require.FailNow(t, "OnIdle was not called")
	}
	return 0
}

func rxIdleSinceLast(t *testing.T, style udpkit.Style) {
	if style == udpkit.Blocking {
		t.Skip("a blocking receiver does not tick while it waits")
	}
	const interval = 5 * time.Millisecond
	ticks := make(chan time.Duration, 10_000)
	r := receive(t, newReceiver(t, style, udpkit.ReceiverConfig{
		OnIdle: func(elapsed time.Duration) { ticks <- elapsed }, IdleInterval: interval, PollInterval: time.Millisecond,
	}), nil, nil)
	for range 5 {
		requireTick(t, ticks)
	}
	rxSend(t, r.sender, "x")
	d := r.next()
	for len(ticks) > 0 {
		<-ticks
	}
	requireTick(t, ticks) // may have been on its way when the datagram came
	elapsed := requireTick(t, ticks)
	assert.LessOrEqual(t, elapsed, time.Since(d.Received))
	assert.GreaterOrEqual(t, elapsed, interval)
	r.cancel()
}

func rxNotIdle(t *testing.T, style udpkit.Style) {
	const interval = 2 * time.Second
	var ticks atomic.Int64
	start := time.Now()
	r := receive(t, newReceiver(t, style, udpkit.ReceiverConfig{
		OnIdle: func(time.Duration) { ticks.Add(1) }, IdleInterval: interval, PollInterval: time.Millisecond,
	}), nil, nil)
	for range 50 {
		rxSend(t, r.sender, "x")
		r.next()
	}
	count := ticks.Load()
	if time.Since(start) < interval { // unless this machine is very busy
		if style == udpkit.Blocking {
			assert.EqualValues(t, 1, count, "before the first wait")
		} else {
			assert.Zero(t, count)
		}
	}
	r.cancel()
}

func rxSlowHandler(t *testing.T, style udpkit.Style) {
	const sent, queue = 100, 4
	receiver := newReceiver(t, style, udpkit.ReceiverConfig{QueueSize: queue, PollInterval: time.Millisecond})
	gate := make(chan struct{})
	entered := make(chan struct{}, sent)
	var handled atomic.Int64
	r := receive(t, receiver, nil, func(udpkit.Datagram) {
		entered <- struct{}{}
		<-gate
		handled.Add(1)
	})
	rxSend(t, r.sender, "0")
	<-entered
	for i := 1; i < sent; i++ {
		rxSend(t, r.sender, string(rune('0'+i)))
	}
	wantDropped := 0
	if style == udpkit.Channel {
		wantDropped = sent - 1 - queue
		waitFor(t, func() bool { return int(receiver.Dropped()) >= wantDropped }, "datagrams to be dropped")
	}
	close(gate)
	for i := range sent - wantDropped {
		assert.Equal(t, string(rune('0'+i)), string(r.next().Payload), "the newest are dropped")
	}
	r.cancel()
	assert.EqualValues(t, wantDropped, receiver.Dropped())
	assert.EqualValues(t, sent, int(handled.Load())+wantDropped)
}

func rxSeveral(t *testing.T, style udpkit.Style) {
	var all []*reception
	for range 5 {
		all = append(all, receive(t, newReceiver(t, style, fast), nil, nil))
	}
	for i := range 100 {
		for j, r := range all {
			rxSend(t, r.sender, string(rune('a'+j))+string(rune(i)))
		}
		for j, r := range all {
			require.Equal(t, string(rune('a'+j))+string(rune(i)), string(r.next().Payload))
		}
	}
	for _, r := range all {
		r.cancel()
	}
}

// What was read ahead when Receive ended is what the next one begins with.
func rxReadAhead(t *testing.T, style udpkit.Style) {
	receiver := newReceiver(t, style, fast)
	conn := rxListen(t)
	sender := rxDial(t, conn)
	const sent = 100
	for i := range sent {
		rxSend(t, sender, string(rune('0'+i)))
	}
	var got []string
	for len(got)+int(receiver.Dropped()) < sent {
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		err := receiver.Receive(ctx, conn, func(d udpkit.Datagram) {
			got = append(got, string(d.Payload))
			if n++; n == 7 || len(got)+int(receiver.Dropped()) == sent {
				cancel()
			}
		})
		require.ErrorIs(t, err, context.Canceled)
	}
	for i := 1; i < len(got); i++ {
		require.Less(t, []rune(got[i-1])[0], []rune(got[i])[0], "the order")
	}
	if style != udpkit.Channel { // whose queue is lost with each Receive, and counted
		require.Len(t, got, sent)
	}
}

// What was read ahead is counted as dropped once it cannot be handled any more.
func rxReadAheadClosed(t *testing.T, style udpkit.Style) {
	const sent = 50
	for name, forget := range map[string]func(udpkit.Receiver){
		"closed": func(r udpkit.Receiver) { _ = r.Close() },
		"another socket": func(r udpkit.Receiver) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = r.Receive(ctx, rxListen(t), func(udpkit.Datagram) {})
		},
	} {
		receiver := newReceiver(t, style, fast)
		conn := rxListen(t)
		sender := rxDial(t, conn)
		for range sent {
			rxSend(t, sender, "x")
		}
		ctx, cancel := context.WithCancel(context.Background())
		handled := 0
		_ = receiver.Receive(ctx, conn, func(udpkit.Datagram) {
			handled++
			cancel()
		})
		require.Equal(t, 1, handled)
		forget(receiver)
		// All the others are still in the socket.
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		for range sent - handled - int(receiver.Dropped()) {
			_, _, err := conn.ReadFromUDPAddrPort(make([]byte, 10))
			require.NoError(t, err, name)
		}
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Millisecond)))
		_, _, err := conn.ReadFromUDPAddrPort(make([]byte, 10))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, name)
	}
}

func rxKernelDropped(t *testing.T, style udpkit.Style) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	receiver := newReceiver(t, style, fast)
	total := 0
	for range 2 { // two sockets
		conn := rxListen(t)
		require.NoError(t, conn.SetReadBuffer(4096))
		sender := rxDial(t, conn)
		const sent = 100
		for range sent {
			rxSend(t, sender, "flood")
		}
		r := receive(t, receiver, conn, nil)
		waitFor(t, func() bool { return len(r.got) > 0 && int(receiver.KernelDropped())-total+len(r.got) == sent }, "all to be counted")
		r.cancel()
		total += sent - len(r.got)
		require.NoError(t, conn.Close())
		assert.EqualValues(t, total, receiver.KernelDropped())
	}
	assert.NotZero(t, total)
	require.NoError(t, receiver.Close())
	assert.EqualValues(t, total, receiver.KernelDropped())
}

// A datagram sent to a port where nobody listens comes back as an error of a later read: it must
// not be the end.
func rxTransient(t *testing.T, style udpkit.Style) {
	peer := rxListen(t)
	conn := rxDial(t, peer)
	peerAddr, connAddr := peer.LocalAddr().(*net.UDPAddr), conn.LocalAddr().(*net.UDPAddr).AddrPort()
	require.NoError(t, peer.Close())
	_, err := conn.Write([]byte("anyone?"))
	require.NoError(t, err)

	r := receive(t, newReceiver(t, style, fast), conn, nil)
	for range 5 {
		if _, err := conn.Write([]byte("anyone?")); err != nil {
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
		}
	}
	peer, err = net.ListenUDP("udp4", peerAddr)
	if err != nil {
		r.cancel()
		t.Skip("the port is taken: ", err)
	}
	defer peer.Close()
	_, err = peer.WriteToUDPAddrPort([]byte("here"), connAddr)
	require.NoError(t, err)
	assert.Equal(t, "here", string(r.next().Payload))
	r.cancel()
}

func rxPanic(t *testing.T, style udpkit.Style) {
	if style == udpkit.Goroutine {
		t.Skip("its handler has a goroutine of its own, where a panic ends the program")
	}
	receiver := newReceiver(t, style, fast)
	conn := rxListen(t)
	rxSend(t, rxDial(t, conn), "x")
	require.PanicsWithValue(t, "oops", func() {
		_ = receiver.Receive(context.Background(), conn, func(udpkit.Datagram) { panic("oops") })
	})
	r := receive(t, receiver, conn, nil) // it is not broken
	rxSend(t, r.sender, "y")
	assert.Equal(t, "y", string(r.next().Payload))
	r.cancel()
}

func rxPanicInIdle(t *testing.T, style udpkit.Style) {
	receiver := newReceiver(t, style, udpkit.ReceiverConfig{
		OnIdle: func(time.Duration) { panic("oops") }, IdleInterval: time.Millisecond, PollInterval: time.Millisecond,
	})
	for range 2 { // the second time it is not busy
		require.PanicsWithValue(t, "oops", func() {
			_ = receiver.Receive(context.Background(), rxListen(t), func(udpkit.Datagram) {})
		})
	}
}

func rxNoAllocation(t *testing.T, style udpkit.Style) {
	receiver := newReceiver(t, style, udpkit.ReceiverConfig{
		OnIdle: func(time.Duration) {}, PollInterval: 100 * time.Microsecond, BufferSize: 2048,
	})
	conn := rxListen(t)
	sender := rxDial(t, conn)
	handled := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- receiver.Receive(ctx, conn, func(udpkit.Datagram) { handled <- struct{}{} }) }()
	payload := make([]byte, 120)
	exchange := func(n int) {
		for range n {
			_, err := sender.Write(payload)
			require.NoError(t, err)
			<-handled
		}
	}
	exchange(100)
	const n = 1000
	perDatagram := testing.AllocsPerRun(1, func() { exchange(n) }) / n
	assert.Less(t, perDatagram, 0.1)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func rxNoDescriptorLeft(t *testing.T, style udpkit.Style) {
	open := func() int {
		descriptors, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("cannot count descriptors here: ", err)
		}
		return len(descriptors)
	}
	conn := rxListen(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	before := open()
	for range 10 {
		_ = newReceiver(t, style, fast).Receive(ctx, conn, func(udpkit.Datagram) {})
	}
	assert.Equal(t, before, open())
}

func rxBadArguments(t *testing.T, style udpkit.Style) {
	receiver := newReceiver(t, style, fast)
	assert.Error(t, receiver.Receive(context.Background(), nil, func(udpkit.Datagram) {}))
	assert.Error(t, receiver.Receive(context.Background(), rxListen(t), nil))
	assert.ErrorIs(t, receiver.Receive(context.Background(), new(net.UDPConn), func(udpkit.Datagram) {}), syscall.EINVAL)
}

func TestNewReceiverRefuses(t *testing.T) {
	for name, cfg := range map[string]udpkit.ReceiverConfig{
		"IdleInterval": {IdleInterval: -1},
		"PollInterval": {PollInterval: -1},
		"QueueSize":    {QueueSize: -1},
		"BufferSize":   {BufferSize: -1},
	} {
		_, err := udpkit.NewReceiver(udpkit.Blocking, cfg)
		assert.ErrorContains(t, err, name)
	}
	_, err := udpkit.NewReceiver(udpkit.Blocking, udpkit.ReceiverConfig{BufferSize: 65536})
	assert.ErrorContains(t, err, "65535")
	receiver, err := udpkit.NewReceiver("asyncio", udpkit.ReceiverConfig{})
	assert.ErrorContains(t, err, "asyncio")
	assert.Nil(t, receiver)
}

func TestParseStyle(t *testing.T) {
	for _, style := range udpkit.Styles() {
		parsed, err := udpkit.ParseStyle(strings.ToUpper(string(style)))
		require.NoError(t, err)
		assert.Equal(t, style, parsed)
	}
	_, err := udpkit.ParseStyle("asyncio")
	assert.EqualError(t, err, `invalid configuration: unknown receiver style "asyncio": `+
		`choose one of blocking, nonblocking, selector, goroutine, channel`)
}

func TestDatagrams(t *testing.T) {
	conn := rxListen(t)
	sender := rxDial(t, conn)
	rxSend(t, sender, "1", "2", "3", "4")
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	cause := errors.New("enough")
	datagrams := udpkit.Datagrams(ctx, conn)

	for d, err := range datagrams { // leave by break
		require.NoError(t, err)
		assert.Equal(t, "1", string(d.Payload))
		assert.Equal(t, sender.LocalAddr().(*net.UDPAddr).AddrPort(), d.Source)
		break
	}
	requirePlainRead(t, conn, "2")

	var got []string // and go on, until ctx ends
	var errs []error
	for d, err := range datagrams {
		if err != nil {
			assert.Zero(t, d)
			errs = append(errs, err)
			continue
		}
		if got = append(got, string(d.Payload)); len(got) == 2 {
			cancel(cause)
		}
	}
	assert.Equal(t, []string{"3", "4"}, got)
	assert.Equal(t, []error{cause}, errs)
	rxSend(t, sender, "5")
	requirePlainRead(t, conn, "5")

	errs = nil // closed while the loop waits
	waits := make(chan struct{})
	go func() {
		<-waits
		_ = conn.Close()
	}()
	rxSend(t, sender, "6")
	for _, err := range udpkit.Datagrams(context.Background(), conn) {
		if err != nil {
			errs = append(errs, err)
		} else {
			close(waits)
		}
	}
	require.Len(t, errs, 1)
	assert.ErrorIs(t, errs[0], net.ErrClosed)
}
