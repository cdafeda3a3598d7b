package nonblocking

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
)

const (
	// window is how many datagrams are under way at once at full speed: few enough for every
	// socket's own queue.
	window = 64
	// size of a datagram at full speed, in bytes: that of a status message.
	size = 120
	// longestPause is the most that passes between two questions of the round-trip measurement.
	// Random pauses meet a polling receiver at a random moment.
	longestPause = 20 * time.Millisecond
	// patience is how long a datagram is waited for that may have been lost.
	patience = time.Second
)

// errLost is for a machine that is too busy for a window of datagrams.
var errLost = errors.New("datagrams were lost on the way; run the cell again")

// one measures one style once more: silence, full speed, round trips.
func (c *comparing) one(ctx context.Context, r *Result) error {
	sockets, err := newPair()
	if err != nil {
		return err
	}
	defer sockets.close()
	var handled counter
	run, _, err := start(ctx, r.Style, udpkit.ReceiverConfig{}, sockets.receiver, func(d udpkit.Datagram) {
		if len(d.Payload) < size { // a question
			_, _ = sockets.receiver.WriteToUDPAddrPort(d.Payload, d.Source) // a lost answer is noticed
			return
		}
		handled.add()
	})
	if err != nil {
		return err
	}
	r.Idle = append(r.Idle, idle(ctx, c.idle)...)
	cost, err := flood(ctx, c.windows, sockets, &handled)
	if err == nil {
		r.Cost = append(r.Cost, cost...)
		var trips []time.Duration
		trips, err = ask(ctx, c.roundTrips, sockets.sender)
		r.RoundTrips = append(r.RoundTrips, trips...)
	}
	return errors.Join(err, run.stop())
}

// flood sends windows of datagrams, each as soon as all of the one before have been handled, and
// returns the CPU time for each datagram.
func flood(ctx context.Context, windows int, sockets pair, handled *counter) ([]time.Duration, error) {
	payload := make([]byte, size)
	runtime.GC()
	from, ok := measure.CPU()
	for range windows {
		done := handled.expect(window)
		for range window {
			if _, err := sockets.sender.Write(payload); err != nil {
				return nil, err
			}
		}
		timeout := time.NewTimer(patience)
		select {
		case <-done:
			timeout.Stop()
		case <-ctx.Done():
			return nil, nil
		case <-timeout.C:
			return nil, errLost
		}
	}
	if !ok {
		return nil, nil
	}
	to, _ := measure.CPU()
	return []time.Duration{(to - from) / time.Duration(windows*window)}, nil
}

// ask sends questions at random times and returns how long the answers took.
func ask(ctx context.Context, n int, conn *net.UDPConn) ([]time.Duration, error) {
	var trips []time.Duration
	buf := make([]byte, size)
	for range n {
		if !measure.Sleep(ctx, time.Duration(rand.Int64N(int64(longestPause)))) {
			return trips, nil
		}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return trips, err
		}
		began := time.Now()
		if _, err := conn.Write([]byte("?")); err != nil {
			return trips, err
		}
		if _, err := conn.Read(buf); err != nil {
			return trips, errors.Join(errLost, err)
		}
		trips = append(trips, time.Since(began))
	}
	return trips, nil
}

// many lets a style serve many sockets at once: the selector style all of them with one Selector,
// the others with a Receive for each.
func (c *comparing) many(ctx context.Context, style udpkit.Style) (result SocketsResult, err error) {
	result = SocketsResult{Style: style, Sockets: c.sizes.sockets}
	var sockets []pair
	defer func() {
		for _, p := range sockets {
			p.close()
		}
	}()
	for range c.sizes.sockets {
		p, err := newPair()
		if err != nil {
			return result, err
		}
		sockets = append(sockets, p)
	}
	measure.Sleep(ctx, settle) // for what is about to end
	before := runtime.NumGoroutine()
	var handled counter
	serve := serveEach
	if style == udpkit.SelectorStyle {
		serve = serveSelecting
	}
	stop, err := serve(ctx, style, sockets, func(udpkit.Datagram) { handled.add() })
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	measure.Sleep(ctx, settle)
	result.Goroutines = runtime.NumGoroutine() - before
	result.Idle = idle(ctx, c.idle)
	all := handled.expect(len(sockets))
	began := time.Now()
	for _, p := range sockets {
		if _, err := p.sender.Write([]byte("one for each")); err != nil {
			return result, err
		}
	}
	select {
	case <-all:
	case <-ctx.Done():
	case <-time.After(patience):
		return result, errLost
	}
	result.All = time.Since(began)
	return result, nil
}

