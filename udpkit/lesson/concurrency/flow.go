package concurrency

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// FlowResult is what happens if the other program does not read.
type FlowResult struct {
	// Offered is how many bytes were to be sent, in pieces of Piece bytes.
	Offered int       `json:"offered"`
	Piece   int       `json:"piece"`
	Ends    []FlowEnd `json:"ends"`
}

// FlowEnd is what happened over one protocol.
type FlowEnd struct {
	Protocol string `json:"protocol"`
	// Accepted is how many bytes the system took from the sender before it made it wait; Stopped
	// reports whether it did.
	Accepted int  `json:"accepted"`
	Stopped  bool `json:"stopped"`
	// Arrived is how many the other program found when it finally read.
	Arrived int `json:"arrived"`
}

// Lost returns how many bytes the system took and did not deliver.
func (f FlowEnd) Lost() int { return max(0, f.Accepted-f.Arrived) }

// flowPatience is how long the sender waits until it may continue, and the receiver for more.
const flowPatience = 200 * time.Millisecond

// Flow offers up to 1 GB to a program that does not read, in pieces of 1 to 65,507 bytes, sends as
// much as the system takes, and then lets that program read. The results are added to file. The
// error wraps [ErrConfig] for other sizes.
func Flow(ctx context.Context, file string, offered, piece int) error {
	if err := cmp.Or(within("offered", offered, 1, 1_000_000_000), within("piece", piece, 1, mostPiece)); err != nil {
		return err
	}
	r := &FlowResult{Offered: offered, Piece: piece}
	return experiment(ctx, file, "flow", &FlowResult{}, func(news func(any)) error {
		for _, protocol := range protocols {
			sender, receiver, err := Pair(protocol)
			if err != nil {
				return err
			}
			end, err := flow(ctx, sender, receiver, r.Offered, r.Piece)
			end.Protocol = protocol
			r.Ends = append(r.Ends, end)
			if err = errors.Join(err, sender.Close(), receiver.Close()); err != nil {
				return err
			}
		}
		news(r)
		return nil
	}, func(all *Results) { all.Flow = r })
}

func flow(ctx context.Context, sender, receiver net.Conn, offered, piece int) (FlowEnd, error) {
	var f FlowEnd
	stop := context.AfterFunc(ctx, func() { _ = errors.Join(sender.Close(), receiver.Close()) })
	defer stop()
	b := make([]byte, piece)
	for f.Accepted < offered && !f.Stopped {
		if err := sender.SetWriteDeadline(time.Now().Add(flowPatience)); err != nil {
			return f, err
		}
		n, err := sender.Write(b)
		f.Accepted += n
		if f.Stopped = errors.Is(err, os.ErrDeadlineExceeded); err != nil && !f.Stopped {
			return f, err
		}
	}
	for {
		if err := receiver.SetReadDeadline(time.Now().Add(flowPatience)); err != nil {
			return f, err
		}
		n, err := receiver.Read(b)
		f.Arrived += n
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return f, err
		}
	}
}

// Pair returns two connected sockets of this machine's loopback interface: what is written to the
// first is read from the second. The protocol is "tcp" or "udp". The caller closes both.
func Pair(protocol string) (sender, receiver net.Conn, err error) {
	if protocol == "udp" {
		sender, receiver, err := exercise.Pair()
		return sender, receiver, err
	}
	server, err := listen(protocol, netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		return nil, nil, err
	}
	sender, err = net.Dial(protocol+"4", server.port().String())
	if err != nil {
		return nil, nil, errors.Join(err, server.Close())
	}
	receiver, err = server.Accept()
	if err = errors.Join(err, server.Close()); err != nil {
		return nil, nil, errors.Join(err, sender.Close())
	}
	return sender, receiver, nil
}

// Sockets opens a UDP socket for a server on this machine, and one of a client that is connected to
// it. The caller closes both.
func Sockets() (server net.PacketConn, client net.Conn, err error) {
	socket, err := listen("udp", netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		return nil, nil, err
	}
	client, err = net.Dial("udp4", socket.port().String())
	if err != nil {
		return nil, nil, errors.Join(err, socket.Close())
	}
	return socket.udp, client, nil
}
