package sockets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// attempts is how often the second exercise asks, and wait how long it waits for each reply.
const (
	attempts = 5
	wait     = 100 * time.Millisecond
)

// CheckAsk checks the second exercise: a client that survives lost and late replies. Its socket is
// connected to an echo server on a bad network.
func CheckAsk(ctx context.Context, ask func(socket net.Conn, question string) (string, error)) error {
	var x exercise.Exchange
	missing, err := checkAsk(ctx, &x, ask)
	return x.Report(ctx, missing, err)
}

func checkAsk(ctx context.Context, x *exercise.Exchange, ask func(net.Conn, string) (string, error)) (missing string, err error) {
	server, err := loopback()
	if err != nil {
		return "", err
	}
	stranger, err := exercise.Stranger()
	if err != nil {
		return "", errors.Join(err, server.Close())
	}
	defer stranger.Close()
	bad := &badNetwork{PacketConn: server, stranger: stranger, run: rand.Uint32()}
	bad.side, bad.strange = x.Side("server", server.LocalAddr()), x.Side("a stranger", stranger.LocalAddr())
	served := make(chan struct{})
	go func() { defer close(served); bad.serve() }()
	defer func() {
		_ = server.Close() // ends serve
		<-served
	}()
	socket, err := net.Dial("udp4", server.LocalAddr().String())
	if err != nil {
		return "", err
	}
	defer socket.Close() // ends an ask that still waits
	x.Call(service.AddrOf(socket.LocalAddr()), "ask")
	connected := exercise.Connected(server.LocalAddr())
	for _, question := range []string{questionEasy, questionLost, questionTwice, questionNext, questionFifth, questionNever} {
		question += fmt.Sprintf(" (%08x)", bad.run) // no other run has asked this
		if ctx.Err() != nil {
			return "", nil
		}
		var answer string
		began := time.Now()
		call := exercise.Start(func() (err error) {
			answer, err = ask(socket, question)
			return err
		})
		select {
		case err := <-call.Ended():
			open := exercise.LeftOpen(server.LocalAddr(), connected)
			exercise.CatchUp(server.LocalAddr())
			if missing := bad.judge(question, answer, err, began); missing != "" {
				return missing, nil
			}
			if missing := cmp.Or(call.LeftBehind(), open); missing != "" {
				return missing, nil
			}
		case <-ctx.Done():
		case <-time.After(2 * checkTime):
			return bad.waits(question), nil
		}
	}
	if missing := bad.record.Slow(wait); missing != "" {
		return missing, nil
	}
	return bad.record.Needless(2), nil
}

// The beginnings of the questions, and what becomes of them.
const (
	questionEasy  = "Are you there?"
	questionLost  = "And now?"              // the first two replies are lost
	questionTwice = "Do you stutter?"       // every reply comes twice
	questionNext  = "Do you listen to me?"  // so this one meets an old reply, and its first own one is lost
	questionFifth = "Are you still asking?" // only the last reply comes
	questionNever = "Is there anybody out?" // no reply at all, but from a stranger
)

// badNetwork is an echo server whose replies get lost and come twice.
type badNetwork struct {
	net.PacketConn
	stranger net.PacketConn // at another port
	run      uint32         // in all questions
	record   exercise.Record
	// What goes over the network. What ask reads of it is not seen.
	side, strange exercise.Side
}

// begins reports whether a question is the one that begins like this.
func begins(question, beginning string) bool { return strings.HasPrefix(question, beginning+" (") }

func (b *badNetwork) serve() {
	buffer := make([]byte, 1500)
	for {
		n, from, err := b.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // on some systems: a reply reached nobody
			continue
		}
		question := string(buffer[:n])
		if question == exercise.Mark {
			_, _ = b.WriteTo(buffer[:n], from)
			continue
		}
		b.side.Received(from, buffer[:n])
		if begins(question, questionNever) {
			b.strange.Sent(from, buffer[:n])
			_, _ = b.stranger.WriteTo(buffer[:n], from)
		}
		times := replies(question, b.record.Heard(question))
		if times == 0 && !begins(question, questionNever) {
			b.side.Lost(from, buffer[:n])
		}
		for range times {
			b.record.Replies(question)
			b.side.Sent(from, buffer[:n])
			_, _ = b.WriteTo(buffer[:n], from) // what is lost is lost
		}
	}
}

// replies returns how many replies get through when a question is asked for the n-th time.
func replies(question string, n int) int {
	lost := 0
	switch {
	case begins(question, questionNever):
		return 0
	case begins(question, questionLost):
		lost = 2
	case begins(question, questionNext):
		lost = 1
	case begins(question, questionFifth):
		lost = attempts - 1
	}
	switch {
	case n <= lost:
		return 0
	case begins(question, questionTwice):
		return 2
	}
	return 1
}

// judge says what is wrong with the answer to a question that ask began to ask at a time.
func (b *badNetwork) judge(question, answer string, err error, began time.Time) (missing string) {
	if errors.Is(err, exercise.ErrPanic) {
		return err.Error()
	}
	if missing := b.record.Hasty(question, began, wait); missing != "" {
		return missing
	}
	times, replied := b.record.Times(question)
	switch {
	case begins(question, questionNever) && err == nil && times > 0:
		return fmt.Sprintf("the server did not answer %q, and ask returned %q without an error. Who sent that? A connected socket hears nobody else", question, answer)
	case begins(question, questionNever) && err == nil:
		return fmt.Sprintf("nobody answered %q, and ask returned %q without an error", question, answer)
	case begins(question, questionNever) && times != attempts:
		return fmt.Sprintf("nobody answered, and ask gave up after asking %d times instead of %d", times, attempts)
	case begins(question, questionNever):
		return ""
	case err != nil && times < 2:
		return fmt.Sprintf("the reply to %q was lost, and ask returned the error %q. Ask again!", question, err)
	case err != nil && replied:
		return fmt.Sprintf("the server answered %q, asked for the %dth time, and ask returned the error %q. Wait %v after each question", question, times, err, wait)
	case err != nil:
		return fmt.Sprintf("ask asked %q %s and returned the error %q", question, exercise.Often(times), err)
	case answer != question && begins(answer, questionTwice):
		return fmt.Sprintf("the answer to %q is %q: an old reply that came twice. Read on until the right one is there", question, answer)
	case answer != question:
		return fmt.Sprintf("the answer to %q is %q; an echo server answers with the question", question, answer)
	case !replied:
		return fmt.Sprintf("ask returned an answer to %q, which the server has not sent: it has heard the question %s. Return what you have read", question, exercise.Often(times))
	}
	return ""
}

// waits says what is wrong when ask does not return.
func (b *badNetwork) waits(question string) string {
	if begins(question, questionNever) {
		return "nobody answers, and after two seconds ask still waits. Give up after five questions"
	}
	return fmt.Sprintf("the reply to %q was lost, and after two seconds ask still waits. Set a deadline", question)
}
