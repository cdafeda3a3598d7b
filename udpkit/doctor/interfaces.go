package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// Interface is a network interface as the system has it.
type Interface struct {
	Name string `json:"name"`
	// Sort is what it is, as far as its driver or its name tells: "loopback", "VPN", "bridge",
	// "virtual", "Wi-Fi", or "".
	Sort string `json:"sort,omitempty"`
	Up   bool   `json:"up"`
	// Link reports whether it has a carrier: a cable, a radio network, or another end.
	Link      bool           `json:"link"`
	MTU       int            `json:"mtu"`
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	// Broadcasts are the broadcast addresses of its IPv4 subnets.
	Broadcasts []netip.Addr `json:"broadcasts,omitempty"`
	Multicast  bool         `json:"multicast"`
}

// The sorts of interfaces.
const (
	loopback = "loopback"
	vpn      = "VPN"
	bridge   = "bridge"
	virtual  = "virtual"
	wifi     = "Wi-Fi"
)

// sortOfKind has the kinds of links that Linux tells (ip -details link).
var sortOfKind = map[string]string{
	"bridge": bridge, "veth": virtual, "dummy": virtual, "macvlan": virtual, "ipvlan": virtual, "vxlan": virtual,
	"wireguard": vpn, "tun": vpn, "ipip": vpn, "gre": vpn, "sit": vpn, "xfrm": vpn, "ppp": vpn,
}

// sortOfName guesses by the names that systems and programs give.
var sortOfName = []struct {
	name *regexp.Regexp
	sort string
}{
	{regexp.MustCompile(`^(tun|tap|utun|wg|ppp|ipsec|gif|tailscale|zt|nordlynx|proton|cscotun)[\w-]*$|(?i)(wireguard|openvpn|tailscale|zerotier|vpn)`), vpn},
	{regexp.MustCompile(`^(docker|br-|virbr|lxcbr|lxdbr|cni|podman|bridge|vmnet)[\w-]*$`), bridge},
	{regexp.MustCompile(`^(veth|vnet|cali|vEthernet|awdl|llw|anpi)|(?i)(virtualbox|vmware|hyper-v)`), virtual},
	{regexp.MustCompile(`^(wl|wlan|ath)\w*$|(?i)(wi-?fi|wlan)`), wifi},
}

func sortOf(nic net.Interface, kind string) string {
	if nic.Flags&net.FlagLoopback != 0 {
		return loopback
	}
	if s := sortOfKind[kind]; s != "" {
		return s
	}
	for _, one := range sortOfName {
		if one.name.MatchString(nic.Name) {
			return one.sort
		}
	}
	return ""
}

// describe makes an Interface of what the system lists.
func describe(nic udp.Interface, kind string) Interface {
	i := Interface{
		Name: nic.Name, Sort: sortOf(nic.Interface, kind), MTU: nic.MTU, Addresses: nic.Prefixes,
		Up: nic.Flags&net.FlagUp != 0, Link: nic.Flags&net.FlagRunning != 0, Multicast: nic.Flags&net.FlagMulticast != 0,
	}
	for _, t := range udp.Broadcasts([]udp.Interface{nic}, 0) {
		i.Broadcasts = append(i.Broadcasts, t.To.Addr())
	}
	return i
}

// ipv4 returns the IPv4 addresses.
func (i Interface) ipv4() (list []netip.Prefix) {
	for _, p := range i.Addresses {
		if p.Addr().Is4() {
			list = append(list, p)
		}
	}
	return list
}

// inner reports whether the interface leads to programs of this machine only, such as containers.
func (i Interface) inner() bool { return i.Sort == loopback || i.Sort == bridge }

// lookAtInterfaces says what is wrong with them.
func lookAtInterfaces(list []Interface) (found findings) {
	reach := false // some interface leads elsewhere
	var tunnels []Interface
	for _, i := range list {
		addresses := i.ipv4()
		switch {
		case i.Sort == loopback && !i.Up:
			found.add(InterfaceDown, Fault, i.Name, fmt.Sprintf("The loopback interface %s is down: programs of this machine do not reach each other.", i.Name), "ip link set "+i.Name+" up")
		case i.Sort == loopback, len(addresses) == 0:
		case !i.Up:
			found.add(InterfaceDown, Fault, i.Name, fmt.Sprintf("The interface %s with the address %v is down.", i.Name, addresses[0].Addr()), turnOn(i.Name))
		case !i.Link && !i.inner():
			found.add(NoLink, Fault, i.Name, fmt.Sprintf("The interface %s is up, but has no link: what is sent by it is lost.", i.Name),
				"Plug the cable of "+i.Name+" in, join the Wi-Fi, or turn the other end on.")
		case len(i.Broadcasts) == 0:
			tunnels = append(tunnels, i)
		default:
			reach = reach || !i.inner()
			if i.MTU < leastMTU {
				found.add(SmallMTU, Warning, i.Name, fmt.Sprintf("The MTU of %s is %d bytes: datagrams above %d are sent in pieces, and lost if one is.", i.Name, i.MTU, i.MTU-overhead),
					fmt.Sprintf("Set the MTU of %s to 1500, or to what the network carries: ip link set %s mtu 1500", i.Name, i.Name))
			}
		}
	}
	for _, i := range tunnels {
		if !reach && i.Sort != bridge {
			found.add(NoBroadcast, Fault, i.Name, fmt.Sprintf("Nothing can be broadcast by %s: %v is no subnet, as in a tunnel.", i.Name, i.ipv4()[0]), byTarget)
		}
	}
	if !reach && !found.has(InterfaceDown, NoLink, NoBroadcast) {
		found.add(NoNetwork, Fault, "", "No interface leads to a network: this machine reaches nobody but itself.", "Join a network, and look whether it gives an address.")
	}
	return found
}

// leastMTU is what each link of IPv6 carries (RFC 8200), and those of IPv4 do as a rule; overhead
// is what IPv4 and UDP take of it.
const (
	leastMTU = 1280
	overhead = 28
)

const byTarget = "Name the hosts to send to instead: udpkit server --target HOST"

func turnOn(name string) string { return "Turn " + name + " on: ip link set " + name + " up" }

// place says what this machine is, if it is a container or WSL; "" if it is neither.
func place() string {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease") // absent but on Linux
	if text := strings.ToLower(string(release)); strings.Contains(text, "microsoft") || strings.Contains(text, "wsl") {
		return "WSL"
	}
	if slices.ContainsFunc([]string{"/.dockerenv", "/run/.containerenv"}, func(name string) bool { _, err := os.Stat(name); return err == nil }) {
		return "container"
	}
	return ""
}
