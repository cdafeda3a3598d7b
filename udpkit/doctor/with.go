package doctor

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// Peer is what was seen of the other host.
type Peer struct {
	Host netip.Addr `json:"host"`
	// Answers reports whether a doctor answers there.
	Answers bool `json:"answers"`
	// Out has the ways by which datagrams get there, In those by which they come from there.
	Out []string `json:"out"`
	In  []string `json:"in"`
	// Largest is the longest datagram, of those that were tried, which goes there and back, in
	// bytes.
	Largest int `json:"largest"`
	// Sent, Lost and RTT, the median round trip, are of 100 datagrams.
	Sent int           `json:"sent"`
	Lost int           `json:"lost"`
	RTT  time.Duration `json:"rtt_ns"`
	// Offset is how far the clock there is ahead of this one, to half of the shortest round trip.
	Offset time.Duration `json:"offset_ns"`
}

const (
	askTries = 5
	askWait  = 150 * time.Millisecond // after each
	probes   = 100
	maxKnown = 32 // answerers
	probeGap = 4 * time.Millisecond
)

// sizes are the datagrams that are tried: for the MTU of Ethernet, of DSL, of a tunnel, of IPv6 and
// of IPv4 at least.
var sizes = []int{maxSize, 1464, 1392, 1252, 548}

// answerer is one that was heard.
type answerer struct {
	id, host, token uint64
	addr            netip.Addr
}

// examination is of the way to another host.
type examination struct {
	host      netip.Addr
	port      uint16
	nic       *udp.Interface // in whose subnet the host is, or nil
	local     bool           // the host is this machine
	me, run   uint64
	ask, hear *socket
	probe     *net.UDPConn // that cannot be sent in pieces
	number    uint32

	Peer
	failure error // of sending to the host
	refused bool  // the host says that nobody has the port
	remote  bool  // the host says that this machine is in none of its subnets
	known   []answerer
	heard   map[uint64][]uint64
	out, in map[way]bool
}

// examineWith looks at what goes between this machine and a host, and adds it to a report.
func examineWith(ctx context.Context, host netip.Addr, all []udp.Interface, walls *firewalls, r *Report) error {
	up := slices.DeleteFunc(slices.Clone(all), func(nic udp.Interface) bool { return nic.Flags&net.FlagUp == 0 })
	e := &examination{host: host, port: r.Port, nic: subnetOf(host, up), me: random(), run: random(), heard: make(map[uint64][]uint64), out: make(map[way]bool), in: make(map[way]bool)}
	e.Host = host
	e.local = host.IsLoopback() || e.nic != nil && e.nic.Prefixes[0].Addr() == host
	if err := e.open(ctx); err != nil {
		return err
	}
	defer e.ask.conn.Close()
	defer e.hear.conn.Close()
	defer e.probe.Close()
	e.hear.join(up)
	for _, step := range []func(context.Context) error{e.find, e.listen, e.measure, e.gather} {
		if err := step(ctx); err != nil {
			return err
		}
		if !e.Answers {
			break
		}
	}
	for w := unicast; w < ways; w++ {
		if e.out[w] {
			e.Out = append(e.Out, w.String())
		}
		if e.in[w] {
			e.In = append(e.In, w.String())
		}
	}
	r.With = &e.Peer
	e.table(r)
	e.diagnose(ctx, walls, up, r)
	return ctx.Err()
}

// open opens the sockets. On this machine the port is the answerer's.
func (e *examination) open(ctx context.Context) error {
	listen := func(port uint16) (*socket, error) {
		conn, state, err := tryPort(ctx, port)
		if err == nil && state == portTaken {
			conn, _, err = tryPort(ctx, 0)
		}
		if err != nil {
			return nil, err
		}
		return newSocket(conn), nil
	}
	port := e.port
	if e.local {
		port = 0
	}
	var err error
	if e.ask, err = listen(0); err != nil {
		return err
	}
	if e.hear, err = listen(port); err == nil {
		e.probe, err = udp.Listen(ctx, netip.AddrPortFrom(netip.IPv4Unspecified(), 0), udp.Options{})
		if err != nil {
			_ = e.hear.conn.Close()
		}
	}
	if err != nil {
		_ = e.ask.conn.Close()
		return err
	}
	whole(e.probe)
	return nil
}

// question returns one for an answerer.
func (e *examination) question(by, back way, to answerer) header {
	e.number++
	h := header{Role: question, By: by, Back: back, Number: e.number, Run: e.run, To: to.id, From: e.me, Token: to.token, Sent: time.Now().UnixNano()}
	if back != unicast {
		h.Port = uint16(e.hear.conn.LocalAddr().(*net.UDPAddr).Port)
	}
	return h
}

// mine reports whether a datagram is an answer to this run.
func (e *examination) mine(a arrival) bool { return a.Role == answer && a.Run == e.run && a.To == e.me }

// meet keeps an answerer.
func (e *examination) meet(a arrival) {
	i := slices.IndexFunc(e.known, func(k answerer) bool { return k.id == a.From })
	if i < 0 {
		if len(e.known) >= maxKnown {
			return
		}
		i, e.known = len(e.known), append(e.known, answerer{a.From, a.Host, a.Token, a.from.Addr()})
	}
	if a.Token != 0 {
		e.known[i].token = a.Token
	}
	if a.from.Addr() == e.host {
		e.Answers, e.remote = true, a.Bits == 0
	}
}

