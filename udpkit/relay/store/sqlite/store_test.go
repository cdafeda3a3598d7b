package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
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

// TestRestart: a log is the same after it was closed, whatever its new limits.
func TestRestart(t *testing.T) {
	t.Parallel()
	cfg := sqlite.Config{Dir: t.TempDir()}
	run := relay.NewID()
	s := open(t, cfg)
	id := s.ID()
	_, err := s.Append(t.Context(), logtest.Records(run, 1, 30))
	require.NoError(t, err)
	require.NoError(t, s.SaveClient(t.Context(), relay.ClientRecord{Role: relay.RoleWriter, Username: "ann", Run: run}))
	want := logtest.All(t, s)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())

	s = open(t, cfg)
	assert.Equal(t, id, s.ID())
	assert.Equal(t, want, logtest.All(t, s))
	messages, bytes := s.Size()
	assert.Equal(t, uint64(30), messages)
	assert.Greater(t, bytes, uint64(30*20))
	// It is known what was stored, without any window in time.
	seqs, err := s.Append(t.Context(), logtest.Records(run, 29, 3))
	require.NoError(t, err)
	assert.Equal(t, []uint64{29, 30, 31}, seqs)
	last, seqs, err := s.Stored(t.Context(), run, 30)
	require.NoError(t, err)
	assert.Equal(t, uint64(31), last)
	assert.Equal(t, []uint64{30, 31}, seqs)
	client, err := s.Client(t.Context(), relay.RoleWriter, "ann")
	require.NoError(t, err)
	assert.Equal(t, run, client.Run)
	require.NoError(t, s.Close())

	cfg.MaxMessages = 10
	s = open(t, cfg)
	first, newest := s.Bounds()
	assert.Equal(t, []uint64{22, 31}, []uint64{first, newest})
	assert.Equal(t, id, s.ID())
	require.NoError(t, s.Close())
	cfg.MaxMessages, cfg.MaxAge = 20, time.Second
	s = open(t, cfg)
	require.Eventually(t, func() bool { first, last := s.Bounds(); return first == 32 && last == 31 }, 10*time.Second, 20*time.Millisecond, "all are too old")
	require.Empty(t, logtest.All(t, s))
	got, err := s.Read(t.Context(), 1, 10)
	require.NoError(t, err)
	require.Empty(t, got)
	seqs, err = s.Append(t.Context(), logtest.Records(run, 32, 1))
	require.NoError(t, err)
	require.Equal(t, []uint64{32}, seqs)
	require.NoError(t, s.Close())

}

// none is what a follower has at first.
func none() uint64 { return 0 }

func TestClosed(t *testing.T) {
	s := open(t, sqlite.Config{Dir: t.TempDir()})
	followed := make(chan error)
	go func() { followed <- s.Follow(context.Background(), none, func([]relay.Message) {}) }()
	_, err := s.Append(t.Context(), logtest.Records(1, 1, 1))
	require.NoError(t, err)
	start := time.Now()
	require.NoError(t, s.Close())
	assert.Less(t, time.Since(start), 3*time.Second)
	require.ErrorIs(t, <-followed, net.ErrClosed)
	_, err = s.Append(t.Context(), logtest.Records(1, 2, 1))
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = s.Read(t.Context(), 1, 1)
	require.ErrorIs(t, err, net.ErrClosed)
	_, _, err = s.Stored(t.Context(), 1, 1)
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, s.Claim(t.Context(), "a.b", 1, time.Second), net.ErrClosed)
	require.ErrorIs(t, s.Release(t.Context(), "a.b", 1), net.ErrClosed)
	require.ErrorIs(t, s.SaveClient(t.Context(), relay.ClientRecord{Role: relay.RoleReader, Username: "ann"}), net.ErrClosed)
	_, err = s.Client(t.Context(), relay.RoleReader, "ann")
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, s.Follow(t.Context(), none, func([]relay.Message) {}), net.ErrClosed)
}

func TestCancelled(t *testing.T) {
	s := open(t, sqlite.Config{Dir: t.TempDir()})
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(enough)
	_, err := s.Append(ctx, logtest.Records(1, 1, 3))
	require.ErrorIs(t, err, enough)
	_, err = s.Read(ctx, 1, 1)
	require.True(t, err == nil || errors.Is(err, enough))
	require.ErrorIs(t, s.Claim(ctx, "a.b", 1, time.Second), enough)
	require.NoError(t, s.Follow(ctx, none, func([]relay.Message) {}))
	// What was under way does not come in between what comes next.
	const n = 400
	next := []uint64{1, 1}
	for i := range 60 {
		short, cancel := context.WithTimeout(t.Context(), time.Duration(i*50)*time.Microsecond)
		_, _ = s.Append(short, logtest.Records(1, next[0], n))
		cancel()
		seqs, err := s.Append(t.Context(), logtest.Records(2, next[1], n))
		require.NoError(t, err)
		require.Len(t, seqs, n)
		next[1] += n
		next[0], _, err = s.Stored(t.Context(), 1, 1<<60)
		require.NoError(t, err)
		next[0]++
	}
	count := []uint64{1, 1}
	for _, m := range logtest.All(t, s) {
		run := 0
		if m.Text != logtest.Text(1, count[0]) {
			run = 1
		}
		require.Equal(t, logtest.Text(relay.ID(run+1), count[run]), m.Text)
		count[run]++
	}
	require.Equal(t, next, count)
	require.Greater(t, next[0], uint64(1))
}

func TestRefused(t *testing.T) {
	s := open(t, sqlite.Config{Dir: t.TempDir()})
	good := logtest.Records(1, 1, 1)[0]
	for name, change := range map[string]func(*relay.Record){
		"name":      func(r *relay.Record) { r.Username = "a b" },
		"long text": func(r *relay.Record) { r.Text = strings.Repeat("x", relay.MaxText+1) },
		"not UTF-8": func(r *relay.Record) { r.Text = "\xff" },
		"number":    func(r *relay.Record) { r.Number = 0 },
		"run":       func(r *relay.Record) { r.Run = 0 },
	} {
		r := good
		change(&r)
		_, err := s.Append(t.Context(), []relay.Record{good, r})
		require.ErrorIs(t, err, relay.ErrConfig, name)
	}
	_, last := s.Bounds()
	require.Zero(t, last)
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
