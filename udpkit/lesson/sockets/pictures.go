package sockets

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// maxMoments bounds the height of a picture.
const maxMoments = 60

// moment is a row of a sequence chart.
type moment struct {
	at  time.Duration
	who string
}

// ExchangePicture is what [Record] recorded, as a sequence chart: everything that happened has a
// row of its own and the time beside it. The error wraps [exercise.ErrNothing] if it has not run.
func ExchangePicture(file string) (chart.Picture, error) {
	tape, err := ReadTape(file)
	if err != nil {
		return chart.Picture{}, err
	}
	var moments []moment
	for _, d := range tape.Datagrams {
		moments = append(moments, moment{d.At, d.From})
		if d.Arrived != 0 {
			moments = append(moments, moment{d.Arrived, other(d.From)})
		}
	}
	for _, m := range tape.Events {
		moments = append(moments, moment{m.At, m.Who})
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	moments = moments[:min(len(moments), maxMoments)]
	if len(moments) == 0 {
		return chart.Picture{}, exercise.ErrNothing
	}
	const high = 22 // of a row, in points
	row := func(at time.Duration, who string) (float64, bool) {
		i := slices.Index(moments, moment{at, who})
		return high * float64(i), i >= 0
	}
	talk := chart.Dialogue{
		Left:  chart.Party{Name: Client, Note: "any free port"},
		Right: chart.Party{Name: Server, Note: "waits at its port"},
	}
	for i, m := range moments {
		talk.Notes = append(talk.Notes, chart.Note{Right: m.who == Server, At: high * float64(i), Text: clock(m.at - moments[0].at), Color: chart.Grey})
	}
	for _, d := range tape.Datagrams {
		from, ok := row(d.At, d.From)
		if !ok {
			continue
		}
		a := chart.Arrow{FromRight: d.From == Server, From: from, Text: "“" + d.Text + "”", Color: chart.Accent}
		if a.FromRight {
			a.Color = chart.Good
		}
		var arrived bool
		switch a.To, arrived = row(d.Arrived, other(d.From)); {
		case d.Lost:
			a.Never, a.Crossed = "lost", true
		case d.Arrived == 0 || !arrived:
			a.Never = "never read"
		}
		talk.Arrows = append(talk.Arrows, a)
		talk.Notes = append(talk.Notes, chart.Note{Right: a.FromRight, At: from, Color: a.Color, Sign: chart.DotSign})
	}
	for _, m := range tape.Events {
		at, ok := row(m.At, m.Who)
		if !ok {
			continue
		}
		n := chart.Note{Right: m.Who == Server, At: at, Text: m.Text, Color: chart.Alarm, Inside: true, Sign: chart.CrossSign}
		if m.Text == Closed {
			n.Color = chart.Ink
		}
		talk.Notes = append(talk.Notes, n)
	}
	return chart.Picture{
		Title: fmt.Sprintf("A conversation of a client and a server: %d datagrams, with the times at which they were sent and read", len(tape.Datagrams)),
		Bands: []chart.Band{{Height: float64(94 + high*len(moments)), Charts: []chart.Chart{talk}}},
	}, nil
}

func other(who string) string {
	if who == Client {
		return Server
	}
	return Client
}

// clock returns a time in milliseconds, with two decimals if it is short.
func clock(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if d >= 10*time.Millisecond {
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}

// PeersPicture is what [Neighbours] recorded, a row for each peer: when it was heard, when it was
// silent and still in the table, and how it went. The error wraps [exercise.ErrNothing] if it has
// not run, and is a chart.Nothing if nobody was heard.
func PeersPicture(file string) (chart.Picture, error) {
	seen, err := ReadNeighbourhood(file)
	if err != nil {
		return chart.Picture{}, err
	}
	if len(seen.Peers) == 0 {
		return chart.Picture{}, chart.Nothing("nothing recorded yet: nobody was heard")
	}
	const silent = "#aceebb"
	table := chart.Rows{Title: "Who was in the table", Axis: "time since the start (s)", End: max(seen.Length, time.Millisecond)}
	for _, peer := range seen.Peers {
		row := chart.Row{Name: cmp.Or(peer.Name, "no name")}
		switch peer.End {
		case beacon.Left:
			row.Bars = []chart.Bar{{From: peer.From, To: peer.To, Color: chart.Good}}
			row.Marks = []chart.Mark{{At: peer.To, Text: "said goodbye", Color: chart.Ink}}
		case beacon.Expired:
			row.Bars = []chart.Bar{{From: peer.From, To: peer.Heard, Color: chart.Good}, {From: peer.Heard, To: peer.To, Color: silent}}
			row.Marks = []chart.Mark{{At: peer.To, Text: "silent: forgotten", Color: chart.Alarm}}
		default:
			row.Bars = []chart.Bar{{From: peer.From, To: peer.To, Color: chart.Good}}
		}
		table.Rows = append(table.Rows, row)
	}
	return chart.Picture{
		Title: fmt.Sprintf("When each of %d peers was in the table, and how it went", len(seen.Peers)),
		Bands: []chart.Band{{Height: float64(60 + 34*len(seen.Peers)), Charts: []chart.Chart{table}}},
	}, nil
}
