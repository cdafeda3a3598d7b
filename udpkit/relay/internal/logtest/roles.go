package logtest

import (
	"context"
	"net/netip"
	"sync"
	"testing"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Events collects what a server or a client reports.
type Events struct {
	mu   sync.Mutex
	list []relay.Event
}

// Add is for OnEvent.
func (e *Events) Add(event relay.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, event)
}

// Of returns the events of a type.
func Of[E relay.Event](e *Events) (found []E) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.list {
		if event, ok := event.(E); ok {
			found = append(found, event)
		}
	}
	return found
}

// Role runs a role until the test's end.
func Role(t *testing.T, role interface {
	Run(context.Context) error
	Close() error
}) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { assert.NoError(t, role.Run(ctx)) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		require.NoError(t, role.Close())
	})
}

// Servers returns addresses for a client's configuration.
func Servers(server netip.AddrPort, others ...netip.AddrPort) []string {
	servers := []string{server.String()}
	for _, other := range others {
		servers = append(servers, other.String())
	}
	return servers
}

// Reader runs a reader of all messages until the test's end, and returns what it reports.
func Reader(t *testing.T, server netip.AddrPort, name string, others ...netip.AddrPort) *Events {
	e := &Events{}
	r, err := relay.NewReader(relay.ReaderConfig{Servers: Servers(server, others...), Username: name, From: relay.FromStart, OnEvent: e.Add})
	require.NoError(t, err)
	Role(t, r)
	return e
}
