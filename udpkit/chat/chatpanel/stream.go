package chatpanel

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	return panel.NewLive(pageTemplate.Lookup("stream"), func() any { return rows }).End()
}

func loopback() net.IP { return net.IPv4(127, 0, 0, 1) }

// overUDP returns what each read of a datagram socket returned.
func overUDP(ctx context.Context) (pieces []string, err error) {
	receiver, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback()})
	if err != nil {
		return nil, err
	}
	defer receiver.Close()
	sender, err := net.DialUDP("udp4", nil, receiver.LocalAddr().(*net.UDPAddr))
	if err != nil {
		return nil, err
	}
	defer sender.Close()
	for _, text := range said {
		if _, err := io.WriteString(sender, text+"\n"); err != nil {
			return nil, err
		}
	}
	deadline, _ := ctx.Deadline()
	if err := receiver.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	buf := make([]byte, 1024)
	for range said {
		n, err := receiver.Read(buf)
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, string(buf[:n]))
	}
	return pieces, nil
}

// overTCP returns what each read of size bytes of a connection returned, or with 0 what a
// chat.Reader made of it.
func overTCP(ctx context.Context, size int) (pieces []string, err error) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: loopback()})
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	sender, err := net.DialTCP("tcp4", nil, listener.Addr().(*net.TCPAddr))
	if err != nil {
		return nil, err
	}
	defer sender.Close()
	receiver, err := listener.AcceptTCP()
	if err != nil {
		return nil, err
	}
	defer receiver.Close()
	deadline, _ := ctx.Deadline()
	if err := receiver.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	for _, text := range said {
		if _, err := io.WriteString(sender, text+"\n"); err != nil {
			return nil, err
		}
	}
	if err := sender.CloseWrite(); err != nil {
		return nil, err
	}
	lines := chat.NewReader(receiver, chat.ReaderConfig{})
	buf := make([]byte, size)
	for {
		var piece string
		if size == 0 {
			piece, err = lines.Next()
		} else {
			var n int
			n, err = receiver.Read(buf)
			piece = string(buf[:n])
		}
		if errors.Is(err, io.EOF) {
			return pieces, nil
		}
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, piece)
	}
}

// ParseLines is panel.ParseLines.
func ParseLines(text string) ([]string, error) { return panel.ParseLines(text) }
