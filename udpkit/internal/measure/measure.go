// Package measure is what the packages that measure share.
package measure

import (
	"context"
	"slices"
	"time"
)

// Sleep waits, and reports whether ctx is still good.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Quantile returns the value that this share of the values, 0 to 1, does not exceed; 0 for none.
func Quantile[T float64 | time.Duration](values []T, share float64) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

// Median returns the middle one of several values; 0 for none.
func Median[T float64 | time.Duration](values []T) T { return Quantile(values, 0.5) }
