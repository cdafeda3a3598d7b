package nonblocking

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// echoSockets is how many the third exercise has.
const echoSockets = 8

// CheckEcho checks the third exercise: one goroutine answers on many sockets, and sleeps in a
// Selector until one of them has something.
func CheckEcho(ctx context.Context, serve func(ctx context.Context, conns []*net.UDPConn) error) error {
	var conns, senders []*net.UDPConn
	for range echoSockets {
		p, err := newPair()
		if err != nil {
			return err
		}
		defer p.close()
		conns, senders = append(conns, p.receiver), append(senders, p.sender)
	}
	return exercise.Report(ctx, checkEcho(ctx, conns, senders, serve), nil)
}

// observedContext is a context that counts how often it is looked at. A Select looks four times.
type observedContext struct {
	context.Context
	looks atomic.Int64
}

// Done implements context.Context.
func (o *observedContext) Done() <-chan struct{} {
	o.looks.Add(1)
	return o.Context.Done()
}

// Err implements context.Context.
func (o *observedContext) Err() error {
	o.looks.Add(1)
	return o.Context.Err()
}

func checkEcho(ctx context.Context, conns, senders []*net.UDPConn, serve func(context.Context, []*net.UDPConn) error) (missing string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	observed := &observedContext{Context: ctx}
	before := exercise.Descriptors()
	c := exercise.Start(func() error { return serve(observed, conns) })
	if err, ended := c.Within(context.Background(), 50*time.Millisecond); ended {
		return fmt.Sprintf("serve returned at once, with the error %v; it should work until the context ends", err)
	}
	buf := make([]byte, 100)
	for round := range 2 {
		for i, conn := range senders {
			text := fmt.Sprintf("socket %d, round %d", i+1, round+1)
			_ = conn.SetReadDeadline(time.Now().Add(checkTime)) // an error is met by the read
			if _, err := conn.Write([]byte(text)); err != nil {
				return err.Error()
			}
			n, err := conn.Read(buf)
			if err != nil {
				return fmt.Sprintf("no answer from socket %d within a second", i+1)
			}
			if want := []byte(strings.ToUpper(text)); !bytes.Equal(buf[:n], want) {
				return fmt.Sprintf("the answer to %q is %q, and not %q", text, buf[:n], want)
			}
		}
	}
	const samples = 10
	began, looks, most, selecting := time.Now(), observed.looks.Load(), 0, 0
	for range samples {
		measure.Sleep(ctx, 20*time.Millisecond)
		all, inside := c.Goroutines("udpkit.(*Selector).Select")
		most, selecting = max(most, all), selecting+inside
	}
	silence := time.Since(began)
	looks = observed.looks.Load() - looks
	switch {
	case most > 1:
		return fmt.Sprintf("all sockets answer, but %d goroutines work for them; one is enough", most)
	case selecting < samples/2:
		return fmt.Sprintf("all sockets answer, but serve does not leave the waiting to a Selector: in %v of silence it was seen in Select %d times of %d", silence.Round(time.Millisecond), selecting, samples)
	case looks > int64(4*2*looksPerSecond*silence.Seconds()):
		return fmt.Sprintf("all sockets answer, but serve does not sleep: in %v of silence it looked %d times whether the context has ended. How long may Select wait?", silence.Round(time.Millisecond), looks)
	}
	cancel()
	if _, ended := c.Within(context.Background(), checkTime); !ended {
		return "all sockets answer, but a second after the cancel serve still runs"
	}
	if left := c.Left(); left > 0 {
		return fmt.Sprintf("serve has returned and left %s behind", format.Plural(left, "goroutine"))
	}
	if names := exercise.OpenedSince(before); len(names) > 0 {
		return fmt.Sprintf("serve has returned and left open what it has asked the system for: %s. Whoever makes a Selector closes it", strings.Join(names, ", "))
	}
	return ""
}
