package echo

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// badReader is a socket that is read in vain: it holds what one read after the other returns.
type badReader []error

func (*badReader) Next() *udp.Datagram     { return nil }
func (*badReader) Back() udp.Path          { return udp.Path{} }
func (*badReader) Dropped() (uint32, bool) { return 0, false }

func (r *badReader) Read(bool) (err error) {
	err, *r = (*r)[0], (*r)[1:]
	return err
}

// TestReadFails: reads that fail for a while are told when that begins and when it ends.
func TestReadFails(t *testing.T) {
	refused := syscall.ECONNREFUSED // it passes by itself
	if runtime.GOOS == "windows" {
		refused = 10054 // WSAECONNRESET
	}
	var told []string
	s, err := NewServer(ServerConfig{
		Listen:  netip.MustParseAddrPort("127.0.0.1:0"),
		OnEvent: func(e Event) { told = append(told, fmt.Sprintf("%s: %v", e.Kind, e.Err)) },
	})
	require.NoError(t, err)
	defer s.Close()
	s.reader = &badReader{nil, refused, refused, nil, nil, refused, net.ErrClosed}
	assert.ErrorIs(t, s.Run(t.Context()), net.ErrClosed)
	failure := fmt.Sprintf(": cannot receive: %v", refused)
	assert.Equal(t, []string{"failed" + failure, "recovered" + failure, "failed" + failure}, told)
	assert.EqualValues(t, 3, s.Stats().ReadErrors)
}
