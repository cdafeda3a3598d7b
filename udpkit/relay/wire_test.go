package relay

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
)

// frames are datagrams of every kind, with extreme values.
func frames() map[string]relaywire.Frame {
	text := []byte(strings.Repeat("é", MaxText/2))
	longName := strings.Repeat("n", MaxNameLen)
	var write, stored, ack, data []byte
	for range 4 {
		write = relaywire.AppendText(write, "a line")
	}
	for i := range relaywire.MaxRuns {
		stored = relaywire.Run{Number: uint64(10*i + 1), Count: 3, Seq: uint64(i)}.Append(stored)
	}
	for i := range uint32(relaywire.MaxRanges) {
		ack = relaywire.Missing{Offset: 2 * i, Count: 1}.Append(ack)
	}
	for range 3 {
		data = relaywire.AppendMessage(data, 1e9+2, "ann", "hello")
	}
	longest := relaywire.AppendMessage(nil, time.Now().UnixNano(), longName, string(text))
	return map[string]relaywire.Frame{
		"hello":            {Kind: relaywire.Hello, ID: 1, Try: 7, Role: relaywire.RoleReader, From: relaywire.FromNow, Name: "ann"},
		"hello at":         {Kind: relaywire.Hello, ID: ^uint64(0), Role: relaywire.RoleReader, From: relaywire.FromAt, At: 1 << 60, Log: 5, Cookie: relaywire.Cookie{1, 2, 3}, Name: longName},
		"hello writer":     {Kind: relaywire.Hello, ID: 1, Role: relaywire.RoleWriter, At: 12, Name: "a"},
		"challenge":        {Kind: relaywire.Challenge, ID: 2, Cookie: relaywire.Cookie{19: 1}},
		"welcome":          {Kind: relaywire.Welcome, ID: 3, Try: 1, Next: 1, First: 2, Last: 3, Log: 4, Expire: 15 * time.Second},
		"refuse":           {Kind: relaywire.Refuse, ID: 4, Reason: 1, Expire: time.Second},
		"reset":            {Kind: relaywire.Reset, ID: 5},
		"ping":             {Kind: relaywire.Ping, ID: 6},
		"pong":             {Kind: relaywire.Pong, ID: 7, First: 1, Last: 0},
		"leave":            {Kind: relaywire.Leave, ID: 8, Done: 9},
		"bye":              {Kind: relaywire.Bye, ID: 9},
		"write":            {Kind: relaywire.Write, ID: 10, First: 1, Count: 4, Entries: write},
		"write empty text": {Kind: relaywire.Write, ID: 10, First: 1, Count: 1, Entries: relaywire.AppendText(nil, "")},
		"write longest":    {Kind: relaywire.Write, ID: 10, First: 1, Count: 1, Entries: relaywire.AppendText(nil, string(text))},
		"stored":           {Kind: relaywire.Stored, ID: 11, Last: 10*(relaywire.MaxRuns-1) + 3, Count: relaywire.MaxRuns, Entries: stored},
		"stored nothing":   {Kind: relaywire.Stored, ID: 11, Last: 12, Entries: []byte{}},
		"failed":           {Kind: relaywire.Failed, ID: 12, First: 1, Entries: []byte("no space left on device")},
		"data":             {Kind: relaywire.Data, ID: 13, First: 1, Count: 3, Entries: data},
		"data longest":     {Kind: relaywire.Data, ID: 13, First: 1, Count: 1, Entries: longest},
		"gap":              {Kind: relaywire.Gap, ID: 14, First: 5, Last: 5},
		"ack":              {Kind: relaywire.Ack, ID: 15, Next: 9, Done: 3, Last: 500, Window: relaywire.MaxWindow, Count: relaywire.MaxRanges, Entries: ack},
	}
}

func TestFrames(t *testing.T) {
	for name, f := range frames() {
		t.Run(name, func(t *testing.T) {
			b := f.Append(nil)
			require.LessOrEqual(t, len(b), MaxDatagram)
			got, err := relaywire.Parse(b)
			require.NoError(t, err)
			require.Equal(t, f, got)
			require.Equal(t, append([]byte("before"), b...), f.Append([]byte("before")))
			first, end := relaywire.DataRange(b)
			if f.Kind == relaywire.Data {
				require.Equal(t, []uint64{f.First, f.First + uint64(f.Count)}, []uint64{first, end})
			} else {
				require.Zero(t, end)
			}
			for cut := range b {
				relaywire.DataRange(b[:cut])
				_, err := relaywire.Parse(b[:cut])
				require.ErrorIs(t, err, relaywire.ErrFrame, "cut to %d bytes", cut)
			}
			for _, bad := range [][]byte{append(bytes.Clone(b), 1), append([]byte{'U'}, b[1:]...), append([]byte("ur\x02"), b[3:]...), append([]byte("ur\x01\x63"), b[4:]...)} {
				_, err := relaywire.Parse(bad)
				require.ErrorIs(t, err, relaywire.ErrFrame)
			}
			anonymous := bytes.Clone(b)
			clear(anonymous[4:relaywire.HeaderSize])
			_, err = relaywire.Parse(anonymous)
			require.ErrorIs(t, err, relaywire.ErrFrame)
		})
	}
}

