package udpkit

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// rawMessage is a message whose texts still lie in the datagram or in the decoder: they are valid
// until the next one is decoded.
type rawMessage struct {
	timestamp, state []byte
	data             []byte // as it stands in the datagram; nil without any
	id               uint64
	epoch            Epoch
	interval         time.Duration
	end, repair      bool
	clock            bool
	content          []byte // the datagram as far as its "mac" if that comes last: without it the same each time
}

// decoder reads the one flat object that a message is (RFC 8259). It exists since encoding/json
// takes keys in any case and twice, numbers of any length, and broken UTF-8, all in silence. Used
// again and again it allocates nothing.
type decoder struct {
	text    []byte   // valid UTF-8
	at      int      // what is before has been read
	unknown [][]byte // keys read that are not ours
	scratch []byte   // strings that had escapes
	message rawMessage
}

// errTooLong is the reason for a longer datagram than a message can be.
const errTooLong = malformed("longer than 1,024 bytes")

// A bit for each known key, to notice one that is there twice.
const (
	keyTimestamp = 1 << iota
	keyState
	keyID
	keyEpoch
	keyInterval
	keyRepair
	keyClock
	keyData
	keyEnd
	keyMAC

	keysRequired = keyTimestamp | keyState | keyID
)

// knownKeys are the keys in the order of their bits, which is the one that servers send them in, as
// they stand in a message.
var knownKeys = [...]string{`"timestamp":`, `"state":`, `"message_id":`, `"epoch":`, `"interval_ms":`, `"repair":`, `"clock":`, `"data":`, `"end":`, `"mac":`}

// key reads the n-th key and the colon behind it. The bit is 0 for one that is not ours.
func (d *decoder) key(n int) (key []byte, bit uint, err error) {
	d.space()
	rest := d.text[d.at:]
	if n < len(knownKeys) { // the expected one is found in a fifth of the time
		if k := knownKeys[n]; len(k) <= len(rest) && string(rest[:len(k)]) == k {
			d.at += len(k)
			return rest[1 : len(k)-2], 1 << n, nil
		}
	}
	if key, err = d.string(); err != nil {
		return nil, 0, err
	}
	if !d.take(':') {
		return nil, 0, malformed("no colon after a key")
	}
	for i, k := range knownKeys {
		if string(key) == k[1:len(k)-2] {
			bit = 1 << i
		}
	}
	return key, bit, nil
}

// decode reads b, with the rules of DecodeMessage.
func (d *decoder) decode(b []byte) (m *rawMessage, err error) {
	if len(b) > MaxMessageSize {
		return nil, errTooLong
	}
	if !utf8.Valid(b) {
		return nil, malformed("not valid UTF-8")
	}
	d.text, d.at, d.unknown, d.scratch = b, 0, d.unknown[:0], d.scratch[:0]
	m = &d.message
	*m = rawMessage{}
	if !d.take('{') {
		return nil, malformed("not a JSON object")
	}
	var seen uint
	macAt := -1
	for n, more := 0, !d.take('}'); more; n++ {
		if n == maxJSONKeys {
			return nil, malformed("more than 32 keys")
		}
		start := d.at
		key, bit, err := d.key(n)
		if err != nil {
			return nil, err
		}
		if seen&bit != 0 || bit == 0 && !d.isNew(key) {
			return nil, malformed("a key is there twice")
		}
		if seen |= bit; bit == keyMAC {
			macAt = start
		} else {
			macAt = -1
		}
		switch bit {
		case keyTimestamp:
			m.timestamp, err = d.value(maxTimestampLen, malformed("timestamp is not a text of 1 to 64 bytes"))
		case keyState:
			m.state, err = d.value(MaxStateLen, malformed("state is not a text of 1 to 64 bytes"))
		case keyID:
			m.id, err = d.integer()
		case keyEpoch:
			m.epoch, err = d.epoch()
		case keyInterval:
			m.interval, err = d.interval()
		default:
			d.space()
			start := d.at
			err = d.skip(1)
			switch value := d.text[start:d.at]; bit {
			case keyData:
				m.data = value
			case keyEnd: // if it is not true, it is a field of somebody else
				m.end = string(value) == "true"
			case keyRepair:
				m.repair = string(value) == "true"
			case keyClock:
				m.clock = string(value) == "true"
			}
		}
		if err != nil {
			return nil, err
		}
		if more = d.take(','); !more && !d.take('}') {
			return nil, malformed("no comma between two fields")
		}
	}
	if d.space(); d.at < len(d.text) {
		return nil, malformed("something follows the JSON object")
	}
	if m.content = b; macAt >= 0 {
		m.content = b[:macAt]
	}
	if seen&keysRequired != keysRequired {
		return nil, malformed("no timestamp, state or message_id")
	}
	return m, nil
}

