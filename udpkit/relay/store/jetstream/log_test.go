package jetstream_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/jetstream"
)

// open opens a log that is closed at the test's end.
func open(t testing.TB, cfg jetstream.Config) *jetstream.Log {
	t.Helper()
	l, err := jetstream.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// connect returns a client of a NATS server of its own.
func connect(t *testing.T, c *cluster) natsjs.JetStream {
	nc, err := nats.Connect(c.config("", 0).URLs[0])
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := natsjs.New(nc)
	require.NoError(t, err)
	return js
}

func TestConfig(t *testing.T) {
	local := []string{"nats://127.0.0.1"}
	for name, cfg := range map[string]jetstream.Config{
		"nothing":             {},
		"name":                {URLs: local, Name: "a.b"},
		"long name":           {URLs: local, Name: strings.Repeat("a", 33)},
		"messages":            {URLs: local, MaxMessages: -1},
		"age":                 {URLs: local, MaxAge: time.Millisecond},
		"replicas":            {URLs: local, Replicas: 6},
		"address":             {URLs: []string{"nats://ann:secret@[::1"}},
		"no address":          {URLs: []string{"nats://"}},
		"credentials missing": {URLs: []string{"nats://127.0.0.1:1"}, Credentials: filepath.Join(t.TempDir(), "none")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := jetstream.Open(t.Context(), cfg)
			require.ErrorIs(t, err, relay.ErrConfig)
			assert.NotContains(t, err.Error(), "\n")
			assert.NotContains(t, err.Error(), "secret")
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
		require.NoError(t, err)
		defer l.Close()
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("enough"))
		defer cancel()
		start := time.Now()
		_, err = jetstream.Open(ctx, jetstream.Config{URLs: []string{"nats://" + l.Addr().String()}})
		require.ErrorContains(t, err, "enough")
		assert.Less(t, time.Since(start), time.Second)
	})
}

// TestRestart: a log is the same after it was closed, whatever its new limits.
func TestRestart(t *testing.T) {
	cfg := newCluster(t, 1).config("my-log_1", 0)
	run := relay.NewID()
	l := open(t, cfg)
	id := l.ID()
	_, err := l.Append(t.Context(), logtest.Records(run, 1, 30))
	require.NoError(t, err)
	require.NoError(t, l.SaveClient(t.Context(), relay.ClientRecord{Role: relay.RoleWriter, Username: "ann", Run: run}))
	want := logtest.All(t, l)
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())

	l = open(t, cfg)
	assert.Equal(t, id, l.ID())
	assert.Equal(t, want, logtest.All(t, l))
	messages, bytes := l.Size()
	assert.Equal(t, uint64(30), messages)
	assert.Greater(t, bytes, uint64(30*20))
	// It is known what was stored, without any window in time.
	seqs, err := l.Append(t.Context(), logtest.Records(run, 29, 3))
	require.NoError(t, err)
	assert.Equal(t, []uint64{29, 30, 31}, seqs)
	last, seqs, err := l.Stored(t.Context(), run, 30)
	require.NoError(t, err)
	assert.Equal(t, uint64(31), last)
	assert.Equal(t, []uint64{30, 31}, seqs)
	client, err := l.Client(t.Context(), relay.RoleWriter, "ann")
	require.NoError(t, err)
	assert.Equal(t, run, client.Run)
	require.NoError(t, l.Close())

	cfg.MaxMessages = 10
	l = open(t, cfg)
	first, newest := l.Bounds()
	assert.Equal(t, []uint64{22, 31}, []uint64{first, newest})
	assert.Equal(t, id, l.ID())
	require.NoError(t, l.Close())
	cfg.MaxMessages, cfg.MaxAge = 20, time.Second
	l = open(t, cfg)
	require.Eventually(t, func() bool { first, last := l.Bounds(); return first == 32 && last == 31 }, 10*time.Second, 20*time.Millisecond, "all are too old")
	require.Zero(t, l.Deletions(), "the limits have removed them")
	require.Empty(t, logtest.All(t, l))
	got, err := l.Read(t.Context(), 1, 10)
	require.NoError(t, err)
	require.Empty(t, got)
	seqs, err = l.Append(t.Context(), logtest.Records(run, 32, 1))
	require.NoError(t, err)
	require.Equal(t, []uint64{32}, seqs)
	require.NoError(t, l.Close())

	// Another name is another log.
	cfg.Name = "other"
	l = open(t, cfg)
	assert.NotEqual(t, id, l.ID())
	first, newest = l.Bounds()
	assert.Equal(t, []uint64{1, 0}, []uint64{first, newest})
}

// none is what a follower has at first.
func none() uint64 { return 0 }

