package udpkit

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/names"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

// Limits of the wire format.
const (
	// MaxMessageSize is the longest encoded message in bytes: the clients of the original documents
	// read 1024.
	MaxMessageSize = 1024
	// MaxDataLen is the longest [Message.Data] in bytes that a [Server] takes: with it the message
	// stays within MaxMessageSize, whatever its state is. With a key it is 57 less.
	MaxDataLen = 706
	// MaxMessageID is the largest message id: the integers up to 2^53-1 are the ones that every
	// JSON implementation keeps exactly (RFC 8259, 6).
	MaxMessageID = 1<<53 - 1
	// MaxClientIDLen is the longest client id in bytes. With it an acknowledgement stays below
	// three times the smallest message, so that a forged message cannot turn clients into an
	// amplifier.
	MaxClientIDLen = 64

	maxAckSize      = 256 // in bytes, that a server reads
	maxTimestampLen = 64
	maxJSONKeys     = 32
	maxJSONDepth    = 8
)

// Errors that callers can branch on with errors.Is.
var (
	// ErrConfig marks a configuration, flag or name that cannot be used.
	ErrConfig = service.ErrConfig
	// ErrMalformed marks a datagram that is not what the wire format allows.
	ErrMalformed = service.ErrMalformed
)

// malformed is an ErrMalformed that says why.
type malformed = service.Malformed

// timestampLayout is ISO 8601 with microseconds and an offset, as Python's datetime.isoformat
// prints it and datetime.fromisoformat reads it.
const timestampLayout = "2006-01-02T15:04:05.000000-07:00"

// Epoch names one run of a server: a random number that is drawn when it starts and sent in every
// message, so that a restarted server, whose ids begin anew, is not mistaken for duplicates. Zero
// means that the sender has none, as the programs of the original documents.
type Epoch uint64

// NewEpoch draws a random epoch, never zero.
func NewEpoch() Epoch {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails, see crypto/rand
		if e := Epoch(binary.BigEndian.Uint64(b[:])); e != 0 {
			return e
		}
	}
}

// String returns the epoch as it is sent: 16 hexadecimal digits.
func (e Epoch) String() string { return string(e.append(nil)) }

// MarshalText implements encoding.TextMarshaler.
func (e Epoch) MarshalText() ([]byte, error) { return e.append(nil), nil }

// UnmarshalText implements encoding.TextUnmarshaler. An error wraps ErrMalformed.
func (e *Epoch) UnmarshalText(text []byte) error {
	v, ok := parseEpoch(text)
	if !ok {
		return malformed("epoch is not 16 hexadecimal digits")
	}
	*e = v
	return nil
}

func (e Epoch) append(dst []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, digits...) // room for 16, written to below
	text := (*[16]byte)(dst[len(dst)-16:])
	for i := range text {
		text[i] = digits[e>>(60-4*i)&15]
	}
	return dst
}

func parseEpoch(b []byte) (Epoch, bool) {
	if len(b) != 16 {
		return 0, false
	}
	var e Epoch
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		default:
			return 0, false
		}
		e = e<<4 | Epoch(c)
	}
	return e, true
}

// Message is one status: what a server broadcasts.
//
// On the wire it is one JSON object in one datagram. Timestamp, State and ID are the format of the
// original documents; Epoch, Interval, Repair, Clock, Data and End are ours, and a client that does
// not know them ignores them.
type Message struct {
	// Timestamp is the server's wall clock when it sent the message, ISO 8601, 1 to 64 bytes. It is
	// for people: nothing is ordered or expired by it.
	Timestamp string
	// State is what the server says of itself, 1 to 64 bytes.
	State State
	// ID counts a server's messages, 0 to MaxMessageID.
	ID uint64
	// Epoch names the server's run, 0 if it was not sent.
	Epoch Epoch
	// Interval is how long the server waits between two messages, in whole milliseconds, 0 if it
	// was not sent.
	Interval time.Duration
	// Data is the sender's own part, under the key "data": any value of JSON, nested no deeper than
	// seven objects and arrays; nil if there is none. The size of the message is its only limit,
	// see MaxDataLen.
	Data json.RawMessage
	// Repair says that the server sends one of its newest RepairRing messages again if it is asked
	// to.
	Repair bool
	// Clock says that the server tells the time by its clock if an acknowledgement asks for it.
	Clock bool
	// End says that this is the last message of the server's run.
	End bool
}

// Time parses the timestamp. A timestamp without an offset, as Python's datetime.now().isoformat()
// makes it, is taken as local time. It reports false if it is not ISO 8601.
func (m Message) Time() (time.Time, bool) { return sentTime(m.Timestamp) }

// sentTime costs no allocation for what servers send: it does not try a layout in vain.
func sentTime(text string) (t time.Time, ok bool) {
	var err error
	if n := len(text); n > 6 && (text[n-1] == 'Z' || text[n-6] == '+' || text[n-6] == '-') {
		t, err = time.Parse(time.RFC3339Nano, text)
	} else {
		t, err = time.ParseInLocation("2006-01-02T15:04:05", text, time.Local)
	}
	return t, err == nil
}

