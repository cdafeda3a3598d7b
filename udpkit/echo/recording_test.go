package echo_test

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
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
	r.Payload = append([]byte(nil), r.Payload...)
	t.all = append(t.all, r)
}

func (t *tape) until(test *testing.T, count int) (all []service.Recorded) {
	require.Eventually(test, func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		all = append([]service.Recorded(nil), t.all...)
		return len(all) >= count
	}, 20*time.Second, time.Millisecond)
	return all
}

// TestRecords: a server records what comes and what it answers, from the address that was asked,
// and what it refuses.
func TestRecords(t *testing.T) {
	tape := new(tape)
	server, err := echo.NewServer(echo.ServerConfig{Listen: netip.MustParseAddrPort("0.0.0.0:0"), Limit: 1, Record: tape})
	require.NoError(t, err)
	defer server.Close()
	go server.Run(t.Context())
	asked := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), server.Addr().Port())
	client, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(asked))
	require.NoError(t, err)
	defer client.Close()
	for range 2 {
		_, err = client.Write([]byte("hello"))
		require.NoError(t, err)
	}
	own := client.LocalAddr().(*net.UDPAddr).AddrPort()
	all := tape.until(t, 3)
	for i, r := range all {
		assert.Equal(t, "hello", string(r.Payload))
		assert.Equal(t, i == 1, r.Sent)
		if r.Sent {
			assert.Equal(t, own, r.To)
			assert.Equal(t, asked, r.From)
		} else {
			assert.Equal(t, own, r.From)
			assert.Equal(t, asked, r.To)
		}
	}
	assert.Empty(t, all[0].Verdict)
	assert.Contains(t, all[2].Verdict, "refused: ")
}
