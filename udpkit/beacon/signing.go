package beacon

import (
	"bytes"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

const (
	// helloPurpose is what HELLO and BYE are signed for.
	helloPurpose = "hello"
	// macMark comes before the token of what is signed, which has tokenLen characters.
	macMark  = " mac "
	tokenLen = 48
	// maxProtected is the longest datagram that is signed. What is sealed is shorter.
	maxProtected = MaxSize + len(macMark) + tokenLen

	errSealed = malformed("it is sealed with a key: give --key-file")
	errSigned = malformed("it is signed with a key: give --key-file")
)

// signing signs or seals what is sent, if there is a key.
type signing struct {
	sender *key.Sender // nil without one
	buf    []byte
}

// sign returns a datagram with the content, valid until the next one. Each is another: a receiver
// takes none twice.
func (s *signing) sign(content []byte) []byte {
	if s.sender == nil {
		return content
	}
	s.buf = s.sender.Append(s.buf[:0], content)
	return s.buf
}

// protect returns what signs and what checks, for a configuration with a key.
func protect(cfg Config) (signing, *key.Opener) {
	return signing{sender: cfg.Key.Sender(helloPurpose, key.Text, cfg.Seal)},
		// Also those that have left are remembered, so that no recording brings them back.
		cfg.Key.Opener(key.OpenerConfig{Purpose: helloPurpose, Form: key.Text, Sessions: max(1024, 2*cfg.MaxPeers)})
}

func protection(cfg Config) string {
	switch {
	case cfg.Seal:
		return "sealed"
	case cfg.Key != nil:
		return "signed"
	}
	return ""
}

// open returns what a datagram says if a holder of the key has sent it, with mu held.
func (b *Beacon) open(datagram []byte, now time.Time) ([]byte, error) {
	if b.opener == nil {
		return datagram, nil
	}
	return b.opener.Open(datagram, now)
}

// decode is Decode. Without a key it names the need of one.
func (b *Beacon) decode(content []byte) (Hello, error) {
	h, err := Decode(content)
	if err == nil || b.opener != nil {
		return h, err
	}
	begins := bytes.HasPrefix(content, []byte(helloPrefix)) || bytes.HasPrefix(content, []byte(byePrefix))
	switch {
	case key.Sealed(content):
		err = errSealed
	case begins && bytes.LastIndex(content, []byte(macMark)) == len(content)-len(macMark)-tokenLen:
		err = errSigned
	}
	return h, err
}
