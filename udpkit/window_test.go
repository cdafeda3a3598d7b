package udpkit

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// observeAll feeds ids with one content each and returns what was delivered and
// what is missing.
func observeAll(w *window, sum uint64, ids ...uint64) (delivered []uint64, missing int) {
	for _, id := range ids {
		v, _, gap := w.observe(id, sum)
		if v != duplicate {
			delivered = append(delivered, id)
		}
		if v == late {
			missing--
		}
		missing += int(gap)
	}
	return delivered, missing
}

func TestWindow(t *testing.T) {
	for name, test := range map[string]struct {
		ids, delivered []uint64
		missing        int
	}{
		"in order":      {[]uint64{1, 2, 3}, []uint64{1, 2, 3}, 0},
		"duplicates":    {[]uint64{0, 0, 1, 0, 1}, []uint64{0, 1}, 0},
		"gap":           {[]uint64{5, 9}, []uint64{5, 9}, 3},
		"late":          {[]uint64{5, 9, 7, 7}, []uint64{5, 9, 7}, 2},
		"before start":  {[]uint64{5, 4, 6, 4}, []uint64{5, 4, 6}, 0},
		"forged huge":   {[]uint64{1, 2, 1 << 50, 3, 4, 1<<53 - 1, 5, 5}, []uint64{1, 2, 1 << 50, 3, 4, 1<<53 - 1, 5}, 0},
		"real jump":     {[]uint64{1, 5000, 5001, 5002}, []uint64{1, 5000, 5001, 5002}, 4998},
		"jump and back": {[]uint64{5000, 1, 2, 3}, []uint64{5000, 1, 2, 3}, 0},
	} {
		delivered, missing := observeAll(new(window), 1, test.ids...)
		assert.Equal(t, test.delivered, delivered, name)
		assert.Equal(t, test.missing, missing, name)
	}
}

func TestWindowRestartWithoutEpoch(t *testing.T) {
	w := new(window)
	observeAll(w, 1, 1, 2, 3, 4, 5, 6)
	delivered, missing := observeAll(w, 2, 1, 2, 3, 4, 5, 6, 7) // same ids, other content
	assert.Equal(t, []uint64{1, 2, 3, 4, 5, 6, 7}, delivered)
	assert.Zero(t, missing)
	delivered, _ = observeAll(w, 2, 3, 4)
	assert.Empty(t, delivered, "duplicates of the new run")
}

// TestWindowForgedFlood shows that no mix of forged ids makes a genuine message
// be dropped.
func TestWindowForgedFlood(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	w := new(window)
	for id := uint64(1); id < 20_000; id++ {
		for range 3 {
			w.observe(random.Uint64N(MaxMessageID), random.Uint64())
			w.observe(id+random.Uint64N(2*windowSize), random.Uint64())
		}
		v, _, _ := w.observe(id, id)
		require.NotEqual(t, duplicate, v, "message %d was dropped", id)
	}
}

// FuzzWindow compares the window with a map that remembers everything, on
// streams that a network can make: duplicated, reordered and lossy within the
// window's reach.
func FuzzWindow(f *testing.F) {
	f.Add([]byte{1, 1, 1, 0, 3, 255, 7, 2, 2})
	f.Add([]byte{200, 200, 200, 200, 200, 200, 10, 128, 129})
	f.Fuzz(func(t *testing.T, steps []byte) {
		w, seen := new(window), map[uint64]bool{}
		const start = 10_000
		highest, missing := uint64(start), 0
		w.observe(start, start)
		seen[start] = true
		for i, step := range steps {
			id := highest + uint64(step) // ahead
			if i%2 == 1 {                // or behind
				id = highest - min(uint64(step)*4, windowSize-1)
			}
			v, from, gap := w.observe(id, id)
			require.Equal(t, seen[id], v == duplicate, "id %d", id)
			if gap > 0 {
				require.Equal(t, highest+1, from)
				require.Equal(t, id, from+gap)
			}
			missing += int(gap)
			if v == late {
				missing--
			}
			seen[id] = true
			highest = max(highest, id)
		}
		lost := 0
		for id := uint64(start); id <= highest; id++ {
			if !seen[id] {
				lost++
			}
		}
		require.Equal(t, lost, missing, "each id is delivered or missing")
	})
}

func BenchmarkWindow(b *testing.B) {
	w := new(window)
	id := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		w.observe(id, id)
		id++
	}
}
