package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

const (
	// datagramSize is that of a status, in bytes.
	datagramSize = 120
	// segments is how many datagrams the segmenting sender gives the kernel at once.
	segments = 64
	// pace is how many datagrams the paced sender sends in a second.
	pace = 50_000
	// trips is how many round trips are measured, after warmUpTrips.
	trips       = 10_000
	warmUpTrips = 500
	// firstID is that of the first status. All have ids of ten digits, since datagrams must be
	// equally long to be sent in one piece.
	firstID = 1_000_000_000
)

// RoundTrip is how long datagrams took there and back, one at a time.
type RoundTrip struct {
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
}

// load sends to a port of this machine until ctx ends, in one of these modes:
//
//	flood         at full speed, 64 datagrams to a system call where there is UDP_SEGMENT
//	statuses      the same, but with messages of a server
//	signed        messages that are signed with a key
//	sealed        or encrypted
//	pace          50,000 a second, evenly
//	ping          one, and the next when it has come back; writes a RoundTrip
//	acks          for each message of the server, 100,000 acknowledgements
func load(ctx context.Context, args []string, out io.Writer) error {
	if len(args) < 2 {
		return errors.New("a load needs a mode and a port")
	}
	if args[0] == "acks" {
		return acknowledge(ctx, out)
	}
	to, err := netip.ParseAddrPort("127.0.0.1:" + args[1])
	if err != nil {
		return err
	}
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	payload := bytes.Repeat([]byte("."), datagramSize)
	switch args[0] {
	case "flood":
		if segment(conn, datagramSize) == nil {
			payload = bytes.Repeat(payload, segments)
		}
		return flood(ctx, conn, func() []byte { return payload })
	case "statuses", "signed", "sealed":
		n := segments
		if segment(conn, 1) != nil {
			n = 1
		}
		s, err := newStatuses(n, args[0])
		if err != nil {
			return err
		}
		if n > 1 {
			if err := segment(conn, s.size); err != nil {
				return err
			}
		}
		return flood(ctx, conn, s.next)
	case "pace":
		start := time.Now()
		for i := time.Duration(0); ctx.Err() == nil; i++ {
			for time.Since(start) < i*time.Second/pace { // a timer is not that fine
			}
			_, _ = conn.Write(payload) // refused until the receiver is there
		}
		return nil
	case "ping":
		rw, err := blocking(conn)
		if err != nil {
			return err
		}
		trip, err := ping(rw, payload)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(trip)
	}
	return fmt.Errorf("there is no load %q", args[0])
}

func flood(ctx context.Context, conn *net.UDPConn, next func() []byte) error {
	for ctx.Err() == nil {
		// An error is the receiver's end, of which an ICMP message tells.
		_, _ = conn.Write(next())
	}
	return nil
}

// statuses are messages of a server in a row, whose ids count on.
type statuses struct {
	one    []byte      // a message
	at     int         // the index of the last digit of its id
	size   int         // of each datagram
	n      int         // datagrams in a row
	sender *key.Sender // nil without a key
	inARow []byte
}

// keys are the ones that clients and loads share here.
func keys() (*key.Ring, error) {
	secret := sha256.Sum256([]byte("a key for a benchmark"))
	return key.New(secret[:])
}

func newStatuses(n int, kind string) (*statuses, error) {
	one, err := udpkit.AppendMessage(nil, udpkit.Message{
		Timestamp: "2026-11-22T12:00:00.000000+00:00", State: udpkit.StateActive, ID: firstID,
		Epoch: 1, Interval: 5 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	id := strconv.AppendUint(nil, firstID, 10)
	s := &statuses{one: one, at: bytes.Index(one, id) + len(id) - 1, size: len(one), n: n}
	if kind != "statuses" {
		ring, err := keys()
		if err != nil {
			return nil, err
		}
		s.sender = ring.Sender("status", key.JSON, kind == "sealed")
		s.size += s.sender.Overhead()
	}
	return s, nil
}

// next returns the datagrams with the ids that follow.
func (s *statuses) next() []byte {
	s.inARow = s.inARow[:0]
	for range s.n {
		for at := s.at; ; at-- { // adds one to the decimal number
			if s.one[at]++; s.one[at] <= '9' {
				break
			}
			s.one[at] = '0'
		}
		if s.sender == nil {
			s.inARow = append(s.inARow, s.one...)
		} else {
			s.inARow = s.sender.Append(s.inARow, s.one)
		}
	}
	return s.inARow
}

// ping waits in vain if a datagram is lost, until Run loses its patience.
func ping(conn io.ReadWriter, payload []byte) (RoundTrip, error) {
	times := make([]time.Duration, 0, trips)
	buf := make([]byte, len(payload))
	for i := range warmUpTrips + trips {
		began := time.Now()
		if _, err := conn.Write(payload); err != nil {
			return RoundTrip{}, err
		}
		if _, err := conn.Read(buf); err != nil {
			return RoundTrip{}, err
		}
		if i >= warmUpTrips {
			times = append(times, time.Since(began))
		}
	}
	return RoundTrip{P50: measure.Quantile(times, 0.5), P99: measure.Quantile(times, 0.99)}, nil
}

// ackBurst is how many acknowledgements are sent without a pause. A receive buffer of Linux's
// default size takes 256 datagrams.
const ackBurst = 64

// acknowledge announces its port and then is as many clients as the server has.
func acknowledge(ctx context.Context, out io.Writer) error {
	conn, err := udp.Listen(ctx, loopback, udp.Options{})
	if err != nil {
		return err
	}
	if err := announce(out, conn.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
		return err
	}
	var buf []byte
	for d, err := range udpkit.Datagrams(ctx, conn) {
		if err != nil {
			return err
		}
		m, err := udpkit.DecodeMessage(d.Payload)
		if err != nil {
			return err
		}
		// Evenly over four fifths of the second until the next message.
		for i := range ackClients {
			if i%ackBurst == 0 {
				for time.Since(d.Received) < time.Duration(i)*8*time.Microsecond {
				}
			}
			ack := udpkit.Ack{ClientID: fmt.Sprintf("client-%08x", i), MessageID: m.ID, Epoch: m.Epoch}
			if buf, err = udpkit.AppendAck(buf[:0], ack); err != nil {
				return err
			}
			if _, err := conn.WriteToUDPAddrPort(buf, d.Source); err != nil {
				return err
			}
		}
	}
	return nil
}
