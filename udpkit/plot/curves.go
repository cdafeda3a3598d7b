package plot

import (
	"image/color"
	"slices"
	"time"
	"unicode/utf8"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// curvesPlotter draws a chart.Curves.
type curvesPlotter struct{ chart.Curves }

func newCurves(k chart.Curves) *plot.Plot {
	p := newPlot(k.Title, k.X, k.Y)
	p.Add(curvesPlotter{k})
	p.X.Min, p.X.Max = 0, max(k.End.Seconds(), 1e-3)
	highest := 1.0
	for _, curve := range k.Curves {
		for _, s := range curve.Steps {
			highest = max(highest, s.Value)
		}
	}
	p.Y.Min, p.Y.Max = 0, 1.08*highest
	p.X.Tick.Marker, p.Y.Tick.Marker = few{}, thousands{}
	return p
}

// Plot implements plot.Plotter.
func (k curvesPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	xOf, y := p.Transforms(&c)
	x := func(d time.Duration) vg.Length { return xOf(d.Seconds()) }
	for _, a := range k.Away {
		half := (c.Max.Y - c.Min.Y) / 2
		box(c, color.RGBA{0xea, 0xee, 0xf2, 0xff}, x(a.From), x(a.To), c.Min.Y+half, half)
	}
	for _, curve := range k.Curves.Curves {
		var line []vg.Point
		stroke := func() {
			if len(line) > 1 {
				c.StrokeLines(draw.LineStyle{Color: colorOf(curve.Color), Width: 1.75}, line)
			}
			line = nil
		}
		for i, s := range curve.Steps {
			if i > 0 && s.From != curve.Steps[i-1].To {
				stroke() // it was away in between
			}
			line = append(line, vg.Point{X: x(s.From), Y: y(s.Value)}, vg.Point{X: x(s.To), Y: y(s.Value)})
		}
		stroke()
	}
}

// legendOf says beside the title which colour is which.
func legendOf(c draw.Canvas, k chart.Curves) {
	const letter = 5.4 // points, on average
	at := c.Max.X
	say := func(words string, of color.Color) {
		say(c, vg.Point{X: at, Y: c.Max.Y - 11}, text.XRight, of, words)
		at -= letter*vg.Length(utf8.RuneCountInString(words)) + 10
	}
	if len(k.Away) > 0 {
		say("grey: "+k.Why, grey)
	}
	for _, curve := range slices.Backward(k.Curves) {
		if at < c.Min.X+250 {
			break // the rest has no room
		}
		say("● "+label(curve.Name), colorOf(curve.Color))
	}
}
