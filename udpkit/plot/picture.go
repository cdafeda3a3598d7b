package plot

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

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
	width  = 440 // of a picture, in points
	margin = 8
	bold   = 3  // the weight of a title, as golang.org/x/image/font has it
	legend = 20 // the height of a line of a legend
	// shownWidth is the width of a picture on a page with room for it, in CSS pixels. In half a
	// small screen there are 450, and the smallest letters have 11 pixels there.
	shownWidth = 520
)

// svg returns the picture in the colours of a light page.
func svg(p chart.Picture) ([]byte, error) {
	canvas := vgsvg.New(width, height(p))
	if err := paint(canvas, p); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	return fitted(b.Bytes()), nil
}

// written is a text in an SVG.
var written = regexp.MustCompile(`<text ([^>]*font-weight:(\w+);[^>]*font-size:(\d+)px[^>]*)>([^<]*)</text>`)

// fitted gives each text the width that it was given room for: the page's font may be a wider one.
func fitted(svg []byte) []byte {
	return written.ReplaceAllFunc(svg, func(element []byte) []byte {
		parts := written.FindSubmatch(element)
		style := styled(ink)
		if string(parts[2]) != "normal" {
			style.Font.Weight = bold
		}
		points, _ := strconv.Atoi(string(parts[3]))
		style.Font.Size = vg.Length(points)
		wide := style.Width(html.UnescapeString(string(parts[4]))).Points()
		return fmt.Appendf(nil, `<text textLength="%.2f" lengthAdjust="spacingAndGlyphs" %s>%s</text>`, wide, parts[1], parts[4])
	})
}

func height(p chart.Picture) vg.Length {
	high := vg.Length(2*margin + legend*len(lines(p.Legend)))
	for _, band := range p.Bands {
		high += vg.Length(band.Height) * vg.Length(len(band.Charts))
	}
	return high
}

// lines breaks a legend into lines.
func lines(words []chart.Word) (lines [][]chart.Word) {
	style := styled(ink)
	room := vg.Length(0)
	for _, word := range words {
		wide := style.Width(word.Text) + between
		if room < wide {
			lines, room = append(lines, nil), width-2*margin+between
		}
		lines[len(lines)-1] = append(lines[len(lines)-1], word)
		room -= wide
	}
	return lines
}

// between is the space between two words of a legend.
const between = 20

// paint draws a picture. It brings its own background.
func paint(on vg.CanvasSizer, p chart.Picture) error {
	c := draw.New(on)
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	c = draw.Crop(c, margin, -margin, margin, -margin)
	for _, line := range lines(p.Legend) {
		left := c.Min.X
		for _, word := range line {
			left += say(c, vg.Point{X: left, Y: c.Max.Y - 12}, text.XLeft, colorOf(word.Color), word.Text) + between
		}
		c = draw.Crop(c, 0, 0, 0, -legend)
	}
	for _, band := range p.Bands {
		for _, one := range band.Charts {
			high := vg.Length(band.Height)
			if err := drawChart(draw.Crop(c, 0, 0, c.Max.Y-c.Min.Y-high+margin, 0), one); err != nil {
				return err
			}
			c = draw.Crop(c, 0, 0, 0, -high)
		}
	}
	return nil
}

func drawChart(c draw.Canvas, one chart.Chart) error {
	switch one := one.(type) {
	case chart.Rows:
		within(newRows(one), c).Draw(c)
	case chart.Distribution:
		p, err := newDistribution(one)
		if err != nil {
			return err
		}
		within(p, c).Draw(c)
	case chart.Counts:
		within(newCounts(one), c).Draw(c)
	case chart.Totals:
		within(newTotals(one), c).Draw(c)
	case chart.Ranges:
		within(newRanges(one), c).Draw(c)
	case chart.Curves:
		within(newCurves(one), c).Draw(legendOf(c, one))
	case chart.Dots:
		within(newDots(one), c).Draw(c)
	case chart.Dialogue:
		drawDialogue(c, one)
	default:
		return fmt.Errorf("nobody knows how to draw a %T", one)
	}
	return nil
}

// within breaks the title of a plot, and the words below it, into lines that fit into the canvas.
func within(p *plot.Plot, c draw.Canvas) *plot.Plot {
	p.Title.Text = broken(p.Title.Text, p.Title.TextStyle, c.Max.X-c.Min.X)
	p.X.Label.Text = broken(p.X.Label.Text, p.X.Label.TextStyle, c.Max.X-c.Min.X)
	return p
}

// broken puts line breaks into words.
func broken(words string, style text.Style, room vg.Length) string {
	all, line := "", ""
	for _, word := range strings.Fields(words) {
		if line != "" && style.Width(line+" "+word) > room {
			all, line = all+line+"\n", ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return all + line
}

// newPlot returns a plot in the pictures' common style.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font = font.Font{Typeface: sans.Typeface, Variant: sans.Variant, Weight: bold, Size: 12}
	p.Title.Padding = 6
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font = sized(11)
		a.Tick.Label.Font = sized(11)
		a.LineStyle.Color, a.Tick.LineStyle.Color = ink, ink
		a.Label.TextStyle.Color, a.Tick.Label.Color = ink, ink
		a.Padding, a.Tick.Marker = 4, few{}
	}
	p.Title.TextStyle.Color = ink
	return p
}

// named gives the Y axis the names of n rows.
func named(p *plot.Plot, n int, name func(int) string) {
	var ticks []plot.Tick
	for i := range n {
		ticks = append(ticks, plot.Tick{Value: -float64(i), Label: label(name(i))})
	}
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Tick.Length, p.Y.Tick.LineStyle.Color = 4, color.White
	p.Y.Min, p.Y.Max = -float64(n)+0.4, 0.6
}

func sized(points vg.Length) font.Font {
	f := sans
	f.Size = points
	return f
}

// say writes words, and returns how wide they are.
func say(c draw.Canvas, at vg.Point, align text.XAlignment, of color.Color, words string) vg.Length {
	style := styled(of)
	style.XAlign, style.YAlign = align, text.YBottom
	c.FillText(style, at, words)
	return style.Width(words)
}

// styled returns the style of words beside a plot's own.
func styled(of color.Color) text.Style {
	return text.Style{Color: of, Font: sized(11), Handler: plot.DefaultTextHandler}
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
