package beacon_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// A beacon with two cards in one subnet is heard behind both, or behind those that are named,
// although the route to that subnet is by one card.
func TestInterfacesOfOneSubnet(t *testing.T) {
	if !testenv.Alone(t) {
		return
	}
	left, right := testenv.OneSubnet(t)
	var listeners []*net.UDPConn
	for _, h := range []*testenv.Host{left, right} {
		var conn *net.UDPConn
		var err error
		h.Do(func() { conn, err = net.ListenUDP("udp4", &net.UDPAddr{Port: beacon.DefaultPort}) })
		require.NoError(t, err)
		defer conn.Close()
		listeners = append(listeners, conn)
	}
	limited := []netip.AddrPort{netip.MustParseAddrPort("255.255.255.255:0")}
	for _, c := range []struct {
		cfg  beacon.Config
		want [2]bool
	}{
		{beacon.Config{}, [2]bool{true, true}},
		{beacon.Config{Interfaces: []string{"va"}}, [2]bool{true, false}},
		{beacon.Config{Interfaces: []string{"vb"}}, [2]bool{false, true}},
		{beacon.Config{Targets: limited}, [2]bool{true, true}},
		{beacon.Config{Targets: limited, Interfaces: []string{"vb"}}, [2]bool{false, true}},
	} {
		if c.cfg.Targets == nil {
			c.cfg.Targets = []netip.AddrPort{} // automatic
		}
		_, l, stop := start(t, c.cfg)
		for i, want := range c.want {
			hears := func(wait time.Duration) bool {
				require.NoError(t, listeners[i].SetReadDeadline(time.Now().Add(wait)))
				_, _, err := listeners[i].ReadFromUDPAddrPort(make([]byte, 1000))
				return err == nil
			}
			if want {
				assert.True(t, hears(10*time.Second), "%d of %v %v", i, c.cfg.Targets, c.cfg.Interfaces)
			} else {
				assert.False(t, hears(1500*time.Millisecond), "%d of %v %v", i, c.cfg.Targets, c.cfg.Interfaces)
			}
		}
		require.NoError(t, stop())
		assert.Empty(t, all[beacon.ErrorEvent](l))
		for _, conn := range listeners { // the goodbye
			for err := error(nil); err == nil; {
				require.NoError(t, conn.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
				_, _, err = conn.ReadFromUDPAddrPort(make([]byte, 1000))
			}
		}
	}
}
