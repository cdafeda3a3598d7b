package dissect_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/dissect"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

const epoch udpkit.Epoch = 0xaa

func frame(f relaywire.Frame) []byte {
	f.ID = 7
	return f.Append(nil)
}

func payloads(t testing.TB) map[string][]byte {
	status, err := udpkit.AppendMessage(nil, udpkit.Message{
		Timestamp: "2026-01-02T03:04:05+00:00", State: "UP", ID: 5, Epoch: epoch, Interval: time.Second, Data: json.RawMessage(`{"a":1}`), Repair: true, Clock: true, End: true,
	})
	require.NoError(t, err)
	ack, err := udpkit.AppendAck(nil, udpkit.Ack{ClientID: "ann", MessageID: 5, Epoch: epoch, Clock: 0xcc})
	require.NoError(t, err)
	hello, err := beacon.AppendHello(nil, beacon.Hello{Name: "ann", ID: 0xbb})
	require.NoError(t, err)
	question := "Client ann misses messages 5 to 7 epoch 00000000000000aa"
	question += strings.Repeat(" ", (udpkit.MaxMessageSize+2)/3-len(question))
	entry := relaywire.AppendMessage(nil, 1, "ann", "text")
	return map[string][]byte{
		`status timestamp="2026-01-02T03:04:05+00:00" state="UP" message_id=5 epoch="00000000000000aa" interval_ms=1000 repair=true clock=true data="{\"a\":1}" end=true`: status,
		`acknowledgement client_id="ann" message_id=5 epoch="00000000000000aa" time_id="00000000000000cc"`:                                                                ack,
		`repair request client_id="ann" from=5 to=7 epoch="00000000000000aa"`:                                                                                             []byte(question),
		`time time_id="00000000000000cc" received="2023-11-14T22:13:20.123456789Z" sent="2023-11-14T22:13:20.123456799Z"`:                                                 []byte("Time 00000000000000cc 1700000000123456789 1700000000123456799"),
		`hello name="ann" id="00000000000000bb"`: hello,
		`bye name="ann" id="00000000000000bb"`:   []byte("BYE|ann|00000000000000bb"),
		`relay hello id="0000000000000007" try=1 role="writer" name="ann" from="last" at=3 log=0 cookie=false`: frame(relaywire.Frame{
			Kind: relaywire.Hello, Try: 1, Role: relaywire.RoleWriter, Name: "ann", At: 3}),
		`relay welcome id="0000000000000007" try=1 next=2 first=1 last=3 log=9 expire_ms=1000`: frame(relaywire.Frame{
			Kind: relaywire.Welcome, Try: 1, Next: 2, First: 1, Last: 3, Log: 9, Expire: time.Second}),
		`relay data id="0000000000000007" first=4 count=1 messages="[{\"number\":4,\"at\":\"1970-01-01T00:00:00.000000001Z\",\"name\":\"ann\",\"text\":\"text\"}]"`: frame(relaywire.Frame{
			Kind: relaywire.Data, First: 4, Count: 1, Entries: entry}),
		`relay write id="0000000000000007" first=4 count=2 messages="[{\"number\":4,\"text\":\"one\"},{\"number\":5,\"text\":\"two\"}]"`: frame(relaywire.Frame{
			Kind: relaywire.Write, First: 4, Count: 2, Entries: relaywire.AppendText(relaywire.AppendText(nil, "one"), "two")}),
		`relay stored id="0000000000000007" last=3 runs=1 stored="[{\"number\":1,\"count\":3,\"seq\":7}]"`: frame(relaywire.Frame{
			Kind: relaywire.Stored, Last: 3, Count: 1, Entries: relaywire.Run{Number: 1, Count: 3, Seq: 7}.Append(nil)}),
		`relay ack id="0000000000000007" next=4 done=3 last=9 window=100 missing=1 ranges="[{\"offset\":1,\"count\":2}]"`: frame(relaywire.Frame{
			Kind: relaywire.Ack, Next: 4, Done: 3, Last: 9, Window: 100, Count: 1, Entries: relaywire.Missing{Offset: 1, Count: 2}.Append(nil)}),
		`relay challenge id="0000000000000007"`:                                     frame(relaywire.Frame{Kind: relaywire.Challenge, Cookie: relaywire.Cookie{1}}),
		`relay refuse id="0000000000000007" reason=1 expire_ms=1000`:                frame(relaywire.Frame{Kind: relaywire.Refuse, Reason: relaywire.NameTaken, Expire: time.Second}),
		`relay reset id="0000000000000007"`:                                         frame(relaywire.Frame{Kind: relaywire.Reset}),
		`relay pong id="0000000000000007" first=1 last=3`:                           frame(relaywire.Frame{Kind: relaywire.Pong, First: 1, Last: 3}),
		`relay leave id="0000000000000007" done=1`:                                  frame(relaywire.Frame{Kind: relaywire.Leave, Done: 1}),
		`relay bye id="0000000000000007"`:                                           frame(relaywire.Frame{Kind: relaywire.Bye}),
		`relay gap id="0000000000000007" first=4 last=6`:                            frame(relaywire.Frame{Kind: relaywire.Gap, First: 4, Last: 6}),
		`relay ack id="0000000000000007" next=4 done=3 last=3 window=100 missing=0`: frame(relaywire.Frame{Kind: relaywire.Ack, Next: 4, Done: 3, Last: 3, Window: 100}),
		`relay failed id="0000000000000007" first=4 text="disk full"`:               frame(relaywire.Frame{Kind: relaywire.Failed, First: 4, Entries: []byte("disk full")}),
		`relay ping id="0000000000000007"`:                                          frame(relaywire.Frame{Kind: relaywire.Ping}),
		`relay failed id="0000000000000007" first=4 text=""`:                        frame(relaywire.Frame{Kind: relaywire.Failed, First: 4}),
		`hello name=""`:            []byte("HELLO|"),
		`text text="a\x1b[31m\nb"`: []byte("a\x1b[31m\nb"),
		`bytes length=2`:           []byte("\xff\xfe"),
	}
}

