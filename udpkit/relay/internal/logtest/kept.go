package logtest

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// Kept is a log that outlives the process.
type Kept interface {
	relay.Log
	io.Closer
	Size() (messages, bytes uint64)
}

// Limits are how many messages are kept and for how long; 0 is the default.
type Limits struct {
	Messages int64
	Age      time.Duration
}

// none is what a follower has at first.
func none() uint64 { return 0 }

// RunKept runs the tests of a log that outlives the process. place makes a place for one, and
// returns what opens it there and closes it at the test's end. An Append of 400 records takes some
// ten or more times step.
func RunKept(t *testing.T, step time.Duration, place func(t *testing.T) func(Limits) Kept) {
	// A log is the same after it was closed, whatever its new limits.
	t.Run("restart", func(t *testing.T) {
		again := place(t)
		run := relay.NewID()
		l := again(Limits{})
		id := l.ID()
		_, err := l.Append(t.Context(), Records(run, 1, 30))
		require.NoError(t, err)
		require.NoError(t, l.SaveClient(t.Context(), relay.ClientRecord{Role: relay.RoleWriter, Username: "ann", Run: run}))
		want := All(t, l)
		require.NoError(t, l.Close())
		require.NoError(t, l.Close())

		l = again(Limits{})
		assert.Equal(t, id, l.ID())
		assert.Equal(t, want, All(t, l))
		messages, bytes := l.Size()
		assert.Equal(t, uint64(30), messages)
		assert.Greater(t, bytes, uint64(30*20))
		// It is known what was stored, without any window in time.
		seqs, err := l.Append(t.Context(), Records(run, 29, 3))
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

		l = again(Limits{Messages: 10})
		first, newest := l.Bounds()
		assert.Equal(t, []uint64{22, 31}, []uint64{first, newest})
		assert.Equal(t, id, l.ID())
		require.NoError(t, l.Close())
		l = again(Limits{Messages: 20, Age: time.Second})
		require.Eventually(t, func() bool { first, last := l.Bounds(); return first == 32 && last == 31 }, 10*time.Second, 20*time.Millisecond, "all are too old")
		require.Zero(t, l.Deletions(), "the limits have removed them")
		require.Empty(t, All(t, l))
		got, err := l.Read(t.Context(), 1, 10)
		require.NoError(t, err)
		require.Empty(t, got)
		seqs, err = l.Append(t.Context(), Records(run, 32, 1))
		require.NoError(t, err)
		require.Equal(t, []uint64{32}, seqs)
		require.NoError(t, l.Close())
	})

	t.Run("closed", func(t *testing.T) {
		l := place(t)(Limits{})
		followed := make(chan error)
		go func() { followed <- l.Follow(context.Background(), none, func([]relay.Message) {}) }()
		_, err := l.Append(t.Context(), Records(1, 1, 1))
		require.NoError(t, err)
		start := time.Now()
		require.NoError(t, l.Close())
		assert.Less(t, time.Since(start), 3*time.Second)
		require.ErrorIs(t, <-followed, net.ErrClosed)
		_, err = l.Append(t.Context(), Records(1, 2, 1))
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
	})

	t.Run("cancelled", func(t *testing.T) {
		l := place(t)(Limits{})
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(enough)
		_, err := l.Append(ctx, Records(1, 1, 3))
		require.ErrorIs(t, err, enough)
		_, err = l.Read(ctx, 1, 1)
		require.True(t, err == nil || errors.Is(err, enough))
		require.ErrorIs(t, l.Claim(ctx, "a.b", 1, time.Second), enough)
		require.NoError(t, l.Follow(ctx, none, func([]relay.Message) {}))
		// What was under way does not come in between what comes next.
		const n = 400
		next := []uint64{1, 1}
		for i := range 60 {
			short, cancel := context.WithTimeout(t.Context(), time.Duration(i)*step)
			_, _ = l.Append(short, Records(1, next[0], n))
			cancel()
			seqs, err := l.Append(t.Context(), Records(2, next[1], n))
			require.NoError(t, err)
			require.Len(t, seqs, n)
			next[1] += n
			next[0], _, err = l.Stored(t.Context(), 1, 1<<60)
			require.NoError(t, err)
			next[0]++
		}
		count := []uint64{1, 1}
		for _, m := range All(t, l) {
			run := 0
			if m.Text != Text(1, count[0]) {
				run = 1
			}
			require.Equal(t, Text(relay.ID(run+1), count[run]), m.Text)
			count[run]++
		}
		require.Equal(t, next, count)
		require.Greater(t, next[0], uint64(1))
	})

	t.Run("refused", func(t *testing.T) {
		l := place(t)(Limits{})
		good := Records(1, 1, 1)[0]
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
	})
}
