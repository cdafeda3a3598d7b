package main

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// TestDoctorAlone: each fault that is injected is named, and nothing else; without one there is no
// finding.
func TestDoctorAlone(t *testing.T) {
	for _, name := range []string{"iptables", "nft"} {
		if _, err := exec.LookPath(name); err != nil {
			testenv.Skip(t, "the %s command is not installed", name)
		}
	}
	if !testenv.Alone(t) {
		return
	}
	other := testenv.NewHost(t)
	testenv.IP(t, "link add card type veth peer name far netns "+other.Namespace)
	testenv.IP(t, "address add 10.77.0.1/24 dev card")
	testenv.IP(t, "link set card up")
	other.IP(t, "link set far up")

	port := freePort(t)
	open := func(reuse bool) func() {
		var conn *net.UDPConn
		return func() {
			if conn != nil {
				require.NoError(t, conn.Close())
				conn = nil
				return
			}
			var err error
			conn, err = udp.Listen(t.Context(), netip.MustParseAddrPort("0.0.0.0:"+port), udp.Options{Reuse: reuse})
			require.NoError(t, err)
		}
	}
	ip := func(arguments string) func() { return func() { testenv.IP(t, arguments) } }
	run := func(command string) func() {
		return func() {
			words := strings.Fields(command)
			out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
			require.NoError(t, err, "%s: %s", command, out)
		}
	}
	filter := func(arguments string) func() { return run("iptables " + arguments) }
	rule := func(r string) [2]func() { return [2]func(){filter("-A " + r), filter("-D " + r)} }
	taken, shared := open(false), open(true)
	both := func(all ...func()) func() {
		return func() {
			for _, f := range all {
				f()
			}
		}
	}
	both2 := func(a, b [2]func()) [2]func() { return [2]func(){both(a[0], b[0]), both(b[1], a[1])} }
	flood := func() { // until it has lost some
		conn, err := net.Dial("udp4", "127.0.0.1:"+port)
		require.NoError(t, err)
		defer conn.Close()
		dropped := func() bool {
			lines, err := os.ReadFile("/proc/thread-self/net/udp") // that of the process may be another host's
			require.NoError(t, err)
			return regexp.MustCompile(`(?m) [1-9][0-9]* *$`).Match(lines)
		}
		for !dropped() {
			for range 1000 {
				_, _ = conn.Write(make([]byte, 1000))
			}
		}
	}
	tools := t.TempDir()
	t.Setenv("PATH", tools+":"+os.Getenv("PATH"))
	tool := func(name, says string) [2]func() { // a stand-in
		path := filepath.Join(tools, name)
		return [2]func(){
			func() { require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho '"+says+"'\n"), 0o700)) },
			func() { require.NoError(t, os.Remove(path)) },
		}
	}
	for _, c := range []struct {
		fault  string
		inject [2]func()
		buffer string
		want   []any
		says   string
		next   string
	}{
		{fault: "none"},
		{fault: "drop in", inject: rule("INPUT -p udp --dport " + port + " -j DROP"), want: []any{"firewall_in lo", "firewall_in card"}, says: "--dport " + port + " -j DROP"},
		{fault: "drop in by one card", inject: rule("INPUT -i card -p udp -j DROP"), want: []any{"firewall_in card"}, says: "-A INPUT -i card"},
		{fault: "drop in by a rule that is not understood", inject: rule("INPUT -i card -p udp -m length --length 0:200 -j DROP"), want: []any{"firewall_in card"}, says: "none came back"},
		{fault: "policy", inject: [2]func(){both(filter("-A INPUT -i lo -j ACCEPT"), filter("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"), filter("-P INPUT DROP")), both(filter("-P INPUT ACCEPT"), filter("-F INPUT"))}, want: []any{"firewall_in card"}, says: "-P INPUT DROP"},
		{fault: "a policy with the port open", inject: [2]func(){both(filter("-N open"), filter("-A open -p udp -m multiport --dports 53,"+port+" -j ACCEPT"), filter("-A INPUT -j open"), filter("-P INPUT DROP")), both(filter("-P INPUT ACCEPT"), filter("-F"), filter("-X open"))}},
		{fault: "drop out", inject: rule("OUTPUT -o card -p udp --dport " + port + " -j DROP"), want: []any{"firewall_out card"}, says: "-A OUTPUT"},
		{fault: "broadcast only", inject: rule("INPUT -m pkttype --pkt-type broadcast -p udp -j DROP"), want: []any{"broadcast_filtered card"}, says: "--pkt-type broadcast"},
		{fault: "multicast only", inject: rule("INPUT -d 224.0.0.0/4 -p udp -j DROP"), want: []any{"multicast_filtered card"}, says: "-d 224.0.0.0/4"},
		{fault: "port taken", inject: [2]func(){taken, taken}, want: []any{"port_taken "}, says: "process"},
		{fault: "port shared", inject: [2]func(){shared, shared}, want: []any{"port_shared "}, says: "process"},
		{fault: "kernel drops", inject: [2]func(){both(shared, flood), shared}, want: []any{"port_shared ", "kernel_drops "}, says: "its receive buffer was full"},
		{fault: "ufw", inject: both2(tool("ufw", "Status: active"), rule("INPUT -i card -p udp --dport "+port+" -j DROP")), want: []any{"firewall_in card"}, next: "sudo ufw allow " + port + "/udp"},
		{fault: "firewalld", inject: both2(tool("firewall-cmd", "running"), rule("INPUT -i card -p udp --dport "+port+" -j DROP")), want: []any{"firewall_in card"}, next: "sudo firewall-cmd --add-port=" + port + "/udp"},
		{fault: "nft", inject: [2]func(){run("nft add table inet t; add chain inet t in { type filter hook input priority 0; }; add rule inet t in iifname card udp dport " + port + " drop"), run("nft delete table inet t")}, want: []any{"firewall_in card"}, says: "chain inet t in", next: "sudo nft insert rule inet t in udp dport " + port + " accept"},
		{fault: "small buffer", buffer: "1073741824", want: []any{"small_buffer "}, says: "1 GiB"},
		{fault: "interface down", inject: [2]func(){ip("link set card down"), ip("link set card up")}, want: []any{"interface_down card"}, says: "10.77.0.1"},
		{fault: "no link", inject: [2]func(){func() { other.IP(t, "link set far down") }, func() { other.IP(t, "link set far up") }}, want: []any{"no_link card"}},
		{fault: "tunnel", inject: [2]func(){both(ip("address flush dev card"), ip("address add 10.99.0.1/32 dev card")), both(ip("address flush dev card"), ip("address add 10.77.0.1/24 dev card"))}, want: []any{"no_broadcast card"}, says: "10.99.0.1/32"},
		{fault: "no address", inject: [2]func(){ip("address flush dev card"), ip("address add 10.77.0.1/24 dev card")}, want: []any{"no_network "}},
		{fault: "MTU 576", inject: [2]func(){ip("link set card mtu 576"), ip("link set card mtu 1500")}, want: []any{"small_mtu card"}, says: "576"},
		{fault: "none again"},
	} {
		t.Log(c.fault)
		if c.inject[0] != nil {
			c.inject[0]()
		}
		if c.fault != "no link" && c.fault != "interface down" {
			testenv.WaitForLink(t, "card")
		}
		buffer := c.buffer
		if buffer == "" {
			buffer = "65536" // what every system grants
		}
		p := command(t, "doctor", "--json", "--port", port, "--buffer", buffer)
		found := p.event("report")["findings"].([]any)
		err := p.Wait()
		if c.inject[1] != nil {
			c.inject[1]()
		}
		var kinds []any
		var texts, nexts strings.Builder
		for _, f := range found {
			one := f.(map[string]any)
			name, _ := one["interface"].(string)
			kinds = append(kinds, one["kind"].(string)+" "+name)
			texts.WriteString(one["text"].(string) + "\n")
			assert.NotEmpty(t, one["next"], c.fault)
			nexts.WriteString(one["next"].(string) + "\n")
		}
		assert.ElementsMatch(t, c.want, kinds, "%s: %s", c.fault, &texts)
		assert.Contains(t, texts.String(), c.says, c.fault)
		assert.Contains(t, nexts.String(), c.next, c.fault)
		if len(c.want) == 0 {
			assert.NoError(t, err, c.fault)
		} else {
			assert.Equal(t, exitFailed, p.ProcessState.ExitCode(), c.fault)
		}
	}
}
