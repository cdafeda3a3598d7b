package experiment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

// checkTime is how long the reader's functions may take for all of a check.
const checkTime = 5 * time.Second

// report prints what a check found, never as a failure: an exercise that nobody
// has done yet is no error.
func report(missing string, err error) error {
	if err != nil {
		return err
	}
	if missing == "" {
		fmt.Println("✓ All that was asked for. Well done!")
		return nil
	}
	fmt.Println("✗ Not yet: " + missing)
	return nil
}

// attempt calls the reader's function and returns what is missing. When the time is
// up, or the context ends, it calls stop, which has to end the function's reads and
// writes, and waits no longer.
func attempt(ctx context.Context, f func() (missing string), stop func()) (missing string) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	done := make(chan string, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Sprintf("it panicked: %v", p)
			}
		}()
		done <- f()
	}()
	select {
	case missing = <-done:
		stop()
		return missing
	case <-ctx.Done():
	}
	stop()
	select {
	case <-done:
	case <-time.After(time.Second): // it does something else than to read or write
	}
	return fmt.Sprintf("it had not come to an end after %v; what does it wait for?", checkTime)
}

// CheckFrames checks the first exercise: write puts a message on a stream in a way
// that lets read find its end. A read at the end of the stream returns io.EOF.
func CheckFrames(ctx context.Context, write func(io.Writer, []byte) error, read func(io.Reader) ([]byte, error)) error {
	return report(checkFrames(ctx, write, read))
}

func checkFrames(ctx context.Context, write func(io.Writer, []byte) error, read func(io.Reader) ([]byte, error)) (missing string, err error) {
	sender, receiver, err := Pair("tcp")
	if err != nil {
		return "", err
	}
	return attempt(ctx, func() string {
		messages := [][]byte{[]byte("first"), []byte("second"), {}, bytes.Repeat([]byte("long "), 60), []byte("two\nlines\x00")}
		for _, m := range messages {
			if err := write(sender, m); err != nil {
				return fmt.Sprintf("write returned %v", err)
			}
		}
		if err := sender.(*net.TCPConn).CloseWrite(); err != nil {
			return err.Error()
		}
		// A stream may be delivered in any pieces: here byte by byte.
		stream := byteByByte{receiver}
		for _, m := range messages {
			got, err := read(stream)
			if err != nil {
				return fmt.Sprintf("read returned the error %v, and not the message %.20q", err, m)
			}
			if !bytes.Equal(got, m) {
				return fmt.Sprintf("%.20q was written, and read returned %.20q", m, got)
			}
		}
		if got, err := read(stream); !errors.Is(err, io.EOF) {
			return fmt.Sprintf("all messages are there, but at the end of the stream read returned %.20q and the error %v, not io.EOF", got, err)
		}
		return ""
	}, func() { _ = errors.Join(sender.Close(), receiver.Close()) }), nil
}

// byteByByte returns one byte from each Read.
type byteByByte struct{ io.Reader }

// Read implements io.Reader.
func (r byteByByte) Read(b []byte) (int, error) { return r.Reader.Read(b[:min(1, len(b))]) }

// CheckAsk checks the second exercise: ask sends a question over UDP and returns
// the answer to it, on a network that loses a third of all datagrams and repeats
// some. The answer is the question in capital letters.
func CheckAsk(ctx context.Context, ask func(conn net.Conn, question string) (string, error)) error {
	return report(checkAsk(ctx, ask))
}

func checkAsk(ctx context.Context, ask func(net.Conn, string) (string, error)) (missing string, err error) {
	client, server, err := Pair("udp")
	if err != nil {
		return "", err
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		serveBadly(server.(*net.UDPConn))
	}()
	missing = attempt(ctx, func() string {
		for n := 1; n <= 12; n++ {
			question := fmt.Sprintf("question %d", n)
			got, err := ask(client, question)
			if err != nil {
				return fmt.Sprintf("ask returned the error %v for %q", err, question)
			}
			if want := strings.ToUpper(question); got != want {
				return fmt.Sprintf("to %q ask returned %q: a datagram that came late, or twice?", question, got)
			}
		}
		return ""
	}, func() { _ = client.Close() })
	err = server.Close()
	<-served
	return missing, err
}

// serveBadly answers in capital letters, on a network that the seed makes bad.
func serveBadly(conn *net.UDPConn) {
	dice := rand.New(rand.NewPCG(weatherSeed, 0))
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		times := 0
		if dice.Float64() > 1./3 { // the question was not lost
			times = 1 + dice.IntN(2)
		}
		for range times {
			_, _ = conn.WriteToUDPAddrPort(bytes.ToUpper(buf[:n]), from) // a lost answer is asked for again
		}
	}
}