// serveEach starts a Receive for each socket.
func serveEach(ctx context.Context, style udpkit.Style, sockets []pair, handle udpkit.Handler) (stop func() error, err error) {
	var all []*running
	stop = func() error {
		var errs []error
		for _, r := range all {
			r.cancel()
		}
		for _, r := range all {
			errs = append(errs, r.stop())
		}
		return errors.Join(errs...)
	}
	for _, p := range sockets {
		r, _, err := start(ctx, style, udpkit.ReceiverConfig{}, p.receiver, handle)
		if err != nil {
			return nil, errors.Join(err, stop())
		}
		all = append(all, r)
	}
	return stop, nil
}

// serveSelecting serves all sockets on one goroutine.
func serveSelecting(ctx context.Context, _ udpkit.Style, sockets []pair, handle udpkit.Handler) (stop func() error, err error) {
	selector, err := udpkit.NewSelector()
	if err != nil {
		return nil, err
	}
	buf := make([]byte, bufferSize)
	for _, p := range sockets {
		conn := p.receiver
		err := selector.Register(conn, udpkit.Readable, func(udpkit.Events) {
			n, source, err := conn.ReadFromUDPAddrPort(buf)
			if err == nil {
				handle(udpkit.Datagram{Payload: buf[:n], Source: source, Received: time.Now()})
			}
		})
		if err != nil {
			return nil, errors.Join(err, selector.Close())
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			_, err = selector.Select(ctx, -1)
		}
		if ctx.Err() != nil {
			err = nil
		}
		ended <- err
	}()
	return func() error {
		cancel()
		return errors.Join(<-ended, selector.Close())
	}, nil
}

// slowCase is a receiver whose handler is slow.
type slowCase struct {
	SlowResult
	queue int
}

func (c *comparing) slowCases() []slowCase {
	var all []slowCase
	for _, style := range udpkit.Styles() {
		if style != udpkit.Channel {
			all = append(all, slowCase{SlowResult: SlowResult{Name: string(style), Style: style, Detail: "no queue of its own"}})
			continue
		}
		for _, queue := range []int{c.burst / 10, 2 * c.burst} {
			r := SlowResult{Name: fmt.Sprintf("%s, queue %d", style, queue), Style: style, Detail: fmt.Sprintf("queue of %d", queue)}
			all = append(all, slowCase{r, queue})
		}
	}
	return all
}

// atOnce is how many datagrams come in a millisecond while the handler is slow.
const atOnce = 10

// slow sends datagrams faster than they can be handled, and waits until no more is.
func (c *comparing) slow(ctx context.Context, s slowCase) (SlowResult, error) {
	result := s.SlowResult
	sockets, err := newPair()
	if err != nil {
		return result, err
	}
	defer sockets.close()
	var handled atomic.Int64
	run, receiver, err := start(ctx, s.Style, udpkit.ReceiverConfig{QueueSize: s.queue}, sockets.receiver, func(udpkit.Datagram) {
		time.Sleep(c.handler)
		handled.Add(1)
	})
	if err != nil {
		return result, err
	}
	payload := make([]byte, size)
	for i := range c.burst {
		if i%atOnce == 0 && !measure.Sleep(ctx, time.Millisecond) {
			break
		}
		if _, err := sockets.sender.Write(payload); err != nil {
			return result, errors.Join(err, run.stop())
		}
		result.Sent++
	}
	quiet := 0
	for last := int64(-1); quiet < 6 && measure.Sleep(ctx, settle); {
		if now := handled.Load(); now != last {
			last, quiet = now, 0
		} else {
			quiet++
		}
	}
	err = run.stop()
	result.Handled, result.Dropped = int(handled.Load()), int(receiver.Dropped())
	return result, err
}
