package jetstream

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// FuzzRecord takes any message for a record: its subject, its headers as they are sent, its body.
func FuzzRecord(f *testing.F) {
	l := &Log{cfg: Config{Name: "relay"}}
	for _, r := range []relay.Record{
		{Run: 1, Number: 1, Username: "ann", Text: "hello", At: time.Unix(1_700_000_000, 1)},
		{Run: 1<<64 - 1, Number: 1<<64 - 1, Username: strings.Repeat("z", relay.MaxNameLen), Text: strings.Repeat("x", relay.MaxText), At: time.Unix(0, -1)},
		{Run: 7, Number: 7, Username: "b-_1", At: time.Unix(0, 0)},
	} {
		m := l.encode(r)
		header := "NATS/1.0\r\n"
		for key, values := range m.Header {
			header += key + ": " + values[0] + "\r\n"
		}
		f.Add(m.Subject, []byte(header+"\r\n"), m.Data)
	}
	f.Add("relay.m.ann.0000000000000001", []byte("NATS/1.0\r\nUdpkit-Writer: ann\r\nUdpkit-Run: 0000000000000001\r\nUdpkit-Number: 1\r\n"+
		"Udpkit-Time: 0000-01-01T00:00:00+23:00\r\n\r\n"), []byte("hello"))
	f.Add("relay.m.9.0000000000000001", []byte("NATS/1.0\r\nUdpkit-Writer: 9\r\nUdpkit-Run: 0000000000000001\r\nUdpkit-Number: 1\r\n"+
		"Udpkit-Time: 2026-01-01T00:00:00Z\r\n\r\n"), []byte{0xff}) // two things are wrong
	f.Add("relay.m.x.y", []byte(nil), []byte("hello"))
	f.Add("relay.m.ann.0000000000000001", []byte("NATS/1.0\r\nUdpkit-Writer: ann\r\n\r\n"), []byte("hello"))
	f.Add("relay.m.ann.0000000000000001", []byte("NATS/1.0 404\r\nno colon\r\n\r\n"), []byte{0xff})
	f.Fuzz(func(t *testing.T, subject string, header, data []byte) {
		h, err := nats.DecodeHeadersMsg(header)
		r, failure := l.decode(stored{seq: 1, subject: subject, header: h, data: data})
		if failure != nil {
			require.Zero(t, r)
			require.NotContains(t, failure.Error(), "\n")
			return
		}
		require.NoError(t, err)
		require.NoError(t, relay.CheckUsername(r.Username))
		require.NoError(t, relay.CheckText(r.Text))
		require.NotZero(t, r.Number)
		require.NotZero(t, r.Run)
		m := l.encode(r)
		require.Equal(t, subject, m.Subject)
		again, err := l.decode(stored{1, m.Subject, m.Header, m.Data})
		require.NoError(t, err)
		require.True(t, r.At.Equal(again.At))
		r.At, again.At = time.Time{}, time.Time{}
		require.Equal(t, r, again)
	})
}
