package plot

import (
	"fmt"
	"image/color"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel/experiment"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ServersSVG draws what [experiment.Servers] measured: for each server a row for
// each client, which waits, is served, or gets no answer.
func ServersSVG(file string) ([]byte, error) {
	p, err := serversPicture(file)
	if err != nil {
		return nil, err
	}
	return p.svg()
}

func serversPicture(file string) (picture, error) {
	all, err := experiment.Load(file)
	if err != nil {
		return picture{}, err
	}
	if all.Servers == nil || len(all.Servers.Runs) == 0 {
		return picture{}, experiment.ErrNothing
	}
	runs := all.Servers.Runs
	var longest time.Duration
	for _, r := range runs {
		longest = max(longest, r.Took)
	}
	var charts []*plot.Plot
	for i, r := range runs {
		p := newPlot(fmt.Sprintf("%s: %d of %d clients answered, the last after %.2f s", r.Name, r.Answered(), len(r.Clients), r.Took.Seconds()), "", "client")
		if i == len(runs)-1 {
			p.X.Label.Text = "time since all clients asked (s); grey: waits, green: is served, red: no answer"
		}
		p.Add(gantt(r.Clients))
		p.X.Min, p.X.Max = 0, longest.Seconds()*1.02
		p.Y.Min, p.Y.Max = -float64(len(r.Clients))+0.4, 0.6
		p.Y.Tick.Marker = plot.ConstantTicks(nil)
		charts = append(charts, p)
	}
	high := vg.Length(158)
	return picture{
		title: fmt.Sprintf("When each client is served, by %d servers", len(runs)),
		width: 680, height: high*vg.Length(len(runs)) + 32,
		draw: func(c draw.Canvas) error {
			for i, p := range charts {
				bottom := c.Max.Y - high*vg.Length(i+1) + 8
				if i == len(charts)-1 {
					bottom = c.Min.Y
				}
				p.Draw(draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
					Min: vg.Point{X: c.Min.X, Y: bottom}, Max: vg.Point{X: c.Max.X - 8, Y: c.Max.Y - high*vg.Length(i)},
				}})
			}
			return nil
		},
	}, nil
}

// gantt is a plotter: a bar for each client.
type gantt []experiment.ServerClient

// Plot implements plot.Plotter. The clients are drawn in the order in which they
// were served, those that were not below.
func (all gantt) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	order := func(c experiment.ServerClient) time.Duration {
		if c.Answered == 0 {
			return 1 << 62
		}
		return c.Began
	}
	sorted := slices.SortedStableFunc(slices.Values(all), func(a, b experiment.ServerClient) int { return int(order(a) - order(b)) })
	half := max((y(0)-y(-1))/2-0.8, 0.5)
	for i, client := range sorted {
		at := y(-float64(i))
		bar := func(of color.Color, from, to time.Duration) {
			left, right := x(from.Seconds()), max(x(to.Seconds()), x(from.Seconds())+1)
			c.FillPolygon(of, []vg.Point{{X: left, Y: at - half}, {X: right, Y: at - half}, {X: right, Y: at + half}, {X: left, Y: at + half}})
		}
		if client.Answered == 0 {
			c.StrokeLine2(draw.LineStyle{Color: alarm, Width: 1, Dashes: []vg.Length{2, 3}}, x(client.Sent.Seconds()), at, c.Max.X, at)
			continue
		}
		bar(pale, client.Sent, client.Began)
		bar(stateColor(udpkit.StateActive), client.Began, client.Answered)
	}
}
