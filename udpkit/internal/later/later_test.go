package later_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/later"
)

// TestQueue: things come at their times, those of one time in order, also if they are moved or
// come while another is waited for.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, start, came := later.New[string](), time.Now(), make(chan string, 10)
		at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
		ctx, cancel := context.WithCancel(t.Context())
		go q.Run(ctx, func(s string) {
			assert.Equal(t, at(int(s[0]-'0')), time.Now(), s)
			came <- s
		})
		after := func(pause time.Duration) (all []string) {
			time.Sleep(pause)
			synctest.Wait()
			for len(came) > 0 {
				all = append(all, <-came)
			}
			return all
		}
		q.Push("9", at(9))
		first := q.Push("5 first", at(1))
		q.Push("3", at(3))
		q.Push("5", at(5))
		q.Move(first, at(5))
		require.Equal(t, 4, q.Len())
		require.Equal(t, []string{"3"}, after(4*time.Second))
		q.Push("4 at once", at(2))
		require.Equal(t, []string{"4 at once"}, after(0))
		require.Equal(t, []string{"5", "5 first"}, after(2*time.Second))
		q.Move(first, at(7)) // it has come
		require.Empty(t, after(time.Second))
		require.Equal(t, 1, q.Len())
		cancel()
		require.Empty(t, after(10*time.Second), "the run has ended")
	})
}
