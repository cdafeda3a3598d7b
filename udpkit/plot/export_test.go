package plot

import (
	"gonum.org/v1/plot/vg"

	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// SVG draws a picture so that a test can read it.
func SVG(p chart.Picture, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return svg(p)
}

// Themed is what a page shows of an SVG, Darkened a colour on a dark page, whose background Paper
// is.
var Themed, Darkened = themed, darkened

const Paper = paper

// Few returns the labels of an axis.
func Few(low, high float64) (labels []string) {
	for _, t := range (few{}).Ticks(low, high) {
		labels = append(labels, t.Label)
	}
	return labels
}

// Width returns how wide words in letters of a size are, in Arial.
func Width(size float64, words string) float64 {
	style := styled(ink)
	style.Font.Size = vg.Length(size)
	return style.Width(words).Points()
}
