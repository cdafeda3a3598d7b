package sockets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/asked"
)

// checkTime is how long the reader's function may take for anything.
const checkTime = time.Second

// report prints what a check found, never as a failure: an exercise that nobody
// has done yet is no error.
func report(ctx context.Context, missing string) error {
	switch {
	case ctx.Err() != nil:
		fmt.Println("The check was interrupted.")
		return nil
	case missing == "":
		fmt.Println("✓ All that was asked for. Well done!")
		return nil
	}
	fmt.Println("✗ Not yet: " + missing)
	return nil
}

// loopback opens a socket on this machine.
func loopback() (net.PacketConn, error) { return net.ListenPacket("udp4", "127.0.0.1:0") }

// start calls the reader's function, and returns where its error, or its panic,
// will come.
func start(f func() error) <-chan error {
	ended := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				ended <- fmt.Errorf("it panicked: %v", p)
			}
		}()
		ended <- f()
	}()
	return ended
}

// CheckShout checks the first exercise: a server that answers each datagram in
// capital letters, returns nil when its socket is closed, and every other error of
// its ReadFrom.
func CheckShout(ctx context.Context, shout func(socket net.PacketConn) error) error {
	missing, err := checkShout(ctx, shout)
	if err != nil {
		return err
	}
	return report(ctx, missing)
}

func checkShout(ctx context.Context, shout func(net.PacketConn) error) (missing string, err error) {
	socket, err := loopback()
	if err != nil {
		return "", err
	}
	defer socket.Close() // the second time says that it is closed
	defer context.AfterFunc(ctx, func() { _ = socket.Close() })()
	ended := start(func() error { return shout(socket) })

	var clients []net.Conn
	for range 2 {
		client, err := net.Dial("udp4", socket.LocalAddr().String())
		if err != nil {
			return "", err
		}
		defer client.Close()
		clients = append(clients, client)
	}
	buffer := make([]byte, 2000)
	for i, text := range []string{"hello", "Grüße", strings.Repeat("long ", 240)} {
		for _, client := range clients {
			if _, err := client.Write([]byte(text)); err != nil {
				return "", err
			}
			_ = client.SetReadDeadline(time.Now().Add(checkTime)) // an error is met by the read
			n, err := client.Read(buffer)
			want := bytes.ToUpper([]byte(text))
			switch {
			case err != nil:
				select {
				case err := <-ended:
					return fmt.Sprintf("shout returned (%v) before the socket was closed", err), nil
				default:
					return fmt.Sprintf("no answer to datagram %d within a second", i+1), nil
				}
			case !bytes.Equal(buffer[:n], want) && n < len(want):
				return fmt.Sprintf("of %d bytes only %d came back. How long is the buffer?", len(want), n), nil
			case !bytes.Equal(buffer[:n], want):
				return fmt.Sprintf("the answer to %q is %q, and not %q", short(text), short(string(buffer[:n])), short(string(want))), nil
			}
		}
	}
	_ = socket.Close()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Sprintf("all is answered. But closing the socket is how this server is asked to end: return nil then, and not %q", err), nil
		}
	case <-time.After(checkTime):
		return "all is answered, but a second after the socket was closed shout still runs", nil
	}
	return checkBroken(ctx, shout)
}

// errBroken is what a socket may say that is open, and of no use all the same.
var errBroken = &net.OpError{Op: "read", Net: "udp4", Err: errors.New("network is down")}

// brokenReads is how often a broken socket may be read.
const brokenReads = 1000

// broken is a socket whose reads all fail.
type broken struct {
	net.PacketConn
	reads  atomic.Int64
	closed atomic.Bool
}

// ReadFrom implements net.PacketConn.
func (b *broken) ReadFrom([]byte) (int, net.Addr, error) {
	if b.reads.Add(1) > brokenReads || b.closed.Load() { // ends who goes on for ever
		return 0, nil, net.ErrClosed
	}
	return 0, nil, errBroken
}

