package relay

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is delivered to a reader its server knows soon, long before the next sign of
// life: if they end in whatever order, the reader goes on there.
func TestPlaceIsKnownSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(1)
		stop := n.serve(t, NewMemory(0), nil)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		var got received
		var slow time.Duration
		r, err := newReader(ReaderConfig{Username: "bob", OnEvent: func(e Event) {
			got.event(e)
			if _, ok := e.(MessageEvent); ok {
				time.Sleep(slow)
			}
		}})
		require.NoError(t, err)
		n.connect(r.client, r, clientAddr(1))
		w, err := newWriter(WriterConfig{Username: "ann"})
		require.NoError(t, err)
		n.connect(w.client, w, clientAddr(2))
		running.Go(func() { assert.NoError(t, r.run(ctx, r, idle)) })
		running.Go(func() { assert.NoError(t, w.run(ctx, w, idle)) })
		time.Sleep(time.Second)
		done := func() uint64 {
			n.server.mu.Lock()
			defer n.server.mu.Unlock()
			return n.server.sessions[r.hello.id].done
		}
		total := 0
		for _, slow = range []time.Duration{0, 40 * time.Millisecond, 170 * time.Millisecond} {
			for i := range 20 {
				require.NoError(t, w.Send(t.Context(), fmt.Sprint(i)))
			}
			total += 20
			for got.count() < total {
				time.Sleep(time.Second)
				behind := got.count() - int(done())
				assert.LessOrEqual(t, time.Duration(behind)*slow, reporting+slow)
			}
			time.Sleep(slow + reporting)
			synctest.Wait()
			require.EqualValues(t, total+1, done())
		}
		cancel()
		running.Wait()
		stop()
	})
}
