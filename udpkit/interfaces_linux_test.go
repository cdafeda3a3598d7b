package udpkit_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// A server with two cards in one subnet reaches the clients behind both, or behind those that are
// named, although the route to that subnet is by one card.
func TestInterfacesOfOneSubnet(t *testing.T) {
	if !testenv.Alone(t) {
		return
	}
	left, right := testenv.OneSubnet(t)
	var clients []*net.UDPConn
	for _, h := range []*testenv.Host{left, right} {
		var conn *net.UDPConn
		var err error
		h.Do(func() { conn, err = net.ListenUDP("udp4", &net.UDPAddr{Port: udpkit.DefaultPort}) })
		require.NoError(t, err)
		defer conn.Close()
		clients = append(clients, conn)
	}
	limited := udpkit.ListTargets(netip.MustParseAddrPort("255.255.255.255:0"))
	for _, c := range []struct {
		cfg  udpkit.ServerConfig
		want [2]int // datagrams of a message at each client
		sent int    // and at all
	}{
		{udpkit.ServerConfig{}, [2]int{1, 1}, 3},
		{udpkit.ServerConfig{Interfaces: []string{"va"}}, [2]int{1, 0}, 1},
		{udpkit.ServerConfig{Interfaces: []string{"vb"}}, [2]int{0, 1}, 1},
		{udpkit.ServerConfig{Interfaces: []string{"vb", "lo"}}, [2]int{0, 1}, 2},
		{udpkit.ServerConfig{Targets: limited}, [2]int{1, 1}, 2},
		{udpkit.ServerConfig{Targets: limited, Interfaces: []string{"vb"}}, [2]int{0, 1}, 1},
	} {
		const messages = 3
		c.cfg.MaxMessages, c.cfg.Interval, c.cfg.AckWait = messages, 10*time.Millisecond, 10*time.Millisecond
		c.cfg.OnEvent = func(e udpkit.Event) {
			switch e := e.(type) {
			case udpkit.SentEvent:
				assert.Equal(t, c.sent, e.Targets, "%+v", c.cfg)
			case udpkit.ErrorEvent:
				assert.NoError(t, e.Err)
			}
		}
		s, err := udpkit.NewServer(c.cfg)
		require.NoError(t, err)
		require.NoError(t, s.Run(t.Context()))
		require.NoError(t, s.Close())
		for i, client := range clients {
			got := 0
			for buf := make([]byte, 1000); ; got++ {
				// What has come is there: a veth delivers at once.
				wait := 200 * time.Millisecond
				if got < messages*c.want[i] {
					wait = 10 * time.Second
				}
				require.NoError(t, client.SetReadDeadline(time.Now().Add(wait)))
				_, from, err := client.ReadFromUDPAddrPort(buf)
				if err != nil {
					break
				}
				assert.Equal(t, netip.MustParseAddr([]string{"169.254.10.1", "169.254.20.1"}[i]), from.Addr())
			}
			assert.Equal(t, messages*c.want[i], got, "client %d of %v %v", i, c.cfg.Targets, c.cfg.Interfaces)
		}
	}

	// What fails is told for each interface.
	failing := make(chan udpkit.ErrorEvent, 10)
	s, err := udpkit.NewServer(udpkit.ServerConfig{Interval: 20 * time.Millisecond, OnEvent: func(e udpkit.Event) {
		if e, ok := e.(udpkit.ErrorEvent); ok {
			failing <- e
		}
	}})
	require.NoError(t, err)
	defer s.Close()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var e udpkit.ErrorEvent
	for range 10 { // until it fails before it is seen that the card is down
		if e.Err != nil {
			break
		}
		testenv.IP(t, "link set vb down")
		select {
		case e = <-failing:
		case <-time.After(300 * time.Millisecond):
			testenv.IP(t, "link set vb up")
			time.Sleep(1500 * time.Millisecond)
		}
	}
	assert.Equal(t, "vb", e.Interface)
	assert.Equal(t, netip.MustParseAddrPort("169.254.255.255:37020"), e.Peer)
	stop()
	require.NoError(t, <-done)
}
