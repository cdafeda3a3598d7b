package key

import "encoding/base64"

// Inspect says without any key how a datagram is protected, and returns its content, which is
// nothing to rely on: nobody has verified it. That of a sealed one is nil. The result is a part of
// b.
//
// A datagram of the form Binary cannot be told from one that is not signed: it is for the caller to
// try.
func Inspect(b []byte) (content []byte, p Protection) {
	if sealed(b) {
		return nil, Sealed
	}
	for _, form := range []Form{JSON, Text} {
		cut, at, end, ok := form.find(b)
		if !ok {
			continue
		}
		// It skips line breaks, so that there may be less than a token.
		if token, err := base64.RawURLEncoding.DecodeString(string(b[at:end])); err != nil || len(token) != tokenSize {
			continue
		}
		if form == JSON {
			cut = len(b) // whoever reads an object skips a field that it does not know
		}
		return b[:cut], Signed
	}
	return b, Unprotected
}