// timestampReader is sentTime for messages that come one after the other. It reads a date once: in
// the next timestamp mostly only the fraction of the second is another.
type timestampReader struct {
	text [maxTimestampLen]byte // the last timestamp, without the digits of its fraction
	n    int                   // bytes of it, 0 before the first
	time time.Time             // what it says
}

func (r *timestampReader) read(b []byte) (time.Time, bool) {
	const seconds = len("2006-01-02T15:04:05")
	if len(b) < seconds || len(b) > maxTimestampLen {
		return sentTime(string(b))
	}
	date, rest := b[:seconds], b[seconds:]
	var fraction time.Duration
	if len(rest) > 0 && rest[0] == '.' {
		date, rest = b[:seconds+1], rest[1:]
		unit := time.Second
		for len(rest) > 0 && '0' <= rest[0] && rest[0] <= '9' && unit > 1 {
			unit /= 10
			fraction += unit * time.Duration(rest[0]-'0')
			rest = rest[1:]
		}
		if unit == time.Second {
			return sentTime(string(b)) // no digit
		}
	}
	if r.n == len(date)+len(rest) && string(r.text[:len(date)]) == string(date) && string(r.text[len(date):r.n]) == string(rest) {
		return r.time.Add(fraction), true
	}
	t, ok := sentTime(string(b))
	if ok {
		r.n = copy(r.text[:], date)
		r.n += copy(r.text[r.n:], rest)
		r.time = t.Add(-fraction)
	}
	return t, ok
}

// AppendMessage appends the wire form of m to dst. An error wraps ErrConfig: a field is out of its
// range or the result is longer than MaxMessageSize.
func AppendMessage(dst []byte, m Message) ([]byte, error) {
	if m.ID > MaxMessageID {
		return dst, fmt.Errorf("%w: message id %d is larger than %d", ErrConfig, m.ID, uint64(MaxMessageID))
	}
	start := len(dst)
	dst, err := appendText(append(dst, `{"timestamp":`...), "timestamp", m.Timestamp, maxTimestampLen)
	if err != nil {
		return dst[:start], err
	}
	dst, err = appendText(append(dst, `,"state":`...), "state", string(m.State), MaxStateLen)
	if err != nil {
		return dst[:start], err
	}
	dst = append(dst, `,"message_id":`...)
	dst = strconv.AppendUint(dst, m.ID, 10)
	if m.Epoch != 0 {
		dst = append(dst, `,"epoch":"`...)
		dst = m.Epoch.append(dst)
		dst = append(dst, '"')
	}
	if ms := m.Interval.Milliseconds(); ms > 0 {
		dst = append(dst, `,"interval_ms":`...)
		dst = strconv.AppendInt(dst, ms, 10)
	}
	if m.Repair {
		dst = append(dst, `,"repair":true`...)
	}
	if m.Clock {
		dst = append(dst, `,"clock":true`...)
	}
	if len(m.Data) > 0 {
		if err := checkData(m.Data); err != nil {
			return dst[:start], err
		}
		dst = append(append(dst, `,"data":`...), m.Data...)
	}
	if m.End {
		dst = append(dst, `,"end":true`...)
	}
	dst = append(dst, '}')
	if len(dst)-start > MaxMessageSize {
		return dst[:start], fmt.Errorf("%w: the message has %d bytes, the limit is %d", ErrConfig, len(dst)-start, MaxMessageSize)
	}
	return dst, nil
}

// checkData refuses what a client would not take as Message.Data.
func checkData(data []byte) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("%w: the data is not valid UTF-8", ErrConfig)
	}
	d := decoder{text: data}
	if err := d.skip(1); err != nil {
		return fmt.Errorf("%w: the data cannot be sent: %s", ErrConfig, string(err.(malformed)))
	}
	if d.at < len(data) {
		return fmt.Errorf("%w: the data is more than one value of JSON", ErrConfig)
	}
	return nil
}

// appendText appends text as a JSON string if checkText takes it: then it holds no control
// characters, and only the quote and the backslash need an escape.
func appendText(dst []byte, what, text string, limit int) ([]byte, error) {
	if text != "" && len(text) <= limit && simple(text) {
		return append(append(append(dst, '"'), text...), '"'), nil
	}
	if err := checkText(what, text, limit); err != nil {
		return dst, err
	}
	dst = append(dst, '"')
	for i := range len(text) {
		if text[i] == '"' || text[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, text[i])
	}
	return append(dst, '"'), nil
}

