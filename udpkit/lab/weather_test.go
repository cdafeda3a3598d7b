package lab

import (
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

const weatherNotebook = "weather.ipynb"

// TestWeather executes the notebook between two programs: what the one sends reaches the other, and
// what that answers comes back.
func TestWeather(t *testing.T) {
	text := string(executeWeather(t, realSetup(t)))
	assert.Contains(t, text, "duplicate=100%")
	assert.Contains(t, text, "ended: time is up")
}

// executeWeather returns weather.ipynb with its outputs: it stood between a client that asks
// something fifty times a second, and a server that sends each question back.
func executeWeather(t *testing.T, env *Env) []byte {
	t.Helper()
	listen := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), testenv.FreePort(t))
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	client, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(listen))
	require.NoError(t, err)
	var talking sync.WaitGroup
	asked, answered := make(chan string, 1), make(chan string, 1)
	// Errors say only that as long as the cell is compiled nobody is there.
	read := func(conn *net.UDPConn, first chan string, answer bool) {
		for b := make([]byte, 100); ; {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			select {
			case first <- string(b[:n]):
			default:
			}
			if answer {
				_, _ = conn.WriteToUDPAddrPort(b[:n], from)
			}
		}
	}
	talking.Go(func() { read(server, asked, true) })
	talking.Go(func() { read(client, answered, false) })
	talking.Go(func() {
		for err := error(nil); !errors.Is(err, net.ErrClosed); time.Sleep(20 * time.Millisecond) {
			_, err = client.Write([]byte("hello"))
		}
	})
	text := executeNotebook(t, env, weatherNotebook, filepath.Join(t.TempDir(), weatherNotebook), "UDPKIT_HEADLESS=1", "UDPKIT_LISTEN="+listen.String(),
		"UDPKIT_TO="+server.LocalAddr().String(), "UDPKIT_SKY=loss=20% duplicate=100%", "UDPKIT_MAX_RUNTIME=5s")
	require.NoError(t, errors.Join(server.Close(), client.Close()))
	talking.Wait()
	for _, first := range []chan string{asked, answered} {
		select {
		case got := <-first:
			require.Equal(t, "hello", got)
		default:
			require.Fail(t, "nothing came")
		}
	}
	return text
}
