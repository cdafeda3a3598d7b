package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
)

// lines returns all lines of a source, and for each that was refused its error.
func lines(t *testing.T, s console.Source) (all []string, farewell error) {
	t.Helper()
	for {
		line, err := s.Next()
		switch {
		case err == nil:
			all = append(all, line)
		case errors.Is(err, console.ErrLineTooLong):
			all = append(all, err.Error())
		default:
			return all, err
		}
	}
}

func TestReader(t *testing.T) {
	longest := strings.Repeat("x", console.MaxLine)
	for name, in := range map[string]io.Reader{
		"at once":      strings.NewReader("one\ntwo\r\n\n three \n" + longest + "\r\n" + longest + "yyy\nnext\nlast"),
		"byte by byte": iotest.OneByteReader(strings.NewReader("one\ntwo\r\n\n three \n" + longest + "\r\n" + longest + "yyy\nnext\nlast")),
	} {
		got, err := lines(t, console.NewReader(in))
		require.ErrorIs(t, err, io.EOF, name)
		require.Equal(t, []string{"one", "two", "", " three ", longest, "line too long: 65539 bytes", "next", "last"}, got, name)
	}
	_, err := lines(t, console.NewReader(iotest.ErrReader(io.ErrClosedPipe)))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	got, err := lines(t, console.NewReader(strings.NewReader(longest+longest)))
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, []string{"line too long: 131072 bytes"}, got, "without a newline too")
}

func TestList(t *testing.T) {
	list := console.List{"a", "", "b"}
	got, err := lines(t, &list)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, []string{"a", "", "b"}, got)
}

type said struct {
	Text string `json:"text"`
}

func (said) Kind() string { return "said" }

// TestJSON: what would steer a terminal is escaped, and means the same.
func TestJSON(t *testing.T) {
	var out bytes.Buffer
	j := console.NewJSON(&out)
	texts := []string{"plain", "größer 日本 👍", "\x1b[2J\x9b", "\u009b31m\u202egnp.exe\u2028\x7f", "tag \U000e0041."}
	for _, text := range texts {
		require.NoError(t, j.Event(said{text}))
	}
	require.NoError(t, j.Note("a remark"))
	rows := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	require.Len(t, rows, len(texts)+1)
	for i, text := range texts {
		var back struct{ Event, Text string }
		require.NoError(t, json.Unmarshal([]byte(rows[i]), &back))
		assert.Equal(t, "said", back.Event)
		assert.Equal(t, strings.ToValidUTF8(text, "\ufffd"), back.Text)
	}
	assert.Contains(t, rows[1], "größer 日本 👍")
	for _, bad := range []string{"\x1b", "\u009b", "\u202e", "\u2028", "\x7f", "\U000e0041"} {
		assert.NotContains(t, out.String(), bad)
	}
	assert.Contains(t, rows[len(texts)], `{"event":"note","text":"a remark","at":"`)
	broken := errors.New("full")
	assert.ErrorIs(t, console.NewJSON(failing{broken}).Note("x\u009b"), broken)
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

// TestScreen: what is no terminal gets lines and nothing else.
func TestScreen(t *testing.T) {
	var out bytes.Buffer
	s := console.NewScreen(&out)
	assert.False(t, s.HasStatus())
	s.Status("*", "waiting")
	require.NoError(t, s.Print(s.Paint(console.Red, "a line")))
	require.NoError(t, s.Clear())
	assert.Equal(t, "a line\n", out.String())
	broken := errors.New("full")
	assert.ErrorIs(t, console.NewScreen(failing{broken}).Print("x"), broken)
}

// TestOutput: a write waits for as long as the program runs, and after that for a second and a half
// in all.
func TestOutput(t *testing.T) {
	for _, how := range []string{"ended", "limit"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if how == "limit" {
				ctx, cancel = context.WithTimeout(ctx, time.Hour)
				defer cancel()
			}
			r, w := io.Pipe()
			out := console.NewOutput(ctx, w)
			read := func(text string, after time.Duration) {
				time.Sleep(after)
				got := make([]byte, len(text))
				_, err := io.ReadFull(r, got)
				require.NoError(t, err)
				require.Equal(t, text, string(got))
			}
			written := make(chan error, 1)
			line := []byte("first\n")
			write := func() {
				n, err := out.Write(line)
				if err == nil {
					assert.Equal(t, len(line), n)
				}
				written <- err
			}
			go write()
			read("first\n", time.Hour-time.Minute)
			require.NoError(t, <-written)
			go write()
			time.Sleep(time.Minute - time.Millisecond)
			if how == "ended" {
				time.Sleep(time.Millisecond)
				cancel()
			}
			read("first\n", time.Second)
			require.NoError(t, <-written, "somebody reads, if slowly")
			begun := time.Now()
			go write()
			require.ErrorIs(t, <-written, console.ErrLost)
			assert.InDelta(t, 500, time.Since(begun).Milliseconds(), 2)
			_, err := out.Write(line)
			require.ErrorIs(t, err, console.ErrLost)
			assert.InDelta(t, 500, time.Since(begun).Milliseconds(), 2, "at once")
			copy(line, "other")
			read("first\n", 0) // what waits is not the caller's any more
			require.NoError(t, w.Close())
		})
	}
	broken := errors.New("full")
	_, err := console.NewOutput(t.Context(), failing{broken}).Write([]byte("x"))
	require.ErrorIs(t, err, broken)
}

