package relay

import (
	"context"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// badReader is a socket that is read in vain. It fails with what is in errs, again and
// again until the next is there; nil is a read that works, once.
type badReader struct {
	errs  chan error
	last  error
	reads atomic.Int32
}

func (*badReader) Next() *udp.Datagram { return nil }
func (*badReader) Back() udp.Path      { return udp.Path{} }

func (r *badReader) Read(bool) error {
	r.reads.Add(1)
	if r.last == nil {
		r.last = <-r.errs
		return r.last
	}
	select {
	case r.last = <-r.errs:
	default:
	}
	return r.last
}

// passing returns an error of reading that passes by itself.
func passing() error {
	errno := syscall.ECONNREFUSED
	if runtime.GOOS == "windows" {
		errno = 10054 // WSAECONNRESET
	}
	return &net.OpError{Op: "read", Err: os.NewSyscallError("recvmsg", errno)}
}

// TestReadFails: reads that fail for a while are told when that begins and when it ends,
// and are no reason to spin; an error that stays is the end.
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
		from := &badReader{errs: make(chan error)}
		ended := make(chan error)
		go func() {
			ended <- s.run(t.Context(), StartEvent{At: time.Now()}, func(ctx context.Context) error { return s.readAll(ctx, from) })
		}()
		from.errs <- passing()
		time.Sleep(10 * time.Second)
		assert.LessOrEqual(t, from.reads.Load(), int32(9+100), "0, 1, 2, ... 64, then every 100 ms")
		from.errs <- nil
		from.errs <- io.ErrNoProgress
		assert.ErrorIs(t, <-ended, io.ErrNoProgress)
		require.Len(t, told, 3)
		assert.Contains(t, told[0].Text, "receiving: read")
		assert.False(t, told[0].Ended)
		assert.Equal(t, "receiving works again", told[1].Text)
		assert.True(t, told[1].Ended)
		assert.ErrorIs(t, told[2].Err, io.ErrNoProgress)
	})
}
