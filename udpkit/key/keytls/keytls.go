// Package keytls protects the connections of a chat with a shared key: TLS 1.3 (RFC 8446) between
// holders of the key, and nobody else can join or read.
//
// Go's library has no TLS with a pre-shared key. Instead each secret of the key.Ring gives an
// Ed25519 key pair (RFC 8032), by HKDF for the purpose "chat". Both sides make themselves a
// certificate of it, and each demands of the other that it proves to have one of these pairs.
// Nothing else of a certificate counts: neither names nor times, and no authority. As TLS agrees on
// new secrets for each connection, who gets hold of the key later cannot read what was recorded.
//
// It is a package of its own since TLS makes a program larger by more than 3 MB.
package keytls

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"

	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// Server returns what a server does with a new connection: the handshake, until ctx ends, which
// closes conn. The result is a *tls.Conn. The keys are those that the ring has at that moment. An
// error wraps key.ErrUnsigned if the other side speaks no TLS or has shown no certificate,
// key.ErrForged if it has another key, or is that of ctx or of the connection.
func Server(ring *key.Ring) func(ctx context.Context, conn net.Conn) (net.Conn, error) {
	return func(ctx context.Context, conn net.Conn) (net.Conn, error) {
		cfg := config(ring)
		cfg.ClientAuth = tls.RequireAnyClientCert
		return handshake(ctx, tls.Server(uncut{conn}, cfg))
	}
}

// Client is Server for a client. It shows the key that the server has shown.
func Client(ring *key.Ring) func(ctx context.Context, conn net.Conn) (net.Conn, error) {
	return func(ctx context.Context, conn net.Conn) (net.Conn, error) {
		return handshake(ctx, tls.Client(uncut{conn}, config(ring)))
	}
}

// config is that of one connection.
func config(ring *key.Ring) *tls.Config {
	var pairs []ed25519.PrivateKey
	for _, seed := range ring.Derive("chat") {
		pairs = append(pairs, ed25519.NewKeyFromSeed(seed))
	}
	mine := pairs[0]
	show := func() (*tls.Certificate, error) {
		template := &x509.Certificate{SerialNumber: big.NewInt(1)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, mine.Public(), mine)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: mine}, err
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true, // each connection proves the key
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return show() },
		GetClientCertificate:   func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return show() },
		InsecureSkipVerify:     true, // VerifyConnection does it
		VerifyConnection: func(state tls.ConnectionState) error {
			theirs, _ := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
			i := slices.IndexFunc(pairs, func(p ed25519.PrivateKey) bool { return theirs.Equal(p.Public()) })
			if i < 0 {
				return key.ErrForged
			}
			mine = pairs[i] // a client shows its own after this
			return nil
		},
	}
}

func handshake(ctx context.Context, conn *tls.Conn) (net.Conn, error) {
	err := conn.HandshakeContext(ctx)
	if err == nil {
		return conn, nil
	}
	var (
		network net.Error
		remote  *net.OpError
	)
	switch {
	case ctx.Err() != nil, errors.Is(err, key.ErrForged):
	case errors.As(err, &remote) && remote.Op == "remote error": // it has refused what it was shown
		err = refusal{err, key.ErrForged}
	case errors.As(err, &network), errors.Is(err, errCut):
	default:
		err = refusal{err, key.ErrUnsigned}
	}
	return nil, err
}

var errCut = fmt.Errorf("it ended without a goodbye: %w", io.ErrUnexpectedEOF)

// uncut is a connection whose end is an error: in TLS the end is said, so that nobody on the way
// can cut off what was sent last. Package tls is not as strict between two records.
type uncut struct{ net.Conn }

func (u uncut) Read(b []byte) (int, error) {
	n, err := u.Conn.Read(b)
	if errors.Is(err, io.EOF) {
		err = errCut
	}
	return n, err
}

// refusal is an error of the handshake that wraps a reason.
type refusal struct {
	error
	reason error
}

func (r refusal) Unwrap() []error { return []error{r.error, r.reason} }