// simple reports whether text is printable ASCII without quotes and backslashes, as nearly all is.
// It looks at eight bytes at a time.
func simple(text string) bool {
	const each = 0x0101010101010101 // times c: c in each byte
	for ; len(text) >= 8; text = text[8:] {
		v := binary.LittleEndian.Uint64([]byte(text[:8]))
		// As in plain, and x+1 has the top bit set where x is above '~'. A borrow or carry comes
		// only from a byte that is not simple itself.
		if ((v^each*2-each*(' '+1))|(v^each*'\\'-each)|(v+each)|v)&(each*0x80) != 0 {
			return false
		}
	}
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// DecodeMessage reads a message, strictly: at most MaxMessageSize bytes of valid UTF-8, one JSON
// object, the required keys spelt exactly and with values of their type and range, no key twice,
// nesting bounded. Unknown keys are skipped, and so are epoch and interval_ms with a value that is
// not ours: somebody else's fields may have these names. An error wraps ErrMalformed. The result
// holds no part of b.
func DecodeMessage(b []byte) (Message, error) {
	var d decoder
	m, err := d.decode(b)
	if err != nil {
		return Message{}, err
	}
	state, ok := defaultState(m.state)
	if !ok {
		state = State(m.state)
	}
	return Message{
		Timestamp: string(m.timestamp), State: state, ID: m.id, Epoch: m.epoch, Interval: m.interval, Data: bytes.Clone(m.data), Repair: m.repair, Clock: m.clock, End: m.end,
	}, nil
}

// Ack is one acknowledgement: what a client answers to the address that a message came from.
type Ack struct {
	// ClientID is the client's name, 1 to 64 bytes.
	ClientID string
	// MessageID is the id of the message that the client has decoded.
	MessageID uint64
	// Epoch is the message's. A client that has seen it proves that it has read the message; 0 if
	// it was not sent.
	Epoch Epoch
	// Clock, unless it is 0, asks for the time by the server's clock, see DecodeTime: a random
	// number that the answer repeats. It is sent with an epoch only, and only to a server whose
	// messages say Clock: others refuse it.
	Clock Epoch
}

// The text of an acknowledgement: "Client <id> received message <n>", and for a server that sent
// its epoch " epoch <epoch>" behind it, and " clock <number>" behind that if it asks for the time.
const (
	ackPrefix = "Client "
	ackMiddle = " received message "
	ackEpoch  = " epoch "
	ackClock  = " clock "
)

// AppendAck appends the wire form of a to dst. An error wraps ErrConfig.
func AppendAck(dst []byte, a Ack) ([]byte, error) {
	if err := checkText("client id", a.ClientID, MaxClientIDLen); err != nil {
		return dst, err
	}
	if a.MessageID > MaxMessageID {
		return dst, fmt.Errorf("%w: message id %d is larger than %d", ErrConfig, a.MessageID, uint64(MaxMessageID))
	}
	dst = append(dst, ackPrefix...)
	dst = append(dst, a.ClientID...)
	dst = append(dst, ackMiddle...)
	dst = strconv.AppendUint(dst, a.MessageID, 10)
	if a.Epoch != 0 {
		dst = append(dst, ackEpoch...)
		dst = a.Epoch.append(dst)
		if a.Clock != 0 {
			dst = a.Clock.append(append(dst, ackClock...))
		}
	}
	return dst, nil
}

// DecodeAck reads an acknowledgement, strictly but for a newline at its end. An error wraps
// ErrMalformed. The result holds no part of b.
func DecodeAck(b []byte) (Ack, error) {
	a, err := decodeAck(b)
	if err != nil {
		return Ack{}, err
	}
	return Ack{ClientID: string(a.client), MessageID: a.id, Epoch: a.epoch, Clock: a.clock}, nil
}

// rawAck is an acknowledgement whose client id still lies in the datagram.
type rawAck struct {
	client []byte
	id     uint64
	epoch  Epoch
	clock  Epoch
}

func decodeAck(b []byte) (a rawAck, err error) {
	if len(b) > maxAckSize {
		return a, malformed("longer than an acknowledgement can be")
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r")) // as of a program that prints lines
	rest, ok := bytes.CutPrefix(b, []byte(ackPrefix))
	// The id may hold any text, so the last separator is the real one.
	cut := bytes.LastIndex(rest, []byte(ackMiddle))
	if !ok || cut < 0 {
		return a, malformed("not an acknowledgement")
	}
	a.client = rest[:cut]
	if cut == 0 || cut > MaxClientIDLen || !names.Printable(a.client) {
		return a, malformed("the client id is not 1 to 64 bytes of printable text")
	}
	number, epoch, hasEpoch := bytes.Cut(rest[cut+len(ackMiddle):], []byte(ackEpoch))
	if a.id, ok = parseID(number); !ok {
		return a, malformed("the message id is not an integer from 0 to 2^53-1")
	}
	if hasEpoch {
		epoch, clock, asks := bytes.Cut(epoch, []byte(ackClock))
		if a.clock, ok = parseEpoch(clock); asks && (!ok || a.clock == 0) {
			return a, malformed("clock is not 16 hexadecimal digits")
		}
		if a.epoch, ok = parseEpoch(epoch); !ok || a.epoch == 0 {
			return a, malformed("epoch is not 16 hexadecimal digits")
		}
	}
	return a, nil
}

// parseID reads a decimal integer from 0 to MaxMessageID, without sign, leading zeros or exponent.
func parseID(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 16 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, n <= MaxMessageID
}
