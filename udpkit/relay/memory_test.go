package relay

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
)

// However many readers there are, each at another place of the log, what waits for them in memory
// is bounded, and less once they have not acknowledged for a while. One that does is served.
func TestMemoryIsBounded(t *testing.T) {
	const (
		readers  = 10_000 / Slower
		messages = 60_000
		most     = 60 << 20 // as the documentation says
	)
	synctest.Test(t, func(t *testing.T) {
		log := NewMemory(0)
		text := strings.Repeat("x", 986)
		for i := uint64(1); i <= messages; i++ {
			_, err := log.Append(t.Context(), []Record{{Run: 99, Number: i, Username: "eve", Text: text}})
			require.NoError(t, err)
		}
		s := newTarget(t, ServerConfig{Log: log, MaxClients: readers + 1})
		defer s.stop()
		join := func(i int, at uint64) netip.AddrPort {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5000)
			f := relaywire.Frame{
				Kind: relaywire.Hello, ID: uint64(i + 1), Role: relaywire.RoleReader, Name: fmt.Sprint("reader", i),
				From: relaywire.FromAt, At: at, Log: log.ID(),
			}
			f.Cookie = s.cookieFor(uint32(time.Since(s.begun)/cookiePeriod), &f, from)
			s.give(f.Append(nil), from)
			synctest.Wait()
			return from
		}
		// acknowledge has a reader say that it has all that was sent to it.
		acknowledge := func(i int, from netip.AddrPort) (sent uint64) {
			s.Server.mu.Lock()
			sent = s.sessions[ID(i+1)].sent
			s.Server.mu.Unlock()
			s.give((&relaywire.Frame{Kind: relaywire.Ack, ID: uint64(i + 1), Next: sent, Done: sent, Last: sent - 1, Window: 1 << 14}).Append(nil), from)
			synctest.Wait()
			return sent
		}
		highest := 0
		check := func() int {
			waiting := s.Stats().Waiting
			highest = max(highest, waiting)
			require.LessOrEqual(t, waiting, most)
			return waiting
		}
		for i := range readers {
			from := join(i, uint64(1+i*messages/2/readers))
			for range i % 16 { // its window grows
				acknowledge(i, from)
			}
			check()
		}
		for range 10 {
			time.Sleep(time.Second)
			check()
		}
		require.Len(t, s.Clients(), readers)
		assert.LessOrEqual(t, check(), maxChunks+readers*4*flyingSize)
		assert.Greater(t, highest, maxChunks)
		s.check(t)

		from, sent := join(readers, 1), uint64(0)
		for begun := time.Now(); sent <= messages; {
			require.Less(t, time.Since(begun), 5*time.Second)
			time.Sleep(time.Millisecond)
			sent = acknowledge(readers, from)
		}
		t.Logf("%d bytes at most, %d in the end", highest, check())
	})
}
