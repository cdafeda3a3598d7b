package keytls_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
	"github.com/gonb-labs/udp-notebooks/udpkit/key/keytls"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shake is a side of a handshake.
type shake func(context.Context, net.Conn) (net.Conn, error)

// meet has two sides shake hands over TCP.
func meet(t *testing.T, server, client shake) (s, c net.Conn, serverErr, clientErr error) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := net.Dial("tcp4", listener.Addr().String())
		if !assert.NoError(t, err) {
			return
		}
		t.Cleanup(func() { conn.Close() })
		if c, clientErr = client(ctx, conn); clientErr != nil {
			conn.Close()
		}
	}()
	conn, err := listener.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	if s, serverErr = server(ctx, conn); serverErr != nil {
		conn.Close()
	}
	<-done
	return s, c, serverErr, clientErr
}

// TestKeys: who has the key that the server shows is let in, also while a key is being changed.
func TestKeys(t *testing.T) {
	for name, test := range map[string]struct {
		server, client []byte
		fails          bool
	}{
		"the same":                         {server: []byte{1}, client: []byte{1}},
		"the first one is here only":       {server: []byte{1}, client: []byte{2, 1}},
		"another":                          {server: []byte{1}, client: []byte{2}, fails: true},
		"the new one is known":             {server: []byte{1, 2}, client: []byte{1}},
		"the new one is sent with there":   {server: []byte{2, 1}, client: []byte{1, 2}},
		"the new one is sent with here":    {server: []byte{1, 2}, client: []byte{2, 1}},
		"the old one is gone here":         {server: []byte{2, 1}, client: []byte{2}},
		"the old one is gone there":        {server: []byte{2}, client: []byte{2, 1}},
		"only what the server never shows": {server: []byte{2, 1}, client: []byte{1}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, c, serverErr, clientErr := meet(t, keytls.Server(testenv.Ring(t, test.server...)), keytls.Client(testenv.Ring(t, test.client...)))
			if test.fails {
				assert.ErrorIs(t, serverErr, key.ErrForged)
				assert.ErrorIs(t, clientErr, key.ErrForged)
				return
			}
			require.NoError(t, serverErr)
			require.NoError(t, clientErr)
			_, err := io.WriteString(c, "hello")
			require.NoError(t, err)
			buf := make([]byte, 5)
			_, err = io.ReadFull(s, buf)
			require.NoError(t, err)
			assert.Equal(t, "hello", string(buf))
			assert.EqualValues(t, tls.VersionTLS13, s.(*tls.Conn).ConnectionState().Version)
		})
	}
}

// TestStrangers: neither a client without a certificate nor one with somebody's is let in, nor is a
// server believed that has another key, or speaks no TLS.
func TestStrangers(t *testing.T) {
	ours := testenv.Ring(t, 1)
	with := func(cfg *tls.Config) shake {
		return func(ctx context.Context, conn net.Conn) (net.Conn, error) {
			c := tls.Client(conn, cfg)
			if err := c.HandshakeContext(ctx); err != nil {
				return nil, err
			}
			_, err := c.Read(make([]byte, 1)) // a client of TLS 1.3 is told after the handshake
			return nil, err
		}
	}
	says := func(text string) shake {
		return func(_ context.Context, conn net.Conn) (net.Conn, error) {
			_, _ = io.WriteString(conn, text)
			return nil, conn.Close()
		}
	}
	for name, client := range map[string]shake{
		"without a certificate": with(&tls.Config{InsecureSkipVerify: true}),
		"an old version":        with(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}),
		"no TLS":                says("hello\n"),
	} {
		_, _, err, _ := meet(t, keytls.Server(ours), client)
		assert.ErrorIs(t, err, key.ErrUnsigned, name)
		assert.NotErrorIs(t, err, key.ErrForged, name)
	}
	_, _, err, _ := meet(t, keytls.Server(ours), says(""))
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.NotErrorIs(t, err, key.ErrUnsigned)
	_, _, _, err = meet(t, says("* you are here\n"), keytls.Client(ours))
	assert.ErrorIs(t, err, key.ErrUnsigned)

	ctx, cancel := context.WithCancel(t.Context())
	silent := func(_ context.Context, conn net.Conn) (net.Conn, error) {
		cancel()
		_, err := conn.Read(make([]byte, 1))
		return nil, err
	}
	server := func(_ context.Context, conn net.Conn) (net.Conn, error) { return keytls.Server(ours)(ctx, conn) }
	_, _, err, _ = meet(t, server, silent)
	assert.ErrorIs(t, err, context.Canceled)
}
