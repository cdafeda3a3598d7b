package relay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
	"unicode/utf8"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/names"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

const (
	// DefaultPort is the UDP port of a server.
	DefaultPort = 12345
	// MaxDatagram is the longest datagram of the protocol in bytes: it fits through every link of
	// the Internet that carries IPv6 (RFC 8200, section 5).
	MaxDatagram = relaywire.MaxDatagram // 1200
	// MaxText is the longest text of a message in bytes. With its name, its time and the header it
	// fits into one datagram.
	MaxText = relaywire.MaxText // 1000
	// MaxNameLen is the longest username in bytes.
	MaxNameLen = names.MaxLen
)

var (
	// ErrConfig marks a configuration, username or text that cannot be used.
	ErrConfig = service.ErrConfig
	// ErrTextTooLong marks a text of more than MaxText bytes. It is an ErrConfig.
	ErrTextTooLong = fmt.Errorf("%w: text too long", ErrConfig)
	// ErrNameTaken means that another live client has the username in that role.
	ErrNameTaken = errors.New("the username is taken")
)

// Role is what a client does.
type Role uint8

// The roles. A username belongs to one live client in each.
const (
	RoleReader = Role(relaywire.RoleReader)
	RoleWriter = Role(relaywire.RoleWriter)
)

// String returns "reader" or "writer".
func (r Role) String() string {
	switch r {
	case RoleReader:
		return "reader"
	case RoleWriter:
		return "writer"
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// MarshalText makes it the role's name in JSON.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// ID is the number that a client's run has chosen for itself at random. It names the run to the
// server, which answers to nothing else, and so is the client's secret where no key is shared: who
// knows it and can send in the client's name can act for it.
type ID uint64

// NewID returns a random ID. It is never 0.
func NewID() ID {
	for {
		if id := ID(rand.Uint64()); id != 0 {
			return id
		}
	}
}

// String returns it as 16 hexadecimal digits.
func (id ID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// Message is a message of the log.
type Message struct {
	// Seq is its sequence number in the log: 1, 2, 3 ...
	Seq      uint64 `json:"seq"`
	Username string `json:"username"`
	Text     string `json:"text"`
	// At is when the server got it, by that server's wall clock: for display, never for order.
	At time.Time `json:"at"`
}

// CheckUsername returns nil if the username can be had: a letter, then letters, digits, - and _,
// all ASCII and at most MaxNameLen bytes. An error wraps ErrConfig.
func CheckUsername(name string) error {
	if err := names.Check(name); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return nil
}

// CheckText returns nil if the text can be sent: UTF-8 of at most MaxText bytes; an empty one is a
// message too. An error wraps ErrConfig, ErrTextTooLong if that is the reason.
func CheckText(text string) error {
	if len(text) > MaxText {
		return fmt.Errorf("%w: %d bytes, a message has at most %d", ErrTextTooLong, len(text), MaxText)
	}
	if !utf8.ValidString(text) {
		return fmt.Errorf("%w: the text is not UTF-8", ErrConfig)
	}
	return nil
}
