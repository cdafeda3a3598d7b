package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

// FuzzFile writes anything anywhere into the files of a log. Whatever it opens as, no message has
// another text than it had.
func FuzzFile(f *testing.F) {
	const run, all = relay.ID(1), 60
	base := filepath.Join(f.TempDir(), "log")
	s := open(f, sqlite.Config{Dir: base})
	_, err := s.Append(f.Context(), logtest.Records(run, 1, all))
	require.NoError(f, err)
	require.NoError(f, s.SaveClient(f.Context(), relay.ClientRecord{Role: relay.RoleReader, Username: "ann", Next: 7}))
	require.NoError(f, s.Close())
	files := []string{"relay.db", "relay.lock", "relay.db-wal"}
	f.Add(uint8(0), uint32(0), []byte("SQLite format 4"))
	f.Add(uint8(0), uint32(28), []byte{0, 0, 0, 99})
	f.Add(uint8(0), uint32(4096*5), make([]byte, 4096))
	f.Add(uint8(0), uint32(4096*9+8), []byte{0xff, 0xff, 0, 1})
	f.Add(uint8(1), uint32(20), []byte("9999"))
	f.Add(uint8(2), uint32(0), []byte{0x37, 0x7f, 0x06, 0x82})
	f.Fuzz(func(t *testing.T, file uint8, at uint32, patch []byte) {
		dir := filepath.Join(t.TempDir(), "log")
		require.NoError(t, os.CopyFS(dir, os.DirFS(base)))
		name := filepath.Join(dir, files[int(file)%len(files)])
		b, _ := os.ReadFile(name)
		start := min(int(at), len(b))
		require.NoError(t, os.WriteFile(name, append(b[:start:start], append(patch, b[min(start+len(patch), len(b)):]...)...), 0o600))
		s, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
		if err != nil {
			return
		}
		defer func() { require.NoError(t, s.Close()) }()
		_, _ = s.Append(t.Context(), logtest.Records(run, all-5, 10))
		_, _, _ = s.Stored(t.Context(), run, 1)
		client, err := s.Client(t.Context(), relay.RoleReader, "ann")
		if err == nil && client.Username != "" {
			require.Equal(t, uint64(7), client.Next)
		}
		seen := uint64(0)
		for m, err := range sqlite.Messages(t.Context(), dir, 1) {
			if err != nil {
				break
			}
			require.Greater(t, m.Seq, seen)
			if seen = m.Seq; m.Seq <= all {
				require.Equal(t, logtest.Text(run, m.Seq), m.Text)
			}
		}
	})
}
