package chatting

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

const (
	// patience is how long a line may take, and the end of the server.
	patience = 2 * time.Second
	// quiet is for how long nothing may come where nothing is to come.
	quiet = 200 * time.Millisecond
	// lazyLines lines of lazySize bytes each are more than the system keeps for a client that does
	// not read: some 4 MB on Linux.
	lazyLines, lazySize = 2000, 8000
)

// CheckServe checks the second exercise: a server that passes each line on to all clients but its
// sender. A client is in once its own first line has reached somebody; one that does not read
// delays nobody, and is not given the world's memory; when the context ends, so do all connections,
// and serve.
func CheckServe(ctx context.Context, serve func(ctx context.Context, listener net.Listener) error) error {
	var x exercise.Exchange
	missing, err := checkServe(ctx, &x, serve)
	return x.Report(ctx, missing, err)
}

// wrong is what an answer lacks, as an error.
type wrong string

func (w wrong) Error() string { return string(w) }

func checkServe(ctx context.Context, x *exercise.Exchange, serve func(context.Context, net.Listener) error) (missing string, err error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("cannot open a port: %w", err)
	}
	defer listener.Close()
	before := exercise.Descriptors()
	serving, end := context.WithCancel(ctx)
	defer end()
	call := exercise.Start(func() error { return serve(serving, listener) })
	x.Call(service.AddrOf(listener.Addr()), "serve")
	c := &class{ctx: ctx, exchange: x, address: listener.Addr().String(), call: call}
	defer c.close()

	for _, step := range []func() error{c.talk, c.leave, c.lazy} {
		if err := step(); err != nil {
			return verdict(ctx, err)
		}
	}
	end()
	if err := c.ended(); err != nil {
		return verdict(ctx, err)
	}
	err, ended := call.Within(ctx, patience)
	switch {
	case ctx.Err() != nil:
		return "", nil
	case !ended:
		return "serve has not returned, although its context has ended: who waits in Accept wakes up when the listener is closed", nil
	case errors.Is(err, exercise.ErrPanic):
		return fmt.Sprintf("serve: %v", err), nil
	}
	c.close()
	if n := call.Left(); n > 0 {
		return fmt.Sprintf("serve has returned, and %d goroutine(s) of it are still there: each must end when its connection does", n), nil
	}
	_ = listener.Close()
	if left := exercise.OpenedSince(before); len(left) > 0 {
		return fmt.Sprintf("serve has returned, and has left open: %s", strings.Join(left, ", ")), nil
	}
	return "", nil
}

func verdict(ctx context.Context, err error) (string, error) {
	var w wrong
	switch {
	case ctx.Err() != nil:
		return "", nil
	case errors.As(err, &w):
		return string(w), nil
	}
	return "", err
}

// class is the clients that try the server.
type class struct {
	ctx      context.Context
	exchange *exercise.Exchange
	address  string
	call     *exercise.Call
	clients  []*client
	ago      []string // what was said when they entered
}

type client struct {
	name string
	conn *service.RecordedConn
	in   *bufio.Reader
}

func (c *class) close() {
	for _, one := range c.clients {
		_ = one.conn.Conn.Close() // not recorded: it is the end of the check
	}
}

// join connects a client.
func (c *class) join(name string) (*client, error) {
	d := net.Dialer{Timeout: patience}
	conn, err := d.DialContext(c.ctx, "tcp4", c.address)
	if err != nil {
		return nil, c.because(wrong(fmt.Sprintf("%s cannot connect: %v", name, exercise.Cause(err))))
	}
	recorded := service.RecordConn(c.exchange.Role(name), conn.(*net.TCPConn), true)
	one := &client{name: name, conn: recorded, in: bufio.NewReader(recorded)}
	c.clients = append(c.clients, one)
	return one, nil
}

