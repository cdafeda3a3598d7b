// Package relaywire encodes and decodes the datagrams of package relay, whose documentation
// describes them. The relay uses it, and so do the benchmark's clients, which must cost less than
// the relay's own.
package relaywire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"math"
	"time"
	"unicode/utf8"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/names"
)

// Sizes and counts.
const (
	MaxDatagram = 1200    // bytes
	MaxText     = 1000    // bytes of a message's text
	MaxReport   = 255     // bytes of the text of a failure
	MaxRuns     = 64      // in a stored datagram
	MaxRanges   = 128     // in an ack
	MaxWindow   = 1 << 20 // messages

	HeaderSize    = 12 // "ur", version, kind, ID
	HelloSize     = 96 // as long as the longest answer that an unproved address can get, and longer
	ChallengeSize = HeaderSize + CookieSize
	CookieSize    = 20                       // period, MAC
	MaxBody       = MaxDatagram - HeaderSize // of a data datagram
	BodyStart     = 8 + 2                    // of it: first number, count
	EntrySize     = 8 + 1 + 2                // of a message in it, with empty name and text
	StoredStart   = 8 + 1                    // of a stored datagram, after the header
	RunSize       = 8 + 2 + 8                // in it
	RangeSize     = 4 + 4                    // in an ack

	version = 1
)

// Kind says what a datagram is.
type Kind uint8

// The kinds, from the server but for those that are to it.
const (
	Hello     Kind = 1 + iota // to the server: may I take part?
	Challenge                 // show that you got this
	Welcome
	Refuse
	Reset // I do not know you
	Ping  // to the server
	Pong
	Leave // to the server
	Bye
	Write  // to the server: messages to store
	Stored // and the answer
	Failed
	Data // messages for a reader
	Gap
	Ack // to the server: what a reader has
)

// Values of Frame.Role.
const (
	RoleReader uint8 = 1 + iota
	RoleWriter
)

// Values of Frame.From.
const (
	FromLast uint8 = iota // a writer's, too
	FromStart
	FromNow
	FromAt // at the message Frame.At of Frame.Log
)

// Values of Frame.Reason.
const (
	NameTaken uint8 = 1 + iota
	Full
	StoreFails
	SameAddress
)

// ErrFrame marks a datagram that is none of the protocol's.
var ErrFrame = errors.New("not a datagram of the relay")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFrame, fmt.Sprintf(format, args...))
}

// Cookie proves that its client gets what is sent to an address.
type Cookie [CookieSize]byte

// Frame is a decoded datagram: those of the fields that its kind has. Entries is a part of the
// datagram.
type Frame struct {
	Kind Kind
	ID   uint64

	// hello
	Try    uint32 // counts a client's connections; a welcome repeats that of the hello
	Role   uint8
	From   uint8
	At     uint64 // FromAt: where the reader was, or wants to begin; a writer's: the first number that is not known to be stored
	Log    uint64 // which log that was in, also of a welcome; 0: whichever
	Cookie Cookie // also of a challenge
	Name   string

	Next   uint64 // welcome: where a reader begins, the number after a writer's last; ack
	First  uint64 // welcome, pong: the log's oldest; data, write: number of the first message; gap
	Last   uint64 // welcome, pong: the log's newest; gap: the last missing; stored: all to here are; ack: highest received
	Expire time.Duration
	Reason uint8
	Done   uint64 // ack, leave: the message after those that were delivered
	Window uint32 // ack: messages from next on that there is room for

	Count   int
	Entries []byte // data, write, stored, ack: what is counted; failed: the text
}

// Begin appends the header of a datagram.
func Begin(b []byte, k Kind, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 'u', 'r', version, byte(k)), id)
}

