package udpkit

import (
	"context"
	"fmt"
	"iter"
	"net"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// blocking is the baseline: ask for the next datagram, wait until it is there, handle it, ask
// again. Nothing else can happen on this goroutine while it waits, and so OnIdle is called before
// the wait and not during it.
func (s *session) blocking() error {
	clock := s.newIdleClock()
	if clock.onIdle != nil {
		clock.onIdle(0)
	}
	return s.readAll(s.ctx, func(d *Datagram) bool {
		s.handle(*d)
		clock.last = d.Received
		clock.tick() // once before the next wait, unless the call before it was a moment ago
		return true
	})
}

// readAll reads datagrams with blocking reads and gives each to deliver, until ctx ends, the socket
// fails or deliver returns false (then the error is nil).
func (s *session) readAll(ctx context.Context, deliver func(*Datagram) bool) error {
	release := s.interruptReads(ctx)
	defer release()
	for ctx.Err() == nil {
		d, err := s.next(true)
		if err != nil {
			if err := s.failed(err); err != nil {
				return err
			}
			continue
		}
		if !deliver(d) {
			return nil
		}
	}
	return context.Cause(ctx)
}

// Datagrams returns the datagrams of conn for a range loop, read as the [Blocking] style does with
// the default [ReceiverConfig]:
//
//	for d, err := range udpkit.Datagrams(ctx, conn) {
//		if err != nil {
//			return err
//		}
//		fmt.Printf("%s: %q\n", d.Source, d.Payload)
//	}
//
// The payload is valid until the next turn of the loop, see [Datagram]. An error comes once, with a
// zero Datagram, and is the end: the same errors as those of [Receiver.Receive], context.Cause(ctx)
// after ctx has ended. Breaking out of the loop leaves conn open and without a read deadline, and
// the sequence may be ranged over again. Only one loop or receiver at a time may read from conn.
func Datagrams(ctx context.Context, conn *net.UDPConn) iter.Seq2[Datagram, error] {
	return func(yield func(Datagram, error) bool) {
		cfg, _ := ReceiverConfig{}.withDefaults() // the zero value is valid
		// One at a time: whoever breaks out finds the rest in the socket.
		reader, err := udp.NewReader(conn, udp.ReaderConfig{Size: cfg.BufferSize, Single: true})
		if err != nil {
			yield(Datagram{}, fmt.Errorf("receive: %w", err))
			return
		}
		s := &session{ctx: ctx, conn: conn, cfg: cfg, reader: reader}
		err = s.readAll(ctx, func(d *Datagram) bool { return yield(*d, nil) })
		if err != nil {
			yield(Datagram{}, err)
		}
	}
}
