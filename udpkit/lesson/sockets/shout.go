package sockets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// checkTime is how long the reader's function may take for anything.
const checkTime = time.Second

// loopback opens a socket on this machine.
func loopback() (net.PacketConn, error) { return net.ListenPacket("udp4", "127.0.0.1:0") }

// CheckShout checks the first exercise: a server that answers each datagram in capital letters,
// returns nil when its socket is closed, and every other error of its ReadFrom.
func CheckShout(ctx context.Context, shout func(socket net.PacketConn) error) error {
	var x exercise.Exchange
	missing, err := checkShout(ctx, &x, shout)
	return x.Report(ctx, missing, err)
}

func checkShout(ctx context.Context, x *exercise.Exchange, shout func(net.PacketConn) error) (missing string, err error) {
	socket, err := loopback()
	if err != nil {
		return "", err
	}
	defer socket.Close() // the second time says that it is closed
	defer context.AfterFunc(ctx, func() { _ = socket.Close() })()
	call := exercise.Start(func() error { return shout(socket) })
	x.Call(service.AddrOf(socket.LocalAddr()), "shout")

	var clients []net.Conn
	for i := range 2 {
		client, err := net.Dial("udp4", socket.LocalAddr().String())
		if err != nil {
			return "", err
		}
		defer client.Close()
		clients = append(clients, x.Conn(fmt.Sprintf("client %d", i+1), client))
	}
	buffer := make([]byte, 2000)
	for i, text := range []string{"hello", "Grüße", "", strings.Repeat("long ", 240)} {
		if i > 0 && text != "" {
			text = fmt.Sprintf("%s, %x", text, rand.Uint64()) // it is not known before
		}
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
				case err := <-call.Ended():
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
	x.Clear() // the rest is not a question of what goes over the network
	_ = socket.Close()
	select {
	case err := <-call.Ended():
		if err != nil {
			return fmt.Sprintf("everything is answered. But closing the socket is how this server is asked to end: return nil then, and not %q", err), nil
		}
		if missing := call.LeftBehind(); missing != "" {
			return "everything is answered. But " + missing, nil
		}
	case <-time.After(checkTime):
		return "everything is answered, but a second after the socket was closed shout still runs", nil
	}
	return checkBroken(ctx, shout)
}

// errBroken is an error that a socket may return though it is open.
var errBroken = &net.OpError{Op: "read", Net: "udp4", Err: errors.New("network is down")}

// brokenReads is how often a broken socket may be read before it says that it is closed.
const brokenReads = 1000

// broken is a socket whose reads all fail.
type broken struct {
	net.PacketConn
	reads  atomic.Int64
	closed atomic.Bool
}

// ReadFrom implements net.PacketConn.
func (b *broken) ReadFrom([]byte) (int, net.Addr, error) {
	if b.reads.Add(1) > brokenReads || b.closed.Load() { // ends a loop that never stops
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
	call := exercise.Start(func() error { return shout(b) })
	select {
	case err := <-call.Ended():
		switch reads := b.reads.Load(); {
		case errors.Is(err, exercise.ErrPanic):
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