func TestClosed(t *testing.T) {
	l := open(t, newCluster(t, 1).config("relay", 0))
	followed := make(chan error)
	go func() { followed <- l.Follow(context.Background(), none, func([]relay.Message) {}) }()
	_, err := l.Append(t.Context(), logtest.Records(1, 1, 1))
	require.NoError(t, err)
	start := time.Now()
	require.NoError(t, l.Close())
	assert.Less(t, time.Since(start), 3*time.Second)
	require.ErrorIs(t, <-followed, net.ErrClosed)
	_, err = l.Append(t.Context(), logtest.Records(1, 2, 1))
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = l.Read(t.Context(), 1, 1)
	require.ErrorIs(t, err, net.ErrClosed)
	_, _, err = l.Stored(t.Context(), 1, 1)
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, l.Claim(t.Context(), "a.b", 1, time.Second), net.ErrClosed)
	require.ErrorIs(t, l.Release(t.Context(), "a.b", 1), net.ErrClosed)
	require.ErrorIs(t, l.SaveClient(t.Context(), relay.ClientRecord{Role: relay.RoleReader, Username: "ann"}), net.ErrClosed)
	_, err = l.Client(t.Context(), relay.RoleReader, "ann")
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, l.Follow(t.Context(), none, func([]relay.Message) {}), net.ErrClosed)
}

func TestCancelled(t *testing.T) {
	l := open(t, newCluster(t, 1).config("relay", 0))
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(enough)
	_, err := l.Append(ctx, logtest.Records(1, 1, 3))
	require.ErrorIs(t, err, enough)
	_, err = l.Read(ctx, 1, 1)
	require.True(t, err == nil || errors.Is(err, enough))
	require.ErrorIs(t, l.Claim(ctx, "a.b", 1, time.Second), enough)
	require.NoError(t, l.Follow(ctx, none, func([]relay.Message) {}))
	// What was under way does not come in between what comes next.
	const n = 400
	next := []uint64{1, 1}
	for i := range 60 {
		short, cancel := context.WithTimeout(t.Context(), time.Duration(i*200)*time.Microsecond)
		_, _ = l.Append(short, logtest.Records(1, next[0], n))
		cancel()
		seqs, err := l.Append(t.Context(), logtest.Records(2, next[1], n))
		require.NoError(t, err)
		require.Len(t, seqs, n)
		next[1] += n
		next[0], _, err = l.Stored(t.Context(), 1, 1<<60)
		require.NoError(t, err)
		next[0]++
	}
	count := []uint64{1, 1}
	for _, m := range logtest.All(t, l) {
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
	l := open(t, newCluster(t, 1).config("relay", 0))
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
		_, err := l.Append(t.Context(), []relay.Record{good, r})
		require.ErrorIs(t, err, relay.ErrConfig, name)
	}
	_, last := l.Bounds()
	require.Zero(t, last)
}

// TestShared: several servers' logs of one name know it at once, and are one.
func TestShared(t *testing.T) {
	c := newCluster(t, 1)
	const n = 4
	logs := make([]*jetstream.Log, n)
	var wg sync.WaitGroup
	for i := range logs {
		wg.Go(func() {
			l, err := jetstream.Open(context.Background(), c.config("relay", 0))
			if assert.NoError(t, err) {
				logs[i] = l
			}
		})
	}
	wg.Wait()
	require.False(t, t.Failed())
	defer func() {
		for _, l := range logs {
			require.NoError(t, l.Close())
		}
	}()
	for _, l := range logs {
		require.Equal(t, logs[0].ID(), l.ID(), "made once")
	}
	// A writer goes from one server to the next, which all have its records.
	run := relay.NewID()
	followers := make([]*logtest.Follower, n)
	for i, l := range logs {
		followers[i] = logtest.Follow(t, l, 0)
	}
	start := time.Now()
	for i := range 40 {
		l := logs[i%n]
		last, _, err := l.Stored(t.Context(), run, 1<<60)
		require.NoError(t, err)
		require.Equal(t, uint64(5*i), last)
		// It sends the last ones again.
		from := uint64(max(1, 5*i-2))
		seqs, err := l.Append(t.Context(), logtest.Records(run, from, int(last-from)+6))
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
		for _, l := range logs {
			wg.Go(func() {
				seqs, err := l.Append(context.Background(), records)
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
	require.NoError(t, logs[0].Claim(t.Context(), "reader.ann", 1, time.Minute))
	require.ErrorIs(t, logs[1].Claim(t.Context(), "reader.ann", 2, time.Minute), relay.ErrNameTaken)
	require.NoError(t, logs[2].Claim(t.Context(), "reader.ann", 1, time.Second))
	require.NoError(t, logs[3].Release(t.Context(), "reader.ann", 2))
	require.ErrorIs(t, logs[0].Claim(t.Context(), "reader.ann", 2, time.Minute), relay.ErrNameTaken)
	require.Eventually(t, func() bool { return logs[1].Claim(t.Context(), "reader.ann", 2, time.Minute) == nil },
		10*time.Second, 50*time.Millisecond, "it expires")
	require.NoError(t, logs[3].Release(t.Context(), "reader.ann", 2))
	require.NoError(t, logs[0].Claim(t.Context(), "reader.ann", 1, time.Minute))
	require.NoError(t, logs[0].SaveClient(t.Context(), relay.ClientRecord{Role: relay.RoleReader, Username: "ann", Next: 3}))
	r, err := logs[1].Client(t.Context(), relay.RoleReader, "ann")
	require.NoError(t, err)
	require.Equal(t, uint64(3), r.Next)
}
