package plot

import "github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"

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
