package udpkit_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

var status = udpkit.Message{
	Timestamp: "2026-11-21T12:00:00.000000+00:00",
	State:     udpkit.StateActive,
	ID:        7,
	Epoch:     0x9f86d081884c7d65,
	Interval:  5 * time.Second,
}

const statusText = `{"timestamp":"2026-11-21T12:00:00.000000+00:00","state":"ACTIVE","message_id":7,"epoch":"9f86d081884c7d65","interval_ms":5000}`

func TestMessageOnTheWire(t *testing.T) {
	b, err := udpkit.AppendMessage([]byte("kept"), status)
	require.NoError(t, err)
	assert.Equal(t, "kept"+statusText, string(b))

	m, err := udpkit.DecodeMessage([]byte(statusText))
	require.NoError(t, err)
	assert.Equal(t, status, m)
}

func TestMessageRoundTrip(t *testing.T) {
	for _, state := range []udpkit.State{"A", `quo"te\`, "wartung läuft", "状態", `<script>alert(1)</script>`, udpkit.State(strings.Repeat("x", 64))} {
		for _, id := range []uint64{0, 1, udpkit.MaxMessageID} {
			m := udpkit.Message{Timestamp: status.Timestamp, State: state, ID: id}
			b, err := udpkit.AppendMessage(nil, m)
			require.NoError(t, err)
			got, err := udpkit.DecodeMessage(b)
			require.NoError(t, err)
			assert.Equal(t, m, got)
			assert.True(t, json.Valid(b))
		}
	}
}

// TestData: what a sender adds under the key "data" comes out as it went in, whatever value it is.
func TestData(t *testing.T) {
	for _, data := range []string{`{"load":[0.5,null],"<b>":"\u00e9 😀"}`, `[[[[[[[]]]]]]]`, `"text"`, `-1.5e7`, `true`, `null`, `""`} {
		m := status
		m.Data = json.RawMessage(data)
		b, err := udpkit.AppendMessage(nil, m)
		require.NoError(t, err)
		assert.Equal(t, statusText[:len(statusText)-1]+`,"data":`+data+`}`, string(b))
		got, err := udpkit.DecodeMessage(b)
		require.NoError(t, err)
		assert.Equal(t, m, got)
		clear(b)
		assert.Equal(t, data, string(got.Data), "it holds no part of the datagram")
	}
	m, err := udpkit.DecodeMessage([]byte(`{"data" : [1, 2] ,"timestamp":"t","state":"A","message_id":1}`))
	require.NoError(t, err)
	assert.Equal(t, `[1, 2]`, string(m.Data))
	for _, bad := range []string{`{`, `{"a":1}x`, ` 1 2`, `NaN`, `01`, `"` + "\xff" + `"`, `"\ud800"`, `[[[[[[[[[]]]]]]]]]`, `"` + strings.Repeat("x", 1000) + `"`} {
		m := status
		m.Data = json.RawMessage(bad)
		b, err := udpkit.AppendMessage([]byte("kept"), m)
		assert.ErrorIs(t, err, udpkit.ErrConfig, bad)
		assert.NotErrorIs(t, err, udpkit.ErrMalformed, bad)
		assert.Equal(t, "kept", string(b))
		_, err = udpkit.DecodeMessage([]byte(`{"timestamp":"t","state":"A","message_id":1,"data":` + bad + `}`))
		assert.ErrorIs(t, err, udpkit.ErrMalformed, bad)
	}
	_, err = udpkit.DecodeMessage([]byte(`{"timestamp":"t","state":"A","message_id":1,"data":1,"data":1}`))
	assert.ErrorIs(t, err, udpkit.ErrMalformed)
	// The largest message that a server can be made to send is one.
	worst := udpkit.Message{
		Timestamp: status.Timestamp, State: udpkit.State(strings.Repeat(`"`, udpkit.MaxStateLen)), ID: udpkit.MaxMessageID, Epoch: status.Epoch,
		Interval: math.MaxInt64, Data: json.RawMessage(strings.Repeat("1", udpkit.MaxDataLen)), Repair: true, Clock: true, End: true,
	}
	b, err := udpkit.AppendMessage(nil, worst)
	require.NoError(t, err)
	assert.LessOrEqual(t, len(b), udpkit.MaxMessageSize)
	assert.Greater(t, len(b), udpkit.MaxMessageSize-4, "and there is no room for more")
}

