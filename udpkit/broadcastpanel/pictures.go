package broadcastpanel

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// The bounds of what is drawn: no screen shows more.
const (
	maxDrawn   = 2000 // messages
	maxRows    = 8    // states
	maxClients = 10
	// outlying is how many times the median of the slowest client a round trip is that would leave
	// no room for the others.
	outlying = 20
)

// ClientPicture is the journal that a client left in the file of [Options.History]: its states and
// gaps over time, and the distributions of the intervals and latencies of its messages, without
// those that were sent again. The error is a chart.Nothing if no message is in it.
func ClientPicture(file string) (chart.Picture, error) {
	events, err := journal(file)
	if err != nil {
		return chart.Picture{}, err
	}
	var (
		messages           []stateAt
		gaps               []chart.Mark
		intervals, latency []time.Duration
		apparent           []time.Duration // latencies by two clocks that were not compared
		start, end         time.Time
		previous           = make(map[udpkit.Epoch]time.Time)
		began              bool
	)
	for _, e := range events {
		switch e := e.(type) {
		case udpkit.StartEvent:
			start, end, began = e.At, e.At, true
		case udpkit.MessageEvent:
			if !began {
				start, began = e.ReceivedAt, true
			}
			end = e.ReceivedAt
			again := e.Late || e.Repaired
			messages = append(messages, stateAt{since(start, end), e.State, again})
			if again {
				continue
			}
			if e.Clock.Error > 0 {
				latency = append(latency, e.Latency)
			} else if e.Latency != 0 {
				apparent = append(apparent, e.Latency)
			}
			if before, ok := previous[e.Epoch]; ok {
				intervals = append(intervals, e.ReceivedAt.Sub(before))
			}
			previous[e.Epoch] = e.ReceivedAt
		case udpkit.GapEvent:
			gaps = append(gaps, chart.Mark{At: since(start, e.At), Text: "gap", Color: chart.Alarm})
		case udpkit.ClientSummary:
			end = start.Add(e.Runtime)
		}
	}
	if len(messages) == 0 {
		return chart.Picture{}, chart.Nothing("nothing recorded yet: the client has received no message; is a server running?")
	}
	if len(latency) == 0 {
		latency = apparent
	}
	title := fmt.Sprintf("messages received: %d, gaps: %d", len(messages), len(gaps))
	over := timeline(title, last(messages), since(start, end))
	over.Moments = last(gaps)
	return figure("What the client received: "+title, over,
		chart.Distribution{Title: "Interval", Axis: "time between two messages", Values: last(intervals)},
		chart.Distribution{Title: "Latency", Axis: "from server to client", Values: last(latency)}), nil
}

// ServerPicture is the journal that a server left in the file of [Options.History]: the states that
// it sent over time, how many clients acknowledged each message, and the round-trip times of each
// client. The error is a chart.Nothing if no message is in it.
func ServerPicture(file string) (chart.Picture, error) {
	events, err := journal(file)
	if err != nil {
		return chart.Picture{}, err
	}
	var (
		sent       []udpkit.SentEvent
		start, end time.Time
		acks       = make(map[uint64]int)
		rtts       = make(map[string][]time.Duration)
		total      int
	)
	for _, e := range events {
		switch e := e.(type) {
		case udpkit.StartEvent:
			start, end = e.At, e.At
		case udpkit.SentEvent:
			sent, end = append(sent, e), e.At
		case udpkit.AckEvent:
			acks[e.MessageID]++
			rtts[e.ClientID] = append(rtts[e.ClientID], e.RTT)
			total++
		case udpkit.ServerSummary:
			end = start.Add(e.Runtime)
		}
	}
	if len(sent) == 0 {
		return chart.Picture{}, chart.Nothing("nothing recorded yet: the server has sent no message")
	}
	if start.IsZero() {
		start = sent[0].At
	}
	var states []stateAt
	heard := chart.Counts{Title: "Who heard it", X: "message id", Y: "acknowledgements"}
	for _, s := range last(sent) {
		states = append(states, stateAt{at: since(start, s.At), state: s.State})
		heard.Counts = append(heard.Counts, chart.Count{Number: s.MessageID, Count: acks[s.MessageID], Color: Color(s.State)})
	}
	title := fmt.Sprintf("messages sent: %d, clients: %d, acknowledgements: %d", len(sent), len(rtts), total)
	return figure("What the server sent: "+title, timeline(title, states, since(start, end)), heard, roundTrips(rtts)), nil
}

