package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// Kind names what is wrong.
type Kind string

// The kinds of findings.
const (
	PortTaken         Kind = "port_taken"         // by a program that does not share it
	PortShared        Kind = "port_shared"        // with a program that shares it
	KernelDrops       Kind = "kernel_drops"       // a program on the port has lost datagrams
	SmallBuffer       Kind = "small_buffer"       // the receive buffer is less than half of what is asked for
	NoNetwork         Kind = "no_network"         // there is nothing but loopback
	InterfaceDown     Kind = "interface_down"     // an interface with an address is down
	NoLink            Kind = "no_link"            // an interface is up, but has no carrier
	NoBroadcast       Kind = "no_broadcast"       // an interface without broadcast, as a tunnel's
	NoRoute           Kind = "no_route"           // the system knows no way
	SendFailed        Kind = "send_failed"        // sending fails for another reason
	SmallMTU          Kind = "small_mtu"          // less than IPv6 demands, 1280 bytes
	FirewallIn        Kind = "firewall_in"        // of this machine, against what comes in
	FirewallOut       Kind = "firewall_out"       // of this machine, against what goes out
	PublicNetwork     Kind = "public_network"     // Windows protects itself from this network
	BroadcastFiltered Kind = "broadcast_filtered" // alone, as on guest Wi-Fi
	MulticastFiltered Kind = "multicast_filtered" // alone, as by a switch that snoops IGMP
	HostDown          Kind = "host_down"          // nobody has the address
	NotAnswering      Kind = "not_answering"      // the host is up, but no doctor answers there
	Firewall          Kind = "firewall"           // the other host's, or one between
	AnotherSubnet     Kind = "another_subnet"     // the host is in none of this machine's
	DuplicateAddress  Kind = "duplicate_address"  // two hosts have the same
	ClockOffset       Kind = "clock_offset"       // the clocks differ by more than signatures allow
	Loss              Kind = "loss"               // of more than 5 of 100 datagrams
	Unseen            Kind = "unseen"             // of Silence: nothing is wrong that can be seen
)

// Severity is how bad a finding is.
type Severity string

// The severities.
const (
	Fault   Severity = "fault"   // something does not arrive
	Warning Severity = "warning" // it does, but not always, or not all of it
)

// Finding is one thing that is wrong.
type Finding struct {
	Kind     Kind     `json:"kind"`
	Severity Severity `json:"severity"`
	// Interface is the one that it is about, if it is about one.
	Interface string `json:"interface,omitempty"`
	// Text says what is wrong, in a sentence.
	Text string `json:"text"`
	// Next is the one thing to do next.
	Next string `json:"next"`
}

// findings is a list without repetitions.
type findings []Finding

// add appends a finding, unless there is one of its kind for the same interface.
func (f *findings) add(k Kind, s Severity, nic, text, next string) {
	if !slices.ContainsFunc(*f, func(was Finding) bool { return was.Kind == k && was.Interface == nic }) {
		*f = append(*f, Finding{k, s, nic, text, next})
	}
}

// has reports whether there is a finding of one of these kinds.
func (f findings) has(kinds ...Kind) bool {
	return slices.ContainsFunc(f, func(one Finding) bool { return slices.Contains(kinds, one.Kind) })
}

// inWords returns names as in a sentence.
func inWords[S ~string](names []S) string {
	var list []string
	for _, n := range names {
		list = append(list, string(n))
	}
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	last := len(list) - 1
	return fmt.Sprintf("%s and %s", strings.Join(list[:last], ", "), list[last])
}
