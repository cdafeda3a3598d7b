package plot

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"strings"
	"unicode/utf8"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// picture can be drawn in any format. The background is white in every theme,
// for the axes are black.
type picture struct {
	title         string // for those who cannot see it
	width, height vg.Length
	draw          func(draw.Canvas) error
}

// sans has the measures of Arial, which is nearly everywhere.
var sans = font.Font{Typeface: "Liberation", Variant: "Sans"}

var (
	ink    = color.RGBA{0x1f, 0x23, 0x28, 0xff}
	pale   = color.RGBA{0xd0, 0xd7, 0xde, 0xff}
	accent = color.RGBA{0x09, 0x69, 0xda, 0xff}
	alarm  = color.RGBA{0xcf, 0x22, 0x2e, 0xff}
)

// svg returns the picture as an SVG element that fits into its place.
func (p picture) svg() ([]byte, error) {
	canvas := vgsvg.New(p.width, p.height)
	if err := p.paint(canvas); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	_, element, ok := bytes.Cut(b.Bytes(), []byte("<svg "))
	if !ok {
		return nil, fmt.Errorf("the drawing library made no SVG")
	}
	head := fmt.Sprintf(`<svg role="img" aria-label="%s" style="max-width:100%%;height:auto" `, html.EscapeString(p.title))
	// vgsvg names the font that it has measured and no substitute.
	element = bytes.ReplaceAll(element, []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arimo,Arial,Helvetica,sans-serif"))
	return append([]byte(head), element...), nil
}

// shownWidth is the width of a picture on a page, in CSS pixels.
const shownWidth = 760

// png returns the picture with half as many pixels again as it is shown with, for
// sharp screens.
func (p picture) png() ([]byte, error) {
	canvas := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(p.width, p.height), vgimg.UseDPI(120))}
	if err := p.paint(canvas); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err := canvas.WriteTo(&b)
	return b.Bytes(), err
}

func (p picture) paint(on vg.CanvasSizer) error {
	c := draw.New(on)
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	return p.draw(draw.Crop(c, 8, -8, 8, -8))
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

// names labels an axis with names. They keep their distance, since a page may
// have a wider font than the one that was measured.
func names(a *plot.Axis, ticks []plot.Tick) {
	a.Tick.Marker = plot.ConstantTicks(ticks)
	a.Tick.Length, a.Tick.LineStyle.Color = 18, color.Transparent
}

func sized(points vg.Length) font.Font {
	f := sans
	f.Size = points
	return f
}

// stateColor is the panel's colour of a state.
func stateColor(s udpkit.State) color.RGBA { return cssColor(panel.Color(s)) }

// cssColor reads a colour of the panels.
func cssColor(css string) color.RGBA {
	c := color.RGBA{A: 0xff}
	// The panels' colours have this form, so there is no error.
	_, _ = fmt.Sscanf(css, "#%02x%02x%02x", &c.R, &c.G, &c.B)
	return c
}

// label makes a text from the network fit for a picture: printable and short.
func label(text string) string {
	const limit = 18
	text = panel.Printable(text)
	if utf8.RuneCountInString(text) > limit {
		text = string([]rune(text)[:limit-1]) + "…"
	}
	return strings.TrimSpace(text)
}
