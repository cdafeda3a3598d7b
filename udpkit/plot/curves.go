package plot

import (
	"image/color"
	"time"

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
	for i, curve := range k.Curves.Curves {
		wide := vg.Length(1.75)
		if i == 0 && len(k.Curves.Curves) > 1 {
			wide = 4 // it is seen behind one that lies on it
		}
		var line []vg.Point
		stroke := func() {
			if len(line) > 1 {
				c.StrokeLines(draw.LineStyle{Color: colorOf(curve.Color), Width: wide}, line)
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

// legendOf says above the chart which colour is which, and returns the room below.
func legendOf(c draw.Canvas, k chart.Curves) draw.Canvas {
	var words []chart.Word
	for _, curve := range k.Curves {
		words = append(words, chart.Word{Text: "● " + label(curve.Name), Color: curve.Color})
	}
	if len(k.Away) > 0 {
		words = append(words, chart.Word{Text: "grey: " + k.Why, Color: chart.Grey})
	}
	style, at := styled(ink), c.Min.X
	for _, word := range words {
		if at+style.Width(word.Text) > c.Max.X {
			break // the rest has no room
		}
		at += say(c, vg.Point{X: at, Y: c.Max.Y - 12}, text.XLeft, colorOf(word.Color), word.Text) + between
	}
	return draw.Crop(c, 0, 0, 0, -18)
}
