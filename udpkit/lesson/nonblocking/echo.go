package nonblocking

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
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
	var x exercise.Exchange
	return x.Report(ctx, checkEcho(ctx, &x, conns, senders, serve), nil)
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

// askEcho sends texts to the socket with this number, one right behind the other, and says what is
// wrong with the answers.
func askEcho(conn net.Conn, number int, texts ...string) (missing string) {
	for _, text := range texts {
		if _, err := conn.Write([]byte(text)); err != nil {
			return err.Error()
		}
	}
	buf := make([]byte, bufferSize)
	for i, text := range texts {
		_ = conn.SetReadDeadline(time.Now().Add(checkTime)) // an error is met by the read
		n, err := conn.Read(buf)
		switch want := strings.ToUpper(text); {
		case err != nil && i > 0:
			return fmt.Sprintf("socket %d got %d datagrams, one right behind the other, and answered %d", number, len(texts), i)
		case err != nil:
			return fmt.Sprintf("no answer from socket %d within a second", number)
		case n < len(want) && strings.HasPrefix(want, string(buf[:n])):
			return fmt.Sprintf("of %d bytes only %d came back. How long is the buffer?", len(want), n)
		case string(buf[:n]) != want:
			return fmt.Sprintf("the answer to %.40q is %.40q, and not %.40q", text, buf[:n], want)
		}
	}
	return ""
}

// askEchoAll has two ask at each socket, in turn, several questions, and a long one.
func askEchoAll(x *exercise.Exchange, conns, senders []*net.UDPConn) (missing string) {
	created := exercise.Created()
	asks := make([]net.Conn, len(senders))
	for i, sender := range senders {
		x.Clear() // what went right
		x.Call(service.AddrOf(conns[i].LocalAddr()), fmt.Sprintf("socket %d", i+1))
		asks[i] = x.Conn("who asks", sender)
		if missing := askEcho(asks[i], i+1, fmt.Sprintf("socket %d: %x", i+1, rand.Uint64())); missing != "" {
			return missing
		}
	}
	for i, conn := range conns {
		x.Clear()
		other, err := net.DialUDP("udp4", nil, conn.LocalAddr().(*net.UDPAddr))
		if err != nil {
			return err.Error()
		}
		missing := askEcho(x.Conn("somebody else", other), i+1, fmt.Sprintf("another one: %x", rand.Uint64()))
		_ = other.Close()
		if missing != "" {
			return "when somebody else asks: " + missing
		}
		if missing := askEcho(asks[i], i+1, "one after", "the other", "and a third", "", strings.Repeat("long ", 280)); missing != "" {
			return missing
		}
	}
	x.Clear() // the rest is not a question of what goes over the network
	if created = exercise.Created() - created; created >= uint64(len(conns)) {
		return fmt.Sprintf("all sockets answer, but %d goroutines were made for it; one is enough", created)
	}
	return ""
}

func checkEcho(ctx context.Context, x *exercise.Exchange, conns, senders []*net.UDPConn, serve func(context.Context, []*net.UDPConn) error) (missing string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	observed := &observedContext{Context: ctx}
	before := exercise.Descriptors()
	c := exercise.Start(func() error { return serve(observed, conns) })
	if err, ended := c.Within(context.Background(), 50*time.Millisecond); ended {
		return fmt.Sprintf("serve returned at once, with the error %v; it should work until the context ends", err)
	}
	if missing := askEchoAll(x, conns, senders); missing != "" {
		return missing
	}
	const samples = 10
	began, looks, most, selecting, quiet := time.Now(), observed.looks.Load(), 0, 0, c.Silence()
	for range samples {
		measure.Sleep(ctx, 20*time.Millisecond)
		all, inside := c.Goroutines("udpkit.(*Selector).Select")
		most, selecting = max(most, all), selecting+inside
	}
	silence := time.Since(began)
	looks = observed.looks.Load() - looks
	disturbed := quiet.Disturbed(looksPerSecond)
	watched, told := exercise.Watched(before, conns)
	switch {
	case most > 1:
		return fmt.Sprintf("all sockets answer, but %d goroutines work for them; one is enough", most)
	case selecting < samples/2:
		return fmt.Sprintf("all sockets answer, but serve does not leave the waiting to a Selector: in %v of silence it was seen in Select %d times of %d", silence.Round(time.Millisecond), selecting, samples)
	case looks > int64(4*2*looksPerSecond*silence.Seconds()):
		return fmt.Sprintf("all sockets answer, but serve does not sleep: in %v of silence it looked %d times whether the context has ended. How long may Select wait?", silence.Round(time.Millisecond), looks)
	case disturbed != "":
		return "all sockets answer, but serve does not sleep: " + disturbed + ". How long may Select wait?"
	case told && watched < len(conns):
		return fmt.Sprintf("all sockets answer, but its Selector waits for %d of the %d: Register each of them", watched, len(conns))
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
