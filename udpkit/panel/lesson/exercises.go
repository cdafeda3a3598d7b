package lesson

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"time"

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

// within calls f and reports whether it came back in time. A panic comes back as text.
func within(d time.Duration, f func()) (returned bool, panicked any) {
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		f()
	}()
	select {
	case p := <-done:
		return true, p
	case <-time.After(d):
		return false, nil
	}
}

// CheckQueue checks the first exercise: put adds n to a queue; if the queue is full
// it makes room by dropping the oldest. It never waits, and returns how many it
// dropped.
func CheckQueue(put func(queue chan int, n int) (dropped int)) error {
	return report(checkQueue(put))
}

func checkQueue(put func(queue chan int, n int) int) (missing string) {
	queue, dropped := make(chan int, 3), 0
	for n := 1; n <= 5; n++ {
		returned, panicked := within(checkTime, func() { dropped += put(queue, n) })
		switch {
		case panicked != nil:
			return fmt.Sprintf("put panicked: %v", panicked)
		case !returned:
			return fmt.Sprintf("put waits at number %d, when the queue is full. A select with a default does not wait", n)
		case n == 3 && len(queue) != 3:
			return fmt.Sprintf("three numbers were put, and %d are in the queue", len(queue))
		}
	}
	var left []int
	for len(queue) > 0 {
		left = append(left, <-queue)
	}
	switch {
	case fmt.Sprint(left) != "[3 4 5]":
		return fmt.Sprintf("after 1 to 5 a queue of three holds %v; the newest are [3 4 5]", left)
	case dropped != 2:
		return fmt.Sprintf("the queue holds the right numbers, but put reports %d dropped instead of 2", dropped)
	}
	return ""
}

// CheckReceive checks the second exercise: a receive loop that can be stopped.
func CheckReceive(ctx context.Context, receive func(ctx context.Context, conn *net.UDPConn, handle func([]byte)) error) error {
	sockets, err := newPair()
	if err != nil {
		return err
	}
	defer sockets.close()
	return report(checkReceive(ctx, sockets, receive))
}

func checkReceive(ctx context.Context, sockets pair, receive func(context.Context, *net.UDPConn, func([]byte)) error) (missing string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	got := make(chan string, 10)
	ended := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				ended <- fmt.Errorf("it panicked: %v", p)
			}
		}()
		ended <- receive(ctx, sockets.receiver, func(payload []byte) { got <- string(payload) })
	}()
	for i, word := range []string{"one", "two", "three"} {
		measure.Sleep(ctx, 30*time.Millisecond)
		if _, err := sockets.sender.Write([]byte(word)); err != nil {
			return err.Error()
		}
		select {
		case w := <-got:
			if w != word {
				return fmt.Sprintf("datagram %d says %q, and handle was given %q", i+1, word, w)
			}
		case err := <-ended:
			return fmt.Sprintf("receive returned (%v) before the context ended; it has handled %d of 3 datagrams", err, i)
		case <-time.After(checkTime):
			return fmt.Sprintf("datagram %d was not handled within a second", i+1)
		}
	}
	cancel()
	began := time.Now()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			return fmt.Sprintf("receive returned %v; the caller wants to know why: return ctx.Err()", err)
		}
	case <-time.After(checkTime):
		_ = sockets.receiver.Close() // ends the read
		return "all datagrams are handled, but a second after the cancel receive still waits"
	}
	if took := time.Since(began); took > 300*time.Millisecond {
		return fmt.Sprintf("it took %v from cancel to return; make it less than 300ms", took.Round(time.Millisecond))
	}
	return ""
}

// echoSockets is how many the third exercise has.
const echoSockets = 8

// CheckEcho checks the third exercise: one goroutine answers on many sockets.
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

func checkEcho(ctx context.Context, conns, senders []*net.UDPConn, serve func(context.Context, []*net.UDPConn) error) (missing string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before := runtime.NumGoroutine()
	ended := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				ended <- fmt.Errorf("it panicked: %v", p)
			}
		}()
		ended <- serve(ctx, conns)
	}()
	select {
	case err := <-ended:
		return fmt.Sprintf("serve returned at once, with the error %v; it should work until the context ends", err)
	case <-time.After(50 * time.Millisecond):
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
	if extra := runtime.NumGoroutine() - before; extra > 2 {
		return fmt.Sprintf("all sockets answer, but %d goroutines work for them; one is enough", extra)
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(checkTime):
		return "all sockets answer, but a second after the cancel serve still runs"
	}
	if left := goroutines(before) - before; left > 0 {
		return fmt.Sprintf("serve has returned and left %s behind", plural(left, "goroutine"))
	}
	return ""
}
