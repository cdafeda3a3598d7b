package plot

import (
	"fmt"
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// few puts two to six round numbers on an axis: multiples of 1, 2 or 5 times a power of ten, with
// as many decimals as tell them apart.
type few struct{}

// Ticks implements plot.Ticker.
func (few) Ticks(low, high float64) []plot.Tick {
	power := math.Floor(math.Log10((high - low) / 2))
	step := math.Pow(10, power)
	for _, factor := range []float64{5, 2} {
		if step*factor <= (high-low)/2 {
			step *= factor
			break
		}
	}
	decimals := max(0, -int(power))
	var ticks []plot.Tick
	for i := math.Ceil(low/step) + 0; i*step <= high; i++ { // + 0: -0 would be "-0"
		ticks = append(ticks, plot.Tick{Value: i * step, Label: strconv.FormatFloat(i*step, 'f', decimals, 64)})
	}
	return ticks
}

// fromZero is few without what is below 0.
type fromZero struct{}

// Ticks implements plot.Ticker.
func (fromZero) Ticks(_, high float64) []plot.Tick { return few{}.Ticks(0, high) }

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
