package udp

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUp(t *testing.T) {
	all, err := Up()
	require.NoError(t, err)
	require.NotEmpty(t, all, "at least a loopback interface is up")
	for _, nic := range all {
		assert.NotZero(t, nic.Flags&net.FlagUp, nic.Name)
	}
	one, err := Up(all[0].Name, "no such interface")
	require.NoError(t, err)
	require.Len(t, one, 1)
	assert.Equal(t, all[0].Name, one[0].Name)
	none, err := Up("no such interface")
	require.NoError(t, err)
	assert.Empty(t, none)
}

func TestCheckInterfaces(t *testing.T) {
	all, err := Up()
	require.NoError(t, err)
	assert.NoError(t, CheckInterfaces(nil))
	assert.NoError(t, CheckInterfaces([]string{all[0].Name}))
	assert.ErrorContains(t, CheckInterfaces([]string{all[0].Name, "no such card"}), `no network interface "no such card": choose among `)
}

// The addresses are those that package net knows, which asks for each interface.
func TestPrefixes(t *testing.T) {
	all, err := Up()
	require.NoError(t, err)
	for _, nic := range all {
		var want []netip.Prefix
		addrs, err := nic.Addrs()
		require.NoError(t, err)
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			require.NoError(t, err)
			want = append(want, p)
		}
		assert.ElementsMatch(t, want, nic.Prefixes, nic.Name)
	}
}

func TestBroadcasts(t *testing.T) {
	card := Interface{net.Interface{Index: 7, Name: "card", Flags: net.FlagUp | net.FlagBroadcast}, []netip.Prefix{
		netip.MustParsePrefix("10.1.2.3/24"), netip.MustParsePrefix("10.1.2.4/24"), netip.MustParsePrefix("172.16.0.1/12"),
		netip.MustParsePrefix("10.1.3.1/30"), netip.MustParsePrefix("10.9.0.1/31"), netip.MustParsePrefix("10.9.0.9/32"),
		netip.MustParsePrefix("fe80::1/64"), netip.MustParsePrefix("10.5.5.5/0"),
	}}
	other := Interface{net.Interface{Index: 8, Name: "other", Flags: net.FlagUp | net.FlagBroadcast}, []netip.Prefix{netip.MustParsePrefix("10.1.2.9/24")}}
	lo := Interface{net.Interface{Index: 1, Name: "lo", Flags: net.FlagUp | net.FlagLoopback}, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}}
	tun := Interface{net.Interface{Index: 9, Name: "tun", Flags: net.FlagUp | net.FlagPointToPoint}, []netip.Prefix{netip.MustParsePrefix("10.8.0.1/24")}}
	ipv6 := Interface{net.Interface{Index: 10, Name: "ipv6", Flags: net.FlagUp | net.FlagBroadcast}, []netip.Prefix{netip.MustParsePrefix("fe80::1/64")}}
	by := func(index int, name, to string) Target {
		return Target{Path{To: netip.AddrPortFrom(netip.MustParseAddr(to), 99), Interface: index}, name}
	}
	all := []Interface{lo, card, other, tun, ipv6}
	assert.Equal(t, []Target{
		by(0, "", "127.255.255.255"), by(7, "card", "10.1.2.255"), by(7, "card", "172.31.255.255"), by(7, "card", "10.1.3.3"),
		by(7, "card", "255.255.255.255"), by(8, "other", "10.1.2.255"),
	}, Broadcasts(all, 99))
	assert.Equal(t, []Target{by(7, "card", "255.255.255.255"), by(8, "other", "255.255.255.255")}, Limited(all, 99))
	assert.Empty(t, Broadcasts(nil, 99))
	assert.Empty(t, Limited(nil, 99))
}

// A look at the interfaces that takes long holds nobody up: what was found before is used.
func TestScannerDoesNotWait(t *testing.T) {
	var s Scanner
	first, err := s.Up()
	require.NoError(t, err)
	require.NotEmpty(t, first)
	slow := make(chan scan, 1)
	s.pending = slow
	again, err := s.Up()
	require.NoError(t, err)
	assert.Equal(t, first, again)

	slow <- scan{up: first[:1]}
	again, err = s.Up()
	require.NoError(t, err)
	assert.Equal(t, first[:1], again)
	assert.Nil(t, s.pending)
}
