package plot

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// countsPlotter draws a chart.Counts.
type countsPlotter []chart.Count

func newCounts(k chart.Counts) *plot.Plot {
	p := newPlot(k.Title, k.X, k.Y)
	if len(k.Counts) == 0 {
		return empty(p)
	}
	most := 1
	for _, count := range k.Counts {
		most = max(most, count.Count)
	}
	p.Add(countsPlotter(k.Counts))
	p.X.Min, p.X.Max = float64(k.Counts[0].Number)-0.6, float64(k.Counts[len(k.Counts)-1].Number)+0.6
	p.Y.Min, p.Y.Max = 0, float64(most)
	p.X.Tick.Marker, p.Y.Tick.Marker = integers{}, integers{}
	return p
}

// Plot implements plot.Plotter.
func (all countsPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, count := range all {
		at, half := float64(count.Number), y(float64(count.Count)/2)-y(0)
		box(c, colorOf(count.Color), x(at-0.35), x(at+0.35), y(0)+half, half)
	}
}

// empty returns a plot that says that there is nothing in it.
func empty(p *plot.Plot) *plot.Plot {
	p.Title.Text += ": not measured here"
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
	p.HideAxes()
	return p
}

// totalsPlotter draws a chart.Totals.
type totalsPlotter []chart.Total

func newTotals(t chart.Totals) *plot.Plot {
	p := newPlot(t.Title, t.Axis, "")
	if len(t.Totals) == 0 {
		return empty(p)
	}
	p.Add(totalsPlotter(t.Totals))
	named(p, len(t.Totals), func(i int) string { return t.Totals[i].Name })
	most := 0.0
	for _, total := range t.Totals {
		sum := 0.0
		for _, part := range total.Parts {
			sum += part.Value
		}
		most = max(most, sum)
	}
	p.X.Min, p.X.Max = 0, max(most, 1e-9)
	if t.Totals[0].Text != "" { // room for the text behind the longest bar
		p.X.Max *= 1.5
	}
	return p
}

// Plot implements plot.Plotter.
func (all totalsPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i, total := range all {
		at, from := y(-float64(i)), 0.0
		for _, part := range total.Parts {
			box(c, colorOf(part.Color), x(from), x(from+part.Value), at, 6)
			from += part.Value
		}
		style := draw.TextStyle{Color: ink, Font: sized(11), Handler: plot.DefaultTextHandler, XAlign: draw.XLeft, YAlign: draw.YCenter}
		c.FillText(style, vg.Point{X: x(from) + 4, Y: at}, total.Text)
	}
}

// rangesPlotter draws a chart.Ranges.
type rangesPlotter []chart.Range

func newRanges(r chart.Ranges) *plot.Plot {
	p := newPlot(r.Title, r.Axis, "")
	low, high := math.Inf(1), 0.0
	for _, one := range r.Ranges {
		for _, v := range []float64{one.Low, one.High} {
			if v > 0 {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if high == 0 {
		return empty(p)
	}
	p.Add(rangesPlotter(r.Ranges))
	named(p, len(r.Ranges), func(i int) string { return r.Ranges[i].Name })
	p.X.Scale = plot.LogScale{}
	p.X.Min, p.X.Max = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	var ticks []plot.Tick
	for v := p.X.Min; v <= p.X.Max*1.001; v *= 10 {
		ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%.3g", v)})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	p.X.Label.Text += ", logarithmic"
	return p
}

// Plot implements plot.Plotter.
func (all rangesPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		c.StrokeLine2(draw.LineStyle{Color: pale, Width: 0.5}, x(t.Value), c.Min.Y, x(t.Value), c.Max.Y)
	}
	for i, r := range all {
		if r.Low <= 0 {
			continue
		}
		at, of := y(-float64(i)), colorOf(r.Color)
		c.StrokeLine2(draw.LineStyle{Color: of, Width: 3}, x(r.Low), at, x(r.High), at)
		c.DrawGlyph(draw.GlyphStyle{Color: of, Radius: 4.5, Shape: draw.CircleGlyph{}}, vg.Point{X: x(r.Low), Y: at})
	}
}

// dotsPlotter draws a chart.Dots.
type dotsPlotter struct{ chart.Dots }

func newDots(d chart.Dots) *plot.Plot {
	p := newPlot(d.Title, d.X, d.Y)
	if len(d.Dots)+len(d.Without) == 0 {
		return empty(p)
	}
	p.Add(dotsPlotter{d})
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1e-3, 0, max(d.MinY, 1e-3)
	for _, dot := range d.Dots {
		p.X.Max, p.Y.Max = max(p.X.Max, dot.X), max(p.Y.Max, 1.1*dot.Y)
	}
	for _, x := range d.Without {
		p.X.Max = max(p.X.Max, x)
	}
	p.Y.Tick.Marker = fromZero{}
	if len(d.Without) > 0 { // they have a strip of their own, below the dots
		p.Y.Min = -0.16 * p.Y.Max
	}
	return p
}

// Plot implements plot.Plotter.
func (d dotsPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, at := range d.Without {
		c.StrokeLine2(draw.LineStyle{Color: alarm, Width: 1}, x(at), c.Min.Y, x(at), y(0)-3)
	}
	for _, dot := range d.Dots.Dots {
		c.DrawGlyph(draw.GlyphStyle{Color: colorOf(dot.Color), Radius: 1.6, Shape: draw.CircleGlyph{}}, vg.Point{X: x(dot.X), Y: y(dot.Y)})
	}
}
