package relay

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is delivered to a reader its server knows soon, long before the next sign of life: if they
// end in whatever order, the reader goes on there.
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
			return n.server.sessions[ID(r.hello.ID)].done
		}
		total := 0
		for _, slow = range []time.Duration{0, 40 * time.Millisecond, 170 * time.Millisecond} {
			for i := range 20 {
				require.NoError(t, sendTo(t.Context(), w, fmt.Sprint(i)))
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

// A message that is lost on the way to a reader is sent again when a later one has arrived (RFC
// 8985), or else after the timeout of RFC 6298, and not when the server happens to look.
func TestLossIsFoundSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(uint64(time.Now().UnixNano()))
		n.Delay = 2 * time.Millisecond
		log := NewMemory(0)
		stop := n.serve(t, log, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		var got received
		r, err := newReader(ReaderConfig{Username: "bob", OnEvent: got.event})
		require.NoError(t, err)
		n.connect(r.client, r, clientAddr(1))
		running.Go(func() { assert.NoError(t, r.run(ctx, r, idle)) })
		written := 0
		write := func(lost bool) {
			n.Cut(clientAddr(1), lost)
			written++
			_, err := log.Append(ctx, []Record{{Run: 1, Number: uint64(written), Username: "ann"}})
			require.NoError(t, err)
			synctest.Wait() // it is sent
			n.Heal()
		}
		longest := map[string]time.Duration{}
		arrives := func(what string) {
			begun := time.Now()
			for got.count() < written {
				time.Sleep(100 * time.Microsecond)
			}
			longest[what] = max(longest[what], time.Since(begun))
		}
		for i := range 150 {
			time.Sleep(1700 * time.Millisecond)
			write(false)
			arrives("whole")
			if i < 20 { // the round-trip time is measured first
				continue
			}
			time.Sleep(1700 * time.Millisecond)
			write(true)
			arrives("alone")
			time.Sleep(1700 * time.Millisecond)
			write(true)
			time.Sleep(5 * time.Millisecond)
			write(false)
			arrives("before another")
		}
		t.Log(longest)
		assert.Less(t, longest["alone"], 30*time.Millisecond)
		assert.Less(t, longest["before another"], 10*time.Millisecond)
		cancel()
		running.Wait()
		stop()
	})
}

// A reader that was blocked for long gets what it had no room for as soon as it has.
func TestBlockedForLong(t *testing.T) {
	for _, messages := range []int{maxWaiting + 1, maxWaiting + 20, maxWaiting + 66, maxWaiting + 1000, 2 * maxWaiting} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(1)
			n.Delay = time.Millisecond
			log := NewMemory(0)
			stop := n.serve(t, log, nil)
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			release := make(chan struct{})
			var got received
			r, err := newReader(ReaderConfig{Username: "bob", OnEvent: func(e Event) {
				got.event(e)
				if m, ok := e.(MessageEvent); ok && m.Seq == 1 {
					<-release
				}
			}})
			require.NoError(t, err)
			n.connect(r.client, r, clientAddr(1))
			running.Go(func() { assert.NoError(t, r.run(ctx, r, idle)) })
			time.Sleep(time.Second)
			for i := range messages {
				_, err := log.Append(ctx, []Record{{Run: 1, Number: uint64(i + 1), Username: "ann", Text: "0123456789"}})
				require.NoError(t, err)
			}
			time.Sleep(20 * time.Second)
			begun := time.Now()
			close(release)
			for got.count() < messages && time.Since(begun) < time.Minute {
				time.Sleep(time.Millisecond)
			}
			assert.Less(t, time.Since(begun), 50*time.Millisecond, "%d messages", messages)
			cancel()
			running.Wait()
			stop()
		})
	}
}

// A reader gets a number of bytes a second at most, after what it could save up, and another one is
// not held up by that.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pace, messages = 1 << 20, 3000
		n := newNetwork(1)
		n.Delay = time.Millisecond
		log := NewMemory(0)
		text := strings.Repeat("x", MaxText)
		var records []Record
		for i := range messages {
			records = append(records, Record{Run: 1, Number: uint64(i + 1), Username: "ann", Text: text})
		}
		_, err := log.Append(t.Context(), records)
		require.NoError(t, err)
		stop := n.serveWith(t, ServerConfig{Log: log, Pace: pace})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for i := range 3 {
			begun := time.Now()
			r, err := newReader(ReaderConfig{Username: fmt.Sprintf("bob%c", 'A'+i), MaxMessages: messages})
			require.NoError(t, err)
			n.connect(r.client, r, clientAddr(i))
			running.Go(func() {
				assert.NoError(t, r.run(ctx, r, idle))
				const want = float64(messages*MaxDatagram-maxBurst) / pace // seconds: one message a datagram
				assert.InDelta(t, want, time.Since(begun).Seconds(), want/20)
			})
		}
		running.Wait()
		cancel()
		stop()
	})
}

// Who does not answer is tried ever more rarely.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(1)
		n.Delay = time.Millisecond
		log := NewMemory(0)
		stop := n.serve(t, log, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		r, err := newReader(ReaderConfig{Username: "bob"})
		require.NoError(t, err)
		n.connect(r.client, r, clientAddr(1))
		running.Go(func() { assert.NoError(t, r.run(ctx, r, idle)) })
		w, err := newWriter(WriterConfig{Username: "ann"})
		require.NoError(t, err)
		n.connect(w.client, w, clientAddr(2))
		running.Go(func() { assert.NoError(t, w.run(ctx, w, idle)) })
		// count returns how many datagrams there are while a client is cut off.
		count := func(client int, change func()) int {
			time.Sleep(20 * time.Second) // what was before is over
			n.Cut(clientAddr(client), true)
			change()
			before := n.Carried()
			time.Sleep(8 * time.Second) // then it would try to register
			carried := n.Carried() - before
			n.Heal()
			return carried
		}
		const others = 2 * 2 * (8/3 + 2) // signs of life and their answers, an acknowledgement for each
		to := count(1, func() {
			_, err := log.Append(ctx, []Record{{Run: 1, Number: 1, Username: "eve"}})
			require.NoError(t, err)
		})
		from := count(2, func() { require.NoError(t, sendTo(ctx, w, "hello")) })
		for name, carried := range map[string]int{"to a reader": to, "from a writer": from} {
			assert.Greater(t, carried, 8, name) // after 20, 40, 80 ms ... 2 s
			assert.Less(t, carried, 12+others, name)
		}
		cancel()
		running.Wait()
		stop()

		// No server: 50 ms, doubling to 1 s.
		ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		before := n.Carried()
		again, err := newWriter(WriterConfig{Username: "ann"})
		require.NoError(t, err)
		n.connect(again.client, again, clientAddr(3))
		require.NoError(t, again.run(ctx, again, idle))
		assert.InDelta(t, 24, n.Carried()-before, 1)
	})
}
