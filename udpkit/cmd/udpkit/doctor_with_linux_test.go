package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestDoctorWith: what is wrong between two hosts is named, and nothing else; between healthy ones
// there is no finding. The hosts are on a switch: this one is 10.77.0.1.
func TestDoctorWith(t *testing.T) {
	if _, err := exec.LookPath("iptables"); err != nil {
		testenv.Skip(t, "the iptables command is not installed")
	}
	if !testenv.Alone(t) {
		return
	}
	port := freePort(t)
	testenv.IP(t, "link add switch type bridge mcast_snooping 0")
	testenv.IP(t, "link set switch up")
	asker, hosts := testenv.NewHost(t), []*testenv.Host{testenv.NewHost(t), testenv.NewHost(t)}
	for i, h := range append([]*testenv.Host{asker}, hosts...) {
		testenv.IP(t, fmt.Sprintf("link add port%d type veth peer name card netns %s", i, h.Namespace))
		testenv.IP(t, fmt.Sprintf("link set port%d master switch up", i))
		h.IP(t, fmt.Sprintf("address add 10.77.0.%d/24 dev card", i+1))
		h.IP(t, "link set card up")
		h.Do(func() { testenv.WaitForLink(t, "card") })
	}
	start := func(h *testenv.Host, args ...string) (p *process) {
		p = prepare(t, append([]string{"doctor", "--json", "--port", port}, args...)...)
		h.Do(func() { assert.NoError(t, p.Start()) })
		return p
	}
	for _, h := range hosts {
		start(h, "--answer").event("start")
	}
	type change = func()
	ip := func(h *testenv.Host, arguments string) change { return func() { h.IP(t, arguments) } }
	filter := func(h *testenv.Host, arguments string) change {
		return func() {
			h.Do(func() {
				out, err := exec.Command("iptables", strings.Fields(arguments)...).CombinedOutput()
				assert.NoError(t, err, "iptables %s: %s", arguments, out)
			})
		}
	}
	rule := func(h *testenv.Host, r string) [2]change {
		return [2]change{filter(h, "-A "+r), filter(h, "-D "+r)}
	}
	there := hosts[0]
	for _, c := range []struct {
		fault  string
		inject [2]change
		with   string
		want   []any
		says   string
		heard  map[string]string
	}{
		{fault: "none"},
		{fault: "drop in there", inject: rule(there, "INPUT -p udp -j DROP"), want: []any{"firewall"}, says: "its firewall"},
		{fault: "drop out there", inject: rule(there, "OUTPUT -p udp -j DROP"), want: []any{"firewall"}, says: "its firewall"},
		{fault: "drop in here", inject: rule(asker, "INPUT -p udp --dport "+port+" -j DROP"), want: []any{"firewall_in", "firewall_in"}},
		{fault: "drop out here", inject: rule(asker, "OUTPUT -o card -p udp -j DROP"), want: []any{"firewall_out"}},
		{fault: "broadcast filtered there", inject: rule(there, "INPUT -m pkttype --pkt-type broadcast -j DROP"), want: []any{"broadcast_filtered"}, says: "on the way to"},
		{fault: "multicast filtered there", inject: rule(there, "INPUT -d 224.0.0.0/4 -j DROP"), want: []any{"multicast_filtered"}, says: "on the way to"},
		{fault: "broadcast filtered from there", inject: rule(there, "OUTPUT -m addrtype --dst-type BROADCAST -j DROP"), want: []any{"broadcast_filtered"}, says: "on the way from"},
		{fault: "host down", with: "10.77.0.9", want: []any{"host_down"}},
		{fault: "nobody answers", with: "10.77.0.1", want: []any{"not_answering"}},
		{fault: "no route", with: "10.88.0.1", want: []any{"no_route"}, says: "10.88.0.1"},
		{fault: "interface down there", inject: [2]change{func() { there.IP(t, "link set card down"); asker.IP(t, "neighbour flush dev card") }, ip(there, "link set card up")}, want: []any{"host_down"}},
		{fault: "interface down here", inject: [2]change{ip(asker, "link set card down"), ip(asker, "link set card up")}, want: []any{"interface_down"}},
		{fault: "two subnets", inject: [2]change{func() {
			there.IP(t, "address add 10.78.0.2/24 dev card")
			there.IP(t, "address del 10.77.0.2/24 dev card")
			there.IP(t, "route add 10.77.0.0/24 dev card")
			asker.IP(t, "route add 10.78.0.0/24 dev card")
		}, func() {
			there.IP(t, "address flush dev card")
			there.IP(t, "address add 10.77.0.2/24 dev card")
			asker.IP(t, "route del 10.78.0.0/24 dev card")
		}}, with: "10.78.0.2", want: []any{"another_subnet"}},
		{fault: "tunnel", inject: [2]change{func() {
			asker.IP(t, "address flush dev card")
			asker.IP(t, "address add 10.77.0.1 peer 10.77.0.2 dev card")
		}, func() {
			asker.IP(t, "address flush dev card")
			asker.IP(t, "address add 10.77.0.1/24 dev card")
		}}, want: []any{"no_broadcast"}},
		{fault: "duplicate address", inject: [2]change{func() {
			hosts[1].IP(t, "address flush dev card")
			hosts[1].IP(t, "address add 10.77.0.2/24 dev card")
		}, func() {
			hosts[1].IP(t, "address flush dev card")
			hosts[1].IP(t, "address add 10.77.0.3/24 dev card")
		}}, want: []any{"duplicate_address"}},
		{fault: "sending fails", inject: [2]change{ip(asker, "route add blackhole 10.88.0.0/24"), ip(asker, "route del blackhole 10.88.0.0/24")}, with: "10.88.0.1", want: []any{"send_failed"}, says: "10.88.0.1"},
		{fault: "loss", inject: rule(there, "INPUT -p udp -m statistic --mode nth --every 4 --packet 0 -j DROP"), want: []any{"loss"}, says: "Of 100 datagrams"},
		{fault: "one hears nobody", inject: rule(hosts[1], "INPUT -m pkttype --pkt-type broadcast -j DROP"), heard: map[string]string{"10.77.0.2": "10.77.0.3", "10.77.0.3": ""}},
		{fault: "MTU 576 there", inject: [2]change{ip(there, "link set card mtu 576"), ip(there, "link set card mtu 1500")}, want: []any{"small_mtu"}, says: "548"},
		{fault: "none again"},
	} {
		t.Log(c.fault)
		if c.inject[0] != nil {
			c.inject[0]()
		}
		with := c.with
		if with == "" {
			with = "10.77.0.2"
		}
		began := time.Now()
		p := start(asker, "--with", with, "--buffer", "65536")
		report := p.event("report")
		_ = p.Wait()
		t.Log(time.Since(began))
		if c.inject[1] != nil {
			c.inject[1]()
			for _, h := range []*testenv.Host{asker, there} {
				h.Do(func() { testenv.WaitForLink(t, "card") })
			}
		}
		var kinds []any
		var texts strings.Builder
		for _, f := range report["findings"].([]any) {
			one := f.(map[string]any)
			kinds = append(kinds, one["kind"])
			texts.WriteString(one["text"].(string) + "\n")
			assert.NotEmpty(t, one["next"], c.fault)
		}
		assert.ElementsMatch(t, c.want, kinds, "%s: %s %v", c.fault, &texts, report["with"])
		assert.Contains(t, texts.String(), c.says, c.fault)
		if c.heard != nil {
			assert.Equal(t, c.heard, whoHears(report), c.fault)
		}
		if strings.HasPrefix(c.fault, "none") {
			assert.ElementsMatch(t, []any{"10.77.0.2", "10.77.0.3"}, report["answerers"])
			assert.ElementsMatch(t, []any{[]any{0.0}, []any{1.0}}, report["heard"], "each hears the other")
			w := report["with"].(map[string]any)
			assert.EqualValues(t, maxDatagram, w["largest"])
			assert.EqualValues(t, 100, w["sent"])
			require.Less(t, w["lost"], 6.0)
		}
	}
}

// whoHears returns whom each answerer hears of a report, if it is one at most.
func whoHears(report map[string]any) map[string]string {
	all, heard := report["answerers"].([]any), make(map[string]string)
	for i, row := range report["heard"].([]any) {
		for _, other := range row.([]any) {
			heard[all[i].(string)] += all[int(other.(float64))].(string)
		}
		heard[all[i].(string)] += ""
	}
	return heard
}

const maxDatagram = 1472 // what fits into a frame of Ethernet
