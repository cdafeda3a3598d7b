package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

const (
	// bundleSize is that of a datagram with messages of the relay, in bytes. The first bundleHead
	// of them are each reader's own.
	bundleSize = 1200
	bundleHead = 12
	// bundled is how many messages of 120 bytes, with names and times, the relay puts into one.
	bundled = 8
	// bundles is how many go to each reader at a time.
	bundles = 8
)

// sender measures one way to send, to all the addresses in turn. args are
//
//	MECHANISM WHAT WARMUP DURATION SIZE ADDRESS...
//
// What is sent is a "status", one datagram of SIZE bytes to each address, or "bundles", eight to
// each that begin with bytes of its own. The reference in C understands the same.
func sender(ctx context.Context, args []string, out io.Writer) error {
	if len(args) < 6 {
		return errors.New("a sender needs a mechanism, what to send, two times, a size and addresses")
	}
	n, err := numbers(args[2:5])
	if err != nil {
		return err
	}
	warmUp, duration, size := time.Duration(n[0]), time.Duration(n[1]), int(n[2])
	var to []netip.AddrPort
	for _, text := range args[5:] {
		addr, err := netip.ParseAddrPort(text)
		if err != nil {
			return err
		}
		to = append(to, addr)
	}
	conn, err := udp.Listen(ctx, loopback, udp.Options{})
	if err != nil {
		return err
	}
	defer conn.Close()
	send, err := sending(conn, args[0], args[1], size, to)
	if err != nil {
		return err
	}
	ended := false
	m := meter{warmUp: warmUp, duration: duration, out: out, done: func() { ended = true }}
	each := 1
	if args[1] == "bundles" {
		each = bundles
	}
	for round := uint64(0); ctx.Err() == nil; {
		for range 16 { // asking ctx each time would be seen in the figures
			round++
			if err := send(round); err != nil {
				return err
			}
			if m.addAll(int64(len(to) * each)); ended { // what is sent now is not counted
				return nil
			}
		}
	}
	return nil
}

// sending returns what sends once to all.
func sending(conn *net.UDPConn, mechanism, what string, size int, to []netip.AddrPort) (func(round uint64) error, error) {
	writer, err := udp.NewWriter(conn)
	if err != nil {
		return nil, err
	}
	var failure error
	done := func(_ udp.Path, err error) {
		if err != nil {
			failure = err
		}
	}
	data := make([]byte, bundles*size)
	heads := make([][bundleHead]byte, len(to))
	for i, to := range to {
		copy(heads[i][:], "head")
		binary.BigEndian.PutUint64(heads[i][4:], uint64(to.Port()))
	}
	switch mechanism + " " + what {
	case "WriteToUDPAddrPort status":
		return func(round uint64) error {
			binary.NativeEndian.PutUint64(data[bundleHead:], round)
			for _, to := range to {
				if _, err := conn.WriteToUDPAddrPort(data[:size], to); err != nil {
					return err
				}
			}
			return nil
		}, nil
	case "WriteToUDPAddrPort bundles":
		return func(round uint64) error {
			for i, to := range to {
				for b := data; len(b) > 0; b = b[size:] {
					copy(b, heads[i][:])
					binary.NativeEndian.PutUint64(b[bundleHead:], round)
					if _, err := conn.WriteToUDPAddrPort(b[:size], to); err != nil {
						return err
					}
				}
			}
			return nil
		}, nil
	case "batch status": // as udpkit.Server does it
		return func(round uint64) error {
			binary.NativeEndian.PutUint64(data[bundleHead:], round)
			for _, to := range to {
				writer.Add(data[:size], udp.Path{To: to})
			}
			writer.Flush(done)
			return failure
		}, nil
	case "batch bundles": // as relay.Server does it
		return func(round uint64) error {
			for b := data; len(b) > 0; b = b[size:] {
				binary.NativeEndian.PutUint64(b[bundleHead:], round)
			}
			for i := range to {
				for b := data; len(b) > 0; b = b[size:] {
					writer.AddParts(heads[i][:], b[bundleHead:size], udp.Path{To: to[i]})
				}
				if i%flushed == flushed-1 || i == len(to)-1 {
					writer.Flush(done)
				}
			}
			return failure
		}, nil
	}
	return nil, fmt.Errorf("there is no sender %q of %q", mechanism, what)
}

// flushed is after how many readers the udp.Writer sends: as many as it does in one system call.
const flushed = 64