// because says that serve has ended, if it has, which explains all else.
func (c *class) because(err error) error {
	select {
	case ended := <-c.call.Ended():
		if ended == nil {
			return wrong("serve has returned, although its context has not ended")
		}
		return wrong(fmt.Sprintf("serve has ended: %v", ended))
	default:
		return err
	}
}

func (one *client) say(text string) error {
	_ = one.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := io.WriteString(one.conn, text)
	return err
}

// hears reads a line, and wants it to be this one.
func (c *class) hears(one *client, text, why string) error {
	_ = one.conn.SetReadDeadline(time.Now().Add(patience))
	line, err := one.in.ReadString('\n')
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.because(wrong(fmt.Sprintf("%s has not got %q within %v: %s", one.name, brief(text), patience, why)))
	case err != nil:
		return c.because(wrong(fmt.Sprintf("the connection to %s has ended, and %q was still to come: %s", one.name, brief(text), why)))
	case line != text:
		return wrong(fmt.Sprintf("%s has got %q, and not %q: %s", one.name, brief(line), brief(text), why))
	}
	return nil
}

func brief(text string) string {
	if len(text) > 40 {
		return text[:20] + "…" + text[len(text)-10:]
	}
	return text
}

// hearsNothing wants nothing to come to a client.
func (c *class) hearsNothing(one *client, why string) error {
	_ = one.conn.SetReadDeadline(time.Now().Add(quiet))
	line, err := one.in.ReadString('\n')
	if errors.Is(err, os.ErrDeadlineExceeded) && line == "" {
		return nil
	}
	if err != nil && line == "" {
		return c.because(wrong(fmt.Sprintf("the connection to %s has ended: %s", one.name, why)))
	}
	return wrong(fmt.Sprintf("%s has got %q: %s", one.name, brief(line), why))
}

// enter has a client speak until the first of others hears it: then the server knows both. All have
// heard all of it when it returns.
func (c *class) enter(one *client, others ...*client) error {
	said := make(map[string]bool)
	defer func() { c.ago = append(c.ago, slices.Collect(maps.Keys(said))...) }()
	say := func() (string, error) {
		text := secret(one)
		said[text] = true
		if err := one.say(text); err != nil {
			return "", c.because(wrong(fmt.Sprintf("%s cannot say anything: %v", one.name, exercise.Cause(err))))
		}
		return text, nil
	}
	read := func(other *client, within time.Duration) (string, error) {
		_ = other.conn.SetReadDeadline(time.Now().Add(within))
		line, err := other.in.ReadString('\n')
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && line == "":
			return "", nil
		case err != nil && line == "":
			return "", c.because(wrong(fmt.Sprintf("the connection to %s has ended, while %s is speaking", other.name, one.name)))
		case strings.HasPrefix(line, other.name+" "):
			return "", wrong(fmt.Sprintf("%s has got %q: nobody gets its own lines", other.name, brief(line)))
		case slices.Contains(c.ago, line):
			return "", wrong(fmt.Sprintf("%s has got %q a second time: each line goes to each of the others once", other.name, brief(line)))
		case !said[line]:
			return "", wrong(fmt.Sprintf("%s has got %q, which %s has not said", other.name, brief(line), one.name))
		}
		return line, nil
	}
	for began, heard := time.Now(), ""; heard == ""; {
		if err := c.because(nil); err != nil {
			return err
		}
		if time.Since(began) > patience {
			return c.because(wrong(fmt.Sprintf("what %s says does not reach %s", one.name, others[0].name)))
		}
		if _, err := say(); err != nil {
			return err
		}
		var err error
		if heard, err = read(others[0], quiet); err != nil {
			return err
		}
	}
	last, err := say()
	if err != nil {
		return err
	}
	for _, other := range others {
		for line := ""; line != last; {
			if line, err = read(other, patience); err != nil {
				return err
			}
			if line == "" {
				return c.because(wrong(fmt.Sprintf("what %s says does not reach %s: each line goes to all but its sender", one.name, other.name)))
			}
		}
	}
	return nil
}

