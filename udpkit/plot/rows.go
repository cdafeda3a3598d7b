package plot

import (
	"cmp"
	"image/color"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// rowsPlotter draws a chart.Rows.
type rowsPlotter struct{ chart.Rows }

func newRows(r chart.Rows) *plot.Plot {
	r.Unit = cmp.Or(r.Unit, time.Second)
	p := newPlot(r.Title, r.Axis, "")
	plotter := rowsPlotter{r}
	p.Add(plotter)
	// A page may have a wider font than the one that was measured: the names keep their distance.
	named(p, len(r.Rows), func(i int) string { return r.Rows[i].Name }, 18)
	if r.Dense {
		p.Y.Tick.Marker = plot.ConstantTicks(nil)
	}
	p.X.Min, p.X.Max = 0, max(plotter.in(r.End), 1e-3)
	p.X.Tick.Marker = few{}
	return p
}

// in returns a time on the axis.
func (r rowsPlotter) in(d time.Duration) float64 { return float64(d) / float64(r.Unit) }

// Plot implements plot.Plotter.
func (r rowsPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	xOf, y := p.Transforms(&c)
	x := func(d time.Duration) vg.Length { return xOf(r.in(d)) }
	half := vg.Length(6)
	if r.Dense {
		half = max((y(0)-y(-1))/2-0.8, 0.5)
	}
	for i, row := range r.Rows.Rows {
		at := y(-float64(i))
		if !r.Dense {
			c.StrokeLine2(draw.LineStyle{Color: pale, Width: 0.5}, c.Min.X, at, c.Max.X, at)
		}
		for _, b := range row.Bars {
			if b.Dashed {
				c.StrokeLine2(draw.LineStyle{Color: colorOf(b.Color), Width: 1, Dashes: []vg.Length{2, 3}}, x(b.From), at, x(b.To), at)
				continue
			}
			left, right := x(b.From), x(b.To)
			if r.Dense {
				right = max(right, left+1)
			}
			box(c, colorOf(b.Color), left, right, at, half)
		}
		for _, t := range row.Lines {
			c.StrokeLine2(draw.LineStyle{Color: colorOf(row.Color), Width: 1.5}, x(t), at-8, x(t), at+8)
		}
		dots, faint := color.Color(ink), colorOf(chart.Accent)
		if row.Faint {
			dots = color.NRGBA{faint.R, faint.G, faint.B, 0x90}
		}
		for _, t := range row.Dots {
			place := vg.Point{X: x(t), Y: at}
			if len(row.Lines) > 0 {
				c.DrawGlyph(draw.GlyphStyle{Color: color.White, Radius: 5, Shape: draw.CircleGlyph{}}, place)
			}
			c.DrawGlyph(draw.GlyphStyle{Color: dots, Radius: 3.5, Shape: draw.CircleGlyph{}}, place)
		}
		for _, m := range row.Marks {
			c.StrokeLine2(draw.LineStyle{Color: colorOf(m.Color), Width: 2}, x(m.At), at-9, x(m.At), at+9)
			if m.Text != "" {
				beside(c, m, vg.Point{X: x(m.At), Y: at})
			}
		}
	}
	for _, m := range r.Moments {
		of := colorOf(m.Color)
		c.StrokeLine2(draw.LineStyle{Color: of, Width: 1.5, Dashes: []vg.Length{4, 2}}, x(m.At), c.Min.Y, x(m.At), c.Max.Y)
		c.FillText(draw.TextStyle{Color: of, Font: sized(11), Handler: plot.DefaultTextHandler, XAlign: draw.XLeft, YAlign: draw.YTop},
			vg.Point{X: x(m.At) + 2, Y: c.Max.Y}, m.Text)
	}
}

// beside writes the words of a mark at its right, or at its left, on white, if there is no room.
func beside(c draw.Canvas, m chart.Mark, at vg.Point) {
	style := draw.TextStyle{Color: colorOf(m.Color), Font: sized(11), Handler: plot.DefaultTextHandler, XAlign: draw.XLeft, YAlign: draw.YCenter}
	wide := style.Width(m.Text)
	if at.X += 6; at.X+wide > c.Max.X {
		style.XAlign, at.X = draw.XRight, at.X-12
		box(c, color.White, at.X-wide-2, at.X+2, at.Y, 5)
	}
	c.FillText(style, at, m.Text)
}
