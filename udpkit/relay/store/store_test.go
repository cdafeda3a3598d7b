package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store"
)

// open opens a store that is closed at the test's end.
func open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestEmbedded(t *testing.T) {
	for _, sync := range []store.Sync{store.SyncAlways, store.SyncPeriodic} {
		t.Run(string(sync), func(t *testing.T) {
			logtest.Run(t, func(t *testing.T, messages int) relay.Log {
				return open(t, store.Config{Dir: t.TempDir(), Sync: sync, MaxMessages: int64(messages)})
			})
		})
	}
}
