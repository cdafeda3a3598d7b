package doctor

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// What an Answerer sends, and keeps, at most.
const (
	answersPerSecond = 1000
	maxRuns          = 16 // of askers, for which it keeps whom it has heard
)

// Answerer answers the questions of doctors on other hosts.
type Answerer struct {
	conn   *net.UDPConn // on the port
	out    *socket      // on another, for what nobody has asked that port for
	id     uint64
	secret [32]byte
	limit  *rate.Limiter
	scan   udp.Scanner
	runs   []uint64 // the latest last
	heard  map[uint64][]uint64
}

// NewAnswerer opens the port of cfg, which may be shared.
func NewAnswerer(ctx context.Context, cfg Config) (*Answerer, error) {
	conn, err := udp.Listen(ctx, netip.AddrPortFrom(netip.IPv4Unspecified(), cfg.Port), udp.Options{Reuse: true, NoBroadcast: true})
	if err != nil {
		return nil, fmt.Errorf("cannot answer: %w", err)
	}
	out, err := udp.Listen(ctx, netip.AddrPortFrom(netip.IPv4Unspecified(), 0), udp.Options{})
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("cannot answer: %w", err)
	}
	a := &Answerer{conn: conn, out: newSocket(out), id: random(), limit: rate.NewLimiter(answersPerSecond, answersPerSecond/4), heard: make(map[uint64][]uint64)}
	rand.Read(a.secret[:]) // never fails
	return a, nil
}

// Run answers until ctx ends, which is no error, and closes the sockets. It can be called once.
func (a *Answerer) Run(ctx context.Context) error {
	defer a.out.conn.Close()
	defer a.conn.Close()
	join := newSocket(a.conn)
	for ctx.Err() == nil {
		up, err := a.scan.Up()
		if err != nil {
			return err
		}
		join.join(up) // what is joined already stays so
		if err := a.serve(ctx, up); err != nil {
			return err
		}
	}
	return nil
}

// serve answers for a second, in which the interfaces stay as they are.
func (a *Answerer) serve(ctx context.Context, up []udp.Interface) error {
	return receive(ctx, a.conn, time.Second, func(h arrival) bool {
		if h.Role == answer && (h.Back == directed || h.Back == limited) && h.From != a.id {
			a.note(h.Run, h.From)
		}
		if h.Role != question || h.To != 0 && h.To != a.id || udp.CheckPeer(h.from) != nil || !isLocal(h.from.Addr(), up) || !a.limit.Allow() {
			return true
		}
		a.answer(h, up)
		return true
	})
}

// note keeps that a broadcast of an answerer was heard in a run.
func (a *Answerer) note(run, who uint64) {
	if !slices.Contains(a.runs, run) {
		if a.runs = append(a.runs, run); len(a.runs) > maxRuns {
			delete(a.heard, a.runs[0])
			a.runs = a.runs[1:]
		}
	}
	if list := a.heard[run]; len(list) < maxHeard && !slices.Contains(list, who) {
		a.heard[run] = append(list, who)
	}
}

// token proves that who has it can receive at that address.
func (a *Answerer) token(addr netip.Addr) uint64 {
	mac := hmac.New(sha256.New, a.secret[:])
	mac.Write(addr.AsSlice())
	return binary.BigEndian.Uint64(mac.Sum(nil))
}

// answer sends an answer of the question's length. That it fails is seen by who has asked.
func (a *Answerer) answer(q arrival, up []udp.Interface) {
	from, size := q.from, q.size
	token, nic := a.token(from.Addr()), subnetOf(from.Addr(), up)
	proved := q.Token == token
	h := header{
		Role: answer, By: q.By, Back: q.Back, Number: q.Number, Run: q.Run, To: q.From, From: a.id, Host: machine(up),
		Sent: q.Sent, Arrived: q.at.UnixNano(), Left: time.Now().UnixNano(),
	}
	if nic != nil {
		h.Bits = uint8(nic.Prefixes[0].Bits()) + 1
	}
	if q.Back == unicast {
		h.Token = token
		var heard []uint64
		if proved {
			heard = a.heard[q.Run][:min(len(a.heard[q.Run]), (size-headerSize)/8)]
		}
		_, _ = a.conn.WriteToUDPAddrPort(h.append(nil, heard, size), from)
		return
	}
	port := q.Port
	if port == 0 {
		port = from.Port()
	}
	if !proved || q.Back != unasked && nic == nil {
		return
	}
	to := from.Addr()
	if q.Back != unasked {
		var ok bool
		if to, ok = destinations(*nic)[q.Back]; !ok {
			return
		}
	}
	_ = a.out.send(h.append(nil, nil, size), q.Back, nic, netip.AddrPortFrom(to, port))
}
