package nonblocking

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
)

// checkTime is how long the reader's function may take for anything.
const checkTime = time.Second

// report prints what a check found, never as a failure: an exercise that nobody
// has done yet is no error.
func report(missing string) error {
	if missing == "" {
		fmt.Println("✓ All that was asked for. Well done!")
		return nil
	}
	fmt.Println("✗ Not yet: " + missing)
	return nil
}

// CheckQueue checks the first exercise: put sends n into a queue, at its end in; if that
// is full it drops the oldest, from the end out. It never waits, though others use the
// queue at the same time, and returns how many it dropped.
func CheckQueue(put func(in chan<- int, out <-chan int, n int) (dropped int)) error {
	return report(checkQueue(put))
}

// putFunc is the reader's.
type putFunc = func(in chan<- int, out <-chan int, n int) (dropped int)

func checkQueue(put putFunc) (missing string) {
	for range 20 { // a select may take either way
		if missing := checkOldest(put); missing != "" {
			return missing
		}
	}
	if missing := checkPace(put); missing != "" {
		return missing
	}
	for range 10 { // a busy machine may let put come too late for it once
		if missing := checkShared(put); missing != "" {
			return missing
		}
	}
	return ""
}

// checkOldest has five numbers put into a queue of three.
func checkOldest(put putFunc) (missing string) {
	queue, dropped, three := make(chan int, 3), 0, 0
	var at atomic.Int64
	c := call(func() error {
		for n := 1; n <= 5; n++ {
			at.Store(int64(n))
			dropped += put(queue, queue, n)
			if n == 3 {
				three = len(queue)
			}
		}
		return nil
	})
	defer c.free(queue, queue)
	switch err, ended := c.within(checkTime); {
	case !ended:
		return fmt.Sprintf("put waits at number %d, when the queue is full. A select with a default does not wait", at.Load())
	case err != nil:
		return "put: " + err.Error()
	case three != 3:
		return fmt.Sprintf("three numbers were put, and %d are in the queue", three)
	}
	if n := c.left(); n > 0 {
		return fmt.Sprintf("put has returned, and %s of its own may still wait in its place", format.Plural(n, "goroutine"))
	}
	var left []int
	for len(queue) > 0 {
		left = append(left, <-queue)
	}
	switch {
	case !slices.Equal(left, []int{3, 4, 5}):
		return fmt.Sprintf("after 1 to 5 a queue of three holds %v; the newest are [3 4 5]", left)
	case dropped != 2:
		return fmt.Sprintf("the queue holds the right numbers, but put reports %d dropped instead of 2", dropped)
	}
	return ""
}

// checkPace has many numbers put into a full queue. Who rests at each is not done in time.
func checkPace(put putFunc) (missing string) {
	const many = 2000
	queue := make(chan int, 3)
	var done, stop atomic.Int64
	c := call(func() error {
		for n := 0; n < many && stop.Load() == 0; n++ {
			put(queue, queue, n)
			done.Add(1)
		}
		return nil
	})
	defer c.free(queue, queue)
	defer stop.Store(1)
	switch err, ended := c.within(checkTime); {
	case !ended:
		return fmt.Sprintf("of %d numbers for a full queue, put has done %d after a second: it waits, or rests, somewhere", many, done.Load())
	case err != nil:
		return "put: " + err.Error()
	}
	return ""
}

// checkShared plays the others who use the queue, at the very moments that matter: they
// take the room that put has made, and then they empty the queue behind its back. For
// that, the ends of this queue are two channels: in is full until the check says
// otherwise, and out holds what can be dropped.
func checkShared(put putFunc) (missing string) {
	const others, number = 3, 9
	in, out := make(chan int, 1), make(chan int, others)
	in <- 0
	for n := range others {
		out <- n
	}
	dropped := 0
	c := call(func() error {
		dropped = put(in, out, number)
		return nil
	})
	defer c.free(in, out)
	err, ended := error(nil), false
	for began := time.Now(); !ended && len(out) > 0; {
		if time.Since(began) > checkTime {
			return fmt.Sprintf("put found the queue full and dropped %d, but somebody else was quicker and took the room. Now put waits. What if it looked again?", others-len(out))
		}
		err, ended = c.within(time.Millisecond)
	}
	if !ended { // it looks once more: the queue is full, and what could be dropped is gone
		err, ended = c.within(5 * time.Millisecond)
	}
	switch {
	case err != nil:
		return "put: " + err.Error()
	case ended:
		return fmt.Sprintf("put found the queue full and dropped %d, but somebody else was quicker and took the room. Then put gave up: its number is not in the queue", others-len(out))
	}
	<-in
	switch err, ended := c.within(checkTime); {
	case !ended:
		return "put found the queue full, and then somebody else emptied it. A second later put still waits, though there is room. What if there is nothing left to drop?"
	case err != nil:
		return "put: " + err.Error()
	case len(in) != 1 || <-in != number:
		return "put found the queue full, and then somebody else emptied it; put returned, and its number is not in the queue"
	case dropped != others:
		return fmt.Sprintf("put dropped %d, somebody else took the others, and put reports %d", others, dropped)
	}
	return ""
}

