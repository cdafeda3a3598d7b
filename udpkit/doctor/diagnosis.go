package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// mostLost is how many of 100 datagrams may be lost, as they are by radio.
const mostLost = 5

// diagnose adds what is wrong between the two hosts to what is wrong with this one: nothing that
// this one's findings explain.
func (e *examination) diagnose(ctx context.Context, walls *firewalls, up []udp.Interface, r *Report) {
	found := findings(r.Findings)
	defer func() { r.Findings = found }()
	if e.local && e.Answers { // then the answerer is who shares the port
		found = slices.DeleteFunc(found, func(f Finding) bool { return f.Kind == PortShared })
	}
	there := fmt.Sprintf("udpkit doctor --port %d", e.port)
	nic := ""
	if e.nic != nil {
		nic = e.nic.Name
	}
	if hosts := e.hosts(); slices.ContainsFunc(hosts, func(k answerer) bool { return k.host != hosts[0].host }) {
		found.add(DuplicateAddress, Fault, "", fmt.Sprintf("Two hosts have the address %v: both answer.", e.host), "Give one of them another address, or let DHCP give both.")
		return
	}
	if !e.Answers {
		switch {
		case e.failure != nil:
			if !found.has(InterfaceDown, NoLink, FirewallOut) {
				lookAtFailure(&found, e.failure, nic, e.host, outRule(walls, e.nic))
			}
		case found.has(NoLink, FirewallOut), e.local && found.has(PortTaken, PortShared, FirewallIn): // which explain it
		case e.refused:
			found.add(NotAnswering, Fault, "", fmt.Sprintf("%v is up, but nobody has port %d there.", e.host, e.port), "Run there: "+there+" --answer")
		case e.nic != nil && !e.isUp(ctx):
			found.add(HostDown, Fault, "", fmt.Sprintf("Nobody has the address %v: no host answers to it.", e.host), "Look whether the host is on, in this network, and has that address.")
		case e.nic == nil && !e.isUp(ctx):
			found.add(HostDown, Fault, "", fmt.Sprintf("Nothing comes from %v, which is in another subnet: it is down, or a firewall or router between drops all.", e.host), "Ping it; then run there: "+there+" --answer")
		default:
			found.add(Firewall, Fault, "", fmt.Sprintf("%v is known in the network, but nothing comes back from its port %d: its firewall, or one between, drops it, or it has just gone down.", e.host, e.port), "Run there, as root, to see the rule: "+there)
		}
		return
	}
	e.diagnoseWays(&found, nic, there)
	if e.Largest < leastMTU-overhead && !found.has(SmallMTU) {
		found.add(SmallMTU, Warning, nic, fmt.Sprintf("Between here and %v datagrams of %d bytes pass, and of %d do not.", e.host, e.Largest, sizes[max(0, slices.Index(sizes, e.Largest)-1)]),
			"Look at the MTU of the interfaces at both ends, and of a tunnel between.")
	}
	if e.Lost > mostLost {
		found.add(Loss, Warning, nic, fmt.Sprintf("Of %d datagrams to %v and back %d are lost.", e.Sent, e.host, e.Lost), "Try with a cable, or nearer to the access point.")
	}
	if e.Offset.Abs() > 30*time.Second {
		found.add(ClockOffset, Warning, "", fmt.Sprintf("The clocks here and at %v differ by %s: from a minute on, what is signed is not believed.", e.host, format.Short(e.Offset.Abs())), "Set both by a time server: timedatectl set-ntp true")
	}
}

// diagnoseWays says which ways are closed between two hosts of which one answers the other.
func (e *examination) diagnoseWays(found *findings, nic, there string) {
	if found.has(PortTaken, FirewallIn, FirewallOut, NoBroadcast, BroadcastFiltered, MulticastFiltered) {
		return // which explain it
	}
	if e.nic == nil || e.remote {
		found.add(AnotherSubnet, Fault, nic, fmt.Sprintf("%v and this machine are in different subnets: no broadcast gets from one to the other.", e.host), byTarget)
		return
	}
	can := destinations(*e.nic)
	closed := func(ways map[way]bool, all ...way) bool {
		return slices.ContainsFunc(all, func(w way) bool { _, has := can[w]; return has && !ways[w] })
	}
	if _, ok := can[directed]; !ok {
		found.add(NoBroadcast, Fault, nic, fmt.Sprintf("Nothing can be broadcast to %v: %s is a tunnel.", e.host, nic), byTarget)
		return
	}
	broadcastIn, multicastIn := closed(e.in, directed, limited), closed(e.in, multicast)
	if !e.in[unasked] && broadcastIn {
		found.add(Firewall, Fault, nic, fmt.Sprintf("What %v sends to port %d here does not come unless it was asked for: a firewall of this machine or of %v drops it.", e.host, e.port, e.host), "Run here and there, as root, to see the rule: "+there)
		return
	}
	if out := closed(e.out, directed, limited); out || broadcastIn {
		found.add(BroadcastFiltered, Fault, nic, fmt.Sprintf("Broadcasts are filtered %s, and unicasts are not: as by a guest Wi-Fi, or by a firewall.", e.direction(out, broadcastIn)), byTarget)
	}
	if out := closed(e.out, multicast); out || multicastIn {
		found.add(MulticastFiltered, Fault, nic, fmt.Sprintf("Multicasts are filtered %s: as by a switch that snoops IGMP without a querier, or by a firewall.", e.direction(out, multicastIn)), "Turn IGMP snooping off at the switch or access point, or use broadcast.")
	}
}

func (e *examination) direction(out, in bool) string {
	switch {
	case out && in:
		return fmt.Sprintf("between here and %v", e.host)
	case out:
		return fmt.Sprintf("on the way to %v", e.host)
	}
	return fmt.Sprintf("on the way from %v", e.host)
}

// outRule returns the rule against a unicast by an interface.
func outRule(walls *firewalls, nic *udp.Interface) string {
	if nic == nil {
		return ""
	}
	return walls.look(*nic).out[unicast]
}

// isUp reports whether the host is there at all: it has answered ARP, or refuses a connection.
func (e *examination) isUp(ctx context.Context) bool {
	if answered, known := neighbour(e.host); known {
		return answered
	}
	dialer := net.Dialer{Timeout: 500 * time.Millisecond}
	conn, err := dialer.DialContext(ctx, "tcp4", netip.AddrPortFrom(e.host, e.port).String())
	if err == nil {
		_ = conn.Close()
	}
	return err == nil || udp.Refused(err)
}
