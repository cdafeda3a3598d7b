// Package logtest is what every relay.Log has to pass.
package logtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// patience is how long a test waits for what comes at once as a rule.
const patience = 20 * time.Second

// Records returns n records of a run, from a number on.
func Records(run relay.ID, from uint64, n int) (records []relay.Record) {
	for i := range uint64(n) {
		records = append(records, relay.Record{
			Run: run, Number: from + i, Username: "ann", Text: Text(run, from+i), At: time.Unix(1_700_000_000, int64(from+i)),
		})
	}
	return records
}

// Text is the text of a record of Records.
func Text(run relay.ID, number uint64) string { return fmt.Sprintf("%v %d", run, number) }

// All reads everything that a log keeps. It fails if something is missing or out of order.
func All(t testing.TB, log relay.Log) (messages []relay.Message) {
	t.Helper()
	first, last := log.Bounds()
	for next := first; next <= last; {
		got, err := log.Read(t.Context(), next, 500)
		require.NoError(t, err)
		require.NotEmpty(t, got, "from %d", next)
		for _, m := range got {
			require.Equal(t, next, m.Seq)
			next++
		}
		messages = append(messages, got...)
	}
	return messages
}

// Texts returns the texts of messages.
func Texts(messages []relay.Message) (texts []string) {
	for _, m := range messages {
		texts = append(texts, m.Text)
	}
	return texts
}

// Follower collects what a log delivers.
type Follower struct {
	mu       sync.Mutex
	messages []relay.Message
	grown    chan struct{}
	cancel   context.CancelFunc
	done     chan error
}

