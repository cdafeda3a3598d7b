package nonblocking

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// looksPerSecond is how often an exercise may look around while nothing comes. The check forgives
// as many again.
const looksPerSecond = 100

// CheckReceive checks the second exercise: a receive loop that can be stopped. It is done on the
// caller's goroutine, and sleeps while nothing comes.
func CheckReceive(ctx context.Context, receive func(ctx context.Context, conn net.Conn, handle func([]byte)) error) error {
	var x exercise.Exchange
	missing, err := checkReceive(ctx, &x, receive)
	return x.Report(ctx, missing, err)
}

// receiveFunc is the reader's.
type receiveFunc = func(ctx context.Context, conn net.Conn, handle func([]byte)) error

func checkReceive(ctx context.Context, x *exercise.Exchange, receive receiveFunc) (missing string, err error) {
	for _, traffic := range []bool{false, true} {
		sockets, err := newPair()
		if err != nil {
			return "", err
		}
		missing := checkStop(ctx, x, sockets, receive, traffic)
		sockets.close() // ends a read
		if missing != "" {
			return missing, nil
		}
	}
	return "", nil
}

// observedConn is a socket that counts the reads which found nothing.
type observedConn struct {
	net.Conn
	empty atomic.Int64
}

// Read implements net.Conn.
func (o *observedConn) Read(b []byte) (int, error) {
	n, err := o.Conn.Read(b)
	if err != nil {
		o.empty.Add(1)
	}
	return n, err
}

// burst is how many datagrams come at once.
const burst = 20

// checkStop lets receive receive, and stops it: while nothing comes, or in the traffic.
func checkStop(ctx context.Context, x *exercise.Exchange, sockets pair, receive receiveFunc, traffic bool) (missing string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	got, held := make(chan string, 2*burst), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	var more atomic.Bool // datagrams keep coming
	defer more.Store(false)
	conn := &observedConn{Conn: sockets.receiver}
	x.Clear() // what went right
	from := sockets.sender.LocalAddr()
	sender, handle := x.Conn("sender", sockets.sender), x.Side("handle", sockets.receiver.LocalAddr())
	x.Call(service.AddrOf(sockets.receiver.LocalAddr()), "receive") // until something is handled
	c := exercise.Start(func() error {
		return receive(ctx, conn, func(payload []byte) {
			handle.Received(from, payload)
			select {
			case got <- string(payload):
			default: // more than is looked at
			}
			<-held
			if more.Load() {
				_, _ = sockets.sender.Write([]byte("more")) // before the next read
			}
		})
	})
	goroutines := 0
	look := func() {
		n, _ := c.Goroutines("")
		goroutines = max(goroutines, n)
	}
	handled := 0
	expect := func(word string) (missing string) {
		handled++
		select {
		case w := <-got:
			if w != word {
				return fmt.Sprintf("datagram %d says %q, and handle was given %q", handled, word, w)
			}
			return ""
		case err := <-c.Ended():
			return fmt.Sprintf("receive returned (%v) before the context ended; it has handled %d of %d datagrams", err, handled-1, 1+burst)
		case <-time.After(checkTime):
			return fmt.Sprintf("datagram %d was not handled within a second", handled)
		}
	}
	measure.Sleep(ctx, 100*time.Millisecond)
	// The first one holds handle up until the others are there.
	for n := range 1 + burst {
		if _, err := fmt.Fprintf(sender, "datagram %d", n+1); err != nil {
			return err.Error()
		}
		if n == 0 {
			if missing := expect("datagram 1"); missing != "" {
				return missing
			}
			look()
		}
	}
	release()
	for n := range burst {
		if missing := expect(fmt.Sprintf("datagram %d", n+2)); missing != "" {
			return missing
		}
	}
	x.Clear() // the rest is not a question of what goes over the network
	if !traffic {
		began, before, quiet := time.Now(), conn.empty.Load(), c.Silence()
		for range 6 {
			measure.Sleep(ctx, 50*time.Millisecond)
			look()
		}
		silence, looks := time.Since(began), conn.empty.Load()-before
		disturbed := quiet.Disturbed(looksPerSecond)
		switch {
		case goroutines > 1:
			return fmt.Sprintf("all datagrams are handled, but %d goroutines work on it: the caller's is enough", goroutines)
		case looks > int64(2*looksPerSecond*silence.Seconds()):
			return fmt.Sprintf("all datagrams are handled, but in %v of silence receive looked %d times for another one. A read can sleep longer", silence.Round(time.Millisecond), looks)
		case disturbed != "":
			return "all datagrams are handled, but " + disturbed + ". A read can sleep longer"
		}
	}
	if traffic {
		more.Store(true)
		if _, err := sockets.sender.Write([]byte("more")); err != nil {
			return err.Error()
		}
	}
	cancel()
	began := time.Now()
	err, ended := c.Within(context.Background(), checkTime)
	took := time.Since(began)
	switch {
	case !ended && traffic:
		return "all datagrams are handled, but while more of them keep coming, receive still runs a second after the cancel"
	case !ended:
		return "all datagrams are handled, but a second after the cancel receive still waits"
	case !errors.Is(err, context.Canceled):
		return fmt.Sprintf("receive returned %v; the caller wants to know why: return ctx.Err()", err)
	case took > 300*time.Millisecond:
		return fmt.Sprintf("it took %v from cancel to return; make it less than 300ms", took.Round(time.Millisecond))
	}
	if n := c.Left(); n > 0 {
		return fmt.Sprintf("receive has returned and left %s behind", format.Plural(n, "goroutine"))
	}
	return ""
}
