package record

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

const (
	// maxSources is how many senders of a recording are told apart: each has a socket.
	maxSources = 256
	// batch is how many datagrams are sent without a pause at most, fewer than the smallest usual
	// receive buffer holds, and patience how long their answers may take.
	batch    = 32
	patience = 200 * time.Millisecond
)

// ReplayConfig says what of a recording is played, and how.
type ReplayConfig struct {
	// Port selects the senders: those that have sent to this UDP port. All that they have sent is
	// played, also to other ports, as servers send again what one client misses.
	Port uint16
	// To is where all of it goes.
	To netip.AddrPort
	// Speed is how much faster than recorded it is played. 0 has no pauses but those that keep it
	// from overrunning a client: after 32 datagrams it waits until as many answers have come as
	// were new among them, or for 200 ms.
	Speed float64
}

// ReplayStats are what a replay has done.
type ReplayStats struct {
	Sent    uint64
	Sources int
	// Partial are those that were left out since the recording has only a part of them.
	Partial uint64
	// Answers are what came back.
	Answers uint64
}

// Replay plays a recording, or a capture of another program, to whoever receives at an address.
// Each of its senders, the first 256 of them, has a port of its own. What a server has sent to
// several addresses is played once. It reads the recording twice, from the start.
//
// An error says if nothing was sent to the port, and to which ports something was.
func Replay(ctx context.Context, recording io.ReadSeeker, cfg ReplayConfig) (stats ReplayStats, err error) {
	senders, err := sendersTo(recording, cfg.Port)
	if err != nil {
		return stats, err
	}
	if _, err := recording.Seek(0, io.SeekStart); err != nil {
		return stats, fmt.Errorf("the recording cannot be read twice: %w", err)
	}
	p := player{cfg: cfg, ports: make(map[netip.AddrPort]*net.UDPConn), seed: maphash.MakeSeed(), seen: make(map[uint64]struct{}), answered: make(chan struct{}, 1)}
	defer func() {
		for _, conn := range p.ports {
			conn.Close()
		}
		p.readers.Wait()
		stats.Answers = p.answers.Load()
	}()
	for packet, err := range Read(recording) {
		switch {
		case err != nil:
			return stats, err
		case ctx.Err() != nil:
			return stats, nil
		case !senders[packet.From] || p.again(packet):
			continue
		case packet.Truncated:
			stats.Partial++
			continue
		}
		if p.wait(ctx, packet.At); ctx.Err() != nil {
			return stats, nil
		}
		conn, err := p.port(ctx, packet.From)
		if err != nil {
			return stats, err
		}
		stats.Sources = len(p.ports)
		if _, err := conn.WriteToUDPAddrPort(packet.Payload, cfg.To); err != nil {
			return stats, fmt.Errorf("cannot play to %v: %w", cfg.To, err)
		}
		stats.Sent++
		p.sent(ctx, packet.Payload)
	}
	p.settle(ctx)
	return stats, nil
}

// sendersTo returns who has sent to a port.
func sendersTo(recording io.Reader, port uint16) (map[netip.AddrPort]bool, error) {
	senders := make(map[netip.AddrPort]bool)
	counts := make(map[uint16]int)
	for packet, err := range Read(recording) {
		if err != nil {
			return nil, err
		}
		counts[packet.To.Port()]++
		if packet.To.Port() == port {
			senders[packet.From] = true
		}
	}
	if len(senders) > 0 {
		return senders, nil
	}
	if len(counts) == 0 {
		return nil, errors.New("there is no UDP datagram in the recording")
	}
	most := slices.SortedFunc(maps.Keys(counts), func(a, b uint16) int { return counts[b] - counts[a] })
	var list []string
	for _, p := range most[:min(len(most), 5)] {
		list = append(list, fmt.Sprint(p))
	}
	return nil, fmt.Errorf("nothing in the recording was sent to port %d; most was sent to %s: choose one of these", port, strings.Join(list, ", "))
}

// player is one replay.
type player struct {
	cfg   ReplayConfig
	ports map[netip.AddrPort]*net.UDPConn // by sender
	last  Packet

	first, begun time.Time // the recording's and the replay's

	seed     maphash.Seed
	seen     map[uint64]struct{} // the hashes of what was sent
	unwaited int                 // sent since the last pause
	expected uint64              // answers
	answers  atomic.Uint64
	answered chan struct{} // has room for one
	readers  sync.WaitGroup
}

// again reports whether a packet is what its sender has just sent to another address.
func (p *player) again(packet Packet) bool {
	last := p.last
	p.last = packet
	return packet.Sent && last.Sent && packet.From == last.From && packet.To != last.To && string(packet.Payload) == string(last.Payload)
}

// wait waits until it is time for what was recorded at that time.
func (p *player) wait(ctx context.Context, at time.Time) {
	if p.first.IsZero() {
		p.first, p.begun = at, time.Now()
	}
	if p.cfg.Speed == 0 {
		return
	}
	pause(ctx, time.Until(p.begun.Add(time.Duration(float64(at.Sub(p.first))/p.cfg.Speed))), nil)
}

// pause waits for that time, or until one of enough comes. It reports whether one came.
func pause(ctx context.Context, d time.Duration, enough <-chan struct{}) bool {
	if d <= 0 {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-enough:
		return true
	}
	return false
}

// port returns the socket that stands for a sender.
func (p *player) port(ctx context.Context, sender netip.AddrPort) (*net.UDPConn, error) {
	if len(p.ports) >= maxSources && p.ports[sender] == nil {
		sender = netip.AddrPort{} // for all the rest
	}
	if conn := p.ports[sender]; conn != nil {
		return conn, nil
	}
	own := netip.IPv4Unspecified()
	if to := p.cfg.To.Addr(); to.Is6() && !to.Is4In6() {
		own = netip.IPv6Unspecified()
	}
	conn, err := udp.Listen(ctx, netip.AddrPortFrom(own, 0), udp.Options{})
	if err != nil {
		return nil, err
	}
	p.ports[sender] = conn
	p.readers.Go(func() {
		var b [2048]byte
		var failures udp.Failures
		for {
			_, _, err := conn.ReadFromUDPAddrPort(b[:])
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil && !failures.Rest(ctx, err) {
				return
			}
			if err == nil {
				failures.Over()
				p.answers.Add(1)
			}
			select {
			case p.answered <- struct{}{}:
			default:
			}
		}
	})
	return conn, nil
}

// sent notes what was sent, and waits for answers where nothing else slows the replay down.
func (p *player) sent(ctx context.Context, payload []byte) {
	hash := maphash.Bytes(p.seed, payload)
	if _, known := p.seen[hash]; !known {
		p.seen[hash] = struct{}{}
		p.expected++
	}
	if p.unwaited++; p.unwaited >= batch && p.cfg.Speed == 0 {
		p.settle(ctx)
	}
}

// settle waits until what was sent is answered, or for as long as that may take.
func (p *player) settle(ctx context.Context) {
	p.unwaited = 0
	limit := time.Now().Add(patience)
	for p.answers.Load() < p.expected && pause(ctx, time.Until(limit), p.answered) {
	}
	p.expected = p.answers.Load()
}