// figure puts one chart above two.
func figure(title string, over, left, right chart.Chart) chart.Picture {
	return chart.Picture{Title: title, Bands: []chart.Band{{Height: 196, Charts: []chart.Chart{over}}, {Height: 188, Charts: []chart.Chart{left, right}}}}
}

// journal returns the events of a journal, oldest first.
func journal(file string) ([]udpkit.Event, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, chart.NotRun
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the history: %w", err)
	}
	defer f.Close() // was only read
	var events []udpkit.Event
	for e, err := range udpkit.ReadJournal(f) {
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

// stateAt is a message: when, and in which state.
type stateAt struct {
	at    time.Duration
	state udpkit.State
	old   bool // a newer one had come
}

// timeline has a row for each state: a bar for as long as it was the last one heard of, a dot for
// each message.
func timeline(title string, messages []stateAt, end time.Duration) chart.Rows {
	rows := chart.Rows{Title: title, Axis: "time since the start (s)", End: end}
	if n := len(messages); n > 0 { // the last state has a bar too
		rows.End = max(end, messages[n-1].at+messages[n-1].at/50, 100*time.Millisecond)
	}
	number := make(map[udpkit.State]int)
	var before *chart.Bar
	for _, m := range messages {
		i, ok := number[m.state]
		if !ok {
			i = min(len(rows.Rows), maxRows)
			number[m.state] = i
			if i == len(rows.Rows) {
				name := string(m.state)
				if i == maxRows {
					name = "other states"
				}
				rows.Rows = append(rows.Rows, chart.Row{Name: name})
			}
		}
		row := &rows.Rows[i]
		row.Dots = append(row.Dots, m.at)
		if m.old { // says nothing of the state after it
			continue
		}
		if before != nil {
			before.To = m.at
		}
		row.Bars = append(row.Bars, chart.Bar{From: m.at, To: rows.End, Color: Color(m.state)})
		before = &row.Bars[len(row.Bars)-1]
	}
	return rows
}

// roundTrips has a row for each client, with a dot for each round trip and a line at the median:
// those with the most acknowledgements, by name among equals. A message that was sent again has
// been on its way for seconds: the axis ends before, and says how many were longer.
func roundTrips(all map[string][]time.Duration) chart.Rows {
	ids := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(all[b]), len(all[a])), cmp.Compare(a, b))
	})
	more := max(0, len(ids)-maxClients)
	ids = ids[:len(ids)-more]
	rows := chart.Rows{Title: "Round trip of each client"}
	switch {
	case len(ids) == 0:
		rows.Title += ": none yet"
	case more > 0:
		rows.Title += fmt.Sprintf(", and %d more clients", more)
	}
	var slowest time.Duration
	for _, id := range ids {
		values := slices.Sorted(slices.Values(last(all[id])))
		median := values[(len(values)+1)/2-1]
		slowest = max(slowest, median)
		rows.Rows = append(rows.Rows, chart.Row{Name: id, Dots: values, Faint: true, Marks: []chart.Mark{{At: median, Color: chart.Ink}}})
	}
	var every []time.Duration
	longer := 0
	for i := range rows.Rows {
		dots := &rows.Rows[i].Dots
		near, _ := slices.BinarySearch(*dots, outlying*slowest+1)
		longer += len(*dots) - near
		*dots = (*dots)[:near]
		every = append(every, *dots...)
	}
	unit, name := chart.UnitOf(every)
	rows.Axis, rows.Unit = fmt.Sprintf("broadcast to acknowledgement (%s)", name), unit
	if longer > 0 {
		rows.Axis += fmt.Sprintf(", %d longer", longer)
	}
	rows.End = unit
	if len(every) > 0 {
		longest := slices.Max(every)
		rows.End = cmp.Or(longest+longest/20, unit)
	}
	return rows
}

// last returns the newest elements of s.
func last[T any](s []T) []T { return s[max(0, len(s)-maxDrawn):] }

// since returns the time from start to at, not below 0.
func since(start, at time.Time) time.Duration { return max(0, at.Sub(start)) }
