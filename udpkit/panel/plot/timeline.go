package plot

import (
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// maxRows is how many different states have a row of their own.
const maxRows = 8

// point is a message: when, and in which state.
type point struct {
	at    float64 // seconds since the start
	state udpkit.State
	late  bool
}

// timeline is a plotter: a row for each state, a coloured bar for as long as it
// was the last one heard of, a dot for each message, a red line for each gap.
type timeline struct {
	points []point
	gaps   []float64 // when they were noticed
	end    float64
	rows   []udpkit.State
}

// newTimeline returns the plot of a timeline.
func newTimeline(title string, t *timeline) *plot.Plot {
	for _, p := range t.points {
		if !slices.Contains(t.rows, p.state) && len(t.rows) < maxRows {
			t.rows = append(t.rows, p.state)
		}
	}
	p := newPlot(title, "time since the start (s)", "")
	p.Add(t)
	var ticks []plot.Tick
	for i, s := range t.rows {
		ticks = append(ticks, plot.Tick{Value: t.y(i), Label: label(string(s))})
	}
	if t.others() {
		ticks = append(ticks, plot.Tick{Value: t.y(maxRows), Label: "other states"})
	}
	names(&p.Y, ticks)
	p.Y.Min, p.Y.Max = t.y(len(ticks)-1)-0.6, 0.6
	if n := len(t.points); n > 0 { // the last state has a bar too
		t.end = max(t.end, t.points[n-1].at*1.02, 0.1)
	}
	p.X.Min, p.X.Max = 0, t.end
	return p
}

// y is the place of a row: the first state is the topmost.
func (t *timeline) y(row int) float64 { return -float64(row) }

// row returns the row of a state.
func (t *timeline) row(s udpkit.State) int {
	if i := slices.Index(t.rows, s); i >= 0 {
		return i
	}
	return maxRows
}

// others reports whether there are states without a row of their own.
func (t *timeline) others() bool {
	return slices.ContainsFunc(t.points, func(p point) bool { return !slices.Contains(t.rows, p.state) })
}

// Plot implements plot.Plotter.
func (t *timeline) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i := range p.Y.Tick.Marker.Ticks(0, 0) {
		at := y(t.y(i))
		c.StrokeLine2(draw.LineStyle{Color: pale, Width: 0.5}, c.Min.X, at, c.Max.X, at)
	}
	// Late messages say nothing of the state after them.
	inTime := slices.DeleteFunc(slices.Clone(t.points), func(p point) bool { return p.late })
	for i, m := range inTime {
		end := t.end
		if i+1 < len(inTime) {
			end = inTime[i+1].at
		}
		at := y(t.y(t.row(m.state)))
		c.FillPolygon(stateColor(m.state), []vg.Point{
			{X: x(m.at), Y: at - 6}, {X: x(end), Y: at - 6}, {X: x(end), Y: at + 6}, {X: x(m.at), Y: at + 6},
		})
	}
	for _, m := range t.points {
		at := vg.Point{X: x(m.at), Y: y(t.y(t.row(m.state)))}
		c.DrawGlyph(draw.GlyphStyle{Color: ink, Radius: 3, Shape: draw.CircleGlyph{}}, at)
	}
	for _, gap := range t.gaps {
		c.StrokeLine2(draw.LineStyle{Color: alarm, Width: 1.5, Dashes: []vg.Length{4, 2}}, x(gap), c.Min.Y, x(gap), c.Max.Y)
		c.FillText(draw.TextStyle{Color: alarm, Font: sized(9), Handler: plot.DefaultTextHandler, XAlign: draw.XLeft, YAlign: draw.YTop},
			vg.Point{X: x(gap) + 2, Y: c.Max.Y}, "gap")
	}
}

// since returns the seconds from start to at, not below 0.
func since(start, at time.Time) float64 { return max(0, at.Sub(start).Seconds()) }
