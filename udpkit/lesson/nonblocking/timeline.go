package nonblocking

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/sequence"
)

// timelineDatagrams is how many a Timeline sends to each style, and timelinePause the longest pause
// between two.
const (
	timelineDatagrams = 6
	timelinePause     = 400 * time.Millisecond
)

// Timeline draws who sends what to whom, while it happens: one socket sends the same six datagrams,
// at random moments, to some receivers, at most 7, one of each style. Each of them notes what it
// was given, and when. Between the two is how long the datagram waited for its style.
func Timeline(ctx context.Context, styles ...udpkit.Style) (err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	var tape sequence.Tape
	sender, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return fmt.Errorf("cannot open a socket: %w", err)
	}
	defer sender.Close()
	var to []*net.UDPConn
	var handled counter
	all := handled.expect(timelineDatagrams * len(styles))
	for _, style := range styles {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return fmt.Errorf("cannot open a socket: %w", err)
		}
		defer conn.Close()
		to = append(to, conn)
		role, own := tape.Role(string(style)), service.AddrOf(conn.LocalAddr())
		run, _, failed := start(ctx, style, udpkit.ReceiverConfig{}, conn, func(d udpkit.Datagram) {
			role.Record(service.Recorded{At: time.Now(), From: d.Source, To: own, Payload: d.Payload})
			handled.add()
		})
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, run.stop()) }()
	}
	sent := make(chan error, 1)
	go func() {
		defer end()
		sent <- sendAll(ctx, sender, to, tape.Role("sender"))
		select {
		case <-all:
		case <-ctx.Done():
		case <-time.After(checkTime): // one is lost
		}
	}()
	return errors.Join(tape.Follow(ctx), <-sent)
}

// sendAll sends all datagrams to all.
func sendAll(ctx context.Context, sender *net.UDPConn, to []*net.UDPConn, role *sequence.Role) error {
	for n := range timelineDatagrams {
		if !measure.Sleep(ctx, timelinePause/4+rand.N(timelinePause*3/4)) {
			return nil
		}
		payload := fmt.Appendf(nil, "datagram %d", n+1)
		for _, conn := range to {
			at := service.AddrOf(conn.LocalAddr())
			role.Record(service.Recorded{At: time.Now(), From: service.AddrOf(sender.LocalAddr()), To: at, Sent: true, Payload: payload})
			if _, err := sender.WriteToUDPAddrPort(payload, at); err != nil {
				return fmt.Errorf("cannot send: %w", err)
			}
		}
	}
	return nil
}
