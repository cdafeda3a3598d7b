package chat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// handshaking is how long the handshake of a new connection may take.
const handshaking = 5 * time.Second

// Secure protects a new connection: it returns the one to use instead, once the other side has
// proved that it may, and until ctx ends, which closes conn. That one has a CloseWrite, and can be
// read on after a deadline, as a *tls.Conn. An error wraps key.ErrUnsigned if the other side has no
// key, and key.ErrForged if it has another one. Package keytls has one for servers and one for
// clients.
type Secure func(ctx context.Context, conn net.Conn) (net.Conn, error)

// halfCloser is what a *net.TCPConn and a *tls.Conn have in common.
type halfCloser interface{ CloseWrite() error }

func closeWrite(conn net.Conn) error {
	if c, ok := conn.(halfCloser); ok {
		return c.CloseWrite()
	}
	return nil
}

// secure makes a client of a connection that has shown in time that it may be one.
func (s *Server) secure(ctx context.Context, m *member) {
	limited, cancel := context.WithTimeout(ctx, handshaking)
	defer cancel()
	conn, err := s.cfg.Secure(limited, m.tcp)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && !s.ended {
		m.conn = conn
		s.join(ctx, m)
		return
	}
	if ctx.Err() == nil {
		s.refuse(m, whyRefused(err, limited.Err() != nil))
	}
	_ = m.tcp.Close()
	s.forget(m)
}

func whyRefused(err error, late bool) Reason {
	switch {
	case errors.Is(err, key.ErrUnsigned):
		return ReasonNoKey
	case errors.Is(err, key.ErrForged):
		return ReasonOtherKey
	case late:
		return ReasonNoProof
	}
	return ReasonLost
}

// secured returns a client's connection as it is to be used.
func (c ClientConfig) secured(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if c.Secure == nil {
		return conn, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.DialTimeout)
	defer cancel()
	secured, err := c.Secure(ctx, conn)
	if err == nil {
		return secured, nil
	}
	_ = conn.Close()
	advice := "it has ended the connection: it may have no room, or no key"
	switch {
	case errors.Is(err, key.ErrUnsigned):
		advice = "it speaks no TLS: was it started without --key-file?"
	case errors.Is(err, key.ErrForged):
		advice = "it has another key"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		advice = fmt.Sprintf("it has shown no key within %v: was it started without --key-file?", c.DialTimeout)
	}
	return nil, fmt.Errorf("cannot connect to the chat server at %v: %s (%w)", c.Server, advice, err)
}

// isCut reports whether it was the other side, or the network, that has ended a connection.
func isCut(err error) bool {
	var system *os.SyscallError
	return errors.Is(err, io.EOF) || errors.As(err, &system)
}

// tlsHandshake is the first byte of a client that speaks TLS; no text begins with it.
const tlsHandshake = 0x16

// errTLS is what a connection without protection ends with if the client begins to speak TLS.
var errTLS = errors.New("the client speaks TLS")

// unprotected is a connection that is used as it is.
type unprotected struct {
	wire
	begun bool
}

func (u *unprotected) Read(b []byte) (int, error) {
	n, err := u.wire.Read(b)
	if n > 0 && !u.begun {
		if u.begun = true; b[0] == tlsHandshake {
			return 0, errTLS
		}
	}
	return n, err
}
