package plot

import (
	"fmt"
	"image/color"
	"math"
	"regexp"
	"strings"
)

// paper is the background of a picture on a dark page.
const paper = "#1a1a1a"

// legible is the contrast that texts need, as WCAG 2 has it.
const legible = 4.5

var (
	colors = regexp.MustCompile(`#[0-9A-F]{6}`)
	// drawn is where the elements of a picture begin.
	drawn = regexp.MustCompile(`<g [^>]*>`)
)

// themed has a picture follow the page, light or dark: each colour becomes a variable. An image
// asks for the colour scheme of the element that it is in, so that no script is needed. Where there
// is none it is light.
func themed(svg []byte) []byte {
	light, dark := new(strings.Builder), new(strings.Builder)
	seen := make(map[string]bool)
	text := colors.ReplaceAllStringFunc(string(svg), func(css string) string {
		name := "--c" + css[1:]
		if !seen[css] {
			seen[css] = true
			fmt.Fprintf(light, "%s:%s;", name, css)
			fmt.Fprintf(dark, "%s:%s;", name, darkened(css))
		}
		return "var(" + name + ")"
	})
	text = strings.ReplaceAll(text, "font-family:Liberation Sans;", "")
	at := drawn.FindStringIndex(text)
	if at == nil {
		return svg // it is empty
	}
	style := fmt.Sprintf("<style>svg{%sfont-family:Liberation Sans,Arial,Helvetica,sans-serif}@media(prefers-color-scheme:dark){svg{%s}}</style>\n", light, dark)
	return []byte(text[:at[0]] + style + text[at[0]:])
}

// darkened returns the colour that stands for another one on a dark page: of the same hue, as light
// as that was dark, and as legible, if it was.
func darkened(css string) string {
	c := colorOf(css)
	most, least := float64(max(c.R, c.G, c.B)), float64(min(c.R, c.G, c.B))
	level := 255 - (most + least) // what makes dark light
	mix := func(v uint8) uint8 {
		white, black := float64(0xff), float64(0x1a)
		return uint8(math.Round(min(white, max(black, black+(float64(v)+level)*(white-black)/255))))
	}
	d := color.RGBA{R: mix(c.R), G: mix(c.G), B: mix(c.B), A: 0xff}
	for contrast(c, color.RGBA{0xff, 0xff, 0xff, 0xff}) >= legible && contrast(d, colorOf(paper)) < legible {
		d = color.RGBA{R: lighter(d.R), G: lighter(d.G), B: lighter(d.B), A: 0xff}
	}
	return fmt.Sprintf("#%02X%02X%02X", d.R, d.G, d.B)
}

func lighter(v uint8) uint8 { return v + (0xff-v+15)/16 }

// contrast is the ratio that WCAG 2 defines.
func contrast(a, b color.RGBA) float64 {
	light, dark := luminance(a), luminance(b)
	return (max(light, dark) + 0.05) / (min(light, dark) + 0.05)
}

func luminance(c color.RGBA) float64 {
	linear := func(v uint8) float64 {
		x := float64(v) / 255
		if x > 0.04045 {
			return math.Pow((x+0.055)/1.055, 2.4)
		}
		return x / 12.92
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}