// What is not quite right is nothing.
func TestBadFrames(t *testing.T) {
	for what, change := range map[string]func(f *relaywire.Frame){
		"hello: a role that there is not":    func(f *relaywire.Frame) { f.Role = 3 },
		"hello: a bad name":                  func(f *relaywire.Frame) { f.Name = "a b" },
		"hello: no name":                     func(f *relaywire.Frame) { f.Name = "" },
		"hello: an unknown beginning":        func(f *relaywire.Frame) { f.From = 4 },
		"hello: a place without fromAt":      func(f *relaywire.Frame) { f.At = 4 },
		"hello writer: a reader's beginning": func(f *relaywire.Frame) { f.From = relaywire.FromNow },
		"hello writer: a log":                func(f *relaywire.Frame) { f.Log = 1 },
		"refuse: no reason":                  func(f *relaywire.Frame) { f.Reason = 0 },
		"refuse: an unknown reason":          func(f *relaywire.Frame) { f.Reason = uint8(len(reasons)) },
		"write: number 0":                    func(f *relaywire.Frame) { f.First = 0 },
		"write: numbers that end":            func(f *relaywire.Frame) { f.First = ^uint64(0) - 1 },
		"write: no message":                  func(f *relaywire.Frame) { f.Count, f.Entries = 0, nil },
		"write: not UTF-8":                   func(f *relaywire.Frame) { f.Count, f.Entries = 1, relaywire.AppendText(nil, "\xff") },
		"write: too long": func(f *relaywire.Frame) {
			f.Count, f.Entries = 1, relaywire.AppendText(nil, strings.Repeat("x", MaxText+1))
		},
		"failed: not UTF-8":                func(f *relaywire.Frame) { f.Entries = []byte("\xff") },
		"data: number 0":                   func(f *relaywire.Frame) { f.First = 0 },
		"data: no message":                 func(f *relaywire.Frame) { f.Count, f.Entries = 0, nil },
		"data: a bad name":                 func(f *relaywire.Frame) { f.Count, f.Entries = 1, relaywire.AppendMessage(nil, 0, "é", "x") },
		"data: not UTF-8":                  func(f *relaywire.Frame) { f.Count, f.Entries = 1, relaywire.AppendMessage(nil, 0, "e", "\xc3") },
		"data: fewer than it says":         func(f *relaywire.Frame) { f.Count++ },
		"data: more than it says":          func(f *relaywire.Frame) { f.Count-- },
		"gap: backwards":                   func(f *relaywire.Frame) { f.Last = f.First - 1 },
		"gap: number 0":                    func(f *relaywire.Frame) { f.First = 0 },
		"gap: to the end of all numbers":   func(f *relaywire.Frame) { f.Last = ^uint64(0) },
		"welcome: to number 0":             func(f *relaywire.Frame) { f.Next = 0 },
		"welcome: a log without an end":    func(f *relaywire.Frame) { f.Last = ^uint64(0) },
		"welcome: a log that is backwards": func(f *relaywire.Frame) { f.First = f.Last + 2 },
		"hello at: message 0":              func(f *relaywire.Frame) { f.At = 0 },
		"failed: number 0":                 func(f *relaywire.Frame) { f.First = 0 },
		"pong: a log without an end":       func(f *relaywire.Frame) { f.Last = ^uint64(0) },
		"pong: a log that is backwards":    func(f *relaywire.Frame) { f.First = f.Last + 2 },
		"ack: delivered what has not come": func(f *relaywire.Frame) { f.Done = f.Next + 1 },
		"ack: a window beyond all bounds":  func(f *relaywire.Frame) { f.Window = relaywire.MaxWindow + 1 },
		"ack: more than the highest":       func(f *relaywire.Frame) { f.Next = f.Last + 2 },
		"ack: message 0":                   func(f *relaywire.Frame) { f.Next, f.Done = 0, 0 },
		"ack: missing beyond the highest":  func(f *relaywire.Frame) { f.Last = f.Next + 2*relaywire.MaxRanges - 3 },
		"ack: nothing is missing":          func(f *relaywire.Frame) { copy(f.Entries, relaywire.Missing{}.Append(nil)) },
		"ack: missing twice":               func(f *relaywire.Frame) { copy(f.Entries, relaywire.Missing{Count: 3}.Append(nil)) },
		"stored: number 0":                 func(f *relaywire.Frame) { copy(f.Entries, relaywire.Run{Count: 1}.Append(nil)) },
		"stored: no message":               func(f *relaywire.Frame) { copy(f.Entries, relaywire.Run{Number: 1}.Append(nil)) },
		"stored: twice":                    func(f *relaywire.Frame) { copy(f.Entries, relaywire.Run{Number: 1, Count: 11}.Append(nil)) },
		"stored: not to there":             func(f *relaywire.Frame) { f.Last++ },
		"stored: numbers that end": func(f *relaywire.Frame) {
			f.Count, f.Entries = 1, relaywire.Run{Number: 1, Count: 9, Seq: ^uint64(0) - 5}.Append(nil)
			f.Last = 9
		},
		"ack: more ranges than fit": func(f *relaywire.Frame) {
			f.Count, f.Entries = relaywire.MaxRanges+1, append(f.Entries, make([]byte, relaywire.RangeSize)...)
		},
		"stored: more runs than a server has": func(f *relaywire.Frame) {
			f.Count, f.Entries = relaywire.MaxRuns+1, append(f.Entries, make([]byte, relaywire.RunSize)...)
		},
	} {
		kind, _, _ := strings.Cut(what, ":")
		f, ok := frames()[kind]
		require.True(t, ok, kind)
		f.Entries = bytes.Clone(f.Entries)
		change(&f)
		_, err := relaywire.Parse(f.Append(nil))
		assert.ErrorIs(t, err, relaywire.ErrFrame, what)
	}
	welcome := frames()["welcome"]
	for bit := range 8 * len(welcome.Append(nil)) {
		b := welcome.Append(nil)
		b[bit/8] ^= 1 << (bit % 8)
		f, err := relaywire.Parse(b)
		assert.True(t, err != nil || f.Kind != relaywire.Welcome, "bit %d of a welcome", bit)
	}
	hello := frames()["hello"]
	b := hello.Append(nil)
	b[relaywire.HelloSize-1] = 1
	_, err := relaywire.Parse(b)
	assert.ErrorIs(t, err, relaywire.ErrFrame, "hidden in the padding")
}