func TestAppendMessageRefuses(t *testing.T) {
	for name, m := range map[string]udpkit.Message{
		"no timestamp":    {State: "A"},
		"no state":        {Timestamp: "t"},
		"long state":      {Timestamp: "t", State: udpkit.State(strings.Repeat("x", 65))},
		"control":         {Timestamp: "t", State: "A\x1b[2J"},
		"bidi":            {Timestamp: "t", State: "A\u202eB"},
		"invalid UTF-8":   {Timestamp: "t", State: "A\xff"},
		"too large an id": {Timestamp: "t", State: "A", ID: udpkit.MaxMessageID + 1},
	} {
		b, err := udpkit.AppendMessage([]byte("kept"), m)
		assert.ErrorIs(t, err, udpkit.ErrConfig, name)
		assert.Equal(t, "kept", string(b), name)
	}
}

func TestDecodeMessageAccepts(t *testing.T) {
	for name, text := range map[string]string{
		"python":         `{"timestamp": "2026-11-21T12:00:00.123456", "state": "ACTIVE", "message_id": 0}`,
		"other order":    `{"message_id":0,"state":"ACTIVE","timestamp":"2026-11-21T12:00:00.123456"}`,
		"white space":    " {\n\"message_id\" : 0 ,\t\"state\":\"ACTIVE\",\"timestamp\":\"2026-11-21T12:00:00.123456\"}\r\n",
		"unknown fields": `{"a":null,"b":[1,-2.5e3,{"c":"d"}],"State":"other","e":{},"f":[],"g":true,"timestamp":"2026-11-21T12:00:00.123456","state":"ACTIVE","message_id":0}`,
		"escapes":        `{"timestamp":"2026-11-21T12:00:00.123456","st\u0061te":"\u0041CTIVE","message_id":0}`,
	} {
		m, err := udpkit.DecodeMessage([]byte(text))
		require.NoError(t, err, name)
		assert.Equal(t, udpkit.Message{Timestamp: "2026-11-21T12:00:00.123456", State: "ACTIVE"}, m, name)
	}
	m, err := udpkit.DecodeMessage([]byte(`{"timestamp":"t","state":"\"\\\/\b\f\n\r\t\ud83d\ude00","message_id":1}`))
	require.NoError(t, err)
	assert.Equal(t, udpkit.State("\"\\/\b\f\n\r\t😀"), m.State)
}

// TestFieldsOfOthers: what is not ours in a field that we have added, or an integer with decimals,
// harms nobody.
func TestFieldsOfOthers(t *testing.T) {
	for _, epoch := range []string{`1795813200`, `"123"`, `""`, `"9F86D081884C7D65"`, `null`, `{"a":[1]}`, `-1.5e3`} {
		for _, interval := range []string{`"5s"`, `-1`, `5000.5`, `1e3`, `null`, `[5000]`, `9007199254740991`} {
			m, err := udpkit.DecodeMessage([]byte(`{"timestamp":"t","epoch":` + epoch + `,"interval_ms":` + interval + `,"state":"A","message_id":7.0}`))
			require.NoError(t, err, "%s, %s", epoch, interval)
			assert.Equal(t, udpkit.Message{Timestamp: "t", State: "A", ID: 7}, m)
		}
	}
	m, err := udpkit.DecodeMessage([]byte(`{"timestamp":"t","state":"A","message_id":9007199254740991.000,"epoch":"9f86d081884c7d65","interval_ms":5000.0}`))
	require.NoError(t, err)
	assert.Equal(t, udpkit.Message{Timestamp: "t", State: "A", ID: udpkit.MaxMessageID, Epoch: status.Epoch, Interval: 5 * time.Second}, m)
}