// find asks the host, and all that hear a broadcast or a multicast.
func (e *examination) find(ctx context.Context) error {
	to := map[way]netip.Addr{unicast: e.host}
	if e.nic != nil {
		to = destinations(*e.nic)
		to[unicast] = e.host
	}
	dialer := net.Dialer{}
	if conn, err := dialer.DialContext(ctx, "udp4", netip.AddrPortFrom(e.host, e.port).String()); err == nil {
		defer conn.Close()
		for range 2 { // what the first has brought back fails the second
			_, err = conn.Write(e.question(unicast, unicast, answerer{}).append(nil, nil, 0))
			_ = conn.SetReadDeadline(time.Now().Add(askWait))
			if err == nil {
				_, err = conn.Read(make([]byte, maxSize))
			}
			e.refused = e.refused || udp.Refused(err)
		}
	}
	for range askTries {
		for by, addr := range to {
			if e.out[by] {
				continue
			}
			err := e.ask.send(e.question(by, unicast, answerer{}).append(nil, nil, 0), by, e.nic, netip.AddrPortFrom(addr, e.port))
			if by == unicast {
				e.failure = err
			}
		}
		if err := receive(ctx, e.ask.conn, askWait, func(a arrival) bool {
			if e.mine(a) {
				e.meet(a)
				e.out[a.By] = e.out[a.By] || a.from.Addr() == e.host
			}
			return true
		}); err != nil || ctx.Err() != nil {
			return cmp.Or(err, ctx.Err())
		}
	}
	e.in[unicast] = e.Answers
	return nil
}

// hosts returns the answerers on the host.
func (e *examination) hosts() (list []answerer) {
	for _, k := range e.known {
		if k.addr == e.host {
			list = append(list, k)
		}
	}
	return list
}

// listen has all answer by each way.
func (e *examination) listen(ctx context.Context) error {
	for range askTries {
		for _, k := range e.known {
			for back := unasked; back < ways; back++ {
				if k.addr == e.host && !e.in[back] || k.addr != e.host && back == directed {
					_ = e.ask.send(e.question(unicast, back, k).append(nil, nil, 0), unicast, nil, netip.AddrPortFrom(k.addr, e.port))
				}
			}
		}
		if err := receive(ctx, e.hear.conn, askWait, func(a arrival) bool {
			if e.mine(a) {
				e.in[a.Back] = e.in[a.Back] || a.from.Addr() == e.host
			}
			return true
		}); err != nil || ctx.Err() != nil {
			return cmp.Or(err, ctx.Err())
		}
	}
	return nil
}

// measure sends the datagrams that tell the loss, the round trip, the clocks, and the MTU.
func (e *examination) measure(ctx context.Context) error {
	at, one := netip.AddrPortFrom(e.host, e.port), e.hosts()[0]
	for range 2 {
		for _, size := range sizes {
			_, _ = e.probe.WriteToUDPAddrPort(e.question(unicast, unicast, one).append(nil, nil, size), at) // too long for the interface
		}
		if err := receive(ctx, e.probe, askWait, func(a arrival) bool {
			if e.mine(a) {
				e.Largest = max(e.Largest, a.size)
			}
			return e.Largest < sizes[0]
		}); err != nil {
			return err
		}
	}
	first := e.number
	var trips []time.Duration
	seen := make(map[uint32]bool)
	take := func(a arrival) bool {
		if !e.mine(a) || a.Number <= first || seen[a.Number] {
			return true
		}
		seen[a.Number] = true
		o, ok := measure.FourTimes(a.Sent, a.Arrived, a.Left, a.at.UnixNano())
		if ok && (len(trips) == 0 || o.Delay < slices.Min(trips)) {
			e.Offset = o.Ahead
		}
		if ok { // or a clock was set meanwhile
			trips = append(trips, o.Delay)
		}
		return len(seen) < probes
	}
	for e.Sent = range probes {
		_ = e.ask.send(e.question(unicast, unicast, one).append(nil, nil, 0), unicast, nil, at)
		if err := receive(ctx, e.ask.conn, probeGap, take); err != nil || ctx.Err() != nil {
			return cmp.Or(err, ctx.Err())
		}
	}
	if e.Sent = probes; len(seen) < probes {
		if err := receive(ctx, e.ask.conn, 3*askWait, take); err != nil {
			return err
		}
	}
	if e.Lost = probes - len(seen); len(trips) > 0 {
		slices.Sort(trips)
		e.RTT = trips[len(trips)/2]
	}
	return nil
}

// gather asks all whom they have heard.
func (e *examination) gather(ctx context.Context) error {
	if len(e.known) < 2 {
		return nil
	}
	for range 2 {
		for _, k := range e.known {
			if _, told := e.heard[k.id]; !told {
				_ = e.ask.send(e.question(unicast, unicast, k).append(nil, nil, 1200), unicast, nil, netip.AddrPortFrom(k.addr, e.port))
			}
		}
		if err := receive(ctx, e.ask.conn, askWait, func(a arrival) bool {
			if e.mine(a) && a.size == 1200 {
				e.heard[a.From] = a.heard
			}
			return len(e.heard) < len(e.known)
		}); err != nil || ctx.Err() != nil {
			return cmp.Or(err, ctx.Err())
		}
	}
	return nil
}

// table says who hears whom. On one machine that is no question.
func (e *examination) table(r *Report) {
	if len(e.known) < 2 || e.local {
		return
	}
	for _, k := range e.known {
		r.Answerers = append(r.Answerers, k.addr)
		row := []int{}
		for i, other := range e.known {
			if slices.Contains(e.heard[k.id], other.id) {
				row = append(row, i)
			}
		}
		r.Heard = append(r.Heard, row)
	}
}
