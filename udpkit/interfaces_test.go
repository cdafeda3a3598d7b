package udpkit_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// What can never be sent is refused at once.
func TestTargetsThatCannotWork(t *testing.T) {
	target := func(s string) udpkit.Targets { return udpkit.ListTargets(netip.MustParseAddrPort(s)) }
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	for text, cfg := range map[string]udpkit.ServerConfig{
		"target ::1 cannot be sent to from 0.0.0.0":   {Targets: target("[::1]:1")},
		"target 127.0.0.1 cannot be sent to from ::1": {Targets: target("127.0.0.1:1"), Listen: netip.MustParseAddrPort("[::1]:0")},
		"automatic targets are IPv4":                  {Listen: netip.MustParseAddrPort("[::1]:0")},
		`no network interface "no such card"`:         {Listen: loopback, Interfaces: []string{"no such card"}},
		"not for the targets 127.0.0.1:1":             {Listen: loopback, Targets: target("127.0.0.1:1"), Interfaces: []string{"lo"}},
	} {
		_, err := udpkit.NewServer(cfg)
		assert.ErrorIs(t, err, udpkit.ErrConfig, text)
		assert.ErrorContains(t, err, text)
	}
}