// Append appends the datagram of the frame. It is the inverse of Parse, but for data, which may
// have zeros at its end to make all that are full equally long.
func (f *Frame) Append(b []byte) []byte {
	be := binary.BigEndian
	begun := len(b)
	b = Begin(b, f.Kind, f.ID)
	switch f.Kind {
	case Hello:
		b = append(be.AppendUint32(b, f.Try), f.Role, f.From)
		b = be.AppendUint64(be.AppendUint64(b, f.At), f.Log)
		b = append(b, f.Cookie[:]...)
		b = append(b, byte(len(f.Name)))
		b = append(b, f.Name...)
		b = append(b, make([]byte, HelloSize-(len(b)-begun))...)
	case Challenge:
		b = append(b, f.Cookie[:]...)
	case Welcome:
		b = be.AppendUint64(be.AppendUint64(be.AppendUint32(b, f.Try), f.Next), f.First)
		b = be.AppendUint64(be.AppendUint64(b, f.Last), f.Log)
		b = be.AppendUint32(b, uint32(f.Expire.Milliseconds()))
		b = be.AppendUint32(b, crc32.ChecksumIEEE(b[begun:])) // nothing else could tell that a place is wrong
	case Refuse:
		b = be.AppendUint32(append(b, f.Reason), uint32(f.Expire.Milliseconds()))
	case Pong, Gap:
		b = be.AppendUint64(be.AppendUint64(b, f.First), f.Last)
	case Leave:
		b = be.AppendUint64(b, f.Done)
	case Write:
		b = append(be.AppendUint64(b, f.First), byte(f.Count))
		b = append(b, f.Entries...)
	case Stored:
		b = append(be.AppendUint64(b, f.Last), byte(f.Count))
		b = append(b, f.Entries...)
	case Failed:
		b = append(be.AppendUint64(b, f.First), byte(len(f.Entries)))
		b = append(b, f.Entries...)
	case Data:
		b = be.AppendUint16(be.AppendUint64(b, f.First), uint16(f.Count))
		b = append(b, f.Entries...)
	case Ack:
		b = be.AppendUint64(be.AppendUint64(be.AppendUint64(b, f.Next), f.Done), f.Last)
		b = append(be.AppendUint32(b, f.Window), byte(f.Count))
		b = append(b, f.Entries...)
	}
	return b
}