// looksPerSecond is how often an exercise may look around while nothing comes. The check
// forgives as many again.
const looksPerSecond = 100

// CheckReceive checks the second exercise: a receive loop that can be stopped. It is
// done on the caller's goroutine, and sleeps while nothing comes.
func CheckReceive(ctx context.Context, receive func(ctx context.Context, conn net.Conn, handle func([]byte)) error) error {
	missing, err := checkReceive(ctx, receive)
	if err != nil {
		return err
	}
	return report(missing)
}

// receiveFunc is the reader's.
type receiveFunc = func(ctx context.Context, conn net.Conn, handle func([]byte)) error

func checkReceive(ctx context.Context, receive receiveFunc) (missing string, err error) {
	for _, traffic := range []bool{false, true} {
		sockets, err := newPair()
		if err != nil {
			return "", err
		}
		missing := checkStop(ctx, sockets, receive, traffic)
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
func checkStop(ctx context.Context, sockets pair, receive receiveFunc, traffic bool) (missing string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	got, held := make(chan string, 2*burst), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	var more atomic.Bool // datagrams keep coming
	defer more.Store(false)
	conn := &observedConn{Conn: sockets.receiver}
	c := call(func() error {
		return receive(ctx, conn, func(payload []byte) {
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
		n, _ := c.goroutines("")
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
		case err := <-c.ended:
			return fmt.Sprintf("receive returned (%v) before the context ended; it has handled %d of %d datagrams", err, handled-1, 1+burst)
		case <-time.After(checkTime):
			return fmt.Sprintf("datagram %d was not handled within a second", handled)
		}
	}
	measure.Sleep(ctx, 100*time.Millisecond)
	// The first one holds handle up until the others are there.
	for n := range 1 + burst {
		if _, err := fmt.Fprintf(sockets.sender, "datagram %d", n+1); err != nil {
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
	if !traffic {
		began, before := time.Now(), conn.empty.Load()
		for range 6 {
			measure.Sleep(ctx, 50*time.Millisecond)
			look()
		}
		silence, looks := time.Since(began), conn.empty.Load()-before
		switch {
		case goroutines > 1:
			return fmt.Sprintf("all datagrams are handled, but %d goroutines work on it: the caller's is enough", goroutines)
		case looks > int64(2*looksPerSecond*silence.Seconds()):
			return fmt.Sprintf("all datagrams are handled, but in %v of silence receive looked %d times for another one. A read can sleep longer", silence.Round(time.Millisecond), looks)
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
	err, ended := c.within(checkTime)
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
	if n := c.left(); n > 0 {
		return fmt.Sprintf("receive has returned and left %s behind", format.Plural(n, "goroutine"))
	}
	return ""
}

// echoSockets is how many the third exercise has.
const echoSockets = 8

// CheckEcho checks the third exercise: one goroutine answers on many sockets, and sleeps
// in a Selector until one of them has something.
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
	return report(checkEcho(ctx, conns, senders, serve))
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
	before := descriptors()
	c := call(func() error { return serve(observed, conns) })
	if err, ended := c.within(50 * time.Millisecond); ended {
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
		all, inside := c.goroutines("udpkit.(*Selector).Select")
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
	if _, ended := c.within(checkTime); !ended {
		return "all sockets answer, but a second after the cancel serve still runs"
	}
	if left := c.left(); left > 0 {
		return fmt.Sprintf("serve has returned and left %s behind", format.Plural(left, "goroutine"))
	}
	if names := opened(before); len(names) > 0 {
		return fmt.Sprintf("serve has returned and left open what it has asked the system for: %s. Who makes a Selector gives it back", strings.Join(names, ", "))
	}
	return ""
}
