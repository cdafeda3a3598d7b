package lab

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

const topNotebook = "top.ipynb"

// TestTop executes top.ipynb.
func TestTop(t *testing.T) {
	text := string(executeTop(t, realSetup(t)))
	assert.Regexp(t, `Port \d+, for \d+\.\ds: \d servers? up, \d silent, [1-9] ended`, text)
	assert.Contains(t, text, "ended: time is up")
	assert.Contains(t, text, `font-size:28px`, "for a projector")
}

// executeTop returns top.ipynb with its outputs. It has heard one server that went on, and one that
// ended and was started again.
func executeTop(t *testing.T, env *Env) []byte {
	t.Helper()
	port, err := freeUDPPort()
	require.NoError(t, err)
	here := udpkit.ListTargets(netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), uint16(port)))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	broadcast := func(cfg udpkit.ServerConfig) error {
		cfg.Targets = here
		s, err := udpkit.NewServer(cfg)
		if err != nil {
			return err
		}
		defer s.Close()
		return s.Run(ctx)
	}
	go func() { ended <- broadcast(udpkit.ServerConfig{Interval: time.Second}) }()
	go func() {
		var err error
		for err == nil && ctx.Err() == nil {
			err = broadcast(udpkit.ServerConfig{Interval: 200 * time.Millisecond, MaxMessages: 15})
		}
		ended <- err
	}()
	defer func() {
		stop()
		assert.NoError(t, <-ended)
		assert.NoError(t, <-ended)
	}()
	return executeNotebook(t, env, topNotebook, filepath.Join(t.TempDir(), topNotebook),
		fmt.Sprintf("UDPKIT_PORT=%d", port), "UDPKIT_MAX_RUNTIME=8s")
}