// isNew reports whether a key that is not ours is there for the first time.
func (d *decoder) isNew(key []byte) bool {
	for _, k := range d.unknown {
		if bytes.Equal(k, key) {
			return false
		}
	}
	d.unknown = append(d.unknown, key)
	return true
}

func (d *decoder) space() {
	for d.at < len(d.text) && isSpace(d.text[d.at]) {
		d.at++
	}
}

// isSpace looks c up in a set of bits; most often the first look is enough.
func isSpace(c byte) bool {
	return c <= ' ' && 1<<c&(1<<' '|1<<'\n'|1<<'\t'|1<<'\r') > uint64(0)
}

// take skips white space and consumes c if it is next.
func (d *decoder) take(c byte) bool {
	d.space()
	if d.at == len(d.text) || d.text[d.at] != c {
		return false
	}
	d.at++
	return true
}

// value reads a string value of 1 to limit bytes; another is refused for the reason.
func (d *decoder) value(limit int, reason error) ([]byte, error) {
	if d.space(); d.at < len(d.text) && d.text[d.at] != '"' {
		return nil, reason
	}
	s, err := d.string()
	if err == nil && (len(s) == 0 || len(s) > limit) {
		err = reason
	}
	return s, err
}

// epoch reads the value of epoch. One that is no epoch is a field of somebody else, as unknown ones
// are: then there is none.
func (d *decoder) epoch() (Epoch, error) {
	start := d.at
	if s, err := d.string(); err == nil {
		epoch, _ := parseEpoch(s)
		return epoch, nil
	}
	d.at = start
	return 0, d.skip(1)
}

// longestInterval is the longest that a message can announce.
const longestInterval = 365 * 24 * time.Hour

// interval reads the value of interval_ms, as epoch does that of epoch.
func (d *decoder) interval() (time.Duration, error) {
	start := d.at
	if ms, ok := parseInteger(d.scalar()); ok {
		if ms > uint64(longestInterval/time.Millisecond) {
			ms = 0
		}
		return time.Duration(ms) * time.Millisecond, nil
	}
	d.at = start
	return 0, d.skip(1)
}

// string reads a string. Without escapes it is a part of the input.
func (d *decoder) string() ([]byte, error) {
	if !d.take('"') {
		return nil, malformed("no quote where a text begins")
	}
	rest := d.text[d.at:]
	i := plain(rest)
	if i == len(rest) {
		return nil, malformed("a text does not end")
	}
	switch rest[i] {
	case '"':
		d.at += i + 1
		return rest[:i], nil
	case '\\':
		return d.escaped(i)
	}
	return nil, malformed("a control character in a text")
}

// plain returns how many bytes stand before the first quote, backslash or control character. It
// looks at eight bytes at a time.
func plain(b []byte) int {
	const each = 0x0101010101010101 // times c: c in each byte
	i := 0
	for rest := b; len(rest) >= 8; rest = rest[8:] {
		v := binary.LittleEndian.Uint64(rest)
		// x-n has the top bit set where an x below 0x80 is below n. Control characters and the
		// quote are those with x^2 <= ' ', the backslash is the one with x^'\\' < 1. A borrow goes
		// to later bytes only, so the first hit is true.
		hit := (v ^ each*2 - each*(' '+1)) | (v ^ each*'\\' - each)
		if hit &= each * 0x80 &^ v; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
		i += 8
	}
	for ; i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\'; i++ {
	}
	return i
}

