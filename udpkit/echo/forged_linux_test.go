package echo_test

import (
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

func TestForgedSources(t *testing.T) {
	if !testenv.Alone(t) {
		return
	}
	forge := testenv.Forge(t)
	events := make(chan echo.Event, 10)
	s, stop := newServer(t, echo.ServerConfig{
		Listen: netip.MustParseAddrPort("0.0.0.0:12345"),
		OnEvent: func(e echo.Event) {
			if e.Kind != echo.Received {
				events <- e
			}
		},
	})
	tests := []struct {
		source string
		kind   echo.Kind
		why    string
	}{
		{"127.0.0.1:12345", echo.Refused, "own port"}, // itself
		{"10.9.8.7:12345", echo.Refused, "own port"},  // another address of its own
		{"10.9.8.1:12345", echo.Refused, "own port"},  // its like on another host
		{"127.0.0.1:0", echo.Refused, "port 0"},
		{"224.0.0.1:5000", echo.Refused, "no host's address"},
		{"255.255.255.255:5000", echo.Refused, "no host's address"},
		{"127.255.255.255:5000", echo.Failed, "permission denied"}, // the system knows its broadcast addresses
		{"10.9.8.255:5000", echo.Failed, "permission denied"},
		{"127.0.0.1:5000", echo.Answered, ""},
	}
	for _, test := range tests {
		source := netip.MustParseAddrPort(test.source)
		forge(source, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), echo.DefaultPort), []byte("x"))
		select {
		case e := <-events:
			assert.Equal(t, test.kind, e.Kind, test.source)
			assert.Equal(t, source, e.Peer)
			if test.why != "" {
				assert.ErrorContains(t, e.Err, test.why, test.source)
			}
		case <-time.After(patience):
			require.Fail(t, "it did not arrive", test.source)
		}
	}
	stop()
	assert.EqualValues(t, len(tests), s.Stats().Received)
	complete(t, s.Stats())
}

// A million forged sources take no memory, and each client among them is answered at its first
// datagram.
func TestMillionSources(t *testing.T) {
	if !testenv.Alone(t) { // where a firewall keeps track of connections, its table is full before the end
		return
	}
	const (
		sources = 1_000_000
		burst   = 200              // fits into the smallest receive buffer
		enough  = 10 * time.Second // with the race detector it takes longer
	)
	s, stop := newServer(t, echo.ServerConfig{})
	c := newClient(t, s.Addr(), patience)
	flood, err := net.ListenUDP("udp4", nil)
	require.NoError(t, err)
	defer flood.Close()
	_ = flood.SetReadBuffer(1) // the answers are not wanted
	conn := ipv4.NewPacketConn(flood)
	messages := make([]ipv4.Message, burst)
	to := net.UDPAddrFromAddrPort(s.Addr())

	begun, sent := time.Now(), 0
	before := heap()
	for sent <= sources/10 || sent < sources && time.Since(begun) < enough {
		for i := range messages {
			n := sent + i
			control := ipv4.ControlMessage{Src: net.IPv4(127, byte(1+n>>16), byte(n>>8), byte(n))}
			messages[i] = ipv4.Message{Buffers: [][]byte{{'x'}}, OOB: control.Marshal(), Addr: to}
		}
		for rest := messages; len(rest) > 0; {
			n, err := conn.WriteBatch(rest, 0)
			require.NoError(t, err)
			rest = rest[n:]
		}
		sent += burst
		// Its answer comes when the server is done with the burst.
		_, err := c.Send(t.Context(), []byte("genuine"))
		require.NoError(t, err)
	}
	grown := heap() - before
	stop()
	t.Logf("%d sources in %v: %+v, heap grown by %d bytes", sent, time.Since(begun), s.Stats(), grown)
	assert.Less(t, grown, int64(256<<10))
	assert.Greater(t, sent, sources/10)
	assert.Greater(t, s.Stats().Answered, uint64(sent*9/10), "they are not refused either")
	complete(t, s.Stats())
}

// heap returns the bytes in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
