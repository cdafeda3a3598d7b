package key

import (
	"fmt"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

// Protection is what a shared key does for what is sent.
type Protection string

// The values of Protection.
const (
	Unprotected Protection = "" // there is no key
	Signed      Protection = "signed"
	Sealed      Protection = "sealed"
)

// Protection returns what a configuration with this Ring, which may be nil, does. An error wraps
// ErrConfig: there is nothing to seal with.
func (r *Ring) Protection(seal bool) (Protection, error) {
	switch {
	case r == nil && seal:
		return Unprotected, fmt.Errorf("%w: Seal needs a Key", ErrConfig)
	case r == nil:
		return Unprotected, nil
	case seal:
		return Sealed, nil
	}
	return Signed, nil
}

// What a receiver without a key says of a datagram that needs one. Both wrap the systems'
// ErrMalformed.
var (
	ErrSealed error = service.Malformed("it is sealed with a key: give --key-file")
	ErrSigned error = service.Malformed("it is signed with a key: give --key-file")
)

// Needed returns ErrSealed or ErrSigned if a datagram that a receiver without a key cannot take
// looks like one, else nil. What is signed in the form Binary cannot be told.
func Needed(b []byte, form Form) error {
	if sealed(b) {
		return ErrSealed
	}
	if _, _, _, ok := form.find(b); ok && form != Binary {
		return ErrSigned
	}
	return nil
}
