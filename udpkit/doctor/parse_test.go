package doctor

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func FuzzParse(f *testing.F) {
	h := header{Role: answer, By: directed, Back: unicast, Bits: 25, Port: 37020, Number: 7, Run: 1, To: 2, From: 3, Host: 4, Token: 5, Sent: 6, Arrived: -7, Left: 8}
	f.Add(h.append(nil, []uint64{9, 10}, 0))
	f.Add(h.append(nil, nil, maxSize))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, heard, err := parse(b)
		if err != nil {
			return
		}
		require.LessOrEqual(t, headerSize+8*len(heard), len(b))
		again, heardAgain, err := parse(h.append(nil, heard, len(b)))
		require.NoError(t, err)
		require.Equal(t, h, again)
		require.Equal(t, heard, heardAgain)
	})
}

// TestSize: what the documentation says.
func TestSize(t *testing.T) {
	assert.Len(t, header{}.append(nil, nil, 0), headerSize)
	assert.Len(t, header{}.append(nil, nil, 1000), 1000)
}

const (
	sockets = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n" +
		" 8563: 0100007F:C7DD 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 10156734 2 0000000017bdaaa3 12\n"
	routesText = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
	counters = "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\nUdp: 100 1 2 3 20\n"
)

// TestTables reads what a kernel on a machine of the usual order of bytes has printed.
func TestTables(t *testing.T) {
	if one, _ := parseHexAddr("0100007F"); one != netip.MustParseAddr("127.0.0.1") {
		t.Skip("the numbers are of a machine with another order of bytes")
	}
	assert.Equal(t, []socketLine{{netip.MustParseAddrPort("127.0.0.1:51165"), 10156734, 12}}, parseSockets(sockets))
	assert.Equal(t, []Route{
		{To: netip.MustParsePrefix("0.0.0.0/0"), By: netip.MustParseAddr("192.0.2.1"), Interface: "eth0"},
		{To: netip.MustParsePrefix("192.0.2.0/24"), Interface: "eth0"},
	}, parseRoutes(routesText))
	d, ok := parseDatagrams(counters)
	assert.True(t, ok)
	assert.Equal(t, Datagrams{Received: 100, Dropped: 20}, d)
}

func FuzzTables(f *testing.F) {
	f.Add(sockets)
	f.Add(routesText)
	f.Add(counters)
	f.Fuzz(func(_ *testing.T, text string) {
		parseSockets(text)
		parseRoutes(text)
		parseDatagrams(text)
		parseNeighbour(text, netip.MustParseAddr("10.0.0.1"))
	})
}

// ask returns the rules by which a unicast and a broadcast to port 37020 are dropped.
func ask(s ruleset) [2]string {
	p := packet{nic: "eth0", by: unicast, to: netip.MustParseAddr("10.0.0.1"), port: 37020}
	b := p
	b.by, b.to = directed, netip.MustParseAddr("10.0.0.255")
	return [2]string{s.verdict(s.in, p), s.verdict(s.in, b)}
}

func TestIPTables(t *testing.T) {
	for text, want := range map[string][2]string{
		"":              {},
		"-P INPUT DROP": {"-P INPUT DROP", "-P INPUT DROP"},
		"-P INPUT DROP\n-A INPUT -p udp -j ACCEPT":                                                 {},
		"-P INPUT DROP\n-A INPUT -s 10.0.0.0/8 -j ACCEPT":                                          {}, // perhaps
		"-P INPUT DROP\n-A INPUT -p tcp -j ACCEPT":                                                 {"-P INPUT DROP", "-P INPUT DROP"},
		"-A INPUT -p udp -m udp --dport 37000:37100 -j REJECT --reject-with icmp-port-unreachable": {"-A INPUT -p udp -m udp --dport 37000:37100 -j REJECT --reject-with icmp-port-unreachable", "-A INPUT -p udp -m udp --dport 37000:37100 -j REJECT --reject-with icmp-port-unreachable"},
		"-A INPUT ! -d 10.0.0.1/32 -j DROP":                                                        {"", "-A INPUT ! -d 10.0.0.1/32 -j DROP"},
		"-A INPUT -m comment --comment \"a -j DROP\" -j ACCEPT":                                    {},
		"-N a\n-A INPUT -j a\n-A a -i eth+ -j DROP":                                                {"-A a -i eth+ -j DROP", "-A a -i eth+ -j DROP"},
		"-N a\n-A INPUT -j a\n-A a -p udp -j RETURN\n-A a -j DROP":                                 {},
		"-N a\n-A INPUT -j a\n-A a -j a":                                                           {}, // a loop ends
		"-P INPUT DROP\n-N a\n-A INPUT -g a\n-A a -p tcp -j DROP":                                  {"-P INPUT DROP", "-P INPUT DROP"},
	} {
		assert.Equal(t, want, ask(parseIPTables(text)), text)
	}
}