// Parse decodes a datagram. It takes nothing that Append would not have made. The error wraps
// ErrFrame.
func Parse(b []byte) (f Frame, err error) {
	if len(b) < HeaderSize || len(b) > MaxDatagram || b[0] != 'u' || b[1] != 'r' {
		return f, malformed("%d bytes that do not begin as one", len(b))
	}
	if b[2] != version {
		return f, malformed("version %d, this is version %d", b[2], version)
	}
	be := binary.BigEndian
	f.Kind, f.ID = Kind(b[3]), be.Uint64(b[4:])
	if f.ID == 0 {
		return f, malformed("the ID is missing")
	}
	r := rest{b: b[HeaderSize:]}
	switch f.Kind {
	case Hello:
		if len(b) != HelloSize {
			return f, malformed("a hello of %d bytes", len(b))
		}
		f.Try, f.Role, f.From = r.uint32(), r.byte(), r.byte()
		f.At, f.Log = r.uint64(), r.uint64()
		copy(f.Cookie[:], r.take(CookieSize))
		name := r.name()
		f.Name = string(name)
		if f.From == FromAt && f.At == 0 || !validName(name) || f.Role != RoleReader && f.Role != RoleWriter || f.From > FromAt ||
			f.From != FromAt && f.Role == RoleReader && f.At|f.Log != 0 || f.Role == RoleWriter && (f.From != 0 || f.Log != 0) {
			return f, malformed("a hello of role %d, %q", f.Role, f.Name)
		}
		r.zeros()
	case Challenge:
		copy(f.Cookie[:], r.take(CookieSize))
	case Welcome:
		f.Try = r.uint32()
		f.Next, f.First, f.Last, f.Log = r.uint64(), r.uint64(), r.uint64(), r.uint64()
		f.Expire = r.milliseconds()
		if f.Next == 0 || f.Last == math.MaxUint64 || f.First > f.Last+1 {
			return f, malformed("a welcome to message %d of a log from %d to %d", f.Next, f.First, f.Last)
		}
		if r.uint32() != crc32.ChecksumIEEE(b[:max(0, len(b)-4)]) {
			return f, malformed("a damaged welcome")
		}
	case Refuse:
		f.Reason, f.Expire = r.byte(), r.milliseconds()
		if f.Reason == 0 || f.Reason > SameAddress {
			return f, malformed("reason %d", f.Reason)
		}
	case Reset, Ping, Bye:
	case Pong:
		f.First, f.Last = r.uint64(), r.uint64()
		if f.Last == math.MaxUint64 || f.First > f.Last+1 {
			return f, malformed("a log from %d to %d", f.First, f.Last)
		}
	case Gap:
		f.First, f.Last = r.uint64(), r.uint64()
		if f.First == 0 || f.Last < f.First || f.Last == math.MaxUint64 {
			return f, malformed("a gap from %d to %d", f.First, f.Last)
		}
	case Leave:
		f.Done = r.uint64()
	case Write:
		f.First, f.Count = r.uint64(), int(r.byte())
		f.Entries = r.b
		for range f.Count {
			r.checkText()
		}
		if f.First == 0 || f.Count == 0 || f.First+uint64(f.Count) < f.First {
			return f, malformed("messages from %d on", f.First)
		}
	case Stored:
		f.Last, f.Count = r.uint64(), int(r.byte())
		f.Entries = r.take(f.Count * RunSize)
		if f.Count > MaxRuns {
			return f, malformed("%d runs", f.Count)
		}
		end := uint64(1) // of those before
		for i := range f.Count {
			if r.short {
				break
			}
			run := f.Run(i)
			if run.Number < end || run.Count == 0 || run.Number+uint64(run.Count) < run.Number || run.Seq+uint64(run.Count) < run.Seq {
				return f, malformed("%d messages from %d on, which are %d on, after %d", run.Count, run.Number, run.Seq, end-1)
			}
			end = run.Number + uint64(run.Count)
		}
		if f.Count > 0 && f.Last != end-1 {
			return f, malformed("all to message %d are stored, and to %d", f.Last, end-1)
		}
	case Failed:
		f.First = r.uint64()
		f.Entries = r.take(int(r.byte()))
		if f.First == 0 || !utf8.Valid(f.Entries) {
			return f, malformed("message %d has failed, or a text that is not UTF-8", f.First)
		}
	case Data:
		f.First, f.Count = r.uint64(), int(r.uint16())
		f.Entries = r.b
		for range f.Count {
			r.take(8)
			if !validName(r.name()) {
				r.fail()
			}
			r.checkText()
			if r.short {
				break
			}
		}
		f.Entries = f.Entries[:len(f.Entries)-len(r.b)]
		if f.First == 0 || f.Count == 0 || f.First+uint64(f.Count) < f.First {
			return f, malformed("messages from %d on", f.First)
		}
		r.zeros()
	case Ack:
		f.Next, f.Done, f.Last = r.uint64(), r.uint64(), r.uint64()
		f.Window, f.Count = r.uint32(), int(r.byte())
		f.Entries = r.take(f.Count * RangeSize)
		if f.Count > MaxRanges || f.Window > MaxWindow || f.Done > f.Next || f.Next == 0 || f.Next-1 > f.Last {
			return f, malformed("an acknowledgement of %d, where %d is the highest", f.Next, f.Last)
		}
		end := uint64(0) // of those before
		for i := range f.Count {
			if r.short {
				break
			}
			missing := f.Missing(i)
			if from := uint64(missing.Offset); from < end || missing.Count == 0 || from+uint64(missing.Count) > f.Last-(f.Next-1) {
				return f, malformed("%d messages are missing from %d on, where %d is the highest", missing.Count, f.Next+from, f.Last)
			}
			end = uint64(missing.Offset) + uint64(missing.Count)
		}
	default:
		return f, malformed("kind %d", f.Kind)
	}
	if r.short || len(r.b) > 0 {
		return f, malformed("%d bytes are not what kind %d has", len(b), f.Kind)
	}
	return f, nil
}

