package doctor_test

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/doctor"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestSilence: a silence has the cause that can be seen on this machine, or else a next step to
// take; and nothing is sent to find it.
func TestSilence(t *testing.T) {
	for _, name := range []string{"iptables", "iptables-legacy", "nft"} {
		if _, err := exec.LookPath(name); err != nil {
			testenv.Skip(t, "the %s command is not installed", name)
		}
	}
	if !testenv.Alone(t) {
		return
	}
	other := testenv.NewNeighbour(t)
	var sent func() int
	other.Do(func() { sent = testenv.Sent(t, "10.77.0.1") })
	do := func(command string) func() {
		return func() {
			words := strings.Fields(command)
			out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
			require.NoError(t, err, "%s: %s", command, out)
		}
	}
	for _, c := range []struct {
		fault          string
		inject, remove func()
		listen, server string
		kind           doctor.Kind
		says           string
	}{
		{fault: "none", kind: doctor.Unseen, says: "If a server runs on another host"},
		{fault: "none with a server", server: "10.77.0.2", kind: doctor.Unseen, says: "--with 10.77.0.2"},
		{fault: "none with a server here", server: "10.77.0.1", kind: doctor.Unseen, says: "server on this machine"},
		{fault: "none on loopback", listen: "127.0.0.1:37020", server: "127.0.0.1", kind: doctor.Unseen, says: "server on this machine"},
		{fault: "iptables", inject: do("iptables -A INPUT -i card -p udp --dport 37020 -j DROP"), remove: do("iptables -F"), server: "10.77.0.2", kind: doctor.FirewallIn, says: "by card: -A INPUT"},
		{fault: "iptables, not here", inject: do("iptables -A INPUT -i card -p udp --dport 37020 -j DROP"), remove: do("iptables -F"), listen: "127.0.0.1:37020", kind: doctor.Unseen},
		{fault: "iptables-legacy", inject: do("iptables-legacy -A INPUT -i card -p udp --dport 37020 -j DROP"), remove: do("iptables-legacy -F"), server: "10.77.0.2", kind: doctor.FirewallIn, says: "by card: -A INPUT"},
		{fault: "nft", inject: do("nft add table inet t; add chain inet t in { type filter hook input priority 0; }; add rule inet t in udp dport 37020 drop"), remove: do("nft flush ruleset"), server: "10.77.0.2", kind: doctor.FirewallIn, says: "by card: chain inet t in: udp dport 37020 drop"},
		{fault: "nft, broadcasts", inject: do("nft add table inet t; add chain inet t in { type filter hook input priority 0; }; add rule inet t in meta pkttype broadcast drop"), remove: do("nft flush ruleset"), kind: doctor.BroadcastFiltered, says: "chain inet t in: meta pkttype broadcast drop"},
		{fault: "interface down", inject: do("ip link set card down"), remove: do("ip link set card up"), kind: doctor.InterfaceDown, says: "card"},
		{fault: "no link", inject: func() { other.IP(t, "link set far down") }, remove: func() { other.IP(t, "link set far up") }, server: "10.77.0.2", kind: doctor.NoLink, says: "card"},
		{fault: "no network", inject: do("ip address flush dev card"), remove: do("ip address add 10.77.0.1/24 dev card"), kind: doctor.NoNetwork},
	} {
		if c.inject != nil {
			c.inject()
		}
		if c.listen == "" {
			c.listen = "0.0.0.0:37020"
		}
		var server netip.Addr
		if c.server != "" {
			server = netip.MustParseAddr(c.server)
		}
		var found doctor.Finding
		for deadline := time.Now().Add(5 * time.Second); found.Kind != c.kind && time.Now().Before(deadline); { // a link goes down in its time
			var err error
			found, err = doctor.Silence(t.Context(), netip.MustParseAddrPort(c.listen), server)
			require.NoError(t, err)
		}
		if c.fault == "iptables" || c.fault == "nft" {
			do(strings.TrimPrefix(found.Next, "sudo "))()
			after, err := doctor.Silence(t.Context(), netip.MustParseAddrPort(c.listen), server)
			require.NoError(t, err)
			assert.Equal(t, doctor.Unseen, after.Kind, "%s: the next step helps: %s", c.fault, found.Next)
		}
		if c.remove != nil {
			c.remove()
			testenv.WaitForLink(t, "card")
		}
		assert.Equal(t, c.kind, found.Kind, "%s: %s", c.fault, found.Text)
		assert.Contains(t, found.Text+" "+found.Next, c.says, c.fault)
		assert.NotEmpty(t, found.Next, c.fault)
	}
	assert.Zero(t, sent())
}