// checkBroken looks at what shout says of an error that nobody has asked for.
func checkBroken(ctx context.Context, shout func(net.PacketConn) error) (missing string, err error) {
	socket, err := loopback()
	if err != nil {
		return "", err
	}
	defer socket.Close()
	b := &broken{PacketConn: socket}
	defer b.closed.Store(true)
	ended := start(func() error { return shout(b) })
	select {
	case err := <-ended:
		switch reads := b.reads.Load(); {
		case err != nil && strings.HasPrefix(err.Error(), "it panicked"):
			return err.Error(), nil
		case reads > 1:
			return fmt.Sprintf("ReadFrom failed (%v), and shout tried again %d times: return the error", errBroken, reads-1), nil
		case err == nil:
			return fmt.Sprintf("ReadFrom failed (%v), and shout returned nil, as if it had been asked to end. Which errors mean that?", errBroken), nil
		}
	case <-ctx.Done():
	case <-time.After(checkTime):
		return fmt.Sprintf("ReadFrom failed (%v), and a second later shout still runs; it has read %d times", errBroken, b.reads.Load()), nil
	}
	return "", nil
}

// short makes a text fit for a message.
func short(text string) string {
	if len(text) > 20 {
		return strings.ToValidUTF8(text[:20], "") + "…"
	}
	return text
}

// attempts is how often the second exercise asks, and wait how long it waits for
// each reply.
const (
	attempts = 5
	wait     = 100 * time.Millisecond
)

// CheckAsk checks the second exercise: a client that survives lost and late
// replies. Its socket is connected to an echo server on a bad network.
func CheckAsk(ctx context.Context, ask func(socket net.Conn, question string) (string, error)) error {
	missing, err := checkAsk(ctx, ask)
	if err != nil {
		return err
	}
	return report(ctx, missing)
}

func checkAsk(ctx context.Context, ask func(net.Conn, string) (string, error)) (missing string, err error) {
	server, err := loopback()
	if err != nil {
		return "", err
	}
	bad := &badNetwork{PacketConn: server}
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
	for _, question := range []string{questionEasy, questionLost, questionTwice, questionNext, questionFifth, questionNever} {
		if ctx.Err() != nil {
			return "", nil
		}
		var answer string
		began := time.Now()
		ended := start(func() (err error) {
			answer, err = ask(socket, question)
			return err
		})
		select {
		case err := <-ended:
			asked.CatchUp(server.LocalAddr())
			if missing := bad.judge(question, answer, err, began); missing != "" {
				return missing, nil
			}
		case <-ctx.Done():
		case <-time.After(2 * checkTime):
			return bad.waits(question), nil
		}
	}
	return bad.record.Needless(2), nil
}

// The questions, and what becomes of them.
const (
	questionEasy  = "Are you there?"
	questionLost  = "And now?"              // the first two replies are lost
	questionTwice = "Do you stutter?"       // every reply comes twice
	questionNext  = "Do you listen to me?"  // so this one meets an old reply, and its first own one is lost
	questionFifth = "Are you still asking?" // only the last reply comes
	questionNever = "Is there anybody out?" // no reply at all
)

// badNetwork is an echo server whose replies get lost and come twice.
type badNetwork struct {
	net.PacketConn
	record asked.Record
}

func (b *badNetwork) serve() {
	buffer := make([]byte, 1500)
	for {
		n, from, err := b.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // on some systems: that a reply met nobody
			continue
		}
		question := string(buffer[:n])
		if question == asked.Mark {
			_, _ = b.WriteTo(buffer[:n], from)
			continue
		}
		for range replies(question, b.record.Heard(question)) {
			b.record.Replies(question)
			_, _ = b.WriteTo(buffer[:n], from) // what is lost is lost
		}
	}
}

// replies returns how many replies come of a question that is asked for the n-th time.
func replies(question string, n int) int {
	lost := map[string]int{questionLost: 2, questionNext: 1, questionFifth: attempts - 1}
	switch {
	case question == questionNever, n <= lost[question]:
		return 0
	case question == questionTwice:
		return 2
	}
	return 1
}

