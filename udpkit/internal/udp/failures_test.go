package udp

import (
	"context"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestFailures: one failure costs nothing; a row of them is slowed down until a read works; anything unknown is the end.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Failures
		ctx, cancel := context.WithCancel(t.Context())
		rest := func(err error) time.Duration {
			begun := time.Now()
			assert.True(t, f.Rest(ctx, &net.OpError{Op: "read", Err: os.NewSyscallError("recvmsg", err)}), err)
			return time.Since(begun)
		}
		for _, errno := range transient {
			assert.Zero(t, rest(errno))
			f.Over()
		}
		for _, ms := range []time.Duration{0, 1, 2, 4, 8, 16, 32, 64, 100, 100} {
			assert.Equal(t, ms*time.Millisecond, rest(transient[0]))
		}
		f.Over()
		assert.Zero(t, rest(transient[0]))
		assert.False(t, f.Rest(ctx, io.ErrNoProgress))
		assert.False(t, f.Rest(ctx, &net.OpError{Op: "read", Err: net.ErrClosed}))

		for range 8 {
			rest(transient[0])
		}
		go func() {
			time.Sleep(30 * time.Millisecond)
			cancel()
		}()
		begun := time.Now()
		assert.False(t, f.Rest(ctx, transient[0]), "the end of the context is the end")
		assert.Equal(t, 30*time.Millisecond, time.Since(begun))
		assert.False(t, f.Rest(ctx, transient[0]))
		assert.Equal(t, 30*time.Millisecond, time.Since(begun))
	})
}
