package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// CheckWatch checks the third exercise: a table of peers that say HELLO, and are forgotten when
// they are silent.
func CheckWatch(ctx context.Context, watch func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func(peers []string)) error) error {
	var x exercise.Exchange
	missing, err := checkWatch(ctx, &x, watch)
	return x.Report(ctx, missing, err)
}

// watchFunc is the reader's.
type watchFunc = func(ctx context.Context, socket net.PacketConn, expiry time.Duration, changed func(peers []string)) error

// expiry is the silence after which the third exercise forgets a peer.
const expiry = 400 * time.Millisecond

// checkWatch begins again if the machine was so busy that the HELLOs came too late.
func checkWatch(ctx context.Context, x *exercise.Exchange, watch watchFunc) (missing string, err error) {
	for range 5 {
		var late bool
		x.Clear()
		if missing, late, err = watchOnce(ctx, x, watch); !late || missing == "" || err != nil {
			break
		}
	}
	return missing, err
}

func watchOnce(ctx context.Context, x *exercise.Exchange, watch watchFunc) (missing string, late bool, err error) {
	socket, err := loopback()
	if err != nil {
		return "", false, err
	}
	defer socket.Close() // ends a watch that ignores its context
	sender, err := net.Dial("udp4", socket.LocalAddr().String())
	if err != nil {
		return "", false, err
	}
	defer sender.Close()
	other, err := net.Dial("udp4", socket.LocalAddr().String())
	if err != nil {
		return "", false, err
	}
	defer other.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := make(chan []string, 100)
	x.Call(service.AddrOf(socket.LocalAddr()), "watch")
	w := &watching{sender: x.Conn("the peers", sender), other: x.Conn("the peers, later", other), changes: changes, sent: make(map[string]time.Time)}
	w.call = exercise.Start(func() error {
		return watch(ctx, socket, expiry, func(peers []string) {
			select {
			case changes <- slices.Clone(peers):
			default: // far too many, which has been noticed by then
			}
		})
	})
	steps := []func() string{
		func() string { return w.hear("HELLO|anna", "anna") },
		func() string { return w.hear("HELLO|ben", "anna", "ben") },
		func() string {
			return w.ignore("HELLO|anna", "HELLO|ben", "HELLO|", "hello|eve", "OHELLO|eve", "GET / HTTP/1.1", "")
		},
		func() string {
			w.sender = w.other
			return w.ignore("HELLO|anna", "HELLO|ben")
		},
		func() string { return w.forget("anna") },
		func() string { return w.hear("HELLO|ben", "anna", "ben") },
		func() string { return w.forget() },
		func() string { return w.hear("HELLO|a|b", "a|b") },
	}
	for _, step := range steps {
		if missing := step(); missing != "" {
			return missing, w.late, nil
		}
	}
	x.Clear() // the rest is not a question of what goes over the network
	cancel()
	began := time.Now()
	select {
	case err := <-w.call.Ended():
		if !errors.Is(err, context.Canceled) {
			return fmt.Sprintf("watch returned %v; the caller wants to know why: return ctx.Err()", err), false, nil
		}
	case <-time.After(checkTime):
		return "the table is right, but a second after the cancel watch still runs", false, nil
	}
	took := time.Since(began)
	if missing := w.call.LeftBehind(); missing != "" {
		return "the table is right, but " + missing, false, nil
	}
	if took > 300*time.Millisecond {
		return fmt.Sprintf("the table is right, but it took %v from cancel to return; make it less than 300ms", took.Round(time.Millisecond)), false, nil
	}
	return "", false, nil
}

// watching is a watch that is being checked.
type watching struct {
	sender  net.Conn
	other   net.Conn // the peers move to its port, as one that has been started again does
	changes <-chan []string
	call    *exercise.Call
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

// hear sends a datagram, after which the table has to be want.
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
	case err := <-w.call.Ended():
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

// ignore sends datagrams that must change nothing.
func (w *watching) ignore(texts ...string) string {
	for _, text := range texts {
		if missing := w.send(text); missing != "" {
			return missing
		}
		select {
		case peers := <-w.changes:
			w.onTime("anna", "ben")
			return fmt.Sprintf("%q changes nothing, and yet changed was called with %v", text, peers)
		case err := <-w.call.Ended():
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
			if time.Since(began) > 2*(expiry+checkTime) { // whoever forgets later has not been kept by the machine
				return fmt.Sprintf("a peer was silent for %v and is still in the table; it should be %v", time.Since(began).Round(time.Millisecond), alive)
			}
		case peers := <-w.changes:
			w.onTime(alive...)
			for _, name := range table {
				silence := time.Since(w.sent[hello(name)])
				if slices.Contains(peers, name) {
					continue
				}
				if silence > expiry*3/2 {
					w.late = true // or is it the machine?
					return fmt.Sprintf("a peer was forgotten after %v of silence; wait for %v only", silence.Round(time.Millisecond), expiry)
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
		case err := <-w.call.Ended():
			return fmt.Sprintf("watch returned (%v) before the context ended", err)
		}
	}
}
