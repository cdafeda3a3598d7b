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

func TestKept(t *testing.T) {
	logtest.RunKept(t, 200*time.Microsecond, func(t *testing.T) func(logtest.Limits) logtest.Kept {
		cfg := newCluster(t, 1).config("my-log_1", 0)
		return func(limits logtest.Limits) logtest.Kept {
			cfg.MaxMessages, cfg.MaxAge = limits.Messages, limits.Age
			return open(t, cfg)
		}
	})
}

// TestAnotherName: another name is another log.
func TestAnotherName(t *testing.T) {
	cfg := newCluster(t, 1).config("one", 0)
	one := open(t, cfg)
	_, err := one.Append(t.Context(), logtest.Records(1, 1, 3))
	require.NoError(t, err)
	cfg.Name = "other"
	other := open(t, cfg)
	assert.NotEqual(t, one.ID(), other.ID())
	first, last := other.Bounds()
	assert.Equal(t, []uint64{1, 0}, []uint64{first, last})
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
		30*time.Second, 50*time.Millisecond, "it expires")
	require.NoError(t, logs[3].Release(t.Context(), "reader.ann", 2))
	require.NoError(t, logs[0].Claim(t.Context(), "reader.ann", 1, time.Minute))
	require.NoError(t, logs[0].SaveClient(t.Context(), relay.ClientRecord{Role: relay.RoleReader, Username: "ann", Next: 3}))
	r, err := logs[1].Client(t.Context(), relay.RoleReader, "ann")
	require.NoError(t, err)
	require.Equal(t, uint64(3), r.Next)
}
