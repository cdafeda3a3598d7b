package store

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

func FuzzRecord(f *testing.F) {
	for _, r := range []relay.Record{
		{Number: 1, Username: "ann", Text: "hello", At: time.Unix(1_700_000_000, 1)},
		{Number: 1<<64 - 1, Username: strings.Repeat("z", relay.MaxNameLen), Text: strings.Repeat("x", relay.MaxText), At: time.Unix(0, -1)},
		{Number: 7, Username: "b-_1", At: time.Unix(0, 0)},
	} {
		f.Add(appendRecord(nil, r))
	}
	f.Add([]byte{})
	f.Add([]byte{2})
	f.Add([]byte(`{"text":"hello"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			require.ErrorIs(t, err, errRecord)
			require.Zero(t, r)
			return
		}
		require.Equal(t, b, appendRecord(nil, r), "a record has one encoding")
		require.NoError(t, relay.CheckUsername(r.Username))
		require.NoError(t, relay.CheckText(r.Text))
		require.NotZero(t, r.Number)
		require.LessOrEqual(t, len(b), recordOverhead+relay.MaxText)
	})
}
