package referee_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/referee"
)

// TestBroadcastsByItself: a server that knows no port and address but those of the documents, where
// 255.255.255.255 leads to a network. Another one there is not answered, and not taken for it.
func TestBroadcastsByItself(t *testing.T) {
	t.Parallel()
	if !testenv.Alone(t) {
		return
	}
	there := testenv.NewNeighbour(t)
	testenv.IP(t, "route add default dev card")
	var other *net.UDPConn
	there.Do(func() {
		other, _ = net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(10, 77, 0, 1), Port: udpkit.DefaultPort})
	})
	require.NotNil(t, other)
	defer other.Close()
	answered := make(chan struct{})
	go func() {
		b := make([]byte, 100)
		for {
			n, err := other.Read(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if n > 0 {
				close(answered)
				return
			}
		}
	}()
	go func() {
		for id := 70; ; id++ {
			if _, err := fmt.Fprintf(other, `{"timestamp": "2026-11-29T08:00:00", "state": "ERROR", "message_id": %d}`, id); errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	text, err := os.ReadFile(filepath.Join("testdata", "right_broadcast_server.py"))
	require.NoError(t, err)
	const known, to = `(os.environ["UDPKIT_ADDRESS"], int(os.environ["UDPKIT_PORT"]))`, `("255.255.255.255", 37020); sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)`
	require.Contains(t, string(text), known)
	right := strings.ReplaceAll(string(text), known, to)
	for rule, program := range map[string]string{
		"":       right,
		"counts": strings.ReplaceAll(right, "number += 1", "number += 2"),
	} {
		v, err := referee.Run(t.Context(), referee.Config{System: "broadcast", Side: referee.Server, Forge: true, Second: true, Seed: 1,
			Command: []string{need(t, "python3"), "-u", "-c", program}})
		require.NoError(t, err)
		if rule == "" {
			require.Empty(t, v.Findings, "%s", strings.Join(v.Output, "\n"))
			continue
		}
		require.NotEmpty(t, v.Findings)
		require.Equal(t, rule, v.Findings[0].Rule)
	}
	select {
	case <-answered:
		require.Fail(t, "another host is answered")
	default:
	}
}
