package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLife: of many that begin at once, one does.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var life Life
		assert.Zero(t, life.Time())
		var begun atomic.Int32
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if at, err := life.Begin("server", "Server"); err == nil {
					begun.Add(1)
					assert.Equal(t, time.Now(), at)
				} else {
					assert.ErrorIs(t, err, ErrRan)
					assert.EqualError(t, err, "the server has run already; a new run is a new Server")
				}
			})
		}
		all.Wait()
		assert.EqualValues(t, 1, begun.Load())
		time.Sleep(time.Minute)
		assert.Equal(t, time.Minute, life.Time())
	})
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		ctx, stop := Limit(t.Context(), time.Hour)
		<-ctx.Done()
		assert.Equal(t, time.Hour, time.Since(begun))
		assert.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
		stop()
		ctx, stop = Limit(t.Context(), 0)
		_, limited := ctx.Deadline()
		assert.False(t, limited)
		assert.NoError(t, ctx.Err())
		stop()
		assert.ErrorIs(t, ctx.Err(), context.Canceled)
	})
}

// TestEvents: what several goroutines emit is told one by one, that of each in its order, between
// the first and the last; what was emitted before the beginning comes after the first.
func TestEvents(t *testing.T) {
	const emitters, each = 4, 500
	type event struct{ by, n int }
	var told []event
	telling := atomic.Int32{}
	events := NewEvents(func(e event) {
		assert.EqualValues(t, 1, telling.Add(1), "one call at a time")
		told = append(told, e)
		telling.Add(-1)
	})
	events.Emit(event{emitters, 1})
	events.Begin(event{emitters, 0})
	var all sync.WaitGroup
	for by := range emitters {
		all.Go(func() {
			for n := range each {
				events.Emit(event{by, n})
			}
		})
	}
	all.Wait()
	events.End(func() event { return event{emitters, 2} })
	require.Len(t, told, emitters*each+3)
	next := [emitters + 1]int{}
	for _, e := range told {
		require.Equal(t, next[e.by], e.n)
		next[e.by]++
	}
	assert.Equal(t, event{emitters, 2}, told[len(told)-1])
	assert.Zero(t, events.Dropped())
}

// TestEventsOverflow: a callback that is slow delays nobody, loses events but not the first and the
// last, and all are told or counted.
func TestEventsOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var told []int
		events := NewEvents(func(n int) {
			if told = append(told, n); n == 1 {
				<-release
			}
		})
		events.Begin(0)
		assert.Equal(t, []int{0}, told, "when Begin returns")
		events.Emit(1)
		synctest.Wait()
		for n := 2; n < 2*Queue; n++ {
			events.Emit(n)
		}
		dropped := int(events.Dropped())
		assert.Equal(t, 2*Queue-2-Queue, dropped)
		close(release)
		events.End(func() int { return -int(events.Dropped()) })
		require.Len(t, told, 2+Queue+1)
		for n, e := range told[:2+Queue] {
			require.Equal(t, n, e)
		}
		assert.Equal(t, -dropped, told[len(told)-1], "the last event has the whole count")
	})
}

// TestEventsEnd: a slow callback cannot hold up the end for longer than one call and half a second.
func TestEventsEnd(t *testing.T) {
	for call, want := range map[time.Duration]struct {
		took    time.Duration
		dropped int
	}{
		time.Millisecond: {100 * time.Millisecond, 0},
		time.Second:      {time.Second, 99},         // of the call that was under way
		time.Second / 4:  {time.Second / 2, 98},     // with one more
		time.Second / 8:  {4 * time.Second / 8, 96}, // and with three
	} {
		t.Run(call.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := 0
				events := NewEvents(func(n int) {
					if told++; n > 0 {
						time.Sleep(call)
					}
				})
				events.Begin(0)
				for range 100 {
					events.Emit(1)
				}
				synctest.Wait()
				begun := time.Now()
				events.End(func() int { return -1 })
				assert.Equal(t, want.took, time.Since(begun))
				assert.EqualValues(t, want.dropped, events.Dropped())
				assert.Equal(t, 102-want.dropped, told)
			})
		})
	}
}

// TestEventsUnheard: without a callback nothing is kept, made or waited for.
func TestEventsUnheard(t *testing.T) {
	events := NewEvents[error](nil)
	events.Begin(io.EOF)
	assert.Zero(t, testing.AllocsPerRun(3*Queue, func() { events.Emit(io.EOF) }))
	events.End(func() error { panic("nobody wants it") })
	assert.Zero(t, events.Dropped())
}

// TestFailures: each is told when it begins, when its cause changes, and when it is over, whatever
// others do.
func TestFailures(t *testing.T) {
	numbered := func(n int) error { return fmt.Errorf("message %d: %w", n, io.ErrShortWrite) }
	failures := make(Failures[string])
	for i, step := range []struct {
		what string
		err  error
		told error
		over bool
	}{
		{"a", nil, nil, false},
		{"a", numbered(1), numbered(1), false},
		{"a", numbered(2), nil, false},
		{"b", nil, nil, false},
		{"b", io.EOF, io.EOF, false},
		{"a", numbered(3), nil, false},
		{"a", fmt.Errorf("%w: %w", errors.New("full"), syscall.EACCES), fmt.Errorf("%w: %w", errors.New("full"), syscall.EACCES), false},
		{"a", syscall.EACCES, nil, false},
		{"a", errors.Join(io.EOF, syscall.EACCES), nil, false},
		{"b", nil, io.EOF, true},
		{"b", nil, nil, false},
		{"a", nil, fmt.Errorf("%w: %w", errors.New("full"), syscall.EACCES), true},
		{"a", numbered(4), numbered(4), false},
	} {
		told, over := failures.Note(step.what, step.err)
		require.Equal(t, step.told, told, "step %d", i)
		require.Equal(t, step.over, told != nil && over, "step %d", i)
	}
	assert.Len(t, failures, 1)

	var one Failure
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = one.Note(nil) }))
}

// TestClose: all are closed, and what was closed before is no failure.
func TestClose(t *testing.T) {
	broken := errors.New("broken")
	closed := 0
	closer := func(err error) io.Closer {
		return closerFunc(func() error {
			closed++
			return err
		})
	}
	assert.NoError(t, Close(closer(nil), closer(fmt.Errorf("it is: %w", net.ErrClosed))))
	assert.ErrorIs(t, Close(closer(broken), closer(nil)), broken)
	assert.Equal(t, 4, closed)
	assert.Equal(t, "127.0.0.1:7", AddrOf(&net.TCPAddr{IP: net.ParseIP("::ffff:127.0.0.1"), Port: 7}).String())
}

type closerFunc func() error

func (f closerFunc) Close() error { return f() }