func TestDecodeMessageRefuses(t *testing.T) {
	fields := func(f string) string { return `{"timestamp":"t","state":"A","message_id":1` + f + `}` }
	// What people meet most often is told in words that say what to mend.
	for text, reason := range map[string]string{
		"\ufeff" + fields(""):     "not a JSON object",
		fields("") + "\x00":       "something follows the JSON object",
		fields(`,"x":NaN`):        "a value that is not JSON, such as NaN",
		`{"message_id":"1"}`:      "message_id is not an integer from 0 to 2^53-1",
		`{"state":7}`:             "state is not a text of 1 to 64 bytes",
		"{\"state\":\"A\x1b\"}":   "a control character in a text",
		`{"message_id":1}`:        "no timestamp, state or message_id",
		fields("") + "\xff":       "not valid UTF-8",
		strings.Repeat(" ", 1025): "longer than 1,024 bytes",
	} {
		_, err := udpkit.DecodeMessage([]byte(text))
		assert.EqualError(t, err, "malformed datagram: "+reason)
	}
	for name, text := range map[string]string{
		"empty":                "",
		"text":                 "hello",
		"array":                `[1]`,
		"unterminated":         `{"timestamp":"t","state":"A","message_id":1`,
		"text behind":          fields("") + "x",
		"second object":        fields("") + fields(""),
		"no id":                `{"timestamp":"t","state":"A"}`,
		"case variant":         `{"timestamp":"t","State":"A","message_id":1}`,
		"twice":                fields(`,"state":"B"`),
		"twice, escaped":       fields(`,"st\u0061te":"B"`),
		"unknown twice":        fields(`,"x":1,"x":2`),
		"id is text":           `{"timestamp":"t","state":"A","message_id":"1"}`,
		"id is negative":       `{"timestamp":"t","state":"A","message_id":-1}`,
		"id is a fraction":     `{"timestamp":"t","state":"A","message_id":1.5}`,
		"id has no decimals":   `{"timestamp":"t","state":"A","message_id":1.}`,
		"id is a sum":          `{"timestamp":"t","state":"A","message_id":1.0.0}`,
		"id has an exponent":   `{"timestamp":"t","state":"A","message_id":1e2}`,
		"id is 2^53":           `{"timestamp":"t","state":"A","message_id":9007199254740992}`,
		"id has 500 digits":    `{"timestamp":"t","state":"A","message_id":` + strings.Repeat("9", 500) + `}`,
		"id has a zero before": `{"timestamp":"t","state":"A","message_id":01}`,
		"id is null":           `{"timestamp":"t","state":"A","message_id":null}`,
		"id is true":           `{"timestamp":"t","state":"A","message_id":true}`,
		"state is a number":    `{"timestamp":"t","state":1,"message_id":1}`,
		"state is empty":       `{"timestamp":"t","state":"","message_id":1}`,
		"state is long":        `{"timestamp":"t","state":"` + strings.Repeat("x", 65) + `","message_id":1}`,
		"lone surrogate":       `{"timestamp":"t","state":"\ud800","message_id":1}`,
		"broken surrogates":    `{"timestamp":"t","state":"\ud800\u0041","message_id":1}`,
		"bad escape":           `{"timestamp":"t","state":"\x41","message_id":1}`,
		"control character":    "{\"timestamp\":\"t\",\"state\":\"A\x00\",\"message_id\":1}",
		"invalid UTF-8":        "{\"timestamp\":\"t\",\"state\":\"A\xff\",\"message_id\":1}",
		"deep":                 fields(`,"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200)),
		"many keys":            fields(manyKeys(40)),
		"bad literal":          fields(`,"x":nul`),
		"bad number":           fields(`,"x":01`),
		"trailing comma":       fields(`,`),
		"trailing comma, list": fields(`,"x":[1,]`),
		"epoch is no JSON":     fields(`,"epoch":"12`),
		"epoch is deep":        fields(`,"epoch":` + strings.Repeat("[", 200) + strings.Repeat("]", 200)),
		"interval is no JSON":  fields(`,"interval_ms":-`),
		"too long":             fields(`,"x":"` + strings.Repeat("x", 1024) + `"`),
	} {
		_, err := udpkit.DecodeMessage([]byte(text))
		assert.ErrorIs(t, err, udpkit.ErrMalformed, name)
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":0`, i)
	}
	return b.String()
}

func TestMessageTime(t *testing.T) {
	at, ok := status.Time()
	assert.True(t, ok)
	assert.True(t, at.Equal(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)))

	at, ok = udpkit.Message{Timestamp: "2026-11-21T12:00:00.5"}.Time() // Python's, local
	assert.True(t, ok)
	assert.True(t, at.Equal(time.Date(2026, 11, 21, 12, 0, 0, 5e8, time.Local)))

	_, ok = udpkit.Message{Timestamp: "yesterday"}.Time()
	assert.False(t, ok)
}

