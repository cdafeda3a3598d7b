package udpkit_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// newMonitor starts a monitor and returns a function that sends datagrams to it.
func newMonitor(t *testing.T, cfg udpkit.MonitorConfig) (m *udpkit.Monitor, send func(datagram string)) {
	t.Helper()
	cfg.Port = testenv.FreePort(t)
	m, err := udpkit.NewMonitor(cfg)
	require.NoError(t, err)
	stop := start(t, m.Run, m)
	t.Cleanup(func() { require.NoError(t, stop()) })
	from := peer(t)
	return m, func(datagram string) {
		_, err := from.WriteTo([]byte(datagram), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(cfg.Port)})
		require.NoError(t, err)
	}
}

// eventually returns a report that is as it should be.
func eventually(t *testing.T, m *udpkit.Monitor, is func(udpkit.MonitorReport) bool) (r udpkit.MonitorReport) {
	t.Helper()
	require.Eventually(t, func() bool { r = m.Report(); return is(r) }, 30*time.Second, 5*time.Millisecond)
	return r
}

// received counts what all runs have brought, duplicates too.
func received(r udpkit.MonitorReport) (n uint64) {
	for _, run := range r.Runs {
		n += run.Received + run.Duplicates
	}
	return n
}

func says(id, epoch int, at time.Time, more string) string {
	return fmt.Sprintf(`{"timestamp":"%s","state":"ACTIVE","message_id":%d,"epoch":"%016x","interval_ms":1000%s}`, at.Format("2006-01-02T15:04:05.000000Z07:00"), id, epoch, more)
}

func TestMonitorCounts(t *testing.T) {
	m, send := newMonitor(t, udpkit.MonitorConfig{})
	sent, now := 0, time.Now()
	for _, id := range []int{1, 2, 5, 5, 3, 6} { // 3 and 4 are left out, 5 comes twice, 3 late
		send(says(id, 7, now, ""))
		sent++
		eventually(t, m, func(r udpkit.MonitorReport) bool { return received(r) == uint64(sent) })
	}
	send("no message")
	send(strings.Repeat("x", 2000))
	r := eventually(t, m, func(r udpkit.MonitorReport) bool { return len(r.Refused) == 2 })
	require.Len(t, r.Runs, 1)
	run := r.Runs[0]
	assert.Equal(t, "127.0.0.1", run.Server.Addr().String())
	assert.Equal(t, udpkit.Epoch(7), run.Epoch)
	assert.Equal(t, udpkit.RunUp, run.Status)
	assert.Equal(t, udpkit.StateActive, run.State)
	assert.Equal(t, time.Second, run.Interval)
	assert.Positive(t, run.Rate)
	assert.Equal(t, []uint64{6, 5, 1, 1, 1, 1, 0}, []uint64{run.LastID, run.Received, run.Duplicates, run.Late, run.Gaps, run.Missed, run.Restarts})
	for _, refused := range r.Refused {
		assert.Equal(t, "127.0.0.1", refused.From.String())
		assert.EqualValues(t, 1, refused.Count)
	}

	send(says(7, 7, time.Now(), `,"end":true`))
	r = eventually(t, m, func(r udpkit.MonitorReport) bool { return r.Runs[0].Status == udpkit.RunEnded })
	assert.Zero(t, r.Runs[0].Rate)
	send(says(1, 8, time.Now(), ""))
	r = eventually(t, m, func(r udpkit.MonitorReport) bool { return len(r.Runs) == 2 })
	assert.EqualValues(t, 0, r.Runs[0].Restarts)
	assert.EqualValues(t, 1, r.Runs[1].Restarts, "of the same host")
	eventually(t, m, func(r udpkit.MonitorReport) bool { return r.Runs[1].Status == udpkit.RunSilent })
}

