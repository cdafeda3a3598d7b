package udpkit

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

func testSession(t *testing.T) (*session, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cfg, err := ReceiverConfig{BufferSize: 100}.withDefaults()
	require.NoError(t, err)
	conn := newSocket(t).UDPConn
	reader, err := udp.NewReader(conn, udp.ReaderConfig{Size: cfg.BufferSize})
	require.NoError(t, err)
	return &session{ctx: ctx, conn: conn, cfg: cfg, handle: func(Datagram) {}, reader: reader, dropped: new(atomic.Uint64)}, cancel
}

func TestReadErrors(t *testing.T) {
	s, cancel := testSession(t)
	defer cancel()
	opError := func(err error) error {
		return &net.OpError{Op: "read", Net: "udp", Err: os.NewSyscallError("recvmsg", err)}
	}
	for range 3 { // see TestFailures of package batch for all that pass
		assert.NoError(t, s.failed(opError(passing())))
	}
	err := s.failed(opError(io.ErrNoProgress)) // anything unknown is the end
	assert.ErrorIs(t, err, io.ErrNoProgress)
	assert.ErrorContains(t, err, s.conn.LocalAddr().String())
	assert.ErrorIs(t, s.failed(opError(net.ErrClosed)), net.ErrClosed)
	cancel()
	assert.Equal(t, context.Canceled, s.failed(opError(net.ErrClosed)), "the end of the context comes first")
}

// passing returns an error that passes by itself.
func passing() error {
	if runtime.GOOS == "windows" {
		return syscall.Errno(10054) // WSAECONNRESET
	}
	return syscall.ECONNREFUSED
}

// A storm of errors is slowed down (TestFailures of package batch shows how); a datagram ends it,
// and so does the context.
func TestPauseAfterErrors(t *testing.T) {
	s, cancel := testSession(t)
	for range 3 {
		require.NoError(t, s.failed(passing()))
	}
	assert.NotZero(t, s.failures)
	_, err := s.conn.WriteToUDPAddrPort([]byte("x"), s.conn.LocalAddr().(*net.UDPAddr).AddrPort())
	require.NoError(t, err)
	_, err = s.next(true)
	require.NoError(t, err)
	assert.Zero(t, s.failures)

	ended := make(chan error, 1)
	go func() {
		for {
			if err := s.failed(passing()); err != nil {
				ended <- err
				return
			}
		}
	}()
	cancel()
	select {
	case err := <-ended:
		assert.True(t, errors.Is(err, context.Canceled))
	case <-time.After(selectorLimit):
		assert.Fail(t, "the pause did not end with the context")
	}
}
