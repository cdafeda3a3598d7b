package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// Own is a datagram of this machine's own, and whether it came back.
type Own struct {
	Interface string     `json:"interface"`
	Way       string     `json:"way"`
	To        netip.Addr `json:"to"`
	Back      bool       `json:"back"`
	Error     string     `json:"error,omitempty"` // of sending it

	by  way
	err error
	nic *udp.Interface
}

const (
	ownTries = 4
	ownWait  = 100 * time.Millisecond // after each
)

// tryOwn sends a datagram by each way of each interface that has a link, and listens for it. The
// port may be shared: then a unicast says nothing, as another program may have it.
func tryOwn(ctx context.Context, s *socket, me uint64, interfaces []udp.Interface, shared bool) ([]Own, error) {
	var tests []Own
	for i := range interfaces {
		nic := &interfaces[i]
		if !describe(*nic, "").Link {
			continue
		}
		all := destinations(*nic)
		for by := unicast; by < ways; by++ {
			if to, ok := all[by]; ok && (by != unicast || !shared) {
				tests = append(tests, Own{Interface: nic.Name, Way: by.String(), To: to, by: by, nic: nic})
			}
		}
	}
	s.join(interfaces)
	port := s.conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	for range ownTries {
		for i := range tests {
			t := &tests[i]
			if t.Back {
				continue
			}
			h := header{Role: mark, By: t.by, Back: t.by, Number: uint32(i), From: me}
			if t.err = s.send(h.append(nil, nil, 0), t.by, t.nic, netip.AddrPortFrom(t.To, port)); t.err != nil {
				t.Error = format.Reason(t.err)
			} else {
				t.Error = ""
			}
		}
		missing := func() bool { return slices.ContainsFunc(tests, func(t Own) bool { return !t.Back && t.err == nil }) }
		err := receive(ctx, s.conn, ownWait, func(h arrival) bool {
			if h.Role == mark && h.From == me && int(h.Number) < len(tests) {
				tests[h.Number].Back = true
			}
			return missing()
		})
		if err != nil {
			return tests, err
		}
		if !missing() {
			break
		}
	}
	return tests, ctx.Err()
}

// receive calls take for each datagram of a doctor's, until it returns false or that time is over.
// Errors of single reads, which report the fate of earlier datagrams, are of no interest.
func receive(ctx context.Context, conn *net.UDPConn, wait time.Duration, take func(arrival) bool) error {
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })()
	var buf [2048]byte
	for ctx.Err() == nil {
		n, from, err := conn.ReadFromUDPAddrPort(buf[:])
		at := time.Now()
		var failure net.Error
		switch {
		case errors.Is(err, net.ErrClosed):
			return err
		case errors.As(err, &failure) && failure.Timeout():
			return nil
		case err != nil:
			continue
		}
		if h, heard, err := parse(buf[:n]); err == nil && !take(arrival{h, heard, n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), at}) {
			return nil
		}
	}
	return nil
}

// arrival is a datagram of a doctor's that has come.
type arrival struct {
	header
	heard []uint64
	size  int
	from  netip.AddrPort
	at    time.Time
}

// failureOf says what a failure to send means.
func failureOf(err error) Kind {
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return FirewallOut
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, errWindowsNoRoute[0]), errors.Is(err, errWindowsNoRoute[1]):
		return NoRoute
	}
	return SendFailed
}

// errWindowsNoRoute are WSAENETUNREACH and WSAEHOSTUNREACH, for which package syscall has other
// numbers.
var errWindowsNoRoute = [2]syscall.Errno{10051, 10065}

// lookAtOwn says what is wrong with what did not come back, and which rules are the cause.
func lookAtOwn(tests []Own, f *firewalls, port uint16) (found findings) {
	var names []string
	for _, t := range tests {
		if !slices.Contains(names, t.Interface) {
			names = append(names, t.Interface)
		}
	}
	for _, name := range names {
		var back, silent []way
		nic := new(udp.Interface)
		for _, t := range tests {
			switch {
			case t.Interface != name:
				continue
			case t.err != nil:
				lookAtFailure(&found, t.err, name, t.To, f.look(*t.nic).out[t.by])
			case t.Back:
				back = append(back, t.by)
			default:
				silent = append(silent, t.by)
			}
			nic = t.nic
		}
		rules := f.look(*nic).in
		dropped := rules[unicast] // an own unicast comes by the loopback interface
		others := func(w way) bool { return w != unicast }
		switch isLoopback := describe(*nic, "").Sort == loopback; {
		case dropped != "":
			found.add(FirewallIn, Fault, name, droppedIn(port, name, dropped), f.open(dropped))
		case len(silent) == 0:
		case slices.Contains(silent, unicast) && len(back) == 0, !isLoopback && len(silent) > 1 && !slices.ContainsFunc(back, others):
			found.add(FirewallIn, Fault, name, fmt.Sprintf("What comes to port %d by %s is dropped on this machine: of its own datagrams none came back by %s.", port, name, inWordsOf(silent)), f.open(""))
		case slices.Equal(silent, []way{multicast}):
			found.add(MulticastFiltered, Fault, name, fmt.Sprintf("This machine does not get its own multicasts by %s%s.", name, because(rules[multicast])), multicastHere)
		case !slices.Contains(silent, unicast) && !slices.Contains(silent, multicast):
			found.add(BroadcastFiltered, Fault, name, droppedBroadcasts(name, rules[silent[0]]), f.open(rules[silent[0]]))
		default:
			found.add(FirewallIn, Fault, name, fmt.Sprintf("Part of what comes to port %d by %s is dropped on this machine: its own datagrams did not come back by %s.", port, name, inWordsOf(silent)), f.open(""))
		}
	}
	return found
}

const multicastHere = "Allow multicast through this machine's firewall, or use broadcast."

func inWordsOf(list []way) string {
	var names []string
	for _, w := range list {
		names = append(names, w.String())
	}
	return inWords(names)
}

// because names a rule, if one is known.
func because(rule string) string {
	if rule == "" {
		return ""
	}
	return ", which a firewall rule drops: " + rule
}

// lookAtFailure says why sending by an interface fails.
func lookAtFailure(found *findings, err error, nic string, to netip.Addr, rule string) {
	by := ""
	if nic != "" {
		by = " by " + nic
	}
	reason := format.Reason(err)
	switch failureOf(err) {
	case FirewallOut:
		text := fmt.Sprintf("The firewall of this machine drops what is sent to %v%s", to, by)
		if rule != "" {
			text += ": " + rule
		} else {
			text += " (" + reason + ")."
		}
		found.add(FirewallOut, Fault, nic, text, "Remove the rule against what goes out, or ask whoever has set it: sudo iptables -S OUTPUT; sudo nft list ruleset")
	case NoRoute:
		found.add(NoRoute, Fault, nic, fmt.Sprintf("This machine knows no way to %v%s (%s).", to, by, strings.TrimSuffix(reason, ".")), "Look at the routes, and at the address and netmask of the interface: ip route, ip address")
	default:
		found.add(SendFailed, Fault, nic, fmt.Sprintf("Sending to %v%s fails: %s.", to, by, strings.TrimSuffix(reason, ".")), "Look whether the interface works for other programs.")
	}
}
