package udpkit

import (
	"bytes"
	"encoding/json"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonDecoder reads the one flat object that a message is (RFC 8259). It exists
// since encoding/json takes keys in any case and twice, numbers of any length,
// and broken UTF-8, all in silence.
type jsonDecoder struct {
	rest []byte // valid UTF-8, what has not been read
	keys [maxJSONKeys][]byte
	n    int // keys read
}

func (d *jsonDecoder) message() (m Message, err error) {
	var haveTimestamp, haveState, haveID bool
	if !d.take('{') {
		return m, malformed("not a JSON object")
	}
	for first := true; !d.take('}'); first = false {
		if !first && !d.take(',') {
			return m, malformed("no comma between two fields")
		}
		key, err := d.key()
		if err != nil {
			return m, err
		}
		switch string(key) {
		case "timestamp":
			m.Timestamp, err = d.text(key, maxTimestampLen)
			haveTimestamp = true
		case "state":
			var s string
			s, err = d.text(key, MaxStateLen)
			m.State, haveState = State(s), true
		case "message_id":
			m.ID, err = d.integer(key)
			haveID = true
		case "epoch":
			var s string
			if s, err = d.text(key, 16); err == nil {
				err = m.Epoch.UnmarshalText([]byte(s))
			}
		case "interval_ms":
			var ms uint64
			ms, err = d.integer(key)
			if limit := uint64(24 * time.Hour / time.Millisecond * 365); err == nil && ms > limit {
				err = malformed("interval_ms is longer than a year")
			}
			m.Interval = time.Duration(ms) * time.Millisecond
		default:
			err = d.skip(1)
		}
		if err != nil {
			return m, err
		}
	}
	if d.space(); len(d.rest) > 0 {
		return m, malformed("text behind the JSON object")
	}
	if !haveTimestamp || !haveState || !haveID {
		return m, malformed("timestamp, state or message_id is absent")
	}
	return m, nil
}

func (d *jsonDecoder) space() {
	for len(d.rest) > 0 && (d.rest[0] == ' ' || d.rest[0] == '\n' || d.rest[0] == '\t' || d.rest[0] == '\r') {
		d.rest = d.rest[1:]
	}
}

// take skips white space and consumes c if it is next.
func (d *jsonDecoder) take(c byte) bool {
	if d.space(); len(d.rest) > 0 && d.rest[0] == c {
		d.rest = d.rest[1:]
		return true
	}
	return false
}

// key reads a key and its colon, and refuses one that was there before.
func (d *jsonDecoder) key() ([]byte, error) {
	key, err := d.string()
	if err != nil {
		return nil, err
	}
	if !d.take(':') {
		return nil, malformed("no colon behind the key %.20q", key)
	}
	if d.n == maxJSONKeys {
		return nil, malformed("more than %d keys", maxJSONKeys)
	}
	for _, k := range d.keys[:d.n] {
		if bytes.Equal(k, key) {
			return nil, malformed("the key %.20q stands twice", key)
		}
	}
	d.keys[d.n] = key
	d.n++
	return key, nil
}

// text reads a string value of 1 to limit bytes.
func (d *jsonDecoder) text(key []byte, limit int) (string, error) {
	s, err := d.string()
	if err != nil {
		return "", err
	}
	if len(s) == 0 || len(s) > limit {
		return "", malformed("%s has %d bytes, it takes 1 to %d", key, len(s), limit)
	}
	return string(s), nil
}

// string reads a string. Without escapes it is a part of the input, else a copy.
func (d *jsonDecoder) string() ([]byte, error) {
	if !d.take('"') {
		return nil, malformed("no string where one must be")
	}
	for i, c := range d.rest {
		switch {
		case c == '"':
			s := d.rest[:i]
			d.rest = d.rest[i+1:]
			return s, nil
		case c == '\\':
			return d.escaped(i)
		case c < ' ':
			return nil, malformed("control character in a string")
		}
	}
	return nil, malformed("a string does not end")
}

// escaped reads a string whose first backslash is at i.
func (d *jsonDecoder) escaped(i int) ([]byte, error) {
	s := append([]byte(nil), d.rest[:i]...)
	for b := d.rest[i:]; len(b) > 0; {
		switch c := b[0]; {
		case c == '"':
			d.rest = b[1:]
			return s, nil
		case c < ' ':
			return nil, malformed("control character in a string")
		case c != '\\':
			s, b = append(s, c), b[1:]
		case len(b) < 2:
			return nil, malformed("a string does not end")
		case b[1] == 'u':
			r, n := unicodeEscape(b)
			if n == 0 {
				return nil, malformed("bad \\u escape in a string")
			}
			s, b = utf8.AppendRune(s, r), b[n:]
		default:
			const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
			at := bytes.IndexByte([]byte(from), b[1])
			if at < 0 {
				return nil, malformed("bad escape in a string")
			}
			s, b = append(s, to[at]), b[2:]
		}
	}
	return nil, malformed("a string does not end")
}

// unicodeEscape reads \uXXXX, or a surrogate pair of two, and returns the bytes
// that it took: 0 if there is no valid one.
func unicodeEscape(b []byte) (rune, int) {
	r, ok := hex4(b)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	low, ok := hex4(b[6:])
	if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// integer reads a value from 0 to MaxMessageID.
func (d *jsonDecoder) integer(key []byte) (uint64, error) {
	n, ok := parseID(d.scalar())
	if !ok {
		return 0, malformed("%s is not an integer from 0 to 2^53-1", key)
	}
	return n, nil
}

// scalar takes what could be a number, true, false or null.
func (d *jsonDecoder) scalar() []byte {
	d.space()
	end := bytes.IndexAny(d.rest, ",]} \n\t\r")
	if end < 0 {
		end = len(d.rest)
	}
	s := d.rest[:end]
	d.rest = d.rest[end:]
	return s
}

// skip reads the value of an unknown key; depth counts what it is inside of.
func (d *jsonDecoder) skip(depth int) error {
	if depth > maxJSONDepth {
		return malformed("nested deeper than %d", maxJSONDepth)
	}
	if d.space(); len(d.rest) == 0 {
		return malformed("a value is absent")
	}
	switch open := d.rest[0]; open {
	case '"':
		_, err := d.string()
		return err
	case '{', '[':
		d.rest = d.rest[1:]
		for first := true; !d.take(open + 2); first = false { // '{'+2 is '}', '['+2 is ']'
			if !first && !d.take(',') {
				return malformed("no comma between two values")
			}
			if open == '{' {
				if _, err := d.string(); err != nil {
					return err
				}
				if !d.take(':') {
					return malformed("no colon behind a key")
				}
			}
			if err := d.skip(depth + 1); err != nil {
				return err
			}
		}
		return nil
	default:
		if s := d.scalar(); !json.Valid(s) {
			return malformed("bad value %.20q", s)
		}
		return nil
	}
}