// TestMonitorJitter: it is that of the time under way, whatever the clock of the server says.
func TestMonitorJitter(t *testing.T) {
	m, send := newMonitor(t, udpkit.MonitorConfig{})
	jitter := func(epoch int, clock func(id int) time.Duration) time.Duration {
		for id := range 20 {
			send(says(id, epoch, time.Now().Add(clock(id)), ""))
		}
		r := eventually(t, m, func(r udpkit.MonitorReport) bool {
			return received(r)%20 == 0 && received(r) > 0 && len(r.Runs) == epoch
		})
		return r.Runs[epoch-1].Jitter
	}
	assert.Less(t, jitter(1, func(int) time.Duration { return -24 * time.Hour }), 5*time.Second)
	assert.Greater(t, jitter(2, func(id int) time.Duration { return time.Duration(id%2) * 20 * time.Second }), 5*time.Second)
	assert.Less(t, jitter(3, func(id int) time.Duration { return time.Duration(id/10) * 2 * time.Hour }), 5*time.Second, "a clock that is set")
}

// TestMonitorRestartsWithoutEpoch: the ids of a server that sends no epoch begin anew.
func TestMonitorRestartsWithoutEpoch(t *testing.T) {
	m, send := newMonitor(t, udpkit.MonitorConfig{})
	for _, id := range []int{5000, 5001, 5002, 1, 2, 3} {
		send(fmt.Sprintf(`{"timestamp":"%s","state":"ACTIVE","message_id":%d}`, time.Now().Format(time.RFC3339Nano), id))
	}
	r := eventually(t, m, func(r udpkit.MonitorReport) bool { return received(r) == 6 })
	require.Len(t, r.Runs, 1)
	assert.EqualValues(t, 1, r.Runs[0].Restarts)
	assert.EqualValues(t, 3, r.Runs[0].LastID)
}

// TestMonitorIsBounded: whatever is forged, a run that goes on stays, and neither runs nor refused
// hosts pile up.
func TestMonitorIsBounded(t *testing.T) {
	m, send := newMonitor(t, udpkit.MonitorConfig{})
	genuine := func(id int) { // by a server that is not silent until then, however long it takes
		send(strings.Replace(says(id, 1, time.Now(), ""), `"interval_ms":1000`, `"interval_ms":3600000`, 1))
	}
	genuine(1)
	genuine(2)
	const forged = 5000
	for i := range forged {
		send(says(1, 100+i, time.Now(), ""))
		send(says(1, 100_000+i/2, time.Now(), "")) // every run twice
		if i%100 == 0 {
			eventually(t, m, func(r udpkit.MonitorReport) bool {
				for _, run := range r.Runs {
					if run.Epoch == udpkit.Epoch(100+i) {
						return true
					}
				}
				return false
			})
		}
	}
	genuine(3)
	r := eventually(t, m, func(r udpkit.MonitorReport) bool {
		for _, run := range r.Runs {
			if run.Epoch == 1 && run.Received == 3 {
				return true
			}
		}
		return false
	})
	assert.LessOrEqual(t, len(r.Runs), 2048)
	assert.Positive(t, r.Forgotten)
}

func TestMonitorWithKey(t *testing.T) {
	ring := testenv.Ring(t)
	plain, sendPlain := newMonitor(t, udpkit.MonitorConfig{})
	keyed, sendKeyed := newMonitor(t, udpkit.MonitorConfig{Key: ring})
	to := func(m *udpkit.Monitor) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), m.Report().Port)
	}
	s, err := udpkit.NewServer(udpkit.ServerConfig{Key: ring, Seal: true, Interval: 20 * time.Millisecond, Targets: udpkit.ListTargets(to(plain), to(keyed))})
	require.NoError(t, err)
	stop := start(t, s.Run, s)
	eventually(t, keyed, func(r udpkit.MonitorReport) bool { return received(r) >= 3 })
	r := eventually(t, plain, func(r udpkit.MonitorReport) bool { return len(r.Refused) == 1 })
	assert.Empty(t, r.Runs)
	assert.Contains(t, r.Refused[0].Reason, "key")
	require.NoError(t, stop())
	sendPlain(says(1, 1, time.Now(), ""))
	sendKeyed(says(1, 1, time.Now(), ""))
	eventually(t, plain, func(r udpkit.MonitorReport) bool { return len(r.Runs) == 1 })
	r = eventually(t, keyed, func(r udpkit.MonitorReport) bool { return len(r.Refused) == 1 })
	assert.Len(t, r.Runs, 1)
}
