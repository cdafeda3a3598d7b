package echo_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for what happens at once, on a machine that is busy.
const patience = 10 * time.Second

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// start runs a server to the end of the test.
func start(t testing.TB, s interface {
	Run(context.Context) error
	Close() error
}) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		begun := time.Now()
		assert.NoError(t, <-ended)
		assert.Less(t, time.Since(begun), 3*time.Second)
		assert.NoError(t, s.Close())
		assert.NoError(t, s.Close(), "twice")
	}
	t.Cleanup(stop)
	return stop
}

func newServer(t testing.TB, cfg echo.ServerConfig) (s *echo.Server, stop func()) {
	t.Helper()
	if !cfg.Listen.IsValid() {
		cfg.Listen = anyPort
	}
	s, err := echo.NewServer(cfg)
	require.NoError(t, err)
	return s, start(t, s)
}

func newResponder(t testing.TB, cfg echo.ResponderConfig) (s *echo.Responder, stop func()) {
	t.Helper()
	cfg.Listen = anyPort
	s, err := echo.NewResponder(cfg)
	require.NoError(t, err)
	return s, start(t, s)
}

func newClient(t testing.TB, to netip.AddrPort, timeout time.Duration) *echo.Client {
	t.Helper()
	c, err := echo.NewClient(echo.ClientConfig{Server: to, Timeout: timeout})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

func send(t testing.TB, to netip.AddrPort, text string) string {
	t.Helper()
	r, err := echo.Send(t.Context(), to, []byte(text), patience)
	require.NoError(t, err)
	return string(r.Payload)
}
