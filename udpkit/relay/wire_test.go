package relay

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// frames are datagrams of every kind, with extreme values.
func frames() map[string]frame {
	text := []byte(strings.Repeat("é", MaxText/2))
	longName := strings.Repeat("n", MaxNameLen)
	var write, stored, ack, data []byte
	for range 4 {
		write = appendText(write, "a line")
	}
	for i := range maxRuns {
		stored = storedRun{uint64(10 * i), 3, uint64(i)}.append(stored)
	}
	for i := range uint32(maxRanges) {
		ack = missing{2 * i, 1}.append(ack)
	}
	for range 3 {
		data = appendMessage(data, &Message{Username: "ann", Text: "hello", At: time.Unix(1, 2)})
	}
	longest := appendMessage(nil, &Message{Username: longName, Text: string(text), At: time.Now()})
	return map[string]frame{
		"hello":            {kind: kindHello, id: 1, try: 7, role: RoleReader, from: FromNow, name: "ann"},
		"hello at":         {kind: kindHello, id: ^ID(0), role: RoleReader, from: fromAt, at: 1 << 60, log: 5, cookie: cookie{1, 2, 3}, name: longName},
		"hello writer":     {kind: kindHello, id: 1, role: RoleWriter, at: 12, name: "a"},
		"challenge":        {kind: kindChallenge, id: 2, cookie: cookie{19: 1}},
		"welcome":          {kind: kindWelcome, id: 3, try: 1, next: 1, first: 2, last: 3, log: 4, expire: 15 * time.Second},
		"refuse":           {kind: kindRefuse, id: 4, reason: 1, expire: time.Second},
		"reset":            {kind: kindReset, id: 5},
		"ping":             {kind: kindPing, id: 6},
		"pong":             {kind: kindPong, id: 7, first: 1, last: 0},
		"leave":            {kind: kindLeave, id: 8, done: 9},
		"bye":              {kind: kindBye, id: 9},
		"write":            {kind: kindWrite, id: 10, first: 1, count: 4, entries: write},
		"write empty text": {kind: kindWrite, id: 10, first: 1, count: 1, entries: appendText(nil, "")},
		"write longest":    {kind: kindWrite, id: 10, first: 1, count: 1, entries: appendText(nil, string(text))},
		"stored":           {kind: kindStored, id: 11, last: 12, count: maxRuns, entries: stored},
		"stored nothing":   {kind: kindStored, id: 11, last: 12, entries: []byte{}},
		"failed":           {kind: kindFailed, id: 12, first: 1, entries: []byte("no space left on device")},
		"data":             {kind: kindData, id: 13, first: 1, count: 3, entries: data},
		"data longest":     {kind: kindData, id: 13, first: 1, count: 1, entries: longest},
		"gap":              {kind: kindGap, id: 14, first: 5, last: 5},
		"ack":              {kind: kindAck, id: 15, next: 9, done: 3, last: 500, window: maxWindow, count: maxRanges, entries: ack},
	}
}

func TestFrames(t *testing.T) {
	for name, f := range frames() {
		t.Run(name, func(t *testing.T) {
			b := f.append(nil)
			require.LessOrEqual(t, len(b), MaxDatagram)
			got, err := parse(b)
			require.NoError(t, err)
			require.Equal(t, f, got)
			for cut := range b {
				_, err := parse(b[:cut])
				require.ErrorIs(t, err, errFrame, "cut to %d bytes", cut)
			}
			for _, bad := range [][]byte{append(bytes.Clone(b), 1), append([]byte{'U'}, b[1:]...), append([]byte("ur\x02"), b[3:]...), append([]byte("ur\x01\x63"), b[4:]...)} {
				_, err := parse(bad)
				require.ErrorIs(t, err, errFrame)
			}
			anonymous := bytes.Clone(b)
			clear(anonymous[4:headerSize])
			_, err = parse(anonymous)
			require.ErrorIs(t, err, errFrame)
		})
	}
}

