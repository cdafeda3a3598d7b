package udpkit_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

// tape is a recorder that a test looks at.
type tape struct {
	mu  sync.Mutex
	all []service.Recorded
}

func (t *tape) Record(r service.Recorded) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.Payload = slices.Clone(r.Payload)
	t.all = append(t.all, r)
}

func (t *tape) taken() []service.Recorded {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.all)
}

// until returns what is recorded once there are that many.
func (t *tape) until(test *testing.T, count int) []service.Recorded {
	require.Eventually(test, func() bool { return len(t.taken()) >= count }, 20*time.Second, time.Millisecond)
	return t.taken()
}

// TestClientRecords: each datagram that came, with what was made of it, and each that went, in the
// order in which it happened.
func TestClientRecords(t *testing.T) {
	tape := new(tape)
	client, err := udpkit.NewClient(udpkit.ClientConfig{ID: "ann", Listen: netip.MustParseAddrPort("127.0.0.1:0"), NoRepair: true, Record: tape})
	require.NoError(t, err)
	defer client.Close()
	go client.Run(t.Context())
	server, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(client.Addr()))
	require.NoError(t, err)
	defer server.Close()
	message := func(id int) string {
		return fmt.Sprintf(`{"timestamp": "t", "state": "UP", "message_id": %d, "epoch": "00000000000000aa"}`, id)
	}
	for _, text := range []string{message(1), message(1), message(5), "nonsense", message(3)} {
		_, err := server.Write([]byte(text))
		require.NoError(t, err)
	}
	from := server.LocalAddr().(*net.UDPAddr).AddrPort()
	var got []string
	for _, r := range tape.until(t, 8) {
		if r.Sent {
			assert.Equal(t, from, r.To)
			got = append(got, "sent "+string(r.Payload))
			continue
		}
		assert.Equal(t, from, r.From)
		assert.Equal(t, client.Addr(), r.To)
		got = append(got, r.Verdict+": "+string(r.Payload))
	}
	require.Len(t, got, 8)
	assert.Contains(t, got[5], "refused: malformed")
	assert.Equal(t, []string{
		": " + message(1), "sent Client ann received message 1 epoch 00000000000000aa",
		"duplicate: " + message(1),
		"gap 2-4: " + message(5), "sent Client ann received message 5 epoch 00000000000000aa",
		got[5],
		"late: " + message(3), "sent Client ann received message 3 epoch 00000000000000aa",
	}, got)
}

// TestServerRecords: both ends of an exchange record the same, but for what each makes of it, what
// is sent again included.
func TestServerRecords(t *testing.T) {
	sent := new(tape)
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer peer.Close()
	to := peer.LocalAddr().(*net.UDPAddr).AddrPort()
	server, err := udpkit.NewServer(udpkit.ServerConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0"), Targets: udpkit.ListTargets(to), Interval: time.Hour, Record: sent})
	require.NoError(t, err)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go server.Run(ctx)
	buf := make([]byte, udpkit.MaxMessageSize)
	n, from, err := peer.ReadFromUDPAddrPort(buf)
	require.NoError(t, err)
	ack := fmt.Sprintf("Client ann received message 1 epoch %v", server.Epoch())
	for _, text := range []string{ack, ack, "Client ann received message 7"} {
		_, err = peer.WriteToUDPAddrPort([]byte(text), from)
		require.NoError(t, err)
	}
	all := sent.until(t, 4)
	slices.SortStableFunc(all, func(a, b service.Recorded) int { return a.At.Compare(b.At) }) // as a file does
	assert.True(t, all[0].Sent)
	assert.Equal(t, to, all[0].To)
	assert.Equal(t, server.Addr(), all[0].From)
	assert.Equal(t, string(buf[:n]), string(all[0].Payload))
	var verdicts []string
	for _, r := range all[1:] {
		assert.False(t, r.Sent)
		assert.Equal(t, to, r.From)
		verdicts = append(verdicts, r.Verdict)
	}
	assert.Equal(t, []string{"", "duplicate", "refused: it acknowledges a message that was never sent, or long ago"}, verdicts)
}
