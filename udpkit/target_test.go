package udpkit_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

func TestParseTargets(t *testing.T) {
	for text, want := range map[string][]string{
		"limited":                     {"255.255.255.255:9"},
		"127.255.255.255":             {"127.255.255.255:9"},
		"10.0.0.7:1234, 10.0.0.8":     {"10.0.0.7:1234", "10.0.0.8:9"},
		"10.0.0.7,10.0.0.7:9,limited": {"10.0.0.7:9", "255.255.255.255:9"},
		"::1,[::1]:8":                 {"[::1]:9", "[::1]:8"},
	} {
		targets, err := udpkit.ParseTargets(text)
		require.NoError(t, err, text)
		addrs, err := targets.Resolve(9)
		require.NoError(t, err, text)
		var got []string
		for _, a := range addrs {
			got = append(got, a.String())
		}
		assert.Equal(t, want, got, text)

		again, err := udpkit.ParseTargets(targets.String())
		require.NoError(t, err)
		assert.Equal(t, targets, again)
	}
	for _, text := range []string{"", "localhost", "10.0.0.7:", "10.0.0.7:99999", "auto,10.0.0.7", "10.0.0.7,", "0.0.0.0", "10.0.0"} {
		_, err := udpkit.ParseTargets(text)
		assert.ErrorIs(t, err, udpkit.ErrConfig, text)
	}
}

func TestAutomaticTargets(t *testing.T) {
	var auto udpkit.Targets
	assert.Equal(t, "auto", auto.String())
	parsed, err := udpkit.ParseTargets("auto")
	require.NoError(t, err)
	assert.Equal(t, auto, parsed)

	addrs, err := auto.Resolve(udpkit.DefaultPort)
	require.NoError(t, err)
	assert.Contains(t, addrs, netip.MustParseAddrPort("127.255.255.255:37020"))
}
