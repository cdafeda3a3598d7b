package broadcastpanel_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/broadcastpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// history writes the journal of a run into a file.
func history(t *testing.T, events ...udpkit.Event) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "history.jsonl")
	file, err := os.Create(name)
	require.NoError(t, err)
	journal := udpkit.NewJournal(file)
	for _, e := range events {
		require.NoError(t, journal.Write(e))
	}
	require.NoError(t, file.Close())
	return name
}

// TestSentAgain: what was sent again is in the pictures, and does not distort them.
func TestSentAgain(t *testing.T) {
	begun := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return begun.Add(time.Duration(seconds) * time.Second) }

	server := []udpkit.Event{udpkit.StartEvent{At: begun}}
	for id := range uint64(4) {
		rtt := time.Millisecond
		if id == 3 {
			rtt = 5 * time.Second
		}
		server = append(server,
			udpkit.SentEvent{MessageID: id + 1, State: "ACTIVE", At: at(int(id))},
			udpkit.AckEvent{MessageID: id + 1, ClientID: "ann", RTT: rtt, At: at(int(id))})
	}
	p, err := broadcastpanel.ServerPicture(history(t, server...))
	require.NoError(t, err)
	trips := p.Bands[1].Charts[1].(chart.Rows)
	require.Equal(t, "broadcast to acknowledgement (ms), 1 longer", trips.Axis)
	require.Less(t, trips.End, 2*time.Millisecond)
	require.Len(t, trips.Rows[0].Dots, 3)

	message := func(id uint64, state udpkit.State, seconds int, repaired bool) udpkit.MessageEvent {
		e := udpkit.MessageEvent{ReceivedAt: at(seconds), Repaired: repaired, Latency: time.Millisecond}
		e.MessageID, e.State = id, state
		if repaired {
			e.Latency = 5 * time.Second
		}
		return e
	}
	p, err = broadcastpanel.ClientPicture(history(t, udpkit.StartEvent{At: begun},
		message(1, "ACTIVE", 1, false), message(3, "ERROR", 11, false), message(2, "STANDBY", 12, true), message(4, "ACTIVE", 16, false)))
	require.NoError(t, err)
	states := p.Bands[0].Charts[0].(chart.Rows)
	require.Equal(t, []chart.Bar{{From: 11 * time.Second, To: 16 * time.Second, Color: broadcastpanel.Color("ERROR")}}, states.Rows[1].Bars)
	require.Len(t, states.Rows[2].Dots, 1, "STANDBY was heard of")
	require.Empty(t, states.Rows[2].Bars, "and was over by then")
	require.Equal(t, []time.Duration{10 * time.Second, 5 * time.Second}, p.Bands[1].Charts[0].(chart.Distribution).Values)
	require.Equal(t, []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}, p.Bands[1].Charts[1].(chart.Distribution).Values)
}
