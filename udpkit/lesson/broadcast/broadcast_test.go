package broadcast_test

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/broadcast"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSession: what the notebook's text says of the two sessions holds in each run.
func TestSession(t *testing.T) {
	s := broadcast.Session{Messages: 60, Interval: 10 * time.Millisecond, Loss: 0.2, Seed: 1}
	off, err := s.Run(t.Context())
	require.NoError(t, err)
	s.Repair = true
	on, err := s.Run(t.Context())
	require.NoError(t, err)

	assert.Positive(t, off.Missing())
	assert.Zero(t, off.Repaired+off.Questions)
	assert.Zero(t, on.Missing())
	assert.Positive(t, on.Repaired)
	assert.Positive(t, on.Questions)
	assert.Contains(t, off.String(), "without repair:")
	assert.Contains(t, on.String(), "with repair:    60 of 60 messages came")
	for _, f := range on.Fates {
		if f.Repaired {
			assert.Greater(t, f.After, 20*time.Millisecond, "message %d: the client waits, as it may only have been overtaken", f.Number)
		}
	}

	p, err := broadcast.Picture(off, on)
	require.NoError(t, err)
	require.Len(t, p.Bands, 2)
	assert.Len(t, p.Bands[0].Charts[0].(chart.Dots).Without, off.Missing())
	assert.Len(t, p.Bands[1].Charts[0].(chart.Dots).Dots, 60)
	_, err = broadcast.Picture()
	var nothing chart.Nothing
	require.ErrorAs(t, err, &nothing)
}

func TestSessionRefused(t *testing.T) {
	for _, s := range []broadcast.Session{{}, {Messages: 1001, Interval: time.Second}, {Messages: 1, Interval: 1}, {Messages: 1, Interval: time.Second, Loss: 1}} {
		_, err := s.Run(t.Context())
		require.ErrorIs(t, err, udpkit.ErrConfig)
	}
}

func TestSessionEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := broadcast.Session{Messages: 1000, Interval: time.Second, Repair: true}.Run(ctx)
	require.NoError(t, err)
	require.Less(t, time.Since(began), 30*time.Second)
}

// TestShare: a broadcast reaches all who share a port.
func TestShare(t *testing.T) {
	ann, err := broadcast.Share(0)
	require.NoError(t, err)
	defer ann.Close()
	port := ann.LocalAddr().(*net.UDPAddr).Port
	ben, err := broadcast.Share(port)
	require.NoError(t, err)
	defer ben.Close()
	_, err = broadcast.Share(70000)
	require.ErrorIs(t, err, udpkit.ErrConfig)

	server, err := net.ListenPacket("udp4", "0.0.0.0:0")
	require.NoError(t, err)
	defer server.Close()
	_, err = server.WriteTo([]byte("7"), &net.UDPAddr{IP: net.IPv4(127, 255, 255, 255), Port: port})
	require.NoError(t, err)
	for _, s := range []net.PacketConn{ann, ben} {
		require.NoError(t, s.SetReadDeadline(time.Now().Add(10*time.Second)))
		n, _, err := s.ReadFrom(make([]byte, 10))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
}

func TestWaitAndExplain(t *testing.T) {
	client, err := udpkit.NewClient(udpkit.ClientConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	require.NoError(t, err)
	defer client.Close()
	require.False(t, broadcast.Wait(client, 1))
	ended := make(chan error)
	go func() { ended <- client.Run(t.Context()) }()
	conn, err := net.Dial("udp4", client.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("nonsense"))
	require.NoError(t, err)
	require.True(t, broadcast.Wait(client, 1))
	client.Close()
	require.ErrorIs(t, <-ended, net.ErrClosed)

	secret := make([]byte, key.Size)
	rand.Read(secret)
	ring, err := key.New(secret)
	require.NoError(t, err)
	signed := ring.Sender("status", key.JSON, false).Append(nil, []byte(`{"state":"ACTIVE"}`))
	var out strings.Builder
	require.NoError(t, broadcast.Explain(&out, signed))
	require.Contains(t, out.String(), "\n  {\"state\":\"ACTIVE\",\"mac\":\"\n")
	require.Contains(t, out.String(), "  count    1 ")
	require.Contains(t, out.String(), "  MAC      ")
	for _, other := range []string{"", "{}", `{"mac":"x"}`, strings.Replace(string(signed), `"mac"`, `"max"`, 1)} {
		out.Reset()
		require.NoError(t, broadcast.Explain(&out, []byte(other)))
		require.Contains(t, out.String(), "no signed message")
	}
}