func FuzzIPTables(f *testing.F) {
	f.Add("-P INPUT DROP\n-N a\n-A INPUT ! -i eth+ -p udp -m multiport --dports 1,2:3 -j a\n-A a -j a\n-A a -g INPUT")
	f.Fuzz(func(_ *testing.T, text string) { ask(parseIPTables(text)) })
}

const nftText = `{"nftables": [{"metainfo": {"version": "1.0.6"}},
{"table": {"family": "inet", "name": "t", "handle": 1}},
{"chain": {"family": "inet", "table": "t", "name": "in", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
{"chain": {"family": "inet", "table": "t", "name": "more", "handle": 2}},
{"rule": {"family": "inet", "table": "t", "chain": "in", "handle": 3, "expr": [{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [["established", {"accept": null}], ["invalid", {"drop": null}]]}}}]}},
{"rule": {"family": "inet", "table": "t", "chain": "in", "handle": 4, "expr": [{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}, {"accept": null}]}},
{"rule": {"family": "inet", "table": "t", "chain": "in", "handle": 5, "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": {"set": [53, {"range": [37000, 38000]}]}}}, {"jump": {"target": "more"}}]}},
{"rule": {"family": "inet", "table": "t", "chain": "more", "handle": 6, "expr": [{"match": {"op": "==", "left": {"meta": {"key": "pkttype"}}, "right": "broadcast"}}, {"drop": null}]}},
{"rule": {"family": "inet", "table": "t", "chain": "more", "handle": 7, "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": {"prefix": {"addr": "10.0.0.0", "len": 8}}}}, {"counter": {"packets": 0, "bytes": 0}}, {"accept": null}]}}
]}`

func TestNFTables(t *testing.T) {
	s, err := parseNFTables([]byte(nftText), nil)
	require.NoError(t, err)
	found := ask(s)
	assert.Empty(t, found[0])
	assert.Contains(t, found[1], "chain inet t more:")
	assert.Equal(t, "chain inet t in: policy drop", s.verdict(s.in, packet{nic: "eth0", by: unicast, port: 1}))
	assert.Empty(t, s.verdict(s.in, packet{nic: "lo", by: unicast, port: 1}))
}

func FuzzNFTables(f *testing.F) {
	f.Add([]byte(nftText))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if s, err := parseNFTables(text, nftLines(string(text))); err == nil {
			ask(s)
		}
	})
}

// TestPublicNetworks reads what PowerShell prints: of one network, or more.
func TestPublicNetworks(t *testing.T) {
	f := &firewalls{public: publicNetworks("[\r\n {\r\n  \"InterfaceAlias\": \"Wi-Fi\",\r\n  \"Category\": \"Public\"\r\n },\r\n" +
		" { \"InterfaceAlias\": \"Ethernet\", \"Category\": \"Private\" }, { \"InterfaceAlias\": \"VPN\", \"Category\": \"DomainAuthenticated\" }\r\n]\r\n")}
	found := f.lookAtNetworks()
	require.Len(t, found, 1)
	assert.Equal(t, PublicNetwork, found[0].Kind)
	assert.Equal(t, "Wi-Fi", found[0].Interface)
	assert.Contains(t, found[0].Next, "Set-NetConnectionProfile -InterfaceAlias 'Wi-Fi' -NetworkCategory Private")
	for _, text := range []string{"", "[]", "Get-NetConnectionProfile : Access denied"} {
		assert.Empty(t, publicNetworks(text), text)
	}
}