// What is not quite right is nothing.
func TestBadFrames(t *testing.T) {
	for what, change := range map[string]func(f *frame){
		"hello: a role that there is not":     func(f *frame) { f.role = 3 },
		"hello: a bad name":                   func(f *frame) { f.name = "a b" },
		"hello: no name":                      func(f *frame) { f.name = "" },
		"hello: an unknown beginning":         func(f *frame) { f.from = 4 },
		"hello: a place without fromAt":       func(f *frame) { f.at = 4 },
		"hello writer: a reader's beginning":  func(f *frame) { f.from = FromNow },
		"hello writer: a log":                 func(f *frame) { f.log = 1 },
		"refuse: no reason":                   func(f *frame) { f.reason = 0 },
		"refuse: an unknown reason":           func(f *frame) { f.reason = uint8(len(reasons)) },
		"write: number 0":                     func(f *frame) { f.first = 0 },
		"write: numbers that end":             func(f *frame) { f.first = ^uint64(0) - 1 },
		"write: no message":                   func(f *frame) { f.count, f.entries = 0, nil },
		"write: not UTF-8":                    func(f *frame) { f.count, f.entries = 1, appendText(nil, "\xff") },
		"write: too long":                     func(f *frame) { f.count, f.entries = 1, appendText(nil, strings.Repeat("x", MaxText+1)) },
		"failed: not UTF-8":                   func(f *frame) { f.entries = []byte("\xff") },
		"data: number 0":                      func(f *frame) { f.first = 0 },
		"data: no message":                    func(f *frame) { f.count, f.entries = 0, nil },
		"data: a bad name":                    func(f *frame) { f.count, f.entries = 1, appendMessage(nil, &Message{Username: "é", Text: "x"}) },
		"data: not UTF-8":                     func(f *frame) { f.count, f.entries = 1, appendMessage(nil, &Message{Username: "e", Text: "\xc3"}) },
		"data: fewer than it says":            func(f *frame) { f.count++ },
		"data: more than it says":             func(f *frame) { f.count-- },
		"gap: backwards":                      func(f *frame) { f.last = f.first - 1 },
		"gap: number 0":                       func(f *frame) { f.first = 0 },
		"gap: to the end of all numbers":      func(f *frame) { f.last = ^uint64(0) },
		"welcome: to number 0":                func(f *frame) { f.next = 0 },
		"welcome: a log without an end":       func(f *frame) { f.last = ^uint64(0) },
		"welcome: a log that is backwards":    func(f *frame) { f.first = f.last + 2 },
		"pong: a log without an end":          func(f *frame) { f.last = ^uint64(0) },
		"pong: a log that is backwards":       func(f *frame) { f.first = f.last + 2 },
		"ack: delivered what has not come":    func(f *frame) { f.done = f.next + 1 },
		"ack: a window beyond all bounds":     func(f *frame) { f.window = maxWindow + 1 },
		"ack: more ranges than fit":           func(f *frame) { f.count, f.entries = maxRanges+1, append(f.entries, make([]byte, rangeSize)...) },
		"stored: more runs than a server has": func(f *frame) { f.count, f.entries = maxRuns+1, append(f.entries, make([]byte, runSize)...) },
	} {
		kind, _, _ := strings.Cut(what, ":")
		f, ok := frames()[kind]
		require.True(t, ok, kind)
		f.entries = bytes.Clone(f.entries)
		change(&f)
		_, err := parse(f.append(nil))
		assert.ErrorIs(t, err, errFrame, what)
	}
	hello := frames()["hello"]
	b := hello.append(nil)
	b[helloSize-1] = 1
	_, err := parse(b)
	assert.ErrorIs(t, err, errFrame, "hidden in the padding")
}

// No answer that an unproved address can get is longer than its request.
func TestAnswersAreShorter(t *testing.T) {
	all := frames()
	for _, answer := range []string{"challenge", "welcome", "refuse"} {
		f := all[answer]
		assert.LessOrEqual(t, len(f.append(nil)), helloSize, answer)
	}
	f := all["reset"]
	assert.Len(t, f.append(nil), headerSize, "as long as the shortest request")
}

func TestReasonCodes(t *testing.T) {
	for code := 1; code < len(reasons); code++ {
		assert.EqualValues(t, code, reasonCode(reasons[code]))
	}
	assert.Zero(t, reasonCode(ReasonExpired))
}

// FuzzParse: nothing panics, and what is taken is what append makes of it.
func FuzzParse(f *testing.F) {
	for _, frame := range frames() {
		f.Add(frame.append(nil))
	}
	padded := frames()["data"]
	f.Add(append(padded.append(nil), 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := parse(b)
		if err != nil {
			require.ErrorIs(t, err, errFrame)
			return
		}
		again := frame.append(nil)
		if frame.kind == kindData {
			for _, c := range b[len(again):] {
				require.Zero(t, c)
			}
			b = b[:len(again)]
			size, seq := 0, frame.first
			for e := range frame.messages() {
				require.NoError(t, CheckUsername(string(e.name)))
				require.NoError(t, CheckText(string(e.text)))
				require.Equal(t, seq, e.seq)
				seq++
				size += messageSize(&Message{Username: string(e.name), Text: string(e.text)})
			}
			require.Len(t, frame.entries, size)
		}
		require.Equal(t, b, again)
	})
}

// FuzzHold: whatever overlaps, the reader holds each message once, in order.
func FuzzHold(f *testing.F) {
	f.Add([]byte{1, 3, 5, 2, 2, 9})
	f.Add([]byte{9, 1, 1, 9, 0, 20, 3, 3})
	f.Fuzz(func(t *testing.T, spans []byte) {
		r, err := newReader(ReaderConfig{Username: "fuzz"})
		require.NoError(t, err)
		r.next = 1
		want := map[uint64]bool{}
		for len(spans) >= 2 {
			s := span{first: 2 + uint64(spans[0])}
			for i := range uint64(spans[1] % 32) {
				s.messages = append(s.messages, Message{Seq: s.first + i})
				want[s.first+i] = true
			}
			if len(s.messages) > 0 {
				r.hold(s)
			}
			spans = spans[2:]
		}
		last := uint64(0)
		held := 0
		for _, s := range r.early {
			require.NotEmpty(t, s.messages)
			for i, m := range s.messages {
				require.Equal(t, s.first+uint64(i), m.Seq)
				require.Greater(t, m.Seq, last)
				require.True(t, want[m.Seq])
				last = m.Seq
				held++
			}
		}
		require.Len(t, want, held)
		require.Equal(t, held, r.waiting)
	})
}

// BenchmarkParse: what a server decodes most, and what a reader does.
func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"ack", "write", "data", "hello"} {
		f := frames()[name]
		datagram := f.append(nil)
		b.Run(fmt.Sprintf("%s, %d bytes", name, len(datagram)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parse(datagram); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
