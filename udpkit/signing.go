package udpkit

import (
	"fmt"

	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// The purposes of what is signed: messages, what clients send to a server, and its replies to
// commands.
const (
	statusPurpose = "status"
	answerPurpose = "answer"
	replyPurpose  = "reply"
)

var errSealKey = fmt.Errorf("%w: Seal needs a Key", ErrConfig)

// errSealed is the reason for what comes sealed where there is no key.
const errSealed = malformed("it is sealed with a key: give --key-file")

// signing signs or seals what is sent, if there is a key.
type signing struct {
	sender   *key.Sender
	overhead int // by which it gets longer
	buf      []byte
}

func newSigning(s *key.Sender) signing { return signing{sender: s, overhead: s.Overhead()} }

// sign returns the datagram for b, valid until the next one.
func (s *signing) sign(b []byte) []byte {
	if s.sender == nil {
		return b
	}
	s.buf = s.sender.Append(s.buf[:0], b)
	return s.buf
}

// protection returns what a configuration asks for.
func protection(ring *key.Ring, seal bool) Protection {
	switch {
	case seal:
		return Sealed
	case ring != nil:
		return Signed
	}
	return Unprotected
}

// open returns what a client has sent. What no holder of the key has sent, it refuses.
func (s *Server) open(d Datagram) ([]byte, error) {
	if s.opener == nil {
		return d.Payload, nil
	}
	s.mu.Lock()
	content, err := s.opener.Open(d.Payload, d.Received)
	if err == nil {
		s.mu.Unlock()
		return content, nil
	}
	told := s.refused.Note(d.Source, err, d.Received)
	s.mu.Unlock()
	s.tellRefused(told)
	return nil, err
}
