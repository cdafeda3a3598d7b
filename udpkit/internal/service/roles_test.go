package service_test

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

type role interface {
	Run(context.Context) error
	Close() error
}

// TestRoles: each role of the module runs once, and says what to make for a new run. A second one
// tells nothing, the summary least of all. All of them mark a configuration that cannot be used by
// the same error.
func TestRoles(t *testing.T) {
	here := netip.MustParseAddrPort("127.0.0.1:0")
	somebody := netip.MustParseAddrPort("127.0.0.1:9")
	var told atomic.Int32
	server, err := chat.NewServer(chat.ServerConfig{Listen: here})
	require.NoError(t, err)
	defer server.Close()
	free, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(here))
	require.NoError(t, err)
	port := free.LocalAddr().(*net.UDPAddr).AddrPort().Port() // for the beacon, which takes no 0
	require.NoError(t, free.Close())
	for another, open := range map[string]func(bad bool) (role, error){
		"the server has run already; a new run is a new Server": func(bad bool) (role, error) {
			return udpkit.NewServer(udpkit.ServerConfig{
				Listen: here, Targets: udpkit.ListTargets(somebody), AckWait: negative(bad),
				OnEvent: func(udpkit.Event) { told.Add(1) },
			})
		},
		"the client has run already; a new run is a new Client": func(bad bool) (role, error) {
			return udpkit.NewClient(udpkit.ClientConfig{Listen: here, Timeout: negative(bad), OnEvent: func(udpkit.Event) { told.Add(1) }})
		},
		"the server has run already; a new run is a new server": func(bad bool) (role, error) {
			return echo.NewResponder(echo.ResponderConfig{Listen: here, Work: negative(bad), OnEvent: func(echo.Event) { told.Add(1) }})
		},
		"the beacon has run already; a new run is a new Beacon": func(bad bool) (role, error) {
			return beacon.New(beacon.Config{
				Port: port, Targets: []netip.AddrPort{somebody}, MaxRuntime: negative(bad), OnEvent: func(beacon.Event) { told.Add(1) },
			})
		},
		"the chat server has run already; a new run is a new Server": func(bad bool) (role, error) {
			return chat.NewServer(chat.ServerConfig{Listen: here, Pause: negative(bad), OnEvent: func(chat.Event) { told.Add(1) }})
		},
		"the chat client has run already; a new run is a new Client": func(bad bool) (role, error) {
			return chat.Dial(t.Context(), chat.ClientConfig{Server: server.Addr(), Pause: negative(bad), OnEvent: func(chat.Event) { told.Add(1) }})
		},
		"the relay has run already; a new run is a new Server": func(bad bool) (role, error) {
			return relay.NewServer(relay.ServerConfig{Listen: here, Expire: negative(bad), OnEvent: func(relay.Event) { told.Add(1) }})
		},
		"the reader has run already; a new run is a new Reader": func(bad bool) (role, error) {
			return relay.NewReader(relay.ReaderConfig{
				Servers: []string{somebody.String()}, Username: "ann", Delay: negative(bad), OnEvent: func(relay.Event) { told.Add(1) },
			})
		},
		"the writer has run already; a new run is a new Writer": func(bad bool) (role, error) {
			name := map[bool]string{false: "ann", true: "not a name"}[bad]
			return relay.NewWriter(relay.WriterConfig{Servers: []string{somebody.String()}, Username: name, OnEvent: func(relay.Event) { told.Add(1) }})
		},
	} {
		t.Run(another, func(t *testing.T) {
			_, err := open(true)
			assert.ErrorIs(t, err, service.ErrConfig)
			told.Store(0)
			r, err := open(false)
			require.NoError(t, err)
			defer r.Close()
			ended, end := context.WithCancel(t.Context())
			end()
			require.NoError(t, r.Run(ended))
			events := told.Load()
			err = r.Run(t.Context())
			assert.ErrorIs(t, err, service.ErrRan)
			assert.EqualError(t, err, another)
			assert.Equal(t, events, told.Load())
		})
	}
}

// negative returns a time that is no setting, if it is to be a bad one.
func negative(bad bool) (d time.Duration) {
	if bad {
		return -1
	}
	return 0
}