// Follow follows a log, and again if it ends with an error, until Stop or the test's end.
func Follow(t testing.TB, log relay.Log, after uint64) *Follower {
	ctx, cancel := context.WithCancel(context.Background())
	f := &Follower{grown: make(chan struct{}, 1), cancel: cancel, done: make(chan error, 1)}
	go func() {
		for {
			err := log.Follow(ctx, func() uint64 { return after }, func(messages []relay.Message) {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.messages = append(f.messages, messages...)
				after = messages[len(messages)-1].Seq
				select {
				case f.grown <- struct{}{}:
				default:
				}
			})
			if err == nil || ctx.Err() != nil {
				f.done <- err
				return
			}
			t.Logf("following again: %v", err)
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { f.cancel() })
	return f
}

// Wait waits for n messages and returns all that came.
func (f *Follower) Wait(t testing.TB, n int) []relay.Message {
	t.Helper()
	timeout := time.After(patience)
	for {
		f.mu.Lock()
		messages := slices.Clone(f.messages)
		f.mu.Unlock()
		if len(messages) >= n {
			return messages
		}
		select {
		case <-f.grown:
		case <-timeout:
			require.FailNow(t, "too few messages", "%d of %d", len(messages), n)
		}
	}
}

// Stop ends it and returns all that came, after checking that nothing is missing.
func (f *Follower) Stop(t testing.TB) []relay.Message {
	t.Helper()
	f.cancel()
	select {
	case err := <-f.done:
		require.NoError(t, err)
	case <-time.After(patience):
		require.FailNow(t, "Follow does not end")
	}
	for i, m := range f.messages {
		require.Equal(t, f.messages[0].Seq+uint64(i), m.Seq)
	}
	return f.messages
}

// Run runs the tests. A log of open keeps that many messages, or its default if 0.
func Run(t *testing.T, open func(t *testing.T, messages int) relay.Log) {
	t.Run("empty", func(t *testing.T) {
		log := open(t, 0)
		first, last := log.Bounds()
		assert.Equal(t, []uint64{1, 0}, []uint64{first, last})
		for _, from := range []uint64{0, 1, 7} {
			messages, err := log.Read(t.Context(), from, 10)
			require.NoError(t, err)
			assert.Empty(t, messages)
		}
		number, seqs, err := log.Stored(t.Context(), 1, 1)
		require.NoError(t, err)
		assert.Zero(t, number)
		assert.Empty(t, seqs)
		assert.NotZero(t, log.ID())
		assert.Equal(t, log.ID(), log.ID())
		assert.NotEqual(t, log.ID(), open(t, 0).ID())
		seqs, err = log.Append(t.Context(), nil)
		require.NoError(t, err)
		assert.Empty(t, seqs)
	})

	t.Run("order", func(t *testing.T) {
		log := open(t, 0)
		var want []string
		ann, bob := relay.NewID(), relay.NewID()
		numbers := map[relay.ID]uint64{}
		for _, n := range []int{1, 2, 30, 1, 700, 1500} {
			var records []relay.Record
			for i := range n {
				run := ann
				if i%3 == 1 {
					run = bob
				}
				numbers[run]++
				records = append(records, Records(run, numbers[run], 1)...)
				want = append(want, records[i].Text)
			}
			seqs, err := log.Append(t.Context(), records)
			require.NoError(t, err)
			require.Len(t, seqs, n)
			for i, seq := range seqs {
				require.Equal(t, uint64(len(want)-n+i+1), seq)
			}
			_, last := log.Bounds()
			require.Equal(t, uint64(len(want)), last)
		}
		require.Equal(t, want, Texts(All(t, log)))
		got, err := log.Read(t.Context(), 5, 3)
		require.NoError(t, err)
		require.Equal(t, want[4:7], Texts(got))
	})

	t.Run("content", func(t *testing.T) {
		log := open(t, 0)
		var records []relay.Record
		for i, text := range []string{"", " ", "\x00\x1b[31m\r\n", "grüße 🙂", strings.Repeat("x", relay.MaxText), "{}", "NATS/1.0 404\r\n\r\n"} {
			records = append(records, relay.Record{
				Run: 1<<64 - 1, Number: uint64(i) + 1, Username: strings.Repeat("z", relay.MaxNameLen-i), Text: text,
				At: time.Date(2026, 1, 2, 3, 4, 5, 678_901_234+i, time.FixedZone("", 3600)),
			})
		}
		_, err := log.Append(t.Context(), records)
		require.NoError(t, err)
		for i, m := range All(t, log) {
			assert.Equal(t, records[i].Text, m.Text)
			assert.Equal(t, records[i].Username, m.Username)
			assert.True(t, records[i].At.Equal(m.At))
		}
	})

	t.Run("again", func(t *testing.T) {
		log := open(t, 0)
		ann, bob := relay.NewID(), relay.NewID()
		_, err := log.Append(t.Context(), append(Records(ann, 1, 5), Records(bob, 1, 1)...))
		require.NoError(t, err)
		seqs, err := log.Append(t.Context(), Records(ann, 1, 5))
		require.NoError(t, err)
		assert.Equal(t, []uint64{1, 2, 3, 4, 5}, seqs)
		seqs, err = log.Append(t.Context(), append(Records(bob, 1, 2), Records(ann, 4, 4)...))
		require.NoError(t, err)
		assert.Equal(t, []uint64{6, 7, 4, 5, 8, 9}, seqs)
		seqs, err = log.Append(t.Context(), append(Records(ann, 8, 2), Records(ann, 7, 3)...))
		require.NoError(t, err)
		assert.Equal(t, []uint64{10, 11, 9, 10, 11}, seqs)
		assert.Len(t, All(t, log), 11)
		// A run may have begun elsewhere.
		late := relay.NewID()
		seqs, err = log.Append(t.Context(), Records(late, 100, 2))
		require.NoError(t, err)
		assert.Equal(t, []uint64{12, 13}, seqs)
		seqs, err = log.Append(t.Context(), Records(late, 101, 2))
		require.NoError(t, err)
		assert.Equal(t, []uint64{13, 14}, seqs)
	})

	t.Run("stored", func(t *testing.T) {
		log := open(t, 0)
		ann, bob := relay.NewID(), relay.NewID()
		where := map[uint64]uint64{}
		var numbers, others uint64 = 0, 0
		for round := range 30 {
			// A run's records are dense at first and then far apart.
			n := []int{60, 20, 1}[round/10]
			_, err := log.Append(t.Context(), Records(bob, others+1, 80-n))
			require.NoError(t, err)
			others += uint64(80 - n)
			seqs, err := log.Append(t.Context(), Records(ann, numbers+1, n))
			require.NoError(t, err)
			for _, seq := range seqs {
				numbers++
				where[numbers] = seq
			}
		}
		for _, from := range []uint64{numbers + 2, numbers + 1, numbers, numbers - 1, numbers - 11, numbers - 300, 2, 1, 0} {
			last, seqs, err := log.Stored(t.Context(), ann, from)
			require.NoError(t, err)
			require.Equal(t, numbers, last)
			var want []uint64
			for n := max(from, 1); n <= numbers; n++ {
				want = append(want, where[n])
			}
			require.Equal(t, want, seqs, "from %d", from)
		}
	})

	t.Run("at the same time", func(t *testing.T) {
		log := open(t, 0)
		follower := Follow(t, log, 0)
		const writers, calls, each = 4, 20, 7
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				run := relay.NewID()
				for call := range calls {
					seqs, err := log.Append(context.Background(), Records(run, uint64(call*each+1), each))
					if !assert.NoError(t, err) || !assert.Len(t, seqs, each) || !assert.True(t, slices.IsSorted(seqs)) {
						return
					}
				}
			})
		}
		wg.Wait()
		follower.Wait(t, writers*calls*each)
		messages := All(t, log)
		require.Len(t, messages, writers*calls*each)
		require.Equal(t, messages, follower.Stop(t))
		next := map[string]int{}
		for _, m := range messages {
			var run string
			var number int
			_, err := fmt.Sscan(m.Text, &run, &number)
			require.NoError(t, err)
			next[run]++
			require.Equal(t, next[run], number)
		}
	})

	t.Run("follow", func(t *testing.T) {
		log := open(t, 0)
		run := relay.NewID()
		_, err := log.Append(t.Context(), Records(run, 1, 3000))
		require.NoError(t, err)
		all, some, none := Follow(t, log, 0), Follow(t, log, 1500), Follow(t, log, 3000)
		all.Wait(t, 3000)
		some.Wait(t, 1500)
		for number := uint64(3001); number <= 3010; number++ {
			_, err := log.Append(t.Context(), Records(run, number, 1))
			require.NoError(t, err)
			none.Wait(t, int(number-3000)) // at once
		}
		all.Wait(t, 3010)
		some.Wait(t, 1510)
		want := All(t, log)
		assert.Equal(t, want, all.Stop(t))
		assert.Equal(t, want[1500:], some.Stop(t))
		assert.Equal(t, want[3000:], none.Stop(t))
	})

	t.Run("limit", func(t *testing.T) {
		log := open(t, 10)
		ann, bob := relay.NewID(), relay.NewID()
		_, err := log.Append(t.Context(), Records(bob, 1, 5))
		require.NoError(t, err)
		seqs, err := log.Append(t.Context(), Records(ann, 1, 15))
		require.NoError(t, err)
		assert.Equal(t, uint64(20), seqs[14])
		first, last := log.Bounds()
		assert.Equal(t, []uint64{11, 20}, []uint64{first, last})
		for _, from := range []uint64{0, 1, 10, 11} {
			messages, err := log.Read(t.Context(), from, 4)
			require.NoError(t, err)
			require.Len(t, messages, 4)
			assert.Equal(t, uint64(11), messages[0].Seq)
		}
		follower := Follow(t, log, 0)
		assert.Equal(t, Text(ann, 6), follower.Wait(t, 10)[0].Text)
		number, seqs, err := log.Stored(t.Context(), ann, 1)
		require.NoError(t, err)
		assert.Equal(t, uint64(15), number)
		require.Len(t, seqs, 15)
		for i, seq := range seqs {
			if seq != 0 || i >= 5 {
				assert.Equal(t, uint64(i+6), seq)
			}
		}
		// Nothing of this run is kept, and yet it is not stored again.
		seqs, err = log.Append(t.Context(), Records(bob, 4, 2))
		require.NoError(t, err)
		require.Len(t, seqs, 2)
		_, last = log.Bounds()
		assert.Equal(t, uint64(20), last)
		follower.Stop(t)
	})

	t.Run("names", func(t *testing.T) {
		log := open(t, 0)
		const ttl = time.Second
		claim := func(name string, owner relay.ID) error { return log.Claim(t.Context(), name, owner, ttl) }
		require.NoError(t, claim("reader.ann", 1))
		require.NoError(t, claim("reader.ann", 1))
		require.ErrorIs(t, claim("reader.ann", 2), relay.ErrNameTaken)
		require.NoError(t, claim("writer.ann", 2))
		require.NoError(t, claim("reader.Ann-1_x", 3))
		require.NoError(t, log.Release(t.Context(), "reader.ann", 2))
		require.NoError(t, log.Release(t.Context(), "reader.bob", 2))
		require.ErrorIs(t, claim("reader.ann", 2), relay.ErrNameTaken)
		require.NoError(t, log.Release(t.Context(), "reader.ann", 1))
		require.NoError(t, claim("reader.ann", 2))
		require.ErrorIs(t, claim("reader.ann", 1), relay.ErrNameTaken)
		// It expires if it is not renewed.
		start := time.Now()
		for time.Since(start) < 3*ttl/2 {
			require.NoError(t, claim("reader.ann", 2))
			require.ErrorIs(t, claim("reader.ann", 1), relay.ErrNameTaken)
			time.Sleep(ttl / 10)
		}
		start = time.Now()
		require.Eventually(t, func() bool { return claim("reader.ann", 1) == nil }, patience, ttl/20)
		assert.Greater(t, time.Since(start), ttl/2)
		require.ErrorIs(t, claim("reader.ann", 2), relay.ErrNameTaken)
	})

	t.Run("one owner", func(t *testing.T) {
		log := open(t, 0)
		var wg sync.WaitGroup
		owners := make(chan relay.ID, 16)
		for owner := relay.ID(1); owner <= 16; owner++ {
			wg.Go(func() {
				if err := log.Claim(context.Background(), "writer.ann", owner, time.Minute); err == nil {
					owners <- owner
				} else {
					assert.ErrorIs(t, err, relay.ErrNameTaken)
				}
			})
		}
		wg.Wait()
		require.Len(t, owners, 1)
	})

	t.Run("clients", func(t *testing.T) {
		log := open(t, 0)
		r, err := log.Client(t.Context(), relay.RoleReader, "ann")
		require.NoError(t, err)
		require.Equal(t, relay.ClientRecord{}, r)
		saved := relay.ClientRecord{
			Role: relay.RoleReader, Username: "ann", Addr: "192.0.2.1:5000", Run: 1<<64 - 1,
			Registered: time.Unix(1_700_000_000, 1).UTC(), Seen: time.Unix(1_700_000_001, 2).UTC(), Next: 17,
		}
		require.NoError(t, log.SaveClient(t.Context(), saved))
		writer := saved
		writer.Role = relay.RoleWriter
		require.NoError(t, log.SaveClient(t.Context(), writer))
		saved.Next = 18
		require.NoError(t, log.SaveClient(t.Context(), saved))
		for _, want := range []relay.ClientRecord{saved, writer} {
			r, err = log.Client(t.Context(), want.Role, "ann")
			require.NoError(t, err)
			require.Equal(t, want, r)
		}
	})
}
