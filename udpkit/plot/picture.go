package plot

import (
	"bytes"
	"fmt"
	"image/color"
	"strings"
	"unicode"
	"unicode/utf8"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// sans has the measures of Arial, which is nearly everywhere.
var sans = font.Font{Typeface: "Liberation", Variant: "Sans"}

var (
	ink   = colorOf(chart.Ink)
	grey  = colorOf(chart.Grey)
	pale  = colorOf(chart.Pale)
	alarm = colorOf(chart.Alarm)
)

const (
	width  = 680 // of a picture, in points
	margin = 8
	legend = 20 // the height of a legend
	gutter = 10 // between charts
	// shownWidth is the width of a picture on a page, in CSS pixels.
	shownWidth = 760
)

// png returns the picture with half as many pixels again as it is shown with, for sharp screens.
func png(p chart.Picture) ([]byte, error) {
	canvas := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height(p)), vgimg.UseDPI(120))}
	if err := paint(canvas, p); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err := canvas.WriteTo(&b)
	return b.Bytes(), err
}

func height(p chart.Picture) vg.Length {
	high := vg.Length(2 * margin)
	if len(p.Legend) > 0 {
		high += legend
	}
	for _, band := range p.Bands {
		high += vg.Length(band.Height)
	}
	return high
}

// paint draws a picture. The background is white in every theme, for the axes are black.
func paint(on vg.CanvasSizer, p chart.Picture) error {
	c := draw.New(on)
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	c = draw.Crop(c, margin, -margin, margin, -margin)
	left := c.Min.X + 40
	for _, word := range p.Legend {
		left += say(c, vg.Point{X: left, Y: c.Max.Y - 10}, text.XLeft, colorOf(word.Color), word.Text) + 24
	}
	if len(p.Legend) > 0 {
		c = draw.Crop(c, 0, 0, 0, -legend)
	}
	for _, band := range p.Bands {
		wide, high := (c.Max.X-c.Min.X)/vg.Length(max(1, len(band.Charts))), vg.Length(band.Height)
		for i, one := range band.Charts {
			left := wide * vg.Length(i)
			place := draw.Crop(c, left, left+wide-gutter-(c.Max.X-c.Min.X), c.Max.Y-c.Min.Y-high+margin, 0)
			if err := drawChart(place, one); err != nil {
				return err
			}
		}
		c = draw.Crop(c, 0, 0, 0, -high)
	}
	return nil
}

func drawChart(c draw.Canvas, one chart.Chart) error {
	switch one := one.(type) {
	case chart.Rows:
		newRows(one).Draw(c)
	case chart.Distribution:
		p, err := newDistribution(one)
		if err != nil {
			return err
		}
		p.Draw(c)
	case chart.Counts:
		newCounts(one).Draw(c)
	case chart.Totals:
		newTotals(one).Draw(c)
	case chart.Ranges:
		newRanges(one).Draw(c)
	case chart.Curves:
		newCurves(one).Draw(c)
		legendOf(c, one)
	case chart.Dots:
		newDots(one).Draw(c)
	case chart.Dialogue:
		drawDialogue(c, one)
	default:
		return fmt.Errorf("nobody knows how to draw a %T", one)
	}
	return nil
}

// newPlot returns a plot in the pictures' common style.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font = font.Font{Typeface: sans.Typeface, Variant: sans.Variant, Weight: 2, Size: 11}
	p.Title.Padding = 6
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font = sized(10)
		a.Tick.Label.Font = sized(9)
		a.LineStyle.Color, a.Tick.LineStyle.Color = ink, ink
		a.Label.TextStyle.Color, a.Tick.Label.Color = ink, ink
		a.Padding = 4
	}
	p.Title.TextStyle.Color = ink
	return p
}

// named gives the Y axis the names of n rows.
func named(p *plot.Plot, n int, name func(int) string, space vg.Length) {
	var ticks []plot.Tick
	for i := range n {
		ticks = append(ticks, plot.Tick{Value: -float64(i), Label: label(name(i))})
	}
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Tick.Length, p.Y.Tick.LineStyle.Color = space, color.Transparent
	p.Y.Min, p.Y.Max = -float64(n)+0.4, 0.6
}

func sized(points vg.Length) font.Font {
	f := sans
	f.Size = points
	return f
}

// say writes words, and returns how wide they are.
func say(c draw.Canvas, at vg.Point, align text.XAlignment, of color.Color, words string) vg.Length {
	style := text.Style{Color: of, Font: sized(10), XAlign: align, YAlign: text.YBottom, Handler: plot.DefaultTextHandler}
	c.FillText(style, at, words)
	return style.Width(words)
}

// box fills a rectangle around a height.
func box(c draw.Canvas, of color.Color, left, right, at, half vg.Length) {
	c.FillPolygon(of, []vg.Point{{X: left, Y: at - half}, {X: right, Y: at - half}, {X: right, Y: at + half}, {X: left, Y: at + half}})
}

// colorOf reads a colour of package chart; one that is wrong is black.
func colorOf(css string) color.RGBA {
	c := color.RGBA{A: 0xff}
	_, _ = fmt.Sscanf(css, "#%02x%02x%02x", &c.R, &c.G, &c.B)
	return c
}

// label makes a name fit for a picture.
func label(name string) string { return short(name, 18) }

// short makes a text, which may come from the network, printable and not longer than limit letters.
func short(words string, limit int) string {
	words = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(words, "?"))
	if utf8.RuneCountInString(words) > limit {
		words = string([]rune(words)[:limit-1]) + "…"
	}
	return strings.TrimSpace(words)
}