// judge says what is wrong with an answer to a question that was begun at a time.
func (b *badNetwork) judge(question, answer string, err error, began time.Time) (missing string) {
	if err != nil && strings.HasPrefix(err.Error(), "it panicked") {
		return err.Error()
	}
	if missing := b.record.Hasty(question, began, wait); missing != "" {
		return missing
	}
	times, replied := b.record.Times(question)
	switch {
	case question == questionNever && err == nil:
		return fmt.Sprintf("nobody answered %q, and ask returned %q without an error", question, answer)
	case question == questionNever && times != attempts:
		return fmt.Sprintf("nobody answered, and ask gave up after asking %d times instead of %d", times, attempts)
	case question == questionNever:
		return ""
	case err != nil && times < 2:
		return fmt.Sprintf("the reply to %q was lost, and ask returned the error %q. Ask again!", question, err)
	case err != nil && replied:
		return fmt.Sprintf("the server answered %q, asked for the %dth time, and ask returned the error %q. Wait %v after each question", question, times, err, wait)
	case err != nil:
		return fmt.Sprintf("ask asked %q %s and returned the error %q", question, asked.Often(times), err)
	case answer != question && answer == questionTwice:
		return fmt.Sprintf("the answer to %q is %q: an old reply that came twice. Read on until the right one is there", question, answer)
	case answer != question:
		return fmt.Sprintf("the answer to %q is %q; an echo server answers with the question", question, answer)
	case !replied:
		return fmt.Sprintf("ask returned an answer to %q, which the server has not sent: it has heard the question %s. Return what you have read", question, asked.Often(times))
	}
	return ""
}

// waits says what is wrong if ask does not return.
func (b *badNetwork) waits(question string) string {
	if question == questionNever {
		return "nobody answers, and after two seconds ask still waits. Give up after five questions"
	}
	return fmt.Sprintf("the reply to %q was lost, and after two seconds ask still waits. Set a deadline", question)
}

// CheckWatch checks the third exercise: a table of peers that say HELLO, and are
// forgotten when they are silent.
func CheckWatch(ctx context.Context, watch func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func(peers []string)) error) error {
	missing, err := checkWatch(ctx, watch)
	if err != nil {
		return err
	}
	return report(ctx, missing)
}

// watchFunc is the reader's.
type watchFunc = func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func(peers []string)) error

// expiry is the silence after which the third exercise forgets a peer.
const expiry = 400 * time.Millisecond

// checkWatch begins again if the machine was so busy that the HELLOs came too late.
func checkWatch(ctx context.Context, watch watchFunc) (missing string, err error) {
	for range 5 {
		var late bool
		if missing, late, err = watchOnce(ctx, watch); !late || missing == "" || err != nil {
			break
		}
	}
	return missing, err
}

func watchOnce(ctx context.Context, watch watchFunc) (missing string, late bool, err error) {
	socket, err := loopback()
	if err != nil {
		return "", false, err
	}
	defer socket.Close() // ends a watch that does not mind its context
	sender, err := net.Dial("udp4", socket.LocalAddr().String())
	if err != nil {
		return "", false, err
	}
	defer sender.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := make(chan []string, 100)
	w := &watching{sender: sender, changes: changes, sent: make(map[string]time.Time)}
	w.ended = start(func() error {
		return watch(ctx, socket, expiry, func(peers []string) {
			select {
			case changes <- slices.Clone(peers):
			default: // far too many, which was noticed before
			}
		})
	})
	steps := []func() string{
		func() string { return w.hear("HELLO|anna", "anna") },
		func() string { return w.hear("HELLO|ben", "anna", "ben") },
		func() string { return w.ignore("HELLO|anna", "HELLO|ben", "HELLO|", "hello|eve", "GET / HTTP/1.1", "") },
		func() string { return w.forget("anna") },
		func() string { return w.hear("HELLO|ben", "anna", "ben") },
		func() string { return w.forget() },
	}
	for _, step := range steps {
		if missing := step(); missing != "" {
			return missing, w.late, nil
		}
	}
	cancel()
	began := time.Now()
	select {
	case err := <-w.ended:
		if !errors.Is(err, context.Canceled) {
			return fmt.Sprintf("watch returned %v; the caller wants to know why: return ctx.Err()", err), false, nil
		}
	case <-time.After(checkTime):
		return "the table is right, but a second after the cancel watch still runs", false, nil
	}
	if took := time.Since(began); took > 300*time.Millisecond {
		return fmt.Sprintf("the table is right, but it took %v from cancel to return; make it less than 300ms", took.Round(time.Millisecond)), false, nil
	}
	return "", false, nil
}

