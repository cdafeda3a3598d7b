package plot

import (
	"fmt"
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// unitOf returns the unit in which the largest of some durations reads well.
func unitOf(ds []time.Duration) (time.Duration, string) {
	var largest time.Duration
	for _, d := range ds {
		largest = max(largest, d.Abs())
	}
	switch {
	case largest >= time.Second:
		return time.Second, "s"
	case largest >= time.Millisecond:
		return time.Millisecond, "ms"
	}
	return time.Microsecond, "µs"
}

// newDistribution returns a plot of what share of ds is at most how long: the
// empirical distribution function, with the median marked.
func newDistribution(title, what string, ds []time.Duration) (*plot.Plot, error) {
	unit, name := unitOf(ds)
	p := newPlot(title, fmt.Sprintf("%s (%s)", what, name), "within this time (%)")
	p.Y.Min, p.Y.Max = 0, 100
	p.Y.Tick.Marker = plot.ConstantTicks([]plot.Tick{{Value: 0, Label: "0"}, {Value: 50, Label: "50"}, {Value: 100, Label: "100"}})
	if len(ds) == 0 {
		p.Title.Text += ": none yet"
		p.X.Min, p.X.Max = 0, 1
		return p, nil
	}
	sorted := slices.Sorted(slices.Values(ds))
	low, high := float64(sorted[0])/float64(unit), float64(sorted[len(sorted)-1])/float64(unit)
	// A steady network has nearly equal values: a few percent are not
	// worth a wider scale, and would need many digits.
	margin := max((high-low)*0.03, (0.2*max(high, -low)-(high-low))/2, 1e-6)
	p.X.Min, p.X.Max = low-margin, high+margin
	points := plotter.XYs{{X: p.X.Min, Y: 0}}
	for i, d := range sorted {
		x, share := float64(d)/float64(unit), 100/float64(len(sorted))
		points = append(points, plotter.XY{X: x, Y: share * float64(i)}, plotter.XY{X: x, Y: share * float64(i+1)})
	}
	points = append(points, plotter.XY{X: p.X.Max, Y: 100})
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, err
	}
	line.LineStyle = draw.LineStyle{Color: accent, Width: 2}
	median := float64(sorted[(len(sorted)+1)/2-1]) / float64(unit)
	mark, err := plotter.NewLine(plotter.XYs{{X: median, Y: 0}, {X: median, Y: 50}})
	if err != nil {
		return nil, err
	}
	mark.LineStyle = draw.LineStyle{Color: ink, Width: 1, Dashes: []vg.Length{3, 2}}
	p.Add(line, mark)
	p.Title.Text += fmt.Sprintf(": median %.3g %s", median, name)
	return p, nil
}
