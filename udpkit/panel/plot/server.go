package plot

import (
	"cmp"
	"fmt"
	"image/color"
	"maps"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// maxClients is how many clients have a row of their own.
const maxClients = 10

// ServerSVG draws the journal of a server: the states that it sent over time,
// how many clients acknowledged each message, and the round-trip times of each
// client. An error wraps ErrEmpty if no message is in it.
func ServerSVG(file string) ([]byte, error) {
	p, err := serverPicture(file)
	if err != nil {
		return nil, err
	}
	return p.svg()
}

func serverPicture(file string) (picture, error) {
	events, err := read(file)
	if err != nil {
		return picture{}, err
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
		return picture{}, fmt.Errorf("%w: the server has sent no message", ErrEmpty)
	}
	if start.IsZero() {
		start = sent[0].At
	}
	t := &timeline{end: since(start, end)}
	counts := &bars{}
	for _, s := range last(sent) {
		t.points = append(t.points, point{at: since(start, s.At), state: s.State})
		counts.bars = append(counts.bars, bar{float64(s.MessageID), acks[s.MessageID], stateColor(s.State)})
	}
	title := fmt.Sprintf("messages sent: %d, clients: %d, acknowledgements: %d", len(sent), len(rtts), total)
	return figure("What the server sent: "+title, newTimeline(title, t), newBars(counts), newStrips(rtts)), nil
}

// bars is a plotter: for each message how many clients acknowledged it.
type bars struct{ bars []bar }

type bar struct {
	x     float64
	count int
	color color.Color
}

func newBars(b *bars) *plot.Plot {
	p := newPlot("Who heard it", "message id", "acknowledgements")
	most := 1
	for _, bar := range b.bars {
		most = max(most, bar.count)
	}
	p.Add(b)
	p.X.Min, p.X.Max = b.bars[0].x-0.6, b.bars[len(b.bars)-1].x+0.6
	p.Y.Min, p.Y.Max = 0, float64(most)
	p.X.Tick.Marker, p.Y.Tick.Marker = integers{}, integers{}
	return p
}

// Plot implements plot.Plotter.
func (b *bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, bar := range b.bars {
		left, right, top := x(bar.x-0.35), x(bar.x+0.35), y(float64(bar.count))
		c.FillPolygon(bar.color, []vg.Point{{X: left, Y: y(0)}, {X: right, Y: y(0)}, {X: right, Y: top}, {X: left, Y: top}})
	}
}

// strips is a plotter: a row for each client, with a dot for each round trip and
// a line at the median.
type strips struct {
	clients []string
	rtts    [][]float64 // sorted, in the axis' unit
}

func newStrips(all map[string][]time.Duration) *plot.Plot {
	// Those with the most acknowledgements, by name among equals.
	ids := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(all[b]), len(all[a])), cmp.Compare(a, b))
	})
	more := max(0, len(ids)-maxClients)
	ids = ids[:len(ids)-more]
	var every []time.Duration
	for _, id := range ids {
		every = append(every, all[id]...)
	}
	unit, name := unitOf(every)
	title := "Round trip of each client"
	switch {
	case len(ids) == 0:
		title += ": none yet"
	case more > 0:
		title += fmt.Sprintf(", and %d more clients", more)
	}
	p := newPlot(title, fmt.Sprintf("broadcast to acknowledgement (%s)", name), "")
	s := &strips{clients: ids}
	var ticks []plot.Tick
	largest := 0.0
	for i, id := range ids {
		var values []float64
		for _, d := range last(all[id]) {
			values = append(values, float64(d)/float64(unit))
		}
		slices.Sort(values)
		largest = max(largest, values[len(values)-1])
		s.rtts = append(s.rtts, values)
		ticks = append(ticks, plot.Tick{Value: -float64(i), Label: label(id)})
	}
	p.Add(s)
	names(&p.Y, ticks)
	p.Y.Min, p.Y.Max = -float64(len(ids))+0.4, 0.6
	p.X.Min, p.X.Max = 0, cmp.Or(largest*1.05, 1)
	return p
}

// Plot implements plot.Plotter.
func (s *strips) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	dot := color.NRGBA{accent.R, accent.G, accent.B, 0x90}
	for i, values := range s.rtts {
		at := y(-float64(i))
		c.StrokeLine2(draw.LineStyle{Color: pale, Width: 0.5}, c.Min.X, at, c.Max.X, at)
		for _, v := range values {
			c.DrawGlyph(draw.GlyphStyle{Color: dot, Radius: 3.5, Shape: draw.CircleGlyph{}}, vg.Point{X: x(v), Y: at})
		}
		median := x(values[(len(values)+1)/2-1])
		c.StrokeLine2(draw.LineStyle{Color: ink, Width: 2}, median, at-7, median, at+7)
	}
}

// integers puts a few ticks on whole numbers.
type integers struct{}

// Ticks implements plot.Ticker.
func (integers) Ticks(low, high float64) []plot.Tick {
	step := max(1, int(high-low)/6)
	var ticks []plot.Tick
	for i := int(low) / step * step; float64(i) <= high; i += step {
		if float64(i) >= low {
			ticks = append(ticks, plot.Tick{Value: float64(i), Label: fmt.Sprint(i)})
		}
	}
	return ticks
}