// escaped reads a string whose first backslash is at i, into the scratch.
func (d *decoder) escaped(i int) ([]byte, error) {
	start := len(d.scratch)
	d.scratch = append(d.scratch, d.text[d.at:d.at+i]...)
	for b := d.text[d.at+i:]; len(b) > 0; {
		switch c := b[0]; {
		case c == '"':
			d.at = len(d.text) - len(b) + 1
			return d.scratch[start:], nil
		case c < ' ':
			return nil, malformed("a control character in a text")
		case c != '\\':
			d.scratch, b = append(d.scratch, c), b[1:]
		case len(b) < 2:
			return nil, malformed("a text does not end")
		case b[1] == 'u':
			r, n := unicodeEscape(b)
			if n == 0 {
				return nil, malformed("a \\u escape that names no character")
			}
			d.scratch, b = utf8.AppendRune(d.scratch, r), b[n:]
		default:
			const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
			at := strings.IndexByte(from, b[1])
			if at < 0 {
				return nil, malformed("an unknown escape in a text")
			}
			d.scratch, b = append(d.scratch, to[at]), b[2:]
		}
	}
	return nil, malformed("a text does not end")
}

// unicodeEscape reads \uXXXX, or a surrogate pair of two, and returns the bytes that it took: 0 if
// there is no valid one.
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
func (d *decoder) integer() (uint64, error) {
	n, ok := parseInteger(d.scalar())
	if !ok {
		return 0, malformed("message_id is not an integer from 0 to 2^53-1")
	}
	return n, nil
}

// parseInteger is parseID for a number of JSON, where 1.0 is an integer too.
func parseInteger(b []byte) (uint64, bool) {
	n, ok := parseID(b)
	if ok {
		return n, true
	}
	if whole, fraction, ok := bytes.Cut(b, []byte(".")); ok && len(fraction) > 0 && len(bytes.Trim(fraction, "0")) == 0 {
		return parseID(whole)
	}
	return 0, false
}

// scalar takes what could be a number, true, false or null.
func (d *decoder) scalar() []byte {
	d.space()
	start := d.at
	for d.at < len(d.text) && !endsScalar(d.text[d.at]) {
		d.at++
	}
	return d.text[start:d.at]
}

func endsScalar(c byte) bool {
	switch c {
	case ',', ']', '}', ' ', '\n', '\t', '\r':
		return true
	}
	return false
}

// skip reads the value of an unknown key; depth counts what it is inside of.
func (d *decoder) skip(depth int) error {
	if depth > maxJSONDepth {
		return malformed("nested deeper than 8")
	}
	if d.space(); d.at == len(d.text) {
		return malformed("a value is missing")
	}
	switch open := d.text[d.at]; open {
	case '"':
		_, err := d.string()
		return err
	case '{', '[':
		d.at++
		for first := true; !d.take(open + 2); first = false { // '{'+2 is '}', '['+2 is ']'
			if !first && !d.take(',') {
				return malformed("no comma between two values")
			}
			if open == '{' {
				if _, err := d.string(); err != nil {
					return err
				}
				if !d.take(':') {
					return malformed("no colon after a key")
				}
			}
			if err := d.skip(depth + 1); err != nil {
				return err
			}
		}
		return nil
	default:
		if s := d.scalar(); !isNumber(s) && string(s) != "true" && string(s) != "false" && string(s) != "null" {
			return malformed("a value that is not JSON, such as NaN")
		}
		return nil
	}
}

// isNumber reports whether b is a number of JSON. Unlike json.Valid it allocates nothing for what
// is none.
func isNumber(b []byte) bool {
	b = bytes.TrimPrefix(b, []byte("-"))
	n := digits(b)
	if n == 0 || n > 1 && b[0] == '0' {
		return false
	}
	if b = b[n:]; len(b) > 0 && b[0] == '.' {
		if n = digits(b[1:]); n == 0 {
			return false
		}
		b = b[1+n:]
	}
	if len(b) > 0 && b[0]|' ' == 'e' {
		if b = b[1:]; len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		return len(b) > 0 && digits(b) == len(b)
	}
	return len(b) == 0
}

// digits returns how many digits b begins with.
func digits(b []byte) (n int) {
	for n < len(b) && '0' <= b[n] && b[n] <= '9' {
		n++
	}
	return n
}
