package plot

import (
	"fmt"
	"image/color"
	"math"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel/lesson"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ComparisonSVG draws what [lesson.Compare] measured: six small charts with a row
// for each style.
func ComparisonSVG(file string) ([]byte, error) {
	p, err := comparisonPicture(file)
	if err != nil {
		return nil, err
	}
	return p.svg()
}

func comparisonPicture(file string) (picture, error) {
	m, err := lesson.Load(file)
	if err != nil {
		return picture{}, err
	}
	var idle, cost, trips, sockets, slow, lines rows
	for _, r := range m.Results {
		if len(r.Idle) > 0 {
			share := 100 * lesson.Median(r.Idle)
			idle = append(idle, row{r.Style, string(r.Style), []part{{share, styleColor(r.Style)}}, fmt.Sprintf("%.2f %%", share)})
		}
		if len(r.Cost) > 0 {
			micros := float64(lesson.Median(r.Cost)) / float64(time.Microsecond)
			cost = append(cost, row{r.Style, string(r.Style), []part{{micros, styleColor(r.Style)}}, fmt.Sprintf("%.1f µs", micros)})
		}
		trips = append(trips, row{r.Style, string(r.Style), []part{{milliseconds(r.P50()), nil}, {milliseconds(r.P99()), nil}}, ""})
		if r.Lines > 0 {
			lines = append(lines, row{r.Style, string(r.Style), []part{
				{float64(r.Lines), styleColor(r.Style)}, {float64(r.Helpers), faded(r.Style)},
			}, fmt.Sprintf("%d + %d", r.Lines, r.Helpers)})
		}
	}
	for _, r := range m.Sockets {
		sockets = append(sockets, row{r.Style, string(r.Style), []part{{float64(r.Goroutines), styleColor(r.Style)}}, fmt.Sprint(r.Goroutines)})
	}
	many := "Goroutines for many sockets"
	if len(m.Sockets) > 0 {
		many = fmt.Sprintf("Goroutines for %d sockets", m.Sockets[0].Sockets)
	}
	for _, r := range m.Slow {
		slow = append(slow, row{r.Style, label(strings.Replace(r.Name, "queue ", "", 1)), []part{
			{float64(r.Handled), styleColor(r.Style)}, {float64(r.Dropped), pale}, {float64(r.Lost()), alarm},
		}, ""})
	}
	charts := []*plot.Plot{
		newBarRows("CPU while idle", "% of one core", idle),
		newBarRows("CPU of a datagram", "µs, sending included", cost),
		newTrips(trips),
		newBarRows(many, "goroutines", sockets),
		newBarRows("A slow handler", "handled, grey: dropped, red: lost", slow),
		newBarRows("Lines of code", "loop, pale: helpers", lines),
	}
	return picture{
		title: "All styles compared: CPU while idle, CPU of a datagram, round trip, goroutines, a slow handler, lines of code",
		width: 700, height: 400,
		draw: func(c draw.Canvas) error {
			wide, high := (c.Max.X-c.Min.X)/3, (c.Max.Y-c.Min.Y)/2
			for i, p := range charts {
				left, down := wide*vg.Length(i%3), high*vg.Length(i/3)
				p.Draw(draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
					Min: vg.Point{X: c.Min.X + left, Y: c.Max.Y - down - high + 8},
					Max: vg.Point{X: c.Min.X + left + wide - 10, Y: c.Max.Y - down},
				}})
			}
			return nil
		},
	}, nil
}

// faded is a style's colour, nearly white.
func faded(s udpkit.Style) color.Color {
	c := styleColor(s)
	c.A = 0xff
	for _, v := range []*uint8{&c.R, &c.G, &c.B} {
		*v = 0xff - (0xff-*v)/3
	}
	return c
}

// row is one bar, of several parts.
type row struct {
	style udpkit.Style
	name  string
	parts []part
	text  string // behind the bar
}

type part struct {
	value float64
	color color.Color
}

func (r row) sum() float64 {
	sum := 0.0
	for _, p := range r.parts {
		sum += p.value
	}
	return sum
}

