package concurrency

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
)

// Transfer is what became of numbered messages, all sent in one direction.
type Transfer struct {
	Protocol string `json:"protocol"`
	// Sent is when the program handed over each message, and Arrived when the other program was
	// given it for the first time; 0 for never. Both since the start.
	Sent    []time.Duration `json:"sent_ns"`
	Arrived []time.Duration `json:"arrived_ns"`
	// Delivered is how many messages arrived, Twice how many more than once, Disorder how many
	// after one with a higher number, and Damaged how many came with other content than was sent.
	Delivered int `json:"delivered"`
	Twice     int `json:"twice"`
	Disorder  int `json:"disorder"`
	Damaged   int `json:"damaged"`
	// Road is what the network did.
	Road RoadCounts `json:"road"`
}

// Delays returns how long each message that arrived took, from program to program.
func (t Transfer) Delays() []time.Duration {
	var all []time.Duration
	for i, at := range t.Arrived {
		if at > 0 {
			all = append(all, at-t.Sent[i])
		}
	}
	return all
}

// Median returns the delay that half of the messages that arrived do not exceed.
func (t Transfer) Median() time.Duration { return measure.Median(t.Delays()) }

// Worst returns the longest delay.
func (t Transfer) Worst() time.Duration { return measure.Quantile(t.Delays(), 1) }

// Took returns when the last message arrived.
func (t Transfer) Took() time.Duration { return measure.Quantile(t.Arrived, 1) }

// numberSize is the part of a message that holds its number.
const numberSize = 4

// write writes the n-th message into b: its number, and bytes that follow from it.
func write(b []byte, n int) {
	binary.BigEndian.PutUint32(b, uint32(n))
	for i := numberSize; i < len(b); i++ {
		b[i] = byte(7*n + i)
	}
}

// receive notes the arrival of a message.
func (t *Transfer) receive(b []byte, size int, at time.Duration, highest *int) {
	n := -1
	if len(b) == size {
		n = int(binary.BigEndian.Uint32(b))
	}
	good := n >= 0 && n < len(t.Arrived)
	for i := numberSize; good && i < size; i++ {
		good = b[i] == byte(7*n+i)
	}
	switch {
	case !good:
		t.Damaged++
		return
	case t.Arrived[n] != 0:
		t.Twice++
		return
	case n < *highest:
		t.Disorder++
	}
	*highest = max(*highest, n)
	t.Arrived[n] = at
	t.Delivered++
}

// transfer sends a load to a server that listens at an address, through the one that via returns
// for it, and waits until nothing more can come.
func transfer(ctx context.Context, protocol string, at netip.AddrPort, via func(netip.AddrPort) netip.AddrPort, c Conditions) (Transfer, error) {
	t := Transfer{Protocol: protocol, Sent: make([]time.Duration, c.Messages), Arrived: make([]time.Duration, c.Messages)}
	server, err := listen(protocol, at)
	if err != nil {
		return t, err
	}
	defer server.Close()
	var dialer net.Dialer
	sender, err := dialer.DialContext(ctx, protocol+"4", via(server.port()).String())
	if err != nil {
		return t, err
	}
	defer sender.Close()
	var receiver net.Conn = server.udp
	if protocol == "tcp" {
		if receiver, err = server.Accept(); err != nil {
			return t, err
		}
		defer receiver.Close()
	}
	stop := context.AfterFunc(ctx, func() {
		past := time.Unix(1, 0)
		_ = errors.Join(sender.SetDeadline(past), receiver.SetDeadline(past)) // ends what waits
	})
	defer stop()
	began := time.Now()
	sent := make(chan error, 1)
	go func() {
		err := t.send(ctx, sender, began, c)
		if tcp, ok := sender.(*net.TCPConn); ok {
			err = errors.Join(err, tcp.CloseWrite())
		} else {
			// The last datagram, and the longest way that it can take.
			measure.Sleep(ctx, 2*c.Delay+c.MaxWait+100*time.Millisecond)
			err = errors.Join(err, receiver.SetReadDeadline(time.Unix(1, 0)))
		}
		sent <- err
	}()
	err = t.collect(receiver, began, c.Size)
	return t, errors.Join(err, <-sent, ctx.Err())
}

// send sends the messages at their times, or as soon as the system takes them.
func (t *Transfer) send(ctx context.Context, conn net.Conn, began time.Time, c Conditions) error {
	b := make([]byte, c.Size)
	for n := range c.Messages {
		if wait := time.Until(began.Add(time.Duration(n) * c.Every)); wait > 0 && !measure.Sleep(ctx, wait) {
			return nil
		}
		write(b, n)
		t.Sent[n] = time.Since(began)
		if _, err := conn.Write(b); err != nil {
			return fmt.Errorf("message %d: %w", n, err)
		}
	}
	return nil
}

// collect receives until the end of the stream, or for datagrams until the deadline.
func (t *Transfer) collect(conn net.Conn, began time.Time, size int) error {
	buf := make([]byte, size+1) // one more, to see what is too long
	highest := -1
	for {
		var n int
		var err error
		if _, stream := conn.(*net.TCPConn); stream {
			n, err = io.ReadFull(conn, buf[:size])
		} else {
			n, err = conn.Read(buf)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		}
		t.receive(buf[:n], size, time.Since(began), &highest)
	}
}

// byRelay does what a job on the wire does, for UDP and without a wire: through a relay between two
// sockets of the loopback interface.
func byRelay(ctx context.Context, j job) (Transfer, error) {
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	entrance, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback))
	if err != nil {
		return Transfer{}, err
	}
	exit, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback))
	if err != nil {
		return Transfer{}, errors.Join(err, entrance.Close())
	}
	var to netip.AddrPort
	way := newRoad(j.Conditions, 2*j.Seed, numberSize, func(payload []byte) {
		_, _ = exit.WriteToUDPAddrPort(payload, to) // nobody there: lost
	})
	running, cancel := context.WithCancel(ctx)
	ended := make(chan struct{}, 2)
	go func() {
		way.run(running)
		ended <- struct{}{}
	}()
	reading := false
	t, err := transfer(ctx, "udp", loopback, func(receiver netip.AddrPort) netip.AddrPort {
		to, reading = receiver, true
		go func() {
			defer func() { ended <- struct{}{} }()
			buf := make([]byte, 1<<16)
			for {
				n, err := entrance.Read(buf)
				if err != nil {
					return
				}
				way.enter(append([]byte(nil), buf[:n]...), time.Now())
			}
		}()
		return entrance.LocalAddr().(*net.UDPAddr).AddrPort()
	}, j.Conditions)
	cancel()
	err = errors.Join(err, entrance.Close(), exit.Close())
	<-ended
	if reading {
		<-ended
	}
	t.Road = way.count()
	return t, err
}
