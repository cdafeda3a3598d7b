package beacon_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
)

const someID = "0123456789abcdef"

func TestDecode(t *testing.T) {
	longest := strings.Repeat("é", 32)
	for text, want := range map[string]beacon.Hello{
		"HELLO|":                          {},
		"HELLO|ann":                       {Name: "ann"},
		"HELLO|ann|" + someID:             {Name: "ann", ID: 0x0123456789abcdef},
		"BYE|ann|" + someID:               {Name: "ann", ID: 0x0123456789abcdef, Bye: true},
		"HELLO|" + longest + "|" + someID: {Name: longest, ID: 0x0123456789abcdef},
		"HELLO|<b>\"&' 日本 |" + someID:     {Name: "<b>\"&' 日本 ", ID: 0x0123456789abcdef},
	} {
		for _, end := range []string{"", "\n", "\r\n"} {
			got, err := beacon.Decode([]byte(text + end))
			require.NoError(t, err, text)
			assert.Equal(t, want, got, text)
		}
		again, err := beacon.AppendHello([]byte("before "), want)
		require.NoError(t, err)
		assert.Equal(t, "before "+text, string(again))
		assert.LessOrEqual(t, len(text), beacon.MaxSize)
	}
	for _, text := range []string{
		"", "H", "HELLO", "hello|", " HELLO|", "HELLO|\n\n", "HELLO|ann\n ", "HELLO|a\nnn", "\n", "HELLO||", "HELLO||" + someID,
		"HELLO|ann|", "HELLO|ann|1", "HELLO|ann|" + strings.ToUpper(someID), "HELLO|ann|0000000000000000", "HELLO|ann|" + someID + "|",
		"HELLO|ann|" + someID + "0", "HELLO|a\x00", "HELLO|a\x1b[2J", "HELLO|\u202eann", "HELLO|\xff", "HELLO|a\u00a0b", "HELLO|" + strings.Repeat("x", 65),
		"BYE|", "BYE|ann", "BYE||" + someID, "BYE|ann|", "HELLO|ann|" + someID + strings.Repeat("x", 2000),
	} {
		h, err := beacon.Decode([]byte(text))
		assert.ErrorIs(t, err, beacon.ErrMalformed, "%q", text)
		assert.Zero(t, h)
	}
}

func TestAppendRefuses(t *testing.T) {
	for _, h := range []beacon.Hello{
		{Bye: true}, {Bye: true, Name: "ann"}, {ID: 1}, {Name: "a|b"}, {Name: "a\nb"}, {Name: strings.Repeat("x", 65)}, {Name: "\xff"},
	} {
		b, err := beacon.AppendHello([]byte("before"), h)
		assert.ErrorIs(t, err, beacon.ErrConfig, h)
		assert.Equal(t, "before", string(b))
	}
}

func TestIDAsJSON(t *testing.T) {
	for _, id := range []beacon.ID{0, 1, 1<<64 - 1} {
		text, err := json.Marshal(id)
		require.NoError(t, err)
		back := beacon.ID(7)
		require.NoError(t, json.Unmarshal(text, &back))
		assert.Equal(t, id, back)
	}
	var id beacon.ID
	assert.ErrorIs(t, id.UnmarshalText([]byte("12")), beacon.ErrMalformed)
}

// FuzzDecode: what is accepted is exactly what would be sent, but for a newline.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{"HELLO|", "HELLO|ann", "HELLO|ann|" + someID, "BYE|ann|" + someID, "HELLO||" + someID} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := beacon.Decode(b)
		if err != nil {
			require.ErrorIs(t, err, beacon.ErrMalformed)
			return
		}
		again, err := beacon.AppendHello(nil, h)
		require.NoError(t, err)
		require.Equal(t, strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), string(again))
	})
}