// No answer that an unproved address can get is longer than its request.
func TestAnswersAreShorter(t *testing.T) {
	all := frames()
	for _, answer := range []string{"challenge", "welcome", "refuse"} {
		f := all[answer]
		assert.LessOrEqual(t, len(f.Append(nil)), relaywire.HelloSize, answer)
	}
	f := all["reset"]
	assert.Len(t, f.Append(nil), relaywire.HeaderSize, "as long as the shortest request")
}

func TestReasonCodes(t *testing.T) {
	require.Len(t, reasons, 1+int(relaywire.SameAddress))
	assert.Equal(t, []Reason{ReasonNameTaken, ReasonFull, ReasonStore, ReasonSameSource}, reasons[1:])
}

// FuzzParse: nothing panics, and what is taken is what append makes of it.
func FuzzParse(f *testing.F) {
	for _, frame := range frames() {
		f.Add(frame.Append(nil))
	}
	padded := frames()["data"]
	f.Add(append(padded.Append(nil), 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := relaywire.Parse(b)
		if err != nil {
			require.ErrorIs(t, err, relaywire.ErrFrame)
			return
		}
		again := frame.Append(nil)
		if frame.Kind == relaywire.Data {
			for _, c := range b[len(again):] {
				require.Zero(t, c)
			}
			b = b[:len(again)]
			size, seq := 0, frame.First
			for e := range frame.Messages() {
				require.NoError(t, CheckUsername(string(e.Name)))
				require.NoError(t, CheckText(string(e.Text)))
				require.Equal(t, seq, e.Seq)
				seq++
				size += relaywire.MessageSize(string(e.Name), string(e.Text))
			}
			require.Len(t, frame.Entries, size)
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
		datagram := f.Append(nil)
		b.Run(fmt.Sprintf("%s, %d bytes", name, len(datagram)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := relaywire.Parse(datagram); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
