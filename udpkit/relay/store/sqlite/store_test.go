package sqlite_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

// open opens a store that is closed at the test's end.
func open(t testing.TB, cfg sqlite.Config) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestLog(t *testing.T) {
	t.Parallel()
	for _, sync := range []sqlite.Sync{sqlite.SyncAlways, sqlite.SyncPeriodic} {
		t.Run(string(sync), func(t *testing.T) {
			logtest.Run(t, func(t *testing.T, messages int) relay.Log {
				return open(t, sqlite.Config{Dir: t.TempDir(), Sync: sync, MaxMessages: int64(messages)})
			})
		})
	}
}
