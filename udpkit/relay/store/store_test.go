package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
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
	t.Parallel()
	for _, sync := range []store.Sync{store.SyncAlways, store.SyncPeriodic} {
		t.Run(string(sync), func(t *testing.T) {
			logtest.Run(t, func(t *testing.T, messages int) relay.Log {
				return open(t, store.Config{Dir: t.TempDir(), Sync: sync, MaxMessages: int64(messages)})
			})
		})
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]store.Config{
		"nothing":             {},
		"both":                {Dir: "x", URLs: []string{"nats://127.0.0.1"}},
		"name":                {Dir: "x", Name: "a.b"},
		"long name":           {Dir: "x", Name: strings.Repeat("a", 33)},
		"messages":            {Dir: "x", MaxMessages: -1},
		"age":                 {Dir: "x", MaxAge: time.Millisecond},
		"sync":                {Dir: "x", Sync: "sometimes"},
		"sync of a cluster":   {URLs: []string{"nats://127.0.0.1"}, Sync: store.SyncAlways},
		"replicas":            {URLs: []string{"nats://127.0.0.1"}, Replicas: 6},
		"replicas of a disk":  {Dir: "x", Replicas: 3},
		"credentials":         {Dir: "x", Credentials: "y"},
		"credentials missing": {URLs: []string{"nats://127.0.0.1:1"}, Credentials: filepath.Join(t.TempDir(), "none")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Open(t.Context(), cfg)
			require.ErrorIs(t, err, relay.ErrConfig)
			assert.NotContains(t, err.Error(), "\n")
		})
	}
	t.Run("directory", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		_, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(file, "log")})
		var path *fs.PathError
		require.ErrorAs(t, err, &path)
	})
	t.Run("nobody there", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, l.Close())
		start := time.Now()
		_, err = store.Open(t.Context(), store.Config{URLs: []string{"nats://ann:secret@" + l.Addr().String()}})
		require.ErrorContains(t, err, l.Addr().String())
		assert.NotContains(t, err.Error(), "secret")
		assert.Less(t, time.Since(start), 3*time.Second)
	})
	t.Run("cancelled", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
		require.NoError(t, err)
		defer l.Close()
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("enough"))
		defer cancel()
		start := time.Now()
		_, err = store.Open(ctx, store.Config{URLs: []string{"nats://" + l.Addr().String()}})
		require.ErrorContains(t, err, "enough")
		assert.Less(t, time.Since(start), time.Second)
	})
}

// TestRestart: a log is the same after it was closed, whatever its new limits.
func TestRestart(t *testing.T) {
	t.Parallel()
	cfg := store.Config{Dir: t.TempDir(), Name: "my-log_1"}
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

	// Another name is another log.
	cfg.Name = "other"
	s = open(t, cfg)
	assert.NotEqual(t, id, s.ID())
	first, newest = s.Bounds()
	assert.Equal(t, []uint64{1, 0}, []uint64{first, newest})
}

// none is what a follower has at first.
func none() uint64 { return 0 }

func TestClosed(t *testing.T) {
	s := open(t, store.Config{Dir: t.TempDir()})
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
	s := open(t, store.Config{Dir: t.TempDir()})
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
	s := open(t, store.Config{Dir: t.TempDir()})
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
	_, err = store.Open(t.Context(), store.Config{Dir: dir})
	require.ErrorIs(t, err, store.ErrInUse)
	require.ErrorContains(t, err, dir)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	s := open(t, store.Config{Dir: dir})
	_, err = store.Open(t.Context(), store.Config{Dir: dir, Name: "other"})
	require.ErrorIs(t, err, store.ErrInUse)
	require.NoError(t, s.Close())
	open(t, store.Config{Dir: dir})
}

// TestFiles holds what package store takes for granted of nats-server's files, see its type blocks.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	run := relay.NewID()
	for n := range 12 { // beyond the size of a file
		records := logtest.Records(run, uint64(1000*n+1), 1000)
		for i := range records {
			records[i].Text += strings.Repeat(" ", 900)
		}
		_, err := s.Append(t.Context(), records)
		require.NoError(t, err)
		entries, err := os.ReadDir(filepath.Join(dir, streamFiles, "msgs"))
		require.NoError(t, err)
		highest := 0
		for _, e := range entries {
			if number, err := strconv.Atoi(strings.TrimSuffix(e.Name(), ".blk")); err == nil {
				highest = max(highest, number)
			}
		}
		require.Equal(t, 1+n/8, highest)
		b, err := os.ReadFile(filepath.Join(dir, streamFiles, "msgs", fmt.Sprintf("%d.blk", highest)))
		require.NoError(t, err)
		require.Contains(t, string(b), records[999].Text, "written to the last file")
	}
}

// TestDirectoryRemoved: what cannot be synced is not stored.
func TestDirectoryRemoved(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir})
	_, err := s.Append(t.Context(), logtest.Records(1, 1, 3))
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, streamFiles, "msgs")))
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

