package relay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"
	"unicode/utf8"
)

// The datagrams. Package documentation has the tables; all numbers are big-endian.
const (
	version    = 1
	headerSize = 12 // "ur", version, kind, ID

	cookieSize    = 20 // period, MAC
	helloSize     = 96 // as long as the longest answer that an unproved address can get, and longer
	challengeSize = headerSize + cookieSize
	welcomeSize   = headerSize + 4 + 4*8 + 4
	refuseSize    = headerSize + 1 + 4

	maxBody   = MaxDatagram - headerSize
	bodyStart = 8 + 2       // of a data datagram: first number, count
	entrySize = 8 + 1 + 2   // of a message in it, with empty name and text
	runSize   = 8 + 2 + 8   // in a stored datagram
	maxRuns   = 64          // in a stored datagram
	rangeSize = 4 + 4       // in an ack
	maxRanges = 128         // in an ack
	ackStart  = 3*8 + 4 + 1 // of an ack, after the header
	maxReport = 255         // bytes of the text of a failure
	maxWindow = 1 << 20     // messages
)

type kind uint8

const (
	kindHello     kind = 1 + iota // to the server: may I take part?
	kindChallenge                 // show that you got this
	kindWelcome
	kindRefuse
	kindReset  // I do not know you
	kindPing   // to the server
	kindPong   //
	kindLeave  // to the server
	kindBye    //
	kindWrite  // to the server: messages to store
	kindStored // and the answer
	kindFailed //
	kindData   // messages for a reader
	kindGap    //
	kindAck    // to the server: what a reader has
)

// errFrame marks a datagram that is none of the protocol's.
var errFrame = errors.New("not a datagram of the relay")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errFrame, fmt.Sprintf(format, args...))
}

// fromAt is the beginning in the hello of a reader that knows where it was. It is
// no configuration.
const fromAt From = 3

type cookie [cookieSize]byte

// frame is a decoded datagram: those of the fields that its kind has. Slices are
// parts of the datagram.
type frame struct {
	kind kind
	id   ID

	// hello
	try    uint32 // counts a client's connections; a welcome repeats that of the hello
	role   Role
	from   From
	at     uint64 // fromAt: where the reader was; a writer's: the first number that is not known to be stored
	log    uint64 // which log that was in, also of a welcome; 0: none
	cookie cookie // also of a challenge
	name   string

	next   uint64 // welcome: where a reader begins, the number after a writer's last; ack
	first  uint64 // welcome, pong: the log's oldest; data, write: number of the first message; gap
	last   uint64 // welcome, pong: the log's newest; gap: the last missing; stored: all to here are; ack: highest received
	expire time.Duration
	reason uint8
	done   uint64 // ack, leave: the message after those that were delivered
	window uint32 // ack: messages from next on that there is room for

	count   int
	entries []byte // data, write, stored, ack: what is counted; failed: the text
}

// begin returns a datagram with its header.
func begin(b []byte, k kind, id ID) []byte {
	b = append(b[:0], 'u', 'r', version, byte(k))
	return binary.BigEndian.AppendUint64(b, uint64(id))
}

// append appends the datagram of the frame. It is the inverse of parse, but for
// data, which has zeros at its end to make all that are full equally long.
func (f *frame) append(b []byte) []byte {
	be := binary.BigEndian
	b = begin(b, f.kind, f.id)
	switch f.kind {
	case kindHello:
		b = append(be.AppendUint32(b, f.try), byte(f.role), byte(f.from))
		b = be.AppendUint64(be.AppendUint64(b, f.at), f.log)
		b = append(b, f.cookie[:]...)
		b = append(b, byte(len(f.name)))
		b = append(b, f.name...)
		b = append(b, make([]byte, helloSize-len(b))...)
	case kindChallenge:
		b = append(b, f.cookie[:]...)
	case kindWelcome:
		b = be.AppendUint64(be.AppendUint64(be.AppendUint32(b, f.try), f.next), f.first)
		b = be.AppendUint64(be.AppendUint64(b, f.last), f.log)
		b = be.AppendUint32(b, uint32(f.expire.Milliseconds()))
	case kindRefuse:
		b = be.AppendUint32(append(b, f.reason), uint32(f.expire.Milliseconds()))
	case kindPong, kindGap:
		b = be.AppendUint64(be.AppendUint64(b, f.first), f.last)
	case kindLeave:
		b = be.AppendUint64(b, f.done)
	case kindWrite:
		b = append(be.AppendUint64(b, f.first), byte(f.count))
		b = append(b, f.entries...)
	case kindStored:
		b = append(be.AppendUint64(b, f.last), byte(f.count))
		b = append(b, f.entries...)
	case kindFailed:
		b = append(be.AppendUint64(b, f.first), byte(len(f.entries)))
		b = append(b, f.entries...)
	case kindData:
		b = be.AppendUint16(be.AppendUint64(b, f.first), uint16(f.count))
		b = append(b, f.entries...)
	case kindAck:
		b = be.AppendUint64(be.AppendUint64(be.AppendUint64(b, f.next), f.done), f.last)
		b = append(be.AppendUint32(b, f.window), byte(f.count))
		b = append(b, f.entries...)
	}
	return b
}