// DataRange returns the numbers of the messages in a data datagram, end not included, without
// checking the messages, and 0, 0 for any other datagram.
func DataRange(b []byte) (first, end uint64) {
	if len(b) < HeaderSize+BodyStart || Kind(b[3]) != Data {
		return 0, 0
	}
	first = binary.BigEndian.Uint64(b[HeaderSize:])
	return first, first + uint64(binary.BigEndian.Uint16(b[HeaderSize+8:]))
}

// Cut returns the body of a data datagram, which Append has made, without its first n messages.
func Cut(body []byte, n int) []byte {
	be := binary.BigEndian
	first, count := be.Uint64(body), int(be.Uint16(body[8:]))
	r := rest{b: body[BodyStart:]}
	for range n {
		r.take(8)
		r.name()
		r.text()
	}
	left := make([]byte, 0, BodyStart+len(r.b))
	left = be.AppendUint16(be.AppendUint64(left, first+uint64(n)), uint16(count-n))
	return append(left, r.b...)
}

// rest is what is left of a datagram. Once something is wrong with it, short is set and all that
// follows is zero.
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

var zeros [8]byte

// number takes a number of n bytes.
func (r *rest) number(n int) []byte {
	if b := r.take(n); b != nil {
		return b
	}
	return zeros[:n]
}

func (r *rest) byte() byte     { return r.number(1)[0] }
func (r *rest) uint16() uint16 { return binary.BigEndian.Uint16(r.number(2)) }
func (r *rest) uint32() uint32 { return binary.BigEndian.Uint32(r.number(4)) }
func (r *rest) uint64() uint64 { return binary.BigEndian.Uint64(r.number(8)) }

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

// Texts returns the messages of a write datagram with their numbers. What Parse has checked is not
// checked again.
func (f *Frame) Texts() iter.Seq2[uint64, []byte] {
	return func(yield func(uint64, []byte) bool) {
		r := rest{b: f.Entries}
		for i := range uint64(f.Count) {
			if !yield(f.First+i, r.text()) {
				return
			}
		}
	}
}

// Entry is a message of a data datagram.
type Entry struct {
	Seq        uint64
	At         int64 // Unix time in nanoseconds
	Name, Text []byte
}

// Messages returns the messages of a data datagram. What Parse has checked is not checked again.
func (f *Frame) Messages() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		r := rest{b: f.Entries}
		for i := range uint64(f.Count) {
			if !yield(Entry{f.First + i, int64(r.uint64()), r.name(), r.text()}) {
				return
			}
		}
	}
}

// validName is names.Check(string(name)) == nil, quickly.
func validName(name []byte) bool {
	if len(name) == 0 || len(name) > names.MaxLen {
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

// AppendMessage appends a message as a data datagram has it; at is Unix time in nanoseconds.
func AppendMessage(b []byte, at int64, name, text string) []byte {
	b = append(binary.BigEndian.AppendUint64(b, uint64(at)), byte(len(name)))
	return AppendText(append(b, name...), text)
}

// MessageSize returns how many bytes AppendMessage appends.
func MessageSize(name, text string) int { return EntrySize + len(name) + len(text) }

// AppendText appends a text as a write datagram has it.
func AppendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
}

// Run says that Count messages of a writer from Number on have the sequence numbers from Seq on;
// Seq 0: they are not kept any more.
type Run struct {
	Number uint64
	Count  uint16
	Seq    uint64
}

// Append appends the run as a stored datagram has it.
func (run Run) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, run.Number)
	b = binary.BigEndian.AppendUint16(b, run.Count)
	return binary.BigEndian.AppendUint64(b, run.Seq)
}

// Run returns the run i of a stored datagram.
func (f *Frame) Run(i int) Run {
	r := rest{b: f.Entries[i*RunSize:]}
	return Run{r.uint64(), r.uint16(), r.uint64()}
}

// Missing is a range of messages that a reader has not got: Count of them, Offset after the first
// that it has not got.
type Missing struct{ Offset, Count uint32 }

// Append appends the range as an ack has it.
func (m Missing) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, m.Offset), m.Count)
}

// Missing returns the range i of an ack.
func (f *Frame) Missing(i int) Missing {
	r := rest{b: f.Entries[i*RangeSize:]}
	return Missing{r.uint32(), r.uint32()}
}
