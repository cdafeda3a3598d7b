package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// firewalls is what is known of those of this machine.
type firewalls struct {
	active []string  // by name
	rules  []ruleset // of Linux, those first whose text is the shortest
	public []string  // networks that Windows protects itself from
	port   uint16
}

// readFirewalls asks the programs that set firewalls up, at the same time. Most tell root only.
func readFirewalls(ctx context.Context, port uint16) *firewalls {
	f := &firewalls{port: port}
	var mu sync.Mutex
	var all sync.WaitGroup
	var nft string
	var lines map[string]string
	ask := func(take func(out string), name string, args ...string) {
		all.Go(func() {
			if out, err := output(ctx, name, args...); err == nil {
				mu.Lock()
				defer mu.Unlock()
				take(out)
			}
		})
	}
	is := func(name, sign string) func(string) {
		return func(out string) {
			if strings.Contains(out, sign) {
				f.active = append(f.active, name)
			}
		}
	}
	switch runtime.GOOS {
	case "linux":
		tables := []string{"iptables"}
		if names, _ := os.ReadFile("/proc/thread-self/net/ip_tables_names"); len(names) > 0 {
			tables = append(tables, "iptables-legacy") // not else: asking makes tables
		}
		for _, name := range tables {
			ask(func(out string) { f.rules = append([]ruleset{parseIPTables(out)}, f.rules...) }, name, "-S")
		}
		ask(func(out string) { nft = out }, "nft", "-j", "list", "ruleset")
		ask(func(out string) { lines = nftLines(out) }, "nft", "-a", "list", "ruleset")
		ask(is("ufw", "Status: active"), "ufw", "status")
		ask(is("firewalld", "running"), "firewall-cmd", "--state")
	case "darwin":
		ask(is("macOS", "enabled"), "/usr/libexec/ApplicationFirewall/socketfilterfw", "--getglobalstate")
	case "windows":
		ask(func(out string) { f.public = publicNetworks(out) }, "powershell", "-NoProfile", "-Command",
			"ConvertTo-Json @(Get-NetConnectionProfile | Select-Object InterfaceAlias, @{ n = 'Category'; e = { [string]$_.NetworkCategory } })")
	}
	all.Wait()
	if s, err := parseNFTables([]byte(nft), lines); err == nil {
		f.rules = append(f.rules, s)
	}
	return f
}

// publicNetworks reads what PowerShell prints of Get-NetConnectionProfile.
func publicNetworks(text string) (names []string) {
	var list []struct{ InterfaceAlias, Category string }
	if json.Unmarshal([]byte(text), &list) != nil {
		return nil
	}
	for _, one := range list {
		if one.Category == "Public" {
			names = append(names, one.InterfaceAlias)
		}
	}
	return names
}

// blocked says which rule drops a datagram to the port by each way and interface.
type blocked struct{ in, out map[way]string }

// look returns what the rules say of an interface, and of each way.
func (f *firewalls) look(nic udp.Interface) (b blocked) {
	b = blocked{make(map[way]string), make(map[way]string)}
	for by, to := range destinations(nic) {
		p := packet{nic: nic.Name, by: by, to: to, port: f.port}
		for _, s := range f.rules {
			b.in[by] = cmp.Or(b.in[by], s.verdict(s.in, p))
			b.out[by] = cmp.Or(b.out[by], s.verdict(s.out, p))
		}
	}
	return b
}

// destinations returns where a datagram goes by each way of an interface.
func destinations(nic udp.Interface) map[way]netip.Addr {
	all := make(map[way]netip.Addr)
	for _, p := range nic.Prefixes {
		if p.Addr().Is4() && all[unicast] == (netip.Addr{}) {
			all[unicast] = p.Addr()
		}
	}
	if all[unicast] == (netip.Addr{}) {
		return nil
	}
	for _, t := range udp.Broadcasts([]udp.Interface{nic}, 0) {
		all[directed] = t.To.Addr()
		break
	}
	if _, ok := all[directed]; ok && describe(nic, "").Sort != loopback {
		all[limited] = limitedBroadcast
	}
	if describe(nic, "").Multicast {
		all[multicast] = group
	}
	return all
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// open says how to let datagrams to the port in, which a rule drops if one is known.
func (f *firewalls) open(rule string) string {
	switch {
	case runtime.GOOS == "windows":
		return fmt.Sprintf("As administrator: netsh advfirewall firewall add rule name=udpkit dir=in action=allow protocol=UDP localport=%d", f.port)
	case runtime.GOOS == "darwin":
		return "Allow the program in System Settings, Network, Firewall."
	}
	for _, name := range f.active {
		switch name {
		case "ufw":
			return fmt.Sprintf("sudo ufw allow %d/udp", f.port)
		case "firewalld":
			return fmt.Sprintf("sudo firewall-cmd --add-port=%d/udp", f.port)
		}
	}
	if chain, is := strings.CutPrefix(rule, nftChain); is { // what iptables accepts is dropped there nevertheless
		chain, _, _ = strings.Cut(chain, ":")
		return fmt.Sprintf("sudo nft insert rule %s udp dport %d accept", chain, f.port)
	}
	return fmt.Sprintf("sudo iptables -I INPUT -p udp --dport %d -j ACCEPT", f.port)
}

// lookAtNetworks says which networks Windows protects itself from.
func (f *firewalls) lookAtNetworks() (found findings) {
	for _, name := range f.public {
		found.add(PublicNetwork, Warning, name, fmt.Sprintf("Windows takes the network of %s for a public one, and lets nothing in that it has not asked for.", name),
			fmt.Sprintf("If you trust it, as administrator: Set-NetConnectionProfile -InterfaceAlias '%s' -NetworkCategory Private", name))
	}
	return found
}
