package beacon

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/names"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

// Limits of the wire format, in bytes.
const (
	// MaxNameLen is the longest name.
	MaxNameLen = 64
	// MaxSize is the longest datagram in bytes, with a newline at its end.
	MaxSize = len(helloPrefix) + MaxNameLen + len("|") + idLen + len("\r\n")
)

// Errors that callers can branch on with errors.Is.
var (
	// ErrConfig marks a configuration or a name that cannot be used.
	ErrConfig = service.ErrConfig
	// ErrMalformed marks a datagram that is not what the wire format allows.
	ErrMalformed = service.ErrMalformed
	// ErrNoTarget means that there is no address to send to at the moment, for example because no
	// network interface is up.
	ErrNoTarget = errors.New("no target address")
)

const (
	helloPrefix = "HELLO|"
	byePrefix   = "BYE|"
	idLen       = 16
)

// ID names one run of a beacon: a random number. Zero means none.
type ID uint64

// newID draws a random id, never zero.
func newID() ID {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails, see crypto/rand
		if id := ID(binary.BigEndian.Uint64(b[:])); id != 0 {
			return id
		}
	}
}

// String returns the id as it is sent, 16 hexadecimal digits; "" for none.
func (id ID) String() string {
	if id == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", uint64(id))
}

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. An error wraps ErrMalformed.
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id = 0
	if len(text) > 0 {
		*id, err = parseID(text)
	}
	return err
}

// malformed is an ErrMalformed that says why.
type malformed = service.Malformed

const (
	errTooLong = malformed("longer than a HELLO can be")
	errID      = malformed("the id is not 16 hexadecimal digits in lower case")
)

func parseID(b []byte) (id ID, err error) {
	if len(b) != idLen {
		return 0, errID
	}
	for _, c := range b {
		digit := strings.IndexByte("0123456789abcdef", c)
		if digit < 0 {
			return 0, errID
		}
		id = id<<4 | ID(digit)
	}
	if id == 0 {
		return 0, malformed("the id is zero")
	}
	return id, nil
}

// Hello is one datagram.
type Hello struct {
	// Name is the sender's, 1 to MaxNameLen bytes of printable text without "|". It may be empty
	// where there is no ID.
	Name string
	// ID names the sender's run, 0 if it has not sent one.
	ID ID
	// Bye says that the run has ended. It needs an ID.
	Bye bool
}

func checkName(name string) error {
	if err := names.CheckText("name", name, MaxNameLen); err != nil {
		return err
	}
	if strings.Contains(name, "|") {
		return fmt.Errorf("the name %q has the character %U, which is not allowed", name, '|')
	}
	return nil
}

// AppendHello appends the wire form of h to dst. An error wraps ErrConfig.
func AppendHello(dst []byte, h Hello) ([]byte, error) {
	err := checkName(h.Name)
	switch {
	case h.ID == 0 && h.Bye:
		err = errors.New("a goodbye needs an id")
	case h.ID == 0 && h.Name == "":
		err = nil // the bare HELLO
	}
	if err != nil {
		return dst, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if h.Bye {
		dst = append(dst, byePrefix...)
	} else {
		dst = append(dst, helloPrefix...)
	}
	dst = append(dst, h.Name...)
	if h.ID != 0 {
		dst = append(dst, '|')
		dst = append(dst, h.ID.String()...)
	}
	return dst, nil
}

// Decode reads a datagram, strictly: nothing but the four forms of the wire format, with or without
// a newline at the end. An error wraps ErrMalformed. The result holds no part of b.
func Decode(b []byte) (h Hello, err error) {
	if len(b) > MaxSize {
		return h, errTooLong
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r")) // as a program that prints lines adds
	rest, ok := bytes.CutPrefix(b, []byte(helloPrefix))
	bye := false
	if !ok {
		if rest, bye = bytes.CutPrefix(b, []byte(byePrefix)); !bye {
			return h, malformed("it begins neither with HELLO| nor with BYE|")
		}
	}
	name, digits, hasID := bytes.Cut(rest, []byte("|"))
	id := ID(0)
	if hasID {
		if id, err = parseID(digits); err != nil {
			return h, err
		}
	}
	switch bare := len(name) == 0 && !hasID; {
	case bye && !hasID:
		return h, malformed("a goodbye needs an id")
	case !bare && (len(name) == 0 || len(name) > MaxNameLen || !names.Printable(name)):
		return h, malformed("the name is not 1 to 64 bytes of printable text")
	}
	return Hello{Name: string(name), ID: id, Bye: bye}, nil
}
