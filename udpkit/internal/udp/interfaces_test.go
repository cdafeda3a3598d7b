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

func TestBroadcasts(t *testing.T) {
	all, err := Up()
	require.NoError(t, err)
	list := Broadcasts(all)
	assert.Contains(t, list, netip.MustParseAddr("127.255.255.255"))
	for _, a := range list {
		assert.True(t, a.Is4(), a)
	}
	assert.Empty(t, Broadcasts(nil))
	assert.Empty(t, Broadcasts([]net.Interface{{Index: 1 << 30, Name: "gone", Flags: net.FlagUp | net.FlagBroadcast}}))
}
