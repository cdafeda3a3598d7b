package record_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

const port = 37020

func replay(t *testing.T, name string, cfg record.ReplayConfig) record.ReplayStats {
	file, err := os.Open(name)
	require.NoError(t, err)
	defer file.Close()
	stats, err := record.Replay(t.Context(), file, cfg)
	require.NoError(t, err)
	return stats
}

// lossy are what a client has received of two servers that send no epoch, over a network that loses
// every fifth datagram, and sends some twice or late.
func lossy() (all []service.Recorded) {
	random := rand.New(rand.NewPCG(1, 2))
	for id := 1; id <= 1000; id++ {
		for server := range 2 {
			r := service.Recorded{
				From:    netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(1000+server)),
				To:      at("192.0.2.9:37020"),
				Payload: fmt.Appendf(nil, `{"timestamp": "t", "state": "UP", "message_id": %d, "server": %d}`, id, server),
			}
			switch n := random.IntN(20); {
			case n == 0:
				all = append(all, r, r)
			case n == 1 && len(all) > 0:
				last := len(all) - 1
				all = append(all[:last:last], r, all[last])
			case n < 16:
				all = append(all, r)
			}
		}
	}
	return append(all, service.Recorded{From: at("192.0.2.1:5"), To: at("192.0.2.9:6"), Payload: []byte("of something else")})
}

// TestReplayIsDeterministic: without pauses nothing is lost on the way to a client, and its summary
// is the same each time, byte by byte, but for times.
func TestReplayIsDeterministic(t *testing.T) {
	all := lossy()
	name := recording(t, all...)
	run := func() (udpkit.ClientSummary, string) {
		client, err := udpkit.NewClient(udpkit.ClientConfig{ID: "ann", Listen: at("127.0.0.1:0"), NoRepair: true})
		require.NoError(t, err)
		defer client.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go client.Run(ctx)
		stats := replay(t, name, record.ReplayConfig{Port: port, To: client.Addr()})
		assert.EqualValues(t, len(all)-1, stats.Sent)
		assert.Equal(t, 2, stats.Sources)
		var sum udpkit.ClientSummary
		require.Eventually(t, func() bool {
			sum = client.Stats()
			return sum.Received+sum.Duplicates == stats.Sent
		}, 20*time.Second, time.Millisecond)
		assert.Equal(t, sum.Received, stats.Answers)
		sum.Latency, sum.Interval, sum.Runtime, sum.Timeouts = udpkit.Distribution{}, udpkit.Distribution{}, 0, 0
		text, err := json.Marshal(sum)
		require.NoError(t, err)
		return sum, string(text)
	}
	first, text := run()
	assert.Equal(t, 2, int(first.Servers))
	assert.NotZero(t, first.Duplicates)
	assert.NotZero(t, first.Late)
	assert.InDelta(t, 400, first.Missed, 100)
	for range 2 {
		_, again := run()
		assert.Equal(t, text, again)
	}
}

// TestReplayTakesItsTime: pauses are as long as they were, divided by the speed; what a server has
// sent to several addresses is played once, and what it sends one client again as well.
func TestReplayTakesItsTime(t *testing.T) {
	server := at("192.0.2.1:1000")
	sent := func(to, payload string, after time.Duration) service.Recorded {
		return service.Recorded{At: begun.Add(after), From: server, To: at(to), Sent: true, Payload: []byte(payload)}
	}
	name := recordingAt(t,
		sent("192.0.2.255:37020", "1", 0),
		sent("127.255.255.255:37020", "1", time.Microsecond),
		service.Recorded{At: begun.Add(2 * time.Microsecond), From: at("192.0.2.9:5"), To: server, Payload: []byte("ack")},
		sent("192.0.2.9:5", "again", time.Second),
		sent("192.0.2.255:37020", "2", 2*time.Second),
	)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer conn.Close()
	to := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	started := time.Now()
	stats := replay(t, name, record.ReplayConfig{Port: port, To: to, Speed: 10})
	assert.GreaterOrEqual(t, time.Since(started), 200*time.Millisecond)
	assert.Equal(t, record.ReplayStats{Sent: 3, Sources: 1}, stats)
	for _, want := range []string{"1", "again", "2"} {
		buf := make([]byte, 100)
		n, _, err := conn.ReadFromUDPAddrPort(buf)
		require.NoError(t, err)
		assert.Equal(t, want, string(buf[:n]))
	}
}

func TestReplayOfAnotherPort(t *testing.T) {
	for want, name := range map[string]string{
		"most was sent to 9999": recording(t, some...),
		"there is no UDP":       recording(t),
	} {
		file, err := os.Open(name)
		require.NoError(t, err)
		defer file.Close()
		_, err = record.Replay(t.Context(), file, record.ReplayConfig{Port: port, To: at("127.0.0.1:9")})
		require.ErrorContains(t, err, want)
	}
}
