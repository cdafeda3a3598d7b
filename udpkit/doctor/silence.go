package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// Silence says why nothing may come to a program of this machine that listens at that address, and
// what to do next: the first thing that is wrong with this machine, or where else to look (Unseen).
// The server is the one that was heard last; it may be the zero Addr. Silence sends nothing and
// opens no socket. It takes 2 s at most.
func Silence(ctx context.Context, listen netip.AddrPort, server netip.Addr) (Finding, error) {
	all, err := udp.All()
	if err != nil {
		return Finding{}, err
	}
	walls := readFirewalls(ctx, listen.Port())
	if ctx.Err() != nil {
		return Finding{}, ctx.Err()
	}
	return explain(all, linkKinds(), walls, listen, server.Unmap()), nil
}

// explain returns the first thing that is wrong with the interfaces by which something could come.
func explain(all []udp.Interface, kinds map[int]string, walls *firewalls, listen netip.AddrPort, server netip.Addr) Finding {
	at := listen.Addr().Unmap()
	by := slices.DeleteFunc(slices.Clone(all), func(nic udp.Interface) bool {
		return !at.IsUnspecified() && !slices.ContainsFunc(nic.Prefixes, func(p netip.Prefix) bool { return p.Contains(at) })
	})
	if nic := subnetOf(server, by); nic != nil {
		by = []udp.Interface{*nic}
	}
	var list []Interface
	var found findings
	for _, nic := range by {
		one := describe(nic, kinds[nic.Index])
		if list = append(list, one); !one.Up {
			continue
		}
		if in := walls.look(nic).in; in[unicast] != "" {
			found.add(FirewallIn, Fault, nic.Name, droppedIn(walls.port, nic.Name, in[unicast]), walls.open(in[unicast]))
		} else if in[directed] != "" {
			found.add(BroadcastFiltered, Fault, nic.Name, droppedBroadcasts(nic.Name, in[directed]), walls.open(in[directed]))
		}
	}
	for _, f := range walls.lookAtNetworks() {
		if slices.ContainsFunc(by, func(nic udp.Interface) bool { return nic.Name == f.Interface }) {
			found = append(found, f)
		}
	}
	for _, f := range lookAtInterfaces(list) {
		if f.Severity == Fault && f.Kind != NoBroadcast && (f.Kind != NoNetwork || !at.IsLoopback() && !server.IsLoopback()) {
			found = append(found, f)
		}
	}
	if len(found) > 0 {
		return found[0]
	}
	here := slices.ContainsFunc(all, func(nic udp.Interface) bool {
		return slices.ContainsFunc(nic.Prefixes, func(p netip.Prefix) bool { return p.Addr() == server })
	})
	command := fmt.Sprintf("udpkit doctor --port %d", listen.Port())
	next := fmt.Sprintf("If a server runs on another host, run there: %s --answer, and here: %s --with HOST", command, command)
	switch {
	case at.IsLoopback() || server.IsLoopback() || here:
		next = "Look whether the server on this machine runs; if it does: " + command
	case server.IsValid():
		next = fmt.Sprintf("If the server still runs at %v, run there: %s --answer, and here: %s --with %v", server, command, command, server)
	}
	return Finding{Kind: Unseen, Severity: Warning, Text: "Nothing is wrong with this machine, as far as can be seen without sending.", Next: next}
}

// droppedIn says that a rule drops what comes by an interface.
func droppedIn(port uint16, nic, rule string) string {
	return fmt.Sprintf("The firewall of this machine drops what comes to port %d by %s: %s", port, nic, rule)
}

// droppedBroadcasts says that no own broadcasts come, by a rule if one is known.
func droppedBroadcasts(nic, rule string) string {
	return fmt.Sprintf("This machine does not get its own broadcasts by %s%s.", nic, because(rule))
}
