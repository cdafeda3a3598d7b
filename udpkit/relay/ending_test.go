package relay

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// silentLog never tells what it knows of clients.
type silentLog struct{ Log }

func (silentLog) Client(ctx context.Context, _ Role, _ string) (ClientRecord, error) {
	<-ctx.Done()
	return ClientRecord{}, ctx.Err()
}

// TestServerEnds: neither a log that does not answer, while clients leave and others stay, nor an
// OnEvent that is slow can hold a server's end up for 3 s.
func TestServerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients = 20
		var last Event
		cfg, err := ServerConfig{Log: silentLog{NewMemory(0)}, OnEvent: func(e Event) {
			if last = e; e.Kind() == "leave" {
				time.Sleep(400 * time.Millisecond)
			}
		}}.withDefaults()
		require.NoError(t, err)
		n := newNetwork(1)
		s := newServer(cfg)
		s.carrier, s.reply = n, n.reply
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			ended <- s.run(ctx, StartEvent{At: time.Now()}, func(ctx context.Context) error { <-ctx.Done(); return nil })
		}()
		synctest.Wait()
		s.mu.Lock()
		for i := range clients {
			c := &session{role: RoleWriter, name: fmt.Sprint("c", i), id: NewID(), heard: time.Now()}
			s.sessions[c.id] = c
			if i%2 == 0 {
				s.leave(c, 0)
			}
		}
		s.mu.Unlock()
		synctest.Wait()
		begun := time.Now()
		stop()
		require.NoError(t, <-ended)
		assert.LessOrEqual(t, time.Since(begun), 3*time.Second)
		require.IsType(t, ServerSummary{}, last)
		sum := last.(ServerSummary)
		assert.EqualValues(t, clients/2, sum.Left[ReasonLeft])
		assert.EqualValues(t, clients/2-2, sum.EventsDropped, "two calls fit into half a second")
	})
}
