package udpkit_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// BenchmarkReceive measures a datagram of 120 bytes from the sender through each style to a
// handler. The sender sends windows of 64 and waits until each is handled, so that nothing is lost:
// sending and waking up are in the figure. "plain" is a bare read loop, to compare with.
func BenchmarkReceive(b *testing.B) {
	b.Run("plain", func(b *testing.B) {
		benchmarkReceive(b, func(_ context.Context, conn *net.UDPConn, handle udpkit.Handler) error {
			buf := make([]byte, 2048)
			for {
				n, source, err := conn.ReadFromUDPAddrPort(buf)
				if err != nil {
					return err
				}
				handle(udpkit.Datagram{Payload: buf[:n], Source: source})
			}
		})
	})
	for _, style := range udpkit.Styles() {
		b.Run(string(style), func(b *testing.B) {
			receiver := newReceiver(b, style, udpkit.ReceiverConfig{PollInterval: 10 * time.Microsecond})
			benchmarkReceive(b, receiver.Receive)
		})
	}
	b.Run("datagrams", func(b *testing.B) {
		benchmarkReceive(b, func(ctx context.Context, conn *net.UDPConn, handle udpkit.Handler) error {
			for d, err := range udpkit.Datagrams(ctx, conn) {
				if err != nil {
					return err
				}
				handle(d)
			}
			return nil
		})
	})
}

func benchmarkReceive(b *testing.B, receive func(context.Context, *net.UDPConn, udpkit.Handler) error) {
	const window, size = 64, 120
	conn := rxListen(b)
	sender := rxDial(b, conn)
	windows := make(chan struct{}, 1)
	handled := 0
	ended := make(chan error, 1)
	go func() {
		ended <- receive(context.Background(), conn, func(udpkit.Datagram) {
			if handled++; handled%window == 0 {
				windows <- struct{}{}
			}
		})
	}()
	payload := make([]byte, size)
	send := func() {
		for range window {
			if _, err := sender.Write(payload); err != nil {
				b.Fatal(err)
			}
		}
		<-windows
	}
	send() // buffers grow
	b.ReportAllocs()
	b.SetBytes(size)
	b.ResetTimer()
	for sent := 0; sent < b.N; sent += window {
		send()
	}
	b.StopTimer()
	require.NoError(b, conn.Close())
	err := <-ended
	require.True(b, errors.Is(err, net.ErrClosed), err)
}

// BenchmarkDrain measures only the receiving: the datagrams are in the socket before. "plain" is a
// bare read loop.
func BenchmarkDrain(b *testing.B) {
	const waiting = 200
	b.Run("plain", func(b *testing.B) {
		buf := make([]byte, 2048)
		benchmarkDrain(b, waiting, nil, func(conn *net.UDPConn) {
			for range waiting {
				if _, _, err := conn.ReadFromUDPAddrPort(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	for _, style := range udpkit.Styles() {
		b.Run(string(style), func(b *testing.B) {
			benchmarkDrain(b, waiting, nil, drainWith(b, style, udpkit.ReceiverConfig{BufferSize: 2048}, waiting))
		})
	}
}

// drainWith returns a function that receives n datagrams.
func drainWith(b *testing.B, style udpkit.Style, cfg udpkit.ReceiverConfig, n int) func(*net.UDPConn) {
	receiver := newReceiver(b, style, cfg)
	return func(conn *net.UDPConn) {
		ctx, cancel := context.WithCancel(context.Background())
		handled := 0
		err := receiver.Receive(ctx, conn, func(udpkit.Datagram) {
			if handled++; handled == n {
				cancel()
			}
		})
		require.ErrorIs(b, err, context.Canceled)
	}
}

// benchmarkDrain lets send (nil: one by one) put n datagrams of 120 bytes into a socket, and then
// measures drain.
func benchmarkDrain(b *testing.B, n int, send func(sender *net.UDPConn), drain func(*net.UDPConn)) {
	conn := rxListen(b)
	require.NoError(b, conn.SetReadBuffer(4<<20))
	sender := rxDial(b, conn)
	payload := make([]byte, 120)
	if send == nil {
		send = func(sender *net.UDPConn) {
			for range n {
				if _, err := sender.Write(payload); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	send(sender)
	drain(conn) // buffers grow
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += n {
		b.StopTimer()
		send(sender)
		b.StartTimer()
		drain(conn)
	}
}

// BenchmarkRoundTrip measures a datagram there and back, one at a time: the cost of waking up.
func BenchmarkRoundTrip(b *testing.B) {
	for _, style := range udpkit.Styles() {
		b.Run(string(style), func(b *testing.B) {
			conn := rxListen(b)
			sender := rxDial(b, conn)
			receiver := newReceiver(b, style, udpkit.ReceiverConfig{PollInterval: 10 * time.Microsecond})
			ended := make(chan error, 1)
			go func() {
				ended <- receiver.Receive(context.Background(), conn, func(d udpkit.Datagram) {
					if _, err := conn.WriteToUDPAddrPort(d.Payload, d.Source); err != nil {
						b.Error(err)
					}
				})
			}()
			buf := make([]byte, 120)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sender.Write(buf); err != nil {
					b.Fatal(err)
				}
				if _, err := sender.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
			require.NoError(b, receiver.Close())
			require.ErrorIs(b, <-ended, net.ErrClosed)
		})
	}
}

// BenchmarkHandler measures what receiving cannot do without, apart from reading: it cuts the next
// datagram from a piece and calls a handler, with a pointer, and with a value as [Handler] gets it.
// The value costs more than its size suggests: it is copied 16 bytes at a time, and the processor
// stalls where a part of these, as of the payload, was written a moment ago.
func BenchmarkHandler(b *testing.B) {
	const size = 120
	all := make([]byte, 64*size)
	handled := 0
	byPointer := []func(*udpkit.Datagram){func(*udpkit.Datagram) { handled++ }}
	byValue := []udpkit.Handler{func(udpkit.Datagram) { handled++ }}
	for name, call := range map[string]func(d *udpkit.Datagram){
		"pointer": func(d *udpkit.Datagram) { byPointer[0](d) },
		"value":   func(d *udpkit.Datagram) { byValue[0](*d) },
	} {
		b.Run(name, func(b *testing.B) {
			d, rest := &udpkit.Datagram{Received: time.Now()}, all
			for b.Loop() {
				d.Payload = rest[:size]
				if rest = rest[size:]; len(rest) == 0 {
					rest = all
				}
				call(d)
			}
		})
	}
}
