package plot

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
)

// few puts two to five round numbers on an axis.
type few struct{}

// Ticks implements plot.Ticker.
func (few) Ticks(low, high float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/2)))
	for _, factor := range []float64{5, 2} {
		if step*factor <= (high-low)/2 {
			step *= factor
			break
		}
	}
	var ticks []plot.Tick
	// + 0 makes 0 of -0.
	for i := math.Ceil(low/step) + 0; i*step <= high; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: fmt.Sprintf("%.4g", i*step)})
	}
	return ticks
}

// integers puts a few ticks on whole numbers.
type integers struct{}

// Ticks implements plot.Ticker.
func (integers) Ticks(low, high float64) []plot.Tick {
	step := max(1, int(high-low)/6)
	var ticks []plot.Tick
	for i := int(low) / step * step; float64(i) <= high; i += step {
		if float64(i) >= low {
			ticks = append(ticks, plot.Tick{Value: float64(i), Label: fmt.Sprint(i)})
		}
	}
	return ticks
}

// thousands puts a few ticks on round numbers, the large ones in thousands and millions.
type thousands struct{}

// Ticks implements plot.Ticker.
func (thousands) Ticks(low, high float64) []plot.Tick {
	if high < 5 {
		return integers{}.Ticks(low, high)
	}
	ticks := few{}.Ticks(low, high)
	for i, t := range ticks {
		switch {
		case t.Value >= 1e6:
			ticks[i].Label = fmt.Sprintf("%.3gM", t.Value/1e6)
		case t.Value >= 1000:
			ticks[i].Label = fmt.Sprintf("%.3gk", t.Value/1000)
		}
	}
	return ticks
}
