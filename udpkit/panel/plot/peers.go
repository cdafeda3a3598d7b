package plot

import (
	"fmt"
	"image/color"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel/basics"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Peers shows in the notebook what basics.Neighbours recorded. See [PeersSVG].
func Peers(file string) error { return show(peersPicture(file)) }

// PeersSVG draws what [basics.Neighbours] recorded, a row for each peer: when it
// was heard, when it was silent and still in the table, and how it went.
func PeersSVG(file string) ([]byte, error) {
	p, err := peersPicture(file)
	if err != nil {
		return nil, err
	}
	return p.svg()
}

func peersPicture(file string) (picture, error) {
	seen, err := basics.ReadNeighbourhood(file)
	if err != nil {
		return picture{}, err
	}
	if len(seen.Peers) == 0 {
		return picture{}, fmt.Errorf("%w: nobody was heard", ErrEmpty)
	}
	p := newPlot("Who was in the table", "time since the start (s)", "")
	p.Add(&peerRows{seen})
	var ticks []plot.Tick
	for i, peer := range seen.Peers {
		name := label(peer.Name)
		if name == "" {
			name = "no name"
		}
		ticks = append(ticks, plot.Tick{Value: -float64(i), Label: name})
	}
	names(&p.Y, ticks)
	p.X.Min, p.X.Max = 0, max(seen.Length, time.Millisecond).Seconds()
	p.Y.Min, p.Y.Max = -float64(len(seen.Peers))+0.3, 0.7
	title := fmt.Sprintf("When each of %d peers was in the table, and how it went", len(seen.Peers))
	return picture{title: title, width: 680, height: vg.Length(76 + 34*len(seen.Peers)), draw: func(c draw.Canvas) error {
		p.Draw(draw.Crop(c, 0, -8, 0, 0))
		return nil
	}}, nil
}

// peerRows is a plotter.
type peerRows struct{ basics.Neighbourhood }

// Plot implements plot.Plotter.
func (r *peerRows) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	heard, silent := stateColor("ACTIVE"), color.RGBA{0xac, 0xee, 0xbb, 0xff}
	for i, peer := range r.Peers {
		at := y(-float64(i))
		c.StrokeLine2(draw.LineStyle{Color: pale, Width: 0.5}, c.Min.X, at, c.Max.X, at)
		bar := func(from, to time.Duration, of color.Color) {
			left, right := x(from.Seconds()), x(to.Seconds())
			c.FillPolygon(of, []vg.Point{{X: left, Y: at - 7}, {X: right, Y: at - 7}, {X: right, Y: at + 7}, {X: left, Y: at + 7}})
		}
		words, of := "", color.Color(ink)
		switch peer.End {
		case beacon.Left:
			words = "said goodbye"
			bar(peer.From, peer.To, heard)
		case beacon.Expired:
			words, of = "silent: forgotten", alarm
			bar(peer.From, peer.Heard, heard)
			bar(peer.Heard, peer.To, silent)
		default:
			bar(peer.From, peer.To, heard)
			continue
		}
		end := x(peer.To.Seconds())
		c.StrokeLine2(draw.LineStyle{Color: of, Width: 2}, end, at-9, end, at+9)
		style := draw.TextStyle{Color: of, Font: sized(9), Handler: plot.DefaultTextHandler, XAlign: draw.XLeft, YAlign: draw.YCenter}
		place := vg.Point{X: end + 6, Y: at}
		if end+style.Width(words)+6 > c.Max.X { // no room at the right
			style.XAlign, place.X = draw.XRight, end-6
			style.Color = color.White
			if peer.End == beacon.Expired {
				style.Color = of
			}
		}
		c.FillText(style, place, words)
	}
}