// secret is a line that cannot be guessed.
func secret(one *client) string { return fmt.Sprintf("%s says %d\n", one.name, rand.Uint64()) }

// talk: three clients hear each other, each line once and in order, and nobody hears himself.
func (c *class) talk() error {
	ann, err := c.join("ann")
	if err != nil {
		return err
	}
	ben, err := c.join("ben")
	if err != nil {
		return err
	}
	if err := c.enter(ann, ben); err != nil {
		return err
	}
	eve, err := c.join("eve")
	if err != nil {
		return err
	}
	if err := c.enter(eve, ann, ben); err != nil {
		return err
	}
	for i := range 20 {
		speaker := c.clients[i%3]
		text := secret(speaker)
		half := len(text) / 2
		if speaker.say(text[:half]) != nil || speaker.say(text[half:]) != nil {
			return c.because(wrong(speaker.name + " cannot say anything any more"))
		}
		for _, other := range c.clients {
			if other == speaker {
				continue
			}
			if err := c.hears(other, text, "each line goes to all but its sender, once and in order"); err != nil {
				return err
			}
		}
	}
	for _, one := range c.clients {
		if err := c.hearsNothing(one, "nobody gets a line twice, nor its own"); err != nil {
			return err
		}
	}
	return nil
}

// leave: half a line of a client that is gone is said to nobody, and the others go on.
func (c *class) leave() error {
	ann, ben, eve := c.clients[0], c.clients[1], c.clients[2]
	if err := eve.say("half a li"); err != nil {
		return wrong("eve cannot say anything any more")
	}
	_ = eve.conn.SetLinger(0) // as if its machine had failed
	_ = eve.conn.Close()
	c.clients = c.clients[:2]
	if err := c.hearsNothing(ben, "eve's connection broke in the middle of that line"); err != nil {
		return err
	}
	for _, pair := range [][2]*client{{ann, ben}, {ben, ann}} {
		text := secret(pair[0])
		if err := pair[0].say(text); err != nil {
			return wrong(pair[0].name + " cannot say anything any more, after eve has left")
		}
		if err := c.hears(pair[1], text, "eve has left, the others go on"); err != nil {
			return err
		}
	}
	return nil
}

// lazy: a client that does not read delays nobody, and what it does not read is not kept for ever.
func (c *class) lazy() error {
	ann, ben := c.clients[0], c.clients[1]
	mia, err := c.join("mia")
	if err != nil {
		return err
	}
	if err := c.enter(mia, ann, ben); err != nil {
		return err
	}
	text := strings.Repeat("x", lazySize-1) + "\n"
	for i := range lazyLines {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		const why = "mia does not read, and that delays the others: give each client a queue, and a goroutine that writes"
		if ann.say(text) != nil {
			return c.because(wrong(fmt.Sprintf("ann cannot say anything any more after %d lines: %s", i, why)))
		}
		if err := c.hears(ben, text, why); err != nil {
			return err
		}
	}
	got := 0
	buffer := make([]byte, 64<<10)
	_ = mia.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		n, err := mia.in.Read(buffer)
		got += n
		if err != nil {
			break
		}
	}
	if got >= lazyLines*lazySize {
		return wrong(fmt.Sprintf("mia did not read, and then got all %d MB: so the server keeps whatever a client does not read, until its memory is full. Bound the queue, and close the connection when it is full", got/1_000_000))
	}
	return nil
}

// ended: all connections are closed.
func (c *class) ended() error {
	for _, one := range c.clients[:2] {
		_ = one.conn.SetReadDeadline(time.Now().Add(patience))
		if line, err := one.in.ReadString('\n'); errors.Is(err, os.ErrDeadlineExceeded) {
			return wrong(fmt.Sprintf("the context has ended, and %s is still connected after %v: close all connections", one.name, patience))
		} else if err == nil {
			return wrong(fmt.Sprintf("%s has got %q, and nobody has said anything", one.name, brief(line)))
		}
	}
	return nil
}
