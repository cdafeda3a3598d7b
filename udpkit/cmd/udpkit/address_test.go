package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNames: each command takes a name wherever it takes an address.
func TestNames(t *testing.T) {
	for _, args := range []string{
		"server --target localhost --max-messages 1 --port " + freePort(t),
		"server --target localhost:" + freePort(t) + ",127.0.0.1 --max-messages 1",
		"beacon --target localhost --max-runtime 50ms --port " + freePort(t),
	} {
		p := command(t, append(strings.Fields(args), "--json")...)
		targets, ok := p.event("start")["targets"].([]any)
		require.True(t, ok, args)
		assert.True(t, strings.HasPrefix(targets[0].(string), "127.0.0.1:"), "%s: %v", args, targets)
		_ = p.rest()
		assert.NoError(t, p.Wait(), &p.stderr)
	}
}

// TestLookUp: a name that has no address is told in a sentence, and nobody waits for long.
func TestLookUp(t *testing.T) {
	was := resolver
	defer func() { resolver = was }()
	asks := func(dial func(ctx context.Context) error) {
		resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return nil, dial(ctx) }}
	}
	says := func(ctx context.Context, host, want string) {
		t.Helper()
		_, err := lookUp(ctx, host)
		require.EqualError(t, err, want)
	}
	ip, err := lookUp(t.Context(), "::1")
	require.NoError(t, err)
	assert.Equal(t, netip.IPv6Loopback(), ip)
	says(t.Context(), "no..name", `no address is known for the name "no..name": check the spelling, or give the IP address`)
	synctest.Test(t, func(t *testing.T) {
		asks(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		begun := time.Now()
		says(t.Context(), "slow.example.", `no name server has answered for "slow.example." within 5s: check the network, or give the IP address`)
		assert.Equal(t, 5*time.Second, time.Since(begun))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		says(ctx, "slow.example.", `interrupted before the address of "slow.example." was found`)
	})
	asks(func(context.Context) error { return errors.New("broken") })
	_, err = lookUp(t.Context(), "a.example.")
	require.ErrorContains(t, err, `the name "a.example." cannot be looked up, give the IP address instead: `)
}
