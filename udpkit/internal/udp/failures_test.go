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

// TestFailures: one failure costs nothing; a row of them is slowed down until a read works;
// anything unknown is the end.
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

// scriptedReads are a socket: what its reads return, nil with one datagram each.
type scriptedReads struct {
	reads   []error
	waiting *Datagram
}

func (r *scriptedReads) Next() *Datagram {
	d := r.waiting
	r.waiting = nil
	return d
}

func (r *scriptedReads) Read(bool) (err error) {
	if err, r.reads = r.reads[0], r.reads[1:]; err == nil {
		r.waiting = new(Datagram)
	}
	return err
}

// TestReadAll: it goes on after what passes by itself and says how each read went, but for the end
// of the socket.
func TestReadAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, end := range []error{net.ErrClosed, io.ErrNoProgress} {
			handled := 0
			var told []error
			from := &scriptedReads{reads: []error{nil, transient[0], nil, transient[0], transient[0], end}}
			err := ReadAll(t.Context(), from, func(*Datagram) { handled++ }, func(err error) { told = append(told, err) })
			assert.Equal(t, end, err)
			assert.Equal(t, 2, handled)
			want := []error{nil, transient[0], nil, transient[0], transient[0]}
			if end != net.ErrClosed {
				want = append(want, end)
			}
			assert.Equal(t, want, told)
		}
		ctx, cancel := context.WithCancel(t.Context())
		from := &scriptedReads{reads: []error{nil, nil}}
		err := ReadAll(ctx, from, func(*Datagram) { cancel() }, func(error) {})
		assert.ErrorIs(t, err, context.Canceled)
	})
}