// watching is a watch that is being checked.
type watching struct {
	sender  net.Conn
	changes <-chan []string
	ended   <-chan error
	sent    map[string]time.Time // when each text was sent last
	late    bool                 // a HELLO comes so late that its peer may be forgotten
}

// hello is what a peer says.
func hello(name string) string { return "HELLO|" + name }

// onTime notes whether these peers have said HELLO lately, as the check wants it.
func (w *watching) onTime(names ...string) {
	for _, name := range names {
		at, said := w.sent[hello(name)]
		w.late = w.late || said && time.Since(at) > expiry*3/4
	}
}

func (w *watching) send(text string) string {
	w.sent[text] = time.Now()
	if _, err := w.sender.Write([]byte(text)); err != nil {
		return err.Error()
	}
	return ""
}

// hear sends a datagram, after which the table shall be want.
func (w *watching) hear(text string, want ...string) string {
	w.onTime(want...)
	if missing := w.send(text); missing != "" {
		return missing
	}
	return w.next(checkTime, fmt.Sprintf("after %q", text), want)
}

// next waits for a change.
func (w *watching) next(within time.Duration, when string, want []string) string {
	select {
	case peers := <-w.changes:
		return differ(when, peers, want)
	case err := <-w.ended:
		return fmt.Sprintf("watch returned (%v) before the context ended", err)
	case <-time.After(within):
		return fmt.Sprintf("%s changed was not called within %v; the peers are %v", when, within, want)
	}
}

func differ(when string, peers, want []string) string {
	if slices.Equal(peers, want) {
		return ""
	}
	if slices.Equal(slices.Sorted(slices.Values(peers)), want) {
		return fmt.Sprintf("%s the peers are %v: sort them", when, peers)
	}
	return fmt.Sprintf("%s the peers are %v and not %v", when, peers, want)
}

// ignore sends datagrams that shall change nothing.
func (w *watching) ignore(texts ...string) string {
	for _, text := range texts {
		if missing := w.send(text); missing != "" {
			return missing
		}
		select {
		case peers := <-w.changes:
			w.onTime("anna", "ben")
			return fmt.Sprintf("%q changes nothing, and yet changed was called with %v", text, peers)
		case err := <-w.ended:
			return fmt.Sprintf("watch returned (%v) after the datagram %q", err, text)
		case <-time.After(expiry / 20):
		}
	}
	return ""
}

// forget keeps some peers alive and waits until the others are forgotten.
func (w *watching) forget(alive ...string) string {
	began := time.Now()
	refresh := time.NewTicker(expiry / 4)
	defer refresh.Stop()
	table := []string{"anna", "ben"}
	for {
		select {
		case <-refresh.C:
			w.onTime(alive...)
			for _, name := range alive {
				if missing := w.send(hello(name)); missing != "" {
					return missing
				}
			}
			if time.Since(began) > 2*expiry+checkTime/2 {
				return fmt.Sprintf("a peer was silent for %v and is still in the table; it should be %v", time.Since(began).Round(time.Millisecond), alive)
			}
		case peers := <-w.changes:
			w.onTime(alive...)
			for _, name := range table {
				silence := time.Since(w.sent[hello(name)])
				if slices.Contains(peers, name) {
					continue
				}
				if silence < expiry*9/10 {
					return fmt.Sprintf("a peer was forgotten after %v; wait for %v", silence.Round(time.Millisecond), expiry)
				}
				delete(w.sent, hello(name))
			}
			table = peers
			if len(alive) == 0 && len(peers) == 1 { // one of two has gone
				continue
			}
			return differ("after a silence", peers, alive)
		case err := <-w.ended:
			return fmt.Sprintf("watch returned (%v) before the context ended", err)
		}
	}
}
