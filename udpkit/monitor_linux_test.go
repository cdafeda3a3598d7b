package udpkit_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestMonitorSendsNothing: the other host hears nothing from a monitor's, while it hears that of a
// client.
func TestMonitorSendsNothing(t *testing.T) {
	if !testenv.Alone(t) {
		return
	}
	other := testenv.NewNeighbour(t)
	came := testenv.Sent(t, "10.77.0.2")

	var monitor *udpkit.Monitor
	var err error
	other.Do(func() { monitor, err = udpkit.NewMonitor(udpkit.MonitorConfig{}) })
	require.NoError(t, err)
	stop := start(t, monitor.Run, monitor)
	s, err := udpkit.NewServer(udpkit.ServerConfig{Interval: 10 * time.Millisecond})
	require.NoError(t, err)
	stopServer := start(t, s.Run, s)
	r := eventually(t, monitor, func(r udpkit.MonitorReport) bool { return received(r) >= 50 })
	assert.Equal(t, "10.77.0.1", r.Runs[0].Server.Addr().String())
	assert.Zero(t, came(), "packets from the monitor's host")

	var client *udpkit.Client
	log := newLog()
	other.Do(func() { client, err = udpkit.NewClient(udpkit.ClientConfig{OnEvent: log.add}) })
	require.NoError(t, err)
	stopClient := start(t, client.Run, client)
	wait(t, log, any1[udpkit.MessageEvent])
	require.Eventually(t, func() bool { return came() > 0 }, 30*time.Second, time.Millisecond, "the capture works")
	require.NoError(t, stopClient())
	require.NoError(t, stopServer())
	require.NoError(t, stop())
}

// TestMonitorTakesNothingAway: a unicast datagram goes to the client, whichever came first, and a
// broadcast to both.
func TestMonitorTakesNothingAway(t *testing.T) {
	port := testenv.FreePort(t)
	for _, first := range []string{"client", "monitor"} {
		t.Run(first+" first", func(t *testing.T) {
			monitor := func() *udpkit.Monitor {
				m, err := udpkit.NewMonitor(udpkit.MonitorConfig{Port: port})
				require.NoError(t, err)
				stop := start(t, m.Run, m)
				t.Cleanup(func() { require.NoError(t, stop()) })
				return m
			}
			var m *udpkit.Monitor
			if first == "monitor" {
				m = monitor()
			}
			c, log, stop := newClient(t, port, udpkit.ClientConfig{})
			if first == "client" {
				m = monitor()
			}
			to := func(host string) udpkit.Targets {
				return udpkit.ListTargets(netip.AddrPortFrom(netip.MustParseAddr(host), port))
			}
			s, err := udpkit.NewServer(udpkit.ServerConfig{Interval: 5 * time.Millisecond, Targets: to("127.0.0.1")})
			require.NoError(t, err)
			stopServer := start(t, s.Run, s)
			wait(t, log, func(e udpkit.MessageEvent) bool { return e.MessageID >= 20 })
			require.NoError(t, stopServer())
			assert.Zero(t, c.Stats().Missed)
			assert.Empty(t, m.Report().Runs)

			s, err = udpkit.NewServer(udpkit.ServerConfig{Interval: 5 * time.Millisecond, Targets: to("127.255.255.255")})
			require.NoError(t, err)
			stopServer = start(t, s.Run, s)
			wait(t, log, func(e udpkit.MessageEvent) bool { return e.Epoch == s.Epoch() && e.MessageID >= 5 })
			eventually(t, m, func(r udpkit.MonitorReport) bool { return received(r) >= 5 })
			require.NoError(t, stopServer())
			require.NoError(t, stop())
		})
	}
}
