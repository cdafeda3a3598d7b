package relay

import (
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

type badReader struct{ *testenv.FailingReads }

func (badReader) Next() *udp.Datagram { return nil }
func (badReader) Back() udp.Path      { return udp.Path{} }

// TestReadFails: reads that fail for a while are told when that begins and when it ends, and are no
// reason to spin; an error that stays is the end.
func TestReadFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []ErrorEvent
		cfg, err := ServerConfig{OnEvent: func(e Event) {
			if e, ok := e.(ErrorEvent); ok {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, e)
			}
		}}.withDefaults()
		require.NoError(t, err)
		n := newNetwork(1)
		s := newServer(cfg)
		s.carrier, s.reply = n, n.reply
		from := badReader{&testenv.FailingReads{Errs: make(chan error)}}
		ended := make(chan error)
		go func() {
			ended <- s.run(t.Context(), StartEvent{At: time.Now()}, func(ctx context.Context) error { return s.readAll(ctx, from) })
		}()
		from.Errs <- testenv.Passing()
		time.Sleep(10 * time.Second)
		assert.LessOrEqual(t, from.Reads.Load(), int32(9+100), "0, 1, 2, ... 64, then every 100 ms")
		from.Errs <- nil
		from.Errs <- io.ErrNoProgress
		assert.ErrorIs(t, <-ended, io.ErrNoProgress)
		require.Len(t, told, 3)
		assert.Contains(t, told[0].Text, "receiving: read")
		assert.False(t, told[0].Ended)
		assert.Equal(t, "receiving works again", told[1].Text)
		assert.True(t, told[1].Ended)
		assert.ErrorIs(t, told[2].Err, io.ErrNoProgress)
	})
}
