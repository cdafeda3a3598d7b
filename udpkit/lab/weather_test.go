package lab

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestWeather executes the notebook between two programs: what the one sends reaches the other.
func TestWeather(t *testing.T) {
	env := realSetup(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	listen := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), testenv.FreePort(t))
	behind, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer behind.Close()
	out, ended := filepath.Join(t.TempDir(), "out.ipynb"), make(chan error, 1)
	go func() {
		ended <- env.Execute(ctx, filepath.Join(env.Notebooks, "weather.ipynb"), out, "UDPKIT_HEADLESS=1", "UDPKIT_LISTEN="+listen.String(),
			"UDPKIT_TO="+behind.LocalAddr().String(), "UDPKIT_SKY=duplicate=100%", "UDPKIT_MAX_RUNTIME=5s")
	}()
	came := make(chan string, 1)
	go func() {
		b := make([]byte, 100)
		n, _ := behind.Read(b)
		came <- string(b[:n])
	}()
	client, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(listen))
	require.NoError(t, err)
	defer client.Close()
	for got := ""; got == ""; {
		_, _ = client.Write([]byte("hello")) // as long as the cell is compiled, nobody is there
		select {
		case got = <-came:
			require.Equal(t, "hello", got)
		case err := <-ended:
			require.Fail(t, "the notebook has ended", "%v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	require.NoError(t, <-ended)
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	assert.Contains(t, string(text), "duplicate=100%")
	assert.Contains(t, string(text), "ended: time is up")
}