// parse decodes a datagram. It takes nothing that append would not have made. The
// error wraps errFrame.
func parse(b []byte) (f frame, err error) {
	if len(b) < headerSize || len(b) > MaxDatagram || b[0] != 'u' || b[1] != 'r' {
		return f, malformed("%d bytes that do not begin as one", len(b))
	}
	if b[2] != version {
		return f, malformed("version %d, this is version %d", b[2], version)
	}
	be := binary.BigEndian
	f.kind, f.id = kind(b[3]), ID(be.Uint64(b[4:]))
	if f.id == 0 {
		return f, malformed("the ID is missing")
	}
	r := rest{b: b[headerSize:]}
	switch f.kind {
	case kindHello:
		if len(b) != helloSize {
			return f, malformed("a hello of %d bytes", len(b))
		}
		f.try, f.role, f.from = r.uint32(), Role(r.byte()), From(r.byte())
		f.at, f.log = r.uint64(), r.uint64()
		copy(f.cookie[:], r.take(cookieSize))
		f.name = string(r.name())
		if CheckUsername(f.name) != nil || f.role != RoleReader && f.role != RoleWriter || f.from > fromAt ||
			f.from != fromAt && f.role == RoleReader && f.at|f.log != 0 || f.role == RoleWriter && (f.from != 0 || f.log != 0) {
			return f, malformed("a hello of %v %q", f.role, f.name)
		}
		r.zeros()
	case kindChallenge:
		copy(f.cookie[:], r.take(cookieSize))
	case kindWelcome:
		f.try = r.uint32()
		f.next, f.first, f.last, f.log = r.uint64(), r.uint64(), r.uint64(), r.uint64()
		f.expire = r.milliseconds()
		if f.next == 0 || f.last == math.MaxUint64 || f.first > f.last+1 {
			return f, malformed("a welcome to message %d of a log from %d to %d", f.next, f.first, f.last)
		}
	case kindRefuse:
		f.reason, f.expire = r.byte(), r.milliseconds()
		if int(f.reason) >= len(reasons) || f.reason == 0 {
			return f, malformed("reason %d", f.reason)
		}
	case kindReset, kindPing, kindBye:
	case kindPong:
		f.first, f.last = r.uint64(), r.uint64()
		if f.last == math.MaxUint64 || f.first > f.last+1 {
			return f, malformed("a log from %d to %d", f.first, f.last)
		}
	case kindGap:
		f.first, f.last = r.uint64(), r.uint64()
		if f.first == 0 || f.last < f.first || f.last == math.MaxUint64 {
			return f, malformed("a gap from %d to %d", f.first, f.last)
		}
	case kindLeave:
		f.done = r.uint64()
	case kindWrite:
		f.first, f.count = r.uint64(), int(r.byte())
		f.entries = r.b
		for range f.count {
			r.checkText()
		}
		if f.first == 0 || f.count == 0 || f.first+uint64(f.count) < f.first {
			return f, malformed("messages from %d on", f.first)
		}
	case kindStored:
		f.last, f.count = r.uint64(), int(r.byte())
		f.entries = r.take(f.count * runSize)
		if f.count > maxRuns {
			return f, malformed("%d runs", f.count)
		}
	case kindFailed:
		f.first = r.uint64()
		f.entries = r.take(int(r.byte()))
		if !utf8.Valid(f.entries) {
			return f, malformed("a text that is not UTF-8")
		}
	case kindData:
		f.first, f.count = r.uint64(), int(r.uint16())
		f.entries = r.b
		for range f.count {
			r.take(8)
			if !validName(r.name()) {
				r.fail()
			}
			r.checkText()
			if r.short {
				break
			}
		}
		f.entries = f.entries[:len(f.entries)-len(r.b)]
		if f.first == 0 || f.count == 0 || f.first+uint64(f.count) < f.first {
			return f, malformed("messages from %d on", f.first)
		}
		r.zeros()
	case kindAck:
		f.next, f.done, f.last = r.uint64(), r.uint64(), r.uint64()
		f.window, f.count = r.uint32(), int(r.byte())
		f.entries = r.take(f.count * rangeSize)
		if f.count > maxRanges || f.window > maxWindow || f.done > f.next {
			return f, malformed("an acknowledgement of %d", f.next)
		}
	default:
		return f, malformed("kind %d", f.kind)
	}
	if r.short || len(r.b) > 0 {
		return f, malformed("%d bytes are not what kind %d has", len(b), f.kind)
	}
	return f, nil
}

