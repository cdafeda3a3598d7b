package udpkit

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/batch"
)

func testSession(t *testing.T) (*session, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cfg, err := ReceiverConfig{BufferSize: 100}.withDefaults()
	require.NoError(t, err)
	conn := newSocket(t).UDPConn
	reader, err := batch.New(conn, batch.Config{Size: cfg.BufferSize})
	require.NoError(t, err)
	return &session{ctx: ctx, conn: conn, cfg: cfg, handle: func(Datagram) {}, reader: reader, dropped: new(atomic.Uint64)}, cancel
}

func TestReadErrors(t *testing.T) {
	s, cancel := testSession(t)
	defer cancel()
	opError := func(err error) error {
		return &net.OpError{Op: "read", Net: "udp", Err: os.NewSyscallError("recvmsg", err)}
	}
	for _, errno := range transientErrnos {
		s.pause = 0
		assert.NoError(t, s.failed(opError(errno)), errno)
	}
	err := s.failed(opError(io.ErrNoProgress)) // anything unknown is the end
	assert.ErrorIs(t, err, io.ErrNoProgress)
	assert.ErrorContains(t, err, s.conn.LocalAddr().String())
	assert.ErrorIs(t, s.failed(opError(net.ErrClosed)), net.ErrClosed)
	cancel()
	assert.Equal(t, context.Canceled, s.failed(opError(net.ErrClosed)), "the end of the context comes first")
}

// One error costs nothing; a storm of errors is slowed down, and a datagram ends the storm.
func TestPauseAfterErrors(t *testing.T) {
	s, cancel := testSession(t)
	var pauses []time.Duration
	for range 5 {
		require.NoError(t, s.failed(transientErrnos[0]))
		pauses = append(pauses, s.pause)
	}
	ms := time.Millisecond
	assert.Equal(t, []time.Duration{ms, 2 * ms, 4 * ms, 8 * ms, 16 * ms}, pauses)
	s.pause = longestPause
	require.NoError(t, s.failed(transientErrnos[0]))
	assert.Equal(t, longestPause, s.pause)
	_, err := s.conn.WriteToUDPAddrPort([]byte("x"), s.conn.LocalAddr().(*net.UDPAddr).AddrPort())
	require.NoError(t, err)
	_, err = s.next(true)
	require.NoError(t, err)
	assert.Zero(t, s.pause)

	s.pause = time.Hour
	ended := make(chan error, 1)
	go func() { ended <- s.failed(transientErrnos[0]) }()
	cancel()
	select {
	case err := <-ended:
		assert.True(t, errors.Is(err, context.Canceled))
	case <-time.After(selectorLimit):
		assert.Fail(t, "the pause did not end with the context")
	}
}
