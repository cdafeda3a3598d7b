package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sending is what was measured of one way to send.
type Sending struct {
	Deliveries
	// Kind is "list" for one status to each of a list of listeners, "broadcast" for one to the
	// broadcast address of loopback, and "relay" for messages of 120 bytes as a relay sends them to
	// its readers: 8 in a datagram of 1,200 bytes, of which 12 are the reader's own, and 8 such
	// datagrams to each at a time.
	Kind      string `json:"kind"`
	Listeners int    `json:"listeners"`
	Arrived   Figure `json:"arrived"` // the share that came out at the other end
}

var errLinux = errors.New("only Linux has it")

const (
	kindList      = "list"
	kindBroadcast = "broadcast"
	kindRelay     = "relay"
)

// listeners has how many there are of each kind.
var listeners = map[string][]int{
	kindList:      {1, 4, 16, 64},
	kindBroadcast: {1, 4, 16, 64},
	kindRelay:     {8, 64, 256},
}

// senders are the rows of the tables of one kind.
type senderSubject struct {
	name, twin string
	command    []string
	mechanism  string
}

// Names of the rows that others are compared with.
const (
	cSendto  = "C sendto"
	cSegment = "C sendmmsg + UDP_SEGMENT"
)

// senders returns the rows of a kind; cc may be empty.
func senders(kind string, self, cc []string) []senderSubject {
	self = append(slices.Clone(self), "sender")
	var all []senderSubject
	add := func(name, twin string, command []string, mechanism string) {
		if len(command) > 0 {
			all = append(all, senderSubject{name, twin, command, mechanism})
		}
	}
	add(cSendto, cSendto, cc, "sendto")
	if kind != kindBroadcast {
		add("C sendmmsg", cSendto, cc, "sendmmsg")
	}
	if kind == kindRelay {
		add(cSegment, cSendto, cc, "segment")
	}
	add("Go WriteToUDPAddrPort", cSendto, self, "WriteToUDPAddrPort")
	if kind == kindRelay {
		add("udpkit relay's sending", cSegment, self, "batch")
	} else {
		add("udpkit server's sending", cSendto, self, "batch")
	}
	return all
}

// prepareSending decides what is measured of the ways to send.
func (r *runner) prepareSending(cc []string) {
	if runtime.GOOS != "linux" {
		r.missing("sending", errLinux)
		return
	}
	r.senders = make(map[string][]senderSubject)
	for _, kind := range []string{kindList, kindBroadcast, kindRelay} {
		all := senders(kind, r.cfg.Self, cc)
		wanted := func(s senderSubject) bool { return r.wanted(s.name) }
		if !slices.ContainsFunc(all, wanted) {
			continue
		}
		r.senders[kind] = slices.DeleteFunc(all, func(s senderSubject) bool {
			return !wanted(s) && s.name != cSendto && s.name != cSegment
		})
	}
}

// wanted reports whether Config.Only has a row.
func (r *runner) wanted(name string) bool {
	return len(r.cfg.Only) == 0 ||
		slices.ContainsFunc(r.cfg.Only, func(part string) bool { return strings.Contains(name, part) })
}

// drained says where sinks receive, or what they have got since the last time.
type drained struct {
	To    []netip.AddrPort `json:"to,omitempty"`
	Bytes int64            `json:"bytes"`
}

// sending measures each way to send, once.
func (r *runner) sending(ctx context.Context, round int) {
	for _, kind := range []string{kindList, kindBroadcast, kindRelay} {
		for _, n := range listeners[kind] {
			what := fmt.Sprintf("sending, %s, %d listeners", kind, n)
			if subjects := len(r.senders[kind]); subjects > 0 {
				r.turn(ctx, round, what, time.Duration(subjects)*(r.cfg.Time/3+beside), func() error { return r.sendTo(ctx, kind, n, round) })
			}
		}
	}
}

