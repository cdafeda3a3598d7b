package plot

import (
	"fmt"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel/experiment"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// WeatherSVG draws what [experiment.Weather] measured: for each network how long
// each message took, over TCP and over UDP, and which never arrived.
func WeatherSVG(file string) ([]byte, error) {
	p, err := weatherPicture(file)
	if err != nil {
		return nil, err
	}
	return p.svg()
}

func weatherPicture(file string) (picture, error) {
	all, err := experiment.Load(file)
	if err != nil {
		return picture{}, err
	}
	if all.Weather == nil || len(all.Weather.Cases) == 0 {
		return picture{}, experiment.ErrNothing
	}
	var charts []*plot.Plot
	for _, c := range all.Weather.Cases {
		charts = append(charts, newDelays(c))
	}
	const columns, high, legend = 2, 165, 20
	rows := (len(charts) + columns - 1) / columns
	return picture{
		title: "How long each message takes over TCP (blue) and UDP (orange) on several networks; red: never arrived",
		width: 700, height: vg.Length(high*rows) + 16 + legend,
		draw: func(c draw.Canvas) error {
			s := sequence{Canvas: c}
			s.say(150, 10, text.XLeft, cssColor(experiment.Color("tcp")), "● TCP")
			s.say(230, 10, text.XLeft, cssColor(experiment.Color("udp")), "● UDP")
			s.say(310, 10, text.XLeft, alarm, "| a UDP message that never arrived")
			wide := (c.Max.X - c.Min.X) / columns
			for i, p := range charts {
				left, top := c.Min.X+wide*vg.Length(i%columns), c.Max.Y-legend-high*vg.Length(i/columns)
				p.Draw(draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
					Min: vg.Point{X: left, Y: top - high + 8}, Max: vg.Point{X: left + wide - 12, Y: top},
				}})
			}
			return nil
		},
	}, nil
}

func newDelays(c experiment.WeatherCase) *plot.Plot {
	p := newPlot(c.Title(), "sent after (s)", "delay (ms)")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1e-3, 0, 60
	for _, t := range c.Transfers() {
		p.Add(delays{t})
		p.X.Max = max(p.X.Max, t.Sent[len(t.Sent)-1].Seconds())
		p.Y.Max = max(p.Y.Max, 1.1*milliseconds(t.Worst()))
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = few{}, few{}
	if len(c.Transfers()) == 0 {
		p.Title.Text = fmt.Sprintf("%s: not measured here", p.Title.Text)
		p.HideAxes()
	}
	return p
}

// delays is a plotter.
type delays struct{ *experiment.Transfer }

// Plot implements plot.Plotter.
func (d delays) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	of := cssColor(experiment.Color(d.Protocol))
	for i, sent := range d.Sent {
		at := x(sent.Seconds())
		if d.Arrived[i] == 0 {
			c.StrokeLine2(draw.LineStyle{Color: alarm, Width: 1}, at, c.Min.Y, at, c.Min.Y+9)
			continue
		}
		place := vg.Point{X: at, Y: y(milliseconds(d.Arrived[i] - sent))}
		c.DrawGlyph(draw.GlyphStyle{Color: of, Radius: 1.6, Shape: draw.CircleGlyph{}}, place)
	}
}
