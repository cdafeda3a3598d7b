package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
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

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]sqlite.Config{
		"nothing":  {},
		"messages": {Dir: "x", MaxMessages: -1},
		"age":      {Dir: "x", MaxAge: time.Millisecond},
		"sync":     {Dir: "x", Sync: "sometimes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sqlite.Open(t.Context(), cfg)
			require.ErrorIs(t, err, relay.ErrConfig)
			assert.NotContains(t, err.Error(), "\n")
		})
	}
	t.Run("directory", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		_, err := sqlite.Open(t.Context(), sqlite.Config{Dir: filepath.Join(file, "log")})
		var path *fs.PathError
		require.ErrorAs(t, err, &path)
	})
	t.Run("a log of NATS", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, "jetstream"), 0o700))
		_, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
		require.ErrorIs(t, err, relay.ErrConfig)
		require.ErrorContains(t, err, dir)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1, "it is left as it was")
	})
	t.Run("cancelled", func(t *testing.T) {
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(enough)
		_, err := sqlite.Open(ctx, sqlite.Config{Dir: t.TempDir()})
		require.ErrorIs(t, err, enough)
	})
}

func TestKept(t *testing.T) {
	t.Parallel()
	logtest.RunKept(t, 50*time.Microsecond, func(t *testing.T) func(logtest.Limits) logtest.Kept {
		dir := t.TempDir()
		return func(limits logtest.Limits) logtest.Kept {
			return open(t, sqlite.Config{Dir: dir, MaxMessages: limits.Messages, MaxAge: limits.Age})
		}
	})
}

// TestInUse opens a directory in two processes, and twice in one.
func TestInUse(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=append", "UDPKIT_TEST_DIR="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	_, err = out.Read(make([]byte, 1)) // it has it
	require.NoError(t, err)
	_, err = sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
	require.ErrorIs(t, err, sqlite.ErrInUse)
	require.ErrorContains(t, err, dir)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	s := open(t, sqlite.Config{Dir: dir})
	_, err = sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
	require.ErrorIs(t, err, sqlite.ErrInUse)
	require.NoError(t, s.Close())
	open(t, sqlite.Config{Dir: dir})
}

// TestInUseNoMore: a log that is closed can be opened again at once, also in a process that starts
// others meanwhile.
func TestInUseNoMore(t *testing.T) {
	dir, stop := t.TempDir(), make(chan struct{})
	var starting sync.WaitGroup
	defer starting.Wait()
	defer close(stop)
	for range 4 {
		starting.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = exec.Command(os.Args[0], "-test.list", "^$").Run()
				}
			}
		})
	}
	for range 50 {
		s, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
}

// TestFiles: what others must not read has the modes for that.
func TestFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes there")
	}
	dir := filepath.Join(t.TempDir(), "log")
	open(t, sqlite.Config{Dir: dir})
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), e.Name())
		names = append(names, e.Name())
	}
	require.Equal(t, []string{"relay.db", "relay.db-shm", "relay.db-wal", "relay.lock"}, names)
}

// TestDirectoryRemoved: what would be gone with its file is not stored.
func TestDirectoryRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the system does not let it be removed")
	}
	for _, name := range []string{"", "relay.db", "relay.db-wal"} {
		dir := filepath.Join(t.TempDir(), "log")
		s := open(t, sqlite.Config{Dir: dir})
		_, err := s.Append(t.Context(), logtest.Records(1, 1, 3))
		require.NoError(t, err)
		require.NoError(t, os.RemoveAll(filepath.Join(dir, name)))
		for range 3 {
			start := time.Now()
			_, err = s.Append(t.Context(), logtest.Records(1, 4, 1))
			require.Error(t, err)
			require.ErrorContains(t, err, "see to the disk")
			assert.Less(t, time.Since(start), time.Second)
		}
		_, last := s.Bounds()
		require.Equal(t, uint64(3), last)
	}
}
