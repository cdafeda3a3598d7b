package udpkit

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func testSession(t *testing.T) (*session, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cfg, err := ReceiverConfig{BufferSize: 100}.withDefaults()
	require.NoError(t, err)
	return newSession(ctx, newSocket(t).UDPConn, cfg, func(Datagram) {}, new(atomic.Uint64)), cancel
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
	s.datagram(s.newBuffer(), 1, 0, netip.AddrPort{})
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

func TestDatagramFromRead(t *testing.T) {
	s, cancel := testSession(t)
	defer cancel()
	buf := make([]byte, 200)
	mapped := netip.MustParseAddrPort("[::ffff:127.0.0.1]:7")
	d := s.datagram(buf, 100, 0, mapped)
	assert.Equal(t, netip.MustParseAddrPort("127.0.0.1:7"), d.Source, "as on a socket for both IPv4 and IPv6")
	assert.Len(t, d.Payload, 100)
	assert.False(t, d.Truncated)
	d = s.datagram(buf, 101, 0, mapped) // as on Windows
	assert.Len(t, d.Payload, 100)
	assert.True(t, d.Truncated)
	d = s.datagram(buf, 100, msgTrunc, mapped) // as on Unix
	assert.True(t, d.Truncated)
}
