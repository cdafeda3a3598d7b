package console_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel/internal/console"
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
