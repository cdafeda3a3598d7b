package relay

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// trimmedLog is a log of which somebody deletes messages.
type trimmedLog struct {
	Log
	mu      sync.Mutex
	deleted map[uint64]bool
	times   uint64
}

func (l *trimmedLog) delete(from, to uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for seq := from; seq <= to; seq++ {
		l.deleted[seq] = true
	}
	l.times++
}

func (l *trimmedLog) Deletions() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.times
}

func (l *trimmedLog) Read(ctx context.Context, from uint64, limit int) ([]Message, error) {
	all, err := l.Log.Read(ctx, from, 1<<30)
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(all) > 0 && l.deleted[all[0].Seq] {
		all = all[1:]
	}
	if hole := slices.IndexFunc(all, func(m Message) bool { return l.deleted[m.Seq] }); hole >= 0 {
		all = all[:hole]
	}
	return all[:min(limit, len(all))], err
}

// reads registers a reader that begins with the oldest message, and returns all that it gets: what
// comes in another order than it was sent may take some timeouts.
func (n *network) reads(t *testing.T, number int) *received {
	var got received
	r, err := newReader(ReaderConfig{Username: fmt.Sprintf("reader%c", 'a'+number), From: FromStart, OnEvent: got.event})
	require.NoError(t, err)
	n.connect(r.client, r, clientAddr(number))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, r.run(ctx, r, idle))
	return &got
}

func (r *received) seqs() (seqs []uint64) {
	for _, m := range r.messages {
		seqs = append(seqs, m.Seq)
	}
	return seqs
}

// numbers returns those from from to to.
func numbers(from, to uint64) (seqs []uint64) {
	for ; from <= to; from++ {
		seqs = append(seqs, from)
	}
	return seqs
}

// What was deleted in the log is gone half a second later though the server has it in memory, both
// new and from the log, and is reported as a gap; it does not matter where it was.
func TestDeleted(t *testing.T) {
	const messages = 1300
	for _, cache := range []int{0, 1} { // in the cache; in chunks
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(1)
			log := &trimmedLog{Log: NewMemory(0), deleted: map[uint64]bool{}}
			stop := n.serveWith(t, ServerConfig{Log: log, Cache: cache})
			for i := range uint64(messages) {
				_, err := log.Append(t.Context(), []Record{{Run: 99, Number: i + 1, Username: "eve", Text: fmt.Sprint(i + 1)}})
				require.NoError(t, err)
			}
			before := n.reads(t, 0)
			assert.Equal(t, numbers(1, messages), before.seqs())
			var gaps []GapEvent
			want := numbers(1, messages)
			for i, gap := range []GapEvent{{40, 60}, {62, 62}, {500, 1100}, {1300, 1300}} {
				log.delete(gap.From, gap.To)
				time.Sleep(polling + time.Millisecond)
				gaps = append(gaps, gap)
				want = slices.DeleteFunc(want, func(seq uint64) bool { return seq >= gap.From && seq <= gap.To })
				got := n.reads(t, 1+i)
				assert.Equal(t, want, got.seqs())
				var told []GapEvent // a gap may be told in parts
				for _, g := range got.gaps {
					if last := len(told) - 1; last >= 0 && told[last].To+1 == g.From {
						told[last].To = g.To
					} else {
						told = append(told, g)
					}
				}
				assert.Equal(t, gaps, told)
			}
			stop()
		})
	}
}

// What a log does not keep any more, for its limit, is gone half a second later though the server
// has it in memory: nothing in its bookkeeping decides what a reader gets.
func TestTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(1)
		log := NewMemory(5)
		stop := n.serve(t, log, nil)
		var got received
		r, err := newReader(ReaderConfig{Username: "bob", OnEvent: got.event})
		require.NoError(t, err)
		n.connect(r.client, r, clientAddr(0))
		var running sync.WaitGroup
		running.Go(func() { assert.NoError(t, r.run(t.Context(), r, idle)) })
		write := func(from, to uint64) {
			for i := from; i <= to; i++ {
				_, err := log.Append(t.Context(), []Record{{Run: 99, Number: i, Username: "eve", Text: fmt.Sprint(i)}})
				require.NoError(t, err)
				synctest.Wait() // the server has it
			}
		}
		write(1, 3)
		time.Sleep(time.Second)
		n.Cut(clientAddr(0), true)
		write(4, 20)
		time.Sleep(polling + time.Millisecond)
		n.Heal()
		time.Sleep(30 * time.Second)
		r.fail(nil)
		running.Wait()
		stop()
		assert.Equal(t, append(numbers(1, 3), numbers(16, 20)...), got.seqs())
		assert.Equal(t, []GapEvent{{4, 15}}, got.gaps)
	})
}