// connect returns a client of a NATS server of its own.
func connect(t *testing.T, c *cluster) jetstream.JetStream {
	nc, err := nats.Connect(c.config("", 0).URLs[0])
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

func TestForeign(t *testing.T) {
	c := newCluster(t, 1)
	js := connect(t, c)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "taken", Subjects: []string{"taken.m.*"}})
	require.NoError(t, err)
	_, err = store.Open(t.Context(), c.config("taken", 0))
	require.ErrorIs(t, err, relay.ErrConfig)

	// What no relay has written stops readers, who cannot know what they miss, and says how to go
	// on.
	s := open(t, c.config("relay", 0))
	_, err = s.Append(t.Context(), logtest.Records(1, 1, 2))
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "relay.m.0000000000000001", []byte("hello"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, last := s.Bounds(); return last == 3 }, 10*time.Second, 10*time.Millisecond)
	got, err := s.Read(t.Context(), 1, 10)
	require.NoError(t, err)
	require.Len(t, got, 2)
	_, err = s.Read(t.Context(), 3, 10)
	require.ErrorContains(t, err, "nats stream rmm relay 3")
	_, err = s.Append(t.Context(), logtest.Records(1, 3, 1))
	require.Error(t, err)
	_, err = s.Append(t.Context(), logtest.Records(2, 1, 1))
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "relay")
	require.NoError(t, err)
	require.NoError(t, stream.DeleteMsg(t.Context(), 3))
	got, err = s.Read(t.Context(), 3, 10)
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, uint64(4), got[0].Seq)
	seqs, err := s.Append(t.Context(), logtest.Records(1, 3, 1))
	require.NoError(t, err)
	require.Equal(t, []uint64{5}, seqs)
}

// TestShared: several stores on one log know it at once, and are one.
func TestShared(t *testing.T) {
	c := newCluster(t, 1)
	const n = 4
	stores := make([]*store.Store, n)
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() {
			s, err := store.Open(context.Background(), c.config("relay", 0))
			if assert.NoError(t, err) {
				stores[i] = s
			}
		})
	}
	wg.Wait()
	require.False(t, t.Failed())
	defer func() {
		for _, s := range stores {
			require.NoError(t, s.Close())
		}
	}()
	for _, s := range stores {
		require.Equal(t, stores[0].ID(), s.ID(), "made once")
	}
	// A writer goes from one server to the next, which all have its records.
	run := relay.NewID()
	followers := make([]*logtest.Follower, n)
	for i, s := range stores {
		followers[i] = logtest.Follow(t, s, 0)
	}
	start := time.Now()
	for i := range 40 {
		s := stores[i%n]
		last, _, err := s.Stored(t.Context(), run, 1<<60)
		require.NoError(t, err)
		require.Equal(t, uint64(5*i), last)
		// It sends the last ones again.
		from := uint64(max(1, 5*i-2))
		seqs, err := s.Append(t.Context(), logtest.Records(run, from, int(last-from)+6))
		require.NoError(t, err)
		require.Equal(t, from, seqs[0])
		for _, f := range followers {
			f.Wait(t, 5*i+5)
		}
	}
	assert.Less(t, time.Since(start), 15*time.Second, "they do not wait for the next poll")
	// They append the same records at the same time.
	for i := range 20 {
		records := logtest.Records(run, uint64(200+7*i+1), 7)
		var want []uint64
		for _, r := range records {
			want = append(want, r.Number)
		}
		for _, s := range stores {
			wg.Go(func() {
				seqs, err := s.Append(context.Background(), records)
				assert.NoError(t, err)
				assert.Equal(t, want, seqs)
			})
		}
		wg.Wait()
	}
	for _, f := range followers {
		f.Wait(t, 340)
		require.Len(t, f.Stop(t), 340)
	}
	// A name belongs to its owner at all of them.
	require.NoError(t, stores[0].Claim(t.Context(), "reader.ann", 1, time.Minute))
	require.ErrorIs(t, stores[1].Claim(t.Context(), "reader.ann", 2, time.Minute), relay.ErrNameTaken)
	require.NoError(t, stores[2].Claim(t.Context(), "reader.ann", 1, time.Second))
	require.NoError(t, stores[3].Release(t.Context(), "reader.ann", 2))
	require.ErrorIs(t, stores[0].Claim(t.Context(), "reader.ann", 2, time.Minute), relay.ErrNameTaken)
	require.Eventually(t, func() bool { return stores[1].Claim(t.Context(), "reader.ann", 2, time.Minute) == nil },
		10*time.Second, 50*time.Millisecond, "it expires")
	require.NoError(t, stores[3].Release(t.Context(), "reader.ann", 2))
	require.NoError(t, stores[0].Claim(t.Context(), "reader.ann", 1, time.Minute))
	require.NoError(t, stores[0].SaveClient(t.Context(), relay.ClientRecord{Role: relay.RoleReader, Username: "ann", Next: 3}))
	r, err := stores[1].Client(t.Context(), relay.RoleReader, "ann")
	require.NoError(t, err)
	require.Equal(t, uint64(3), r.Next)
}
