package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// recordVersion is the first byte of every stored record. A server that meets another one stops
// with an error: it must not lose what a newer one has written.
const recordVersion = 1

// recordOverhead is the longest that comes before the text: version, number and time (8 each, so
// that a record has one encoding), the name's length and the name.
const recordOverhead = 1 + 8 + 8 + 1 + relay.MaxNameLen

var errRecord = errors.New("not a record of a relay")

// appendRecord encodes what the subject does not say. Whoever appends has checked the name and the
// text.
func appendRecord(b []byte, r relay.Record) []byte {
	b = append(b, recordVersion)
	b = binary.BigEndian.AppendUint64(b, r.Number)
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixNano()))
	b = append(b, byte(len(r.Username)))
	b = append(b, r.Username...)
	return append(b, r.Text...)
}

// decodeRecord is the inverse of appendRecord. It takes nothing else.
func decodeRecord(b []byte) (r relay.Record, err error) {
	const fixed = 1 + 8 + 8 + 1
	if len(b) > 0 && b[0] != recordVersion {
		return r, fmt.Errorf("%w: version %d, this program knows version %d", errRecord, b[0], recordVersion)
	}
	if len(b) < fixed {
		return r, fmt.Errorf("%w: %d bytes", errRecord, len(b))
	}
	name := int(b[fixed-1])
	if len(b) < fixed+name {
		return r, fmt.Errorf("%w: cut within the name", errRecord)
	}
	r = relay.Record{
		Number:   binary.BigEndian.Uint64(b[1:]),
		At:       time.Unix(0, int64(binary.BigEndian.Uint64(b[9:]))),
		Username: string(b[fixed : fixed+name]),
		Text:     string(b[fixed+name:]),
	}
	switch {
	case r.Number == 0:
		err = errors.New("number 0")
	case relay.CheckUsername(r.Username) != nil:
		err = relay.CheckUsername(r.Username)
	default:
		err = relay.CheckText(r.Text)
	}
	if err != nil {
		return relay.Record{}, fmt.Errorf("%w: %v", errRecord, err)
	}
	return r, nil
}