// TestOf: each kind of datagram is told, with its fields, and with a key too.
func TestOf(t *testing.T) {
	ring := testenv.Ring(t)
	for want, payload := range payloads(t) {
		d := dissect.Of(payload)
		assert.Equal(t, want, d.Kind+" "+d.Fields.String())
		assert.Equal(t, key.Unprotected, d.Protection)
		_, err := json.Marshal(d.Fields)
		require.NoError(t, err)

		form := key.Text
		switch kind, _, _ := strings.Cut(d.Kind, " "); kind {
		case "status":
			form = key.JSON
		case "relay":
			form = key.Binary
		case "bytes", "repair", "text": // has no signed form, or another length
			continue
		}
		signed := dissect.Of(ring.Sender("test", form, false).Append(nil, payload))
		assert.Equal(t, d.Kind, signed.Kind)
		assert.Equal(t, d.Fields, signed.Fields)
		assert.Equal(t, key.Signed, signed.Protection)

		sealed := dissect.Of(ring.Sender("test", form, true).Append(nil, payload))
		assert.Equal(t, "sealed", sealed.Kind)
		assert.Equal(t, key.Sealed, sealed.Protection)
	}
}

// TestFieldsInOrder: JSON has the fields in the order of the wire.
func TestFieldsInOrder(t *testing.T) {
	b, err := json.Marshal(dissect.Of([]byte("Client ann received message 5")).Fields)
	require.NoError(t, err)
	assert.Equal(t, `{"client_id":"ann","message_id":5}`, string(b))
}

// FuzzOf: whatever comes, it is something, and can be shown.
func FuzzOf(f *testing.F) {
	for _, payload := range payloads(f) {
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		require.True(t, bytes.Equal(b, slices.Concat(dissect.Split(b)...)))
		d := dissect.Of(b)
		require.NotEmpty(t, d.Kind)
		_, err := json.Marshal(d.Fields)
		require.NoError(t, err)
		require.NotContains(t, d.Fields.String(), "\x1b")
	})
}

// TestSplit: what a relay's system has not parted yet is parted, also signed and sealed. Nothing
// else is.
func TestSplit(t *testing.T) {
	ring := testenv.Ring(t)
	for _, sender := range []*key.Sender{nil, ring.Sender("test", key.Binary, false), ring.Sender("test", key.Binary, true)} {
		for count := range 5 {
			var want [][]byte
			for i := range count + 1 {
				text := "text"
				if i == count {
					text = "" // the last may be shorter
				}
				entry := relaywire.AppendMessage(nil, 1, "ann", text)
				want = append(want, bytes.Clone(sender.Datagram(frame(relaywire.Frame{Kind: relaywire.Data, First: uint64(i + 1), Count: 1, Entries: entry}))))
			}
			all := slices.Concat(want...)
			assert.Equal(t, want, dissect.Split(all))
			if sender.Overhead() == key.BinarySealed || count == 0 {
				continue
			}
			all[len(want[0])] = 'x'
			assert.Equal(t, [][]byte{all}, dissect.Split(all))
		}
	}
	for _, payload := range append(slices.Collect(maps.Values(payloads(t))), nil) {
		assert.Equal(t, [][]byte{payload}, dissect.Split(payload))
	}
}

// TestNoToken: line breaks, which a decoder of base64 skips, make no token of fewer letters.
func TestNoToken(t *testing.T) {
	signed := testenv.Ring(t).Sender("test", key.Text, false).Append(nil, []byte("Client ann received message 5"))
	signed[len(signed)-2] = '\n'
	assert.Equal(t, key.Unprotected, dissect.Of(signed).Protection)
}
