package nics_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/nics"
)

func TestUp(t *testing.T) {
	all, err := nics.Up()
	require.NoError(t, err)
	require.NotEmpty(t, all, "at least a loopback interface is up")
	for _, nic := range all {
		assert.NotZero(t, nic.Flags&net.FlagUp, nic.Name)
	}
	one, err := nics.Up(all[0].Name, "no such interface")
	require.NoError(t, err)
	require.Len(t, one, 1)
	assert.Equal(t, all[0].Name, one[0].Name)
	none, err := nics.Up("no such interface")
	require.NoError(t, err)
	assert.Empty(t, none)
}

func TestBroadcasts(t *testing.T) {
	all, err := nics.Up()
	require.NoError(t, err)
	list := nics.Broadcasts(all)
	assert.Contains(t, list, netip.MustParseAddr("127.255.255.255"))
	for _, a := range list {
		assert.True(t, a.Is4(), a)
	}
	assert.Empty(t, nics.Broadcasts(nil))
	assert.Empty(t, nics.Broadcasts([]net.Interface{{Index: 1 << 30, Name: "gone", Flags: net.FlagUp | net.FlagBroadcast}}))
}
