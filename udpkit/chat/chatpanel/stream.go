package chatpanel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// said are the messages of Stream, each sent by a call of its own.
var said = []string{"ready", "steady", "go"}

// streamRow is what one way to receive made of the messages.
type streamRow struct {
	Way    string
	Pieces []string // each what one call returned
}

// Stream sends the same messages with UDP and with TCP, over 127.0.0.1, and shows what each read
// returns: datagrams keep what was sent apart, a stream does not, and a newline finds it again.
func Stream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	datagrams, err := overUDP(ctx)
	if err != nil {
		return fmt.Errorf("send datagrams to 127.0.0.1: %w", err)
	}
	rows := []streamRow{{"UDP, a read", datagrams}}
	for _, way := range []struct {
		name string
		size int
	}{{"TCP, a read of up to 1,024 bytes", 1024}, {"TCP, a read of up to 4 bytes", 4}, {"TCP, a line", 0}} {
		pieces, err := overTCP(ctx, way.size)
		if err != nil {
			return fmt.Errorf("send a stream to 127.0.0.1: %w", err)
		}
		rows = append(rows, streamRow{way.name, pieces})
	}
	if !gonbui.IsNotebook {
		for _, r := range rows {
			fmt.Printf("%-34s %q\n", r.Way, r.Pieces)
		}
		return nil
	}
	return panel.NewLive(pageTemplate.Lookup("stream"), func() any { return rows }).End("")
}

// overUDP returns what each read of a datagram socket returned.
func overUDP(ctx context.Context) (pieces []string, err error) {
	receiver, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	defer receiver.Close()
	if err := send(ctx, receiver.LocalAddr()); err != nil {
		return nil, err
	}
	return receive(ctx, receiver, 1024, len(said))
}

// overTCP returns what each read of size bytes of a connection returned, or with 0 what a
// chat.Reader made of it.
func overTCP(ctx context.Context, size int) (pieces []string, err error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	if err := send(ctx, listener.Addr()); err != nil {
		return nil, err
	}
	receiver, err := listener.Accept()
	if err != nil {
		return nil, err
	}
	defer receiver.Close()
	return receive(ctx, receiver, size, math.MaxInt)
}

// send sends the messages, each by a call of its own, and closes what it has sent them with: the
// system delivers what is under way.
func send(ctx context.Context, to net.Addr) error {
	sender, err := new(net.Dialer).DialContext(ctx, to.Network(), to.String())
	if err != nil {
		return err
	}
	for _, text := range said {
		if _, err := io.WriteString(sender, text+"\n"); err != nil {
			return errors.Join(err, sender.Close())
		}
	}
	return sender.Close()
}

// receive reads so many pieces, or what there is until the end.
func receive(ctx context.Context, from net.Conn, size, most int) (pieces []string, err error) {
	deadline, _ := ctx.Deadline()
	if err := from.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	next := chat.NewReader(from, chat.ReaderConfig{}).Next
	if size > 0 {
		next = func() (string, error) {
			buf := make([]byte, size)
			n, err := from.Read(buf)
			return string(buf[:n]), err
		}
	}
	for len(pieces) < most {
		piece, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, piece)
	}
	return pieces, nil
}

// ParseLines is panel.ParseLines.
func ParseLines(text string) ([]string, error) { return panel.ParseLines(text) }
