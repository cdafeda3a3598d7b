package udpkit_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

const broadcastPort = 37020

func addrs(list ...string) (addrs []netip.AddrPort) {
	for _, a := range list {
		addrs = append(addrs, netip.AddrPortFrom(netip.MustParseAddr(a), broadcastPort))
	}
	return addrs
}

// TestNamespaces: real broadcasts need hosts of their own. Two pairs of virtual Ethernet cards
// connect them.
//
//	this host: server, client    the other: client
//	  card1 10.77.0.1/24 ---------- card1b 10.77.0.2/24
//	  card2 10.78.0.1/24 ---------- card2b 10.78.0.2/24
func TestNamespaces(t *testing.T) {
	if !testenv.Alone(t) {
		return
	}
	testenv.IP(t, "link set lo down")
	var auto udpkit.Targets
	_, err := auto.Resolve(broadcastPort)
	require.ErrorIs(t, err, udpkit.ErrNoTarget, "no interface is up")
	testenv.IP(t, "link set lo up")

	other := testenv.NewHost(t)
	for i, card := range []string{"card1", "card2"} {
		testenv.IP(t, fmt.Sprintf("link add %s type veth peer name %sb netns %s", card, card, other.Namespace))
		testenv.IP(t, fmt.Sprintf("address add 10.%d.0.1/24 dev %s", 77+i, card))
		testenv.IP(t, "link set up dev "+card)
		other.IP(t, fmt.Sprintf("address add 10.%d.0.2/24 dev %sb", 77+i, card))
		other.IP(t, fmt.Sprintf("link set up dev %sb", card))
	}
	targets, err := auto.Resolve(broadcastPort)
	require.NoError(t, err)
	require.ElementsMatch(t, addrs("127.255.255.255", "10.77.0.255", "10.78.0.255"), targets)
	remote := newLog()
	var client *udpkit.Client
	other.Do(func() {
		client, err = udpkit.NewClient(udpkit.ClientConfig{NoRepair: true, ID: "host 2", OnEvent: remote.add})
	})
	require.NoError(t, err)
	stopRemote := start(t, client.Run, client)
	wait(t, remote, any1[udpkit.StartEvent])

	t.Run("automatic", func(t *testing.T) {
		local, localLog, stopLocal := newClient(t, broadcastPort, udpkit.ClientConfig{NoRepair: true, ID: "host 1"})
		s, err := udpkit.NewServer(udpkit.ServerConfig{Interval: 50 * time.Millisecond, OnEvent: func(udpkit.Event) {}})
		require.NoError(t, err)
		stop := start(t, s.Run, s)

		// Both hosts hear each message once, though it comes over several cards.
		mine := func(id uint64) func(udpkit.MessageEvent) bool {
			return func(e udpkit.MessageEvent) bool { return e.Epoch == s.Epoch() && e.MessageID >= id }
		}
		wait(t, localLog, mine(5))
		wait(t, remote, mine(5))
		assert.Positive(t, local.Stats().Duplicates)

		// One card fails, then the other: the rest goes on.
		testenv.IP(t, "link set down dev card1")
		wait(t, remote, mine(s.Stats().Sent+2+uint64(time.Second/(50*time.Millisecond))))
		testenv.IP(t, "link set down dev card2")
		wait(t, localLog, mine(s.Stats().Sent+30))
		// They come back: host 2 hears the server again, and of what it missed.
		testenv.IP(t, "link set up dev card2")
		testenv.IP(t, "link set up dev card1")
		wait(t, remote, mine(s.Stats().Sent+10))
		require.NoError(t, stop())
		require.NoError(t, stopLocal())
		var messages, missed uint64
		heard := map[uint64]bool{}
		for _, e := range all[udpkit.MessageEvent](remote) {
			if e.Epoch == s.Epoch() {
				require.False(t, heard[e.MessageID], "message %d came twice", e.MessageID)
				heard[e.MessageID] = true
				messages++
			}
		}
		for _, e := range all[udpkit.GapEvent](remote) {
			missed += e.To - e.From + 1
		}
		assert.Positive(t, missed, "while both cards were down")
		assert.GreaterOrEqual(t, messages+missed, s.Stats().Sent-5)
		assert.Zero(t, local.Stats().Missed, "this host heard all")
		acked := map[string]bool{}
		for _, c := range s.Clients() {
			acked[c.ID] = true
		}
		assert.Equal(t, map[string]bool{"host 1": true, "host 2": true}, acked)
	})

	t.Run("limited", func(t *testing.T) {
		s, log, stop := newServer(t, broadcastPort, udpkit.ServerConfig{Targets: udpkit.ListTargets(netip.MustParseAddrPort("255.255.255.255:0")), Interval: 50 * time.Millisecond})
		e := wait(t, remote, func(e udpkit.MessageEvent) bool { return e.Epoch == s.Epoch() })
		assert.Contains(t, []string{"10.77.0.1", "10.78.0.1"}, e.Server.Addr().String(), "there is no default route")
		wait(t, log, func(e udpkit.AckEvent) bool { return e.ClientID == "host 2" })
		assert.Empty(t, all[udpkit.ErrorEvent](log))
		wait(t, log, func(e udpkit.SentEvent) bool { return e.Targets == 2 })

		testenv.IP(t, "link set down dev card1")
		testenv.IP(t, "link set down dev card2")
		wait(t, log, func(e udpkit.ErrorEvent) bool { return errors.Is(e.Err, udpkit.ErrNoTarget) })
		testenv.IP(t, "link set up dev card1")
		wait(t, log, func(e udpkit.ErrorEvent) bool { return e.Ended && e.Peer == netip.AddrPort{} })
		require.NoError(t, stop())
	})

	require.NoError(t, stopRemote())
	wait(t, remote, any1[udpkit.ClientSummary])
}
