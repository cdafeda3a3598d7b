package plot

import (
	"fmt"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ClientSVG draws the journal of a client: its states and gaps over time, and
// the distributions of the intervals and latencies of its messages. An error
// wraps ErrEmpty if no message is in it.
func ClientSVG(file string) ([]byte, error) {
	p, err := clientPicture(file)
	if err != nil {
		return nil, err
	}
	return p.svg()
}

func clientPicture(file string) (picture, error) {
	events, err := read(file)
	if err != nil {
		return picture{}, err
	}
	var (
		messages           []udpkit.MessageEvent
		gaps               []udpkit.GapEvent
		intervals, latency []time.Duration
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
			messages, end = append(messages, e), e.ReceivedAt
			if e.Latency != 0 {
				latency = append(latency, e.Latency)
			}
			if before, ok := previous[e.Epoch]; ok {
				intervals = append(intervals, e.ReceivedAt.Sub(before))
			}
			previous[e.Epoch] = e.ReceivedAt
		case udpkit.GapEvent:
			gaps = append(gaps, e)
		case udpkit.ClientSummary:
			end = start.Add(e.Runtime)
		}
	}
	if len(messages) == 0 {
		return picture{}, fmt.Errorf("%w: the client has received no message; is a server running?", ErrEmpty)
	}
	t := &timeline{end: since(start, end)}
	for _, m := range last(messages) {
		t.points = append(t.points, point{at: since(start, m.ReceivedAt), state: m.State, late: m.Late})
	}
	for _, g := range last(gaps) {
		t.gaps = append(t.gaps, since(start, g.At))
	}
	title := fmt.Sprintf("messages received: %d, gaps: %d", len(messages), len(gaps))
	over := newTimeline(title, t)
	left, err := newDistribution("Interval", "time between two messages", last(intervals))
	if err != nil {
		return picture{}, err
	}
	right, err := newDistribution("Latency", "from server to client", last(latency))
	if err != nil {
		return picture{}, err
	}
	return figure("What the client received: "+title, over, left, right), nil
}

// figure puts one plot above two.
func figure(title string, over, left, right plotted) picture {
	const width, height = 680, 400
	return picture{title: title, width: width, height: height, draw: func(c draw.Canvas) error {
		half := (c.Max.X - c.Min.X) / 2
		top := (c.Max.Y - c.Min.Y) * 0.47
		over.Draw(draw.Crop(c, 0, -8, top+vg.Length(16), 0))
		left.Draw(draw.Crop(c, 0, -half-8, 0, -(c.Max.Y-c.Min.Y)+top))
		right.Draw(draw.Crop(c, half+8, -8, 0, -(c.Max.Y-c.Min.Y)+top))
		return nil
	}}
}

type plotted interface{ Draw(draw.Canvas) }
