package plot

import (
	"bytes"

	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// SVG draws a picture so that a test can read it.
func SVG(p chart.Picture, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	canvas := vgsvg.New(width, height(p))
	if err := paint(canvas, p); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = canvas.WriteTo(&b)
	return b.Bytes(), err
}