func TestAckOnTheWire(t *testing.T) {
	for text, ack := range map[string]udpkit.Ack{
		"Client c1 received message 12":                                  {ClientID: "c1", MessageID: 12},
		"Client c1 received message 12 epoch 9f86d081884c7d65":           {ClientID: "c1", MessageID: 12, Epoch: 0x9f86d081884c7d65},
		"Client a received message 1 received message 0":                 {ClientID: "a received message 1", MessageID: 0},
		"Client 550e8400-e29b-41d4-a716-446655440000 received message 3": {ClientID: "550e8400-e29b-41d4-a716-446655440000", MessageID: 3},
	} {
		b, err := udpkit.AppendAck(nil, ack)
		require.NoError(t, err)
		assert.Equal(t, text, string(b))
		for _, end := range []string{"", "\n", "\r\n"} {
			got, err := udpkit.DecodeAck([]byte(text + end))
			require.NoError(t, err, text)
			assert.Equal(t, ack, got)
		}
	}
}

func TestDecodeAckRefuses(t *testing.T) {
	for _, text := range []string{
		"", "hello", "Client c received message", "Client c received message ", "Client c received message x",
		"Client c received message -1", "Client c received message 01", "Client c received message 1 ",
		"Client c received message 1\n\n", "Client c received message 1\n ", "Client  received message 1", "Client c\n received message 1",
		"Client \x1b[2J received message 1", "Client c\xff received message 1", "client c received message 1",
		"Client " + strings.Repeat("x", 65) + " received message 1", "Client c received message 9007199254740992",
		"Client c received message 1 epoch", "Client c received message 1 epoch 12",
		"Client c received message 1 epoch 0000000000000000", "Client c received message 1 epoch 9F86D081884C7D65",
		strings.Repeat("x", 300),
	} {
		_, err := udpkit.DecodeAck([]byte(text))
		assert.ErrorIs(t, err, udpkit.ErrMalformed, "%q", text)
	}
}

// FuzzDecodeMessage checks the decoder against encoding/json: what is accepted is valid JSON whose
// exact keys have the same values, and survives a round trip.
func FuzzDecodeMessage(f *testing.F) {
	f.Add([]byte(statusText))
	f.Add([]byte(`{"timestamp":"t","state":"\ud83d\ude00\u0041","message_id":0,"x":[{"y":[]},-1.5e-7,null]}`))
	f.Add([]byte(`{"timestamp":"t","state":"A","message_id":1,"STATE":"B","x":{"x":1,"x":2}}`))
	f.Add([]byte(`{"timestamp":"t","state":"A","message_id":1,"data": {"a":[1,{"b":null}],"c":"\u00e9"} }`))
	f.Add([]byte(`{"d\u0061ta":-0.5e-7,"timestamp":"t","state":"A","message_id":1}`))
	f.Add([]byte(`{"timestamp":"t","state":"A","message_id":1,"data":[[[[[[[[]]]]]]]]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := udpkit.DecodeMessage(b)
		if err != nil {
			require.ErrorIs(t, err, udpkit.ErrMalformed)
			return
		}
		require.True(t, utf8.Valid(b))
		var oracle map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(b, &oracle))
		var timestamp, state string
		var id float64 // 1.0 is an integer too; up to 2^53 it holds each
		require.NoError(t, json.Unmarshal(oracle["timestamp"], &timestamp))
		require.NoError(t, json.Unmarshal(oracle["state"], &state))
		require.NoError(t, json.Unmarshal(oracle["message_id"], &id))
		require.Equal(t, timestamp, m.Timestamp)
		require.Equal(t, state, string(m.State))
		require.Equal(t, id, float64(m.ID))
		require.Equal(t, string(oracle["data"]), string(m.Data))
		if again, err := udpkit.AppendMessage(nil, m); err == nil { // else it has what we do not send
			back, err := udpkit.DecodeMessage(again)
			require.NoError(t, err)
			require.Equal(t, m, back)
		}
	})
}

func FuzzDecodeAck(f *testing.F) {
	f.Add([]byte("Client c1 received message 12"))
	f.Add([]byte("Client a received message 1 received message 2 epoch 9f86d081884c7d65"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := udpkit.DecodeAck(b)
		if err != nil {
			require.ErrorIs(t, err, udpkit.ErrMalformed)
			return
		}
		again, err := udpkit.AppendAck(nil, a)
		require.NoError(t, err)
		require.Equal(t, strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), string(again))
	})
}
