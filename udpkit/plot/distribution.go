package plot

import (
	"fmt"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// newDistribution returns the empirical distribution function, with the median marked.
func newDistribution(d chart.Distribution) (*plot.Plot, error) {
	unit, name := chart.UnitOf(d.Values)
	p := newPlot(d.Title, fmt.Sprintf("%s (%s)", d.Axis, name), "within this time (%)")
	p.Y.Min, p.Y.Max = 0, 100
	p.Y.Tick.Marker = plot.ConstantTicks([]plot.Tick{{Value: 0, Label: "0"}, {Value: 50, Label: "50"}, {Value: 100, Label: "100"}})
	if len(d.Values) == 0 {
		p.Title.Text += ": none yet"
		p.X.Min, p.X.Max = 0, 1
		return p, nil
	}
	sorted := slices.Sorted(slices.Values(d.Values))
	low, high := float64(sorted[0])/float64(unit), float64(sorted[len(sorted)-1])/float64(unit)
	// A steady network has nearly equal values. To magnify a few percent of difference would be
	// misleading, and would need many digits.
	margin := max((high-low)*0.03, (0.2*max(high, -low)-(high-low))/2, 1e-6)
	p.X.Min, p.X.Max = low-margin, high+margin
	points := plotter.XYs{{X: p.X.Min, Y: 0}}
	for i, v := range sorted {
		x, share := float64(v)/float64(unit), 100/float64(len(sorted))
		points = append(points, plotter.XY{X: x, Y: share * float64(i)}, plotter.XY{X: x, Y: share * float64(i+1)})
	}
	points = append(points, plotter.XY{X: p.X.Max, Y: 100})
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, err
	}
	line.LineStyle = draw.LineStyle{Color: colorOf(chart.Accent), Width: 2}
	median := float64(sorted[(len(sorted)+1)/2-1]) / float64(unit)
	mark, err := plotter.NewLine(plotter.XYs{{X: median, Y: 0}, {X: median, Y: 50}})
	if err != nil {
		return nil, err
	}
	mark.LineStyle = draw.LineStyle{Color: ink, Width: 1, Dashes: []vg.Length{3, 2}}
	p.Add(line, mark)
	p.X.Tick.Marker = few{}
	p.Title.Text += fmt.Sprintf(": median %.3g %s", median, name)
	return p, nil
}
