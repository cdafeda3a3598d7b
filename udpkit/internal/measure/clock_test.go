package measure_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
)

// TestFourTimes: the true offset is within half of the delay, however unequal both ways are.
func TestFourTimes(t *testing.T) {
	for _, ahead := range []int64{0, 3e9, -3e9, 56 * 365 * 86400e9} {
		for _, ways := range [][2]int64{{1e6, 1e6}, {1, 2}, {0, 0}, {9e6, 0}, {0, 9e6 + 1}} {
			const sent, took = int64(1.7e18), int64(5e6)
			arrived := sent + ways[0] + ahead
			o, ok := measure.FourTimes(sent, arrived, arrived+took, sent+ways[0]+took+ways[1])
			require.True(t, ok)
			assert.EqualValues(t, ways[0]+ways[1], o.Delay)
			assert.LessOrEqual(t, (o.Ahead - time.Duration(ahead)).Abs(), o.Delay/2+1, "%d %v", ahead, ways)
		}
	}
	for name, times := range map[string][4]int64{
		"answered before it came":  {10, 20, 19, 30},
		"took longer there":        {10, 20, 51, 40},
		"came before it was sent":  {10, 20, 20, 9},
		"before 1970":              {10, -20, 20, 30},
		"no time that ever was":    {math.MinInt64, math.MaxInt64, math.MaxInt64, 5},
		"as long as there is time": {10, 0, math.MaxInt64, 40},
	} {
		_, ok := measure.FourTimes(times[0], times[1], times[2], times[3])
		assert.False(t, ok, name)
	}
}

// TestClock: for an hour of any delays and a drift within the bound the true offset is within the
// error, which is that of the shortest delay of the last eight or less.
func TestClock(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, drift := range []float64{0, 50e-6, -50e-6} {
		var c measure.Clock
		_, _, ok := c.At(time.Time{})
		require.False(t, ok)
		began := time.Unix(1.7e9, 0)
		for at := time.Duration(0); at < time.Hour; at += 5 * time.Second {
			ahead := func(at time.Duration) time.Duration { return -3*time.Second + time.Duration(drift*float64(at)) }
			there, back := time.Duration(rng.ExpFloat64()*1e7), time.Duration(rng.ExpFloat64()*1e6)
			sent := began.UnixNano() + int64(at)
			arrived := sent + int64(there+ahead(at))
			o, ok := measure.FourTimes(sent, arrived, arrived, sent+int64(there+back))
			require.True(t, ok)
			c.Add(o, began.Add(at))
			for _, later := range []time.Duration{0, 5 * time.Second, time.Minute} {
				got, within, ok := c.At(began.Add(at + later))
				require.True(t, ok)
				require.LessOrEqual(t, (got - ahead(at+later)).Abs(), within+time.Microsecond) // of rounding
			}
			_, within, _ := c.At(began.Add(at))
			require.LessOrEqual(t, within, o.Delay/2+1)
		}
	}
}

// TestClockIsSet: what a clock says that was set counts at once.
func TestClockIsSet(t *testing.T) {
	var c measure.Clock
	now := time.Unix(1.7e9, 0)
	for range 20 {
		c.Add(measure.Offset{Ahead: time.Second, Delay: time.Millisecond}, now)
	}
	c.Add(measure.Offset{Ahead: time.Second, Delay: time.Hour}, now)
	ahead, within, _ := c.At(now)
	assert.Equal(t, time.Second, ahead)
	assert.LessOrEqual(t, within, time.Millisecond)
	c.Add(measure.Offset{Ahead: 2 * time.Second, Delay: 2 * time.Millisecond}, now)
	ahead, _, _ = c.At(now)
	assert.Equal(t, 2*time.Second, ahead)
}