// TestByteOrderMark: it is no part of the first line, and nobody waits for one.
func TestByteOrderMark(t *testing.T) {
	for in, want := range map[string][]string{
		"\ufeffone\n\ufefftwo": {"one", "\ufefftwo"},
		"\ufeff":               nil,
		"\ufeff\n":             {""},
		"\xef\xbb\n":           {"\xef\xbb"},
		"\xef\xbb":             {"\xef\xbb"},
		"a":                    {"a"},
		"":                     nil,
	} {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.DataErrReader(strings.NewReader(in))} {
			got, err := lines(t, console.NewReader(r))
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, want, got, "%q", in)
		}
	}
	r, w := io.Pipe()
	go func() { _, _ = w.Write([]byte("\n")) }()
	line, err := console.NewReader(r).Next()
	require.NoError(t, err)
	require.Empty(t, line)
}

func TestWidths(t *testing.T) {
	for text, want := range map[string]int{"": 0, "Bø": 2, "Bø日本": 6, "👍": 2, "e\u0301": 1, "❤": 1, "한국": 4} {
		assert.Equal(t, want, console.Width(text), text)
	}
	assert.Equal(t, "Bø日本", console.Cut("Bø日本", 6))
	assert.Equal(t, "Bø日…", console.Cut("Bø日本", 5))
	assert.Equal(t, "Bø…", console.Cut("Bø日本", 4))
	assert.Equal(t, "…", console.Cut("日本", 0))
	assert.Equal(t, "日本  ", console.Pad("日本", 6))
	assert.Equal(t, "NAME    LAST\nBø日本  1\n👍      22\n", console.Table([][]string{{"NAME", "LAST"}, {"Bø日本", "1"}, {"👍", "22"}}))
}

// TestProgress: what is no terminal gets a line for each step, with the share that is done and the
// time left at the pace that it went until then.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := console.NewProgress(&out)
		p.Step("first", 0, time.Minute)
		time.Sleep(time.Minute) // twice what was expected
		p.Step("second", 30*time.Second, time.Minute)
		p.Done(nil)
		p.Step("third", 59500*time.Millisecond, time.Minute)
		p.Done(errors.New("broken"))
		p.Step("unknown", 0, 0)
		time.Sleep(3 * time.Second)
		p.End()
		assert.Equal(t, "0 %, about 1m0s left: first\n50 %, about 55s left: second\nsecond: done after 0s\n"+
			"99 %: third\nthird: failed after 0s\nunknown\n", out.String())
	})
}