// sendTo measures all senders of a kind with the same listeners.
func (r *runner) sendTo(ctx context.Context, kind string, n, round int) error {
	subjects := r.senders[kind]
	ctx, cancel := context.WithTimeout(ctx, time.Duration(1+len(subjects))*patience)
	defer cancel()
	sinks, err := r.start(ctx, 0, r.cfg.Self, "sinks", kind, strconv.Itoa(n))
	if err != nil {
		return err
	}
	defer sinks.end()
	var at drained
	if err := sinks.result(&at); err != nil {
		return err
	}
	for _, s := range subjects {
		what := fmt.Sprintf("%s, %s, %d listeners", s.name, kind, n)
		if r.failed[what] {
			continue
		}
		c, size, err := r.send(ctx, s, kind, at.To)
		if err != nil {
			r.missing(what, err)
			continue
		}
		var got drained
		if _, err := fmt.Fprintln(sinks.in); err != nil {
			return sinks.explain(err)
		}
		if err := sinks.result(&got); err != nil {
			return err
		}
		copies := n / len(at.To) // of each datagram
		r.report.addSending(s, kind, n, round, c, copies, float64(got.Bytes)/float64(c.Total*int64(size*copies)))
	}
	return nil
}

// send measures one sender.
func (r *runner) send(ctx context.Context, s senderSubject, kind string, to []netip.AddrPort) (c count, size int, err error) {
	what, size := "status", datagramSize
	if kind == kindRelay {
		what, size = "bundles", bundleSize
	}
	args := []string{s.mechanism, what, fmt.Sprint(int64(r.cfg.Time / 10)), fmt.Sprint(int64(r.cfg.Time / 3)), strconv.Itoa(size)}
	for _, addr := range to {
		args = append(args, addr.String())
	}
	sender, err := r.start(ctx, 1, s.command, args...)
	if err != nil {
		return c, 0, err
	}
	defer sender.end()
	return c, size, sender.result(&c)
}

func (r *Report) addSending(s senderSubject, kind string, n, round int, c count, copies int, arrived float64) {
	i := slices.IndexFunc(r.Sending, func(row *Sending) bool { return row.Name == s.name && row.Kind == kind && row.Listeners == n })
	if i < 0 {
		i = len(r.Sending)
		r.Sending = append(r.Sending, &Sending{
			Deliveries: Deliveries{Name: s.name, Twin: s.twin, table: kind, column: n}, Kind: kind, Listeners: n,
		})
	}
	row := r.Sending[i]
	deliveries := float64(c.Datagrams) * float64(copies)
	if kind == kindRelay {
		deliveries *= bundled
	}
	row.Rate.add(round, deliveries/(float64(c.Elapsed)/1e9))
	row.CPU.add(round, float64(c.CPU)/deliveries)
	row.Arrived.add(round, arrived)
}

// sendingTables writes a table for each kind.
func (r *Report) sendingTables(b *strings.Builder) {
	for _, kind := range []struct{ kind, title, of string }{
		{kindList, "Sending a status to a list of listeners, deliveries/s", "to %d"},
		{kindBroadcast, "Sending a status to the broadcast address, deliveries/s", "%d listen"},
		{kindRelay, "Sending messages of 120 bytes to readers, 8 in a datagram, 8 datagrams to each at a time, deliveries/s", "to %d"},
	} {
		rows := r.deliveryTable(kind.kind, "sender", kind.of, listeners[kind.kind])
		rows[0] = append(rows[0], "beside")
		for i, row := range rows[1:] {
			beside := ""
			for _, s := range r.Sending {
				if s.Kind == kind.kind && s.Name == row[0] && s.Twin != s.Name {
					beside = s.Twin
				}
			}
			rows[1+i] = append(row, beside)
		}
		table(b, kind.title, rows)
	}
	lost := slices.DeleteFunc(slices.Clone(r.Sending), func(s *Sending) bool { return s.Arrived.Median >= 0.99 })
	for _, s := range lost {
		fmt.Fprintf(b, "- %s, %s of %d: only %.0f %% arrived\n", s.Name, s.Kind, s.Listeners, 100*s.Arrived.Median)
	}
}