// rows is a plotter: horizontal bars.
type rows []row

func (all rows) ticks() []plot.Tick {
	var ticks []plot.Tick
	for i, r := range all {
		ticks = append(ticks, plot.Tick{Value: -float64(i), Label: r.name})
	}
	return ticks
}

func newBarRows(title, x string, all rows) *plot.Plot {
	p := newPlot(title, x, "")
	if len(all) == 0 {
		p.Title.Text += ": not measured here"
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
		p.HideAxes()
		return p
	}
	p.Add(all)
	names(&p.Y, all.ticks())
	p.Y.Tick.Length = 4
	p.Y.Min, p.Y.Max = -float64(len(all))+0.4, 0.6
	most := 0.0
	for _, r := range all {
		most = max(most, r.sum())
	}
	p.X.Min, p.X.Max = 0, max(most, 1e-9)
	if all[0].text != "" { // room for the text behind the longest bar
		p.X.Max *= 1.5
	}
	p.X.Tick.Marker = few{}
	return p
}

// Plot implements plot.Plotter.
func (all rows) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i, r := range all {
		at, from := y(-float64(i)), 0.0
		for _, part := range r.parts {
			left, right := x(from), x(from+part.value)
			c.FillPolygon(part.color, []vg.Point{{X: left, Y: at - 6}, {X: right, Y: at - 6}, {X: right, Y: at + 6}, {X: left, Y: at + 6}})
			from += part.value
		}
		style := draw.TextStyle{Color: ink, Font: sized(8.5), Handler: plot.DefaultTextHandler, XAlign: draw.XLeft, YAlign: draw.YCenter}
		c.FillText(style, vg.Point{X: x(from) + 4, Y: at}, r.text)
	}
}

// few puts three or four round numbers on an axis.
type few struct{}

// Ticks implements plot.Ticker.
func (few) Ticks(low, high float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/2)))
	for _, factor := range []float64{5, 2} {
		if step*factor <= (high-low)/2 {
			step *= factor
			break
		}
	}
	var ticks []plot.Tick
	for i := 0; float64(i)*step <= high; i++ {
		ticks = append(ticks, plot.Tick{Value: float64(i) * step, Label: fmt.Sprintf("%.3g", float64(i)*step)})
	}
	return ticks
}

// newTrips returns the plot of round trips: a dot at the median and a line to the
// 99th percentile, on a logarithmic scale, for the styles lie far apart.
func newTrips(all rows) *plot.Plot {
	p := newPlot("Round trip", "median to p99 (ms)", "")
	low, high := math.Inf(1), 0.0
	for _, r := range all {
		for _, v := range r.parts {
			if v.value > 0 {
				low, high = min(low, v.value), max(high, v.value)
			}
		}
	}
	if high == 0 {
		return newBarRows("Round trip", "", nil)
	}
	p.Add(trips(all))
	names(&p.Y, all.ticks())
	p.Y.Tick.Length = 4
	p.Y.Min, p.Y.Max = -float64(len(all))+0.4, 0.6
	p.X.Scale = plot.LogScale{}
	p.X.Min, p.X.Max = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
	var ticks []plot.Tick
	for v := p.X.Min; v <= p.X.Max*1.001; v *= 10 {
		ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%.3g", v)})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	return p
}

type trips rows

// Plot implements plot.Plotter.
func (all trips) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		c.StrokeLine2(draw.LineStyle{Color: pale, Width: 0.5}, x(t.Value), c.Min.Y, x(t.Value), c.Max.Y)
	}
	for i, r := range all {
		if r.parts[0].value <= 0 {
			continue
		}
		at, of := y(-float64(i)), styleColor(r.style)
		c.StrokeLine2(draw.LineStyle{Color: of, Width: 3}, x(r.parts[0].value), at, x(r.parts[1].value), at)
		c.DrawGlyph(draw.GlyphStyle{Color: of, Radius: 4.5, Shape: draw.CircleGlyph{}}, vg.Point{X: x(r.parts[0].value), Y: at})
	}
}
