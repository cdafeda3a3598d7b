package plot

import (
	"fmt"
	"image/color"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel/lesson"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// RunsSVG draws what [lesson.Watch] recorded, a row for each style: when the
// indicator moved, and when a datagram was handled.
func RunsSVG(file string) ([]byte, error) {
	p, err := runsPicture(file)
	if err != nil {
		return nil, err
	}
	return p.svg()
}

func runsPicture(file string) (picture, error) {
	runs, err := lesson.Recordings(file)
	if err != nil {
		return picture{}, err
	}
	p := newPlot("One timetable, every style: a line where the indicator moved, a dot where a datagram was handled", "time since the start (s)", "")
	r := &runRows{runs: runs}
	p.Add(r)
	var ticks []plot.Tick
	for i, run := range runs {
		ticks = append(ticks, plot.Tick{Value: -float64(i), Label: string(run.Style)})
		p.X.Max = max(p.X.Max, run.Cancelled.Seconds())
	}
	names(&p.Y, ticks)
	p.X.Min = 0
	p.Y.Min, p.Y.Max = -float64(len(runs))+0.4, 0.6
	title := fmt.Sprintf("When the waiting indicator moved and datagrams were handled, for %d styles", len(runs))
	height := vg.Length(70 + 34*len(runs))
	return picture{title: title, width: 680, height: height, draw: func(c draw.Canvas) error {
		p.Draw(draw.Crop(c, 0, -8, 0, 0))
		return nil
	}}, nil
}

// runRows is a plotter.
type runRows struct{ runs []lesson.Recording }

// Plot implements plot.Plotter.
func (r *runRows) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i, run := range r.runs {
		at, of := y(-float64(i)), styleColor(run.Style)
		c.StrokeLine2(draw.LineStyle{Color: pale, Width: 0.5}, c.Min.X, at, c.Max.X, at)
		for _, t := range last(run.Ticks) {
			c.StrokeLine2(draw.LineStyle{Color: of, Width: 1.5}, x(t.Seconds()), at-8, x(t.Seconds()), at+8)
		}
		for _, t := range last(run.Handled) {
			place := vg.Point{X: x(t.Seconds()), Y: at}
			c.DrawGlyph(draw.GlyphStyle{Color: color.White, Radius: 5.5, Shape: draw.CircleGlyph{}}, place)
			c.DrawGlyph(draw.GlyphStyle{Color: ink, Radius: 4, Shape: draw.CircleGlyph{}}, place)
		}
	}
}

// styleColor is the lesson's colour of a style.
func styleColor(s udpkit.Style) color.RGBA { return cssColor(lesson.Color(s)) }

// milliseconds is the unit of the round trips.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