// rest is what is left of a datagram. Once something is wrong with it, short is set and
// all that follows is zero.
type rest struct {
	b     []byte
	short bool
}

func (r *rest) fail() { r.short, r.b = true, nil }

func (r *rest) take(n int) []byte {
	if n > len(r.b) {
		r.fail()
		return nil
	}
	taken := r.b[:n:n]
	r.b = r.b[n:]
	return taken
}

func (r *rest) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *rest) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *rest) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *rest) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *rest) milliseconds() time.Duration {
	ms := r.uint32()
	return time.Duration(ms) * time.Millisecond
}

func (r *rest) name() []byte { return r.take(int(r.byte())) }

func (r *rest) text() []byte { return r.take(int(r.uint16())) }

func (r *rest) checkText() {
	if text := r.text(); len(text) > MaxText || !utf8.Valid(text) {
		r.fail()
	}
}

// texts returns the messages of a write datagram with their numbers. What parse has
// checked is not checked again.
func (f *frame) texts() iter.Seq2[uint64, []byte] {
	return func(yield func(uint64, []byte) bool) {
		r := rest{b: f.entries}
		for i := range uint64(f.count) {
			if !yield(f.first+i, r.text()) {
				return
			}
		}
	}
}

// entry is a message of a data datagram.
type entry struct {
	seq        uint64
	at         int64 // Unix time in nanoseconds
	name, text []byte
}

// messages returns those of a data datagram.
func (f *frame) messages() iter.Seq[entry] {
	return func(yield func(entry) bool) {
		r := rest{b: f.entries}
		for i := range uint64(f.count) {
			if !yield(entry{f.first + i, int64(r.uint64()), r.name(), r.text()}) {
				return
			}
		}
	}
}

// validName is CheckUsername(string(name)) == nil, quickly.
func validName(name []byte) bool {
	if len(name) == 0 || len(name) > MaxNameLen {
		return false
	}
	for i, c := range name {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '-' && c != '_') {
			return false
		}
	}
	return true
}

// zeros takes the rest, which must be zeros.
func (r *rest) zeros() {
	for _, c := range r.b {
		if c != 0 {
			r.short = true
		}
	}
	r.b = nil
}

// appendMessage appends a message as a data datagram has it.
func appendMessage(b []byte, m *Message) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(m.At.UnixNano()))
	b = append(b, byte(len(m.Username)))
	b = append(b, m.Username...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Text)))
	return append(b, m.Text...)
}

// messageSize is what appendMessage appends.
func messageSize(m *Message) int { return entrySize + len(m.Username) + len(m.Text) }

// appendText appends a text as a write datagram has it.
func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
}

// storedRun says that count messages of a writer from number on have the sequence
// numbers from seq on; seq 0: they are not kept any more.
type storedRun struct {
	number uint64
	count  uint16
	seq    uint64
}

func (run storedRun) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, run.number)
	b = binary.BigEndian.AppendUint16(b, run.count)
	return binary.BigEndian.AppendUint64(b, run.seq)
}

// run returns the run i of a stored datagram.
func (f *frame) run(i int) storedRun {
	r := rest{b: f.entries[i*runSize:]}
	return storedRun{r.uint64(), r.uint16(), r.uint64()}
}

// missing is a range of messages that a reader has not got: count of them, offset
// after the first that it has not got.
type missing struct{ offset, count uint32 }

func (m missing) append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, m.offset), m.count)
}

// missing returns the range i of an ack.
func (f *frame) missing(i int) missing {
	r := rest{b: f.entries[i*rangeSize:]}
	return missing{r.uint32(), r.uint32()}
}

// reasons are those of a refuse datagram.
var reasons = [...]Reason{1: ReasonNameTaken, 2: ReasonFull, 3: ReasonStore}

func reasonCode(r Reason) uint8 {
	for code, reason := range reasons {
		if reason == r && code > 0 {
			return uint8(code)
		}
	}
	return 0
}
