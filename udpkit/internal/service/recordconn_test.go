package service_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

// tape keeps what is recorded.
type tape struct {
	mu  sync.Mutex
	all []service.Recorded
}

func (t *tape) Record(r service.Recorded) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.Payload = append([]byte(nil), r.Payload...)
	t.all = append(t.all, r)
}

// TestRecordConn: the segments of either side follow one another without a hole, whatever is
// written at once, from the handshake to the end.
func TestRecordConn(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	dialed, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer dialed.Close()
	accepted, err := listener.Accept()
	require.NoError(t, err)
	defer accepted.Close()

	tape := new(tape)
	conn := service.RecordConn(tape, dialed.(*net.TCPConn), true)
	long := make([]byte, 100_000)
	go func() {
		_, _ = io.CopyN(accepted, accepted, int64(len(long))) // an echo
		_ = accepted.Close()
	}()
	_, err = conn.Write(long)
	require.NoError(t, err)
	echo, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Len(t, echo, len(long))
	require.NoError(t, conn.SetLinger(0))
	require.NoError(t, conn.Close())

	next := map[bool]uint32{} // of either side
	var flags []byte
	for _, r := range tape.all {
		assert.Equal(t, next[r.Sent], r.TCP.Seq)
		if next[r.Sent] += uint32(len(r.Payload)); r.TCP.Flags&(service.FlagSYN|service.FlagFIN) != 0 {
			next[r.Sent]++
		}
		if r.TCP.Flags&service.FlagACK != 0 {
			assert.Equal(t, next[!r.Sent], r.TCP.Ack)
		}
		if len(r.Payload) == 0 {
			flags = append(flags, r.TCP.Flags)
		}
		from, to := r.From, r.To
		if !r.Sent {
			from, to = to, from
		}
		assert.Equal(t, service.AddrOf(dialed.LocalAddr()), from)
		assert.Equal(t, service.AddrOf(listener.Addr()), to)
	}
	assert.Equal(t, map[bool]uint32{true: 1 + 100_000, false: 1 + 100_000 + 1}, next)
	assert.Equal(t, []byte{
		service.FlagSYN, service.FlagSYN | service.FlagACK, service.FlagACK,
		service.FlagFIN | service.FlagACK, service.FlagRST | service.FlagACK,
	}, flags, "the peer ends, this side resets, and its end is not told twice")
}
