package udpkit

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// observeAll feeds ids with one content each and returns what was delivered and what is missing.
func observeAll(w *window, sum uint64, ids ...uint64) (delivered []uint64, missing int) {
	for _, id := range ids {
		v, gaps := w.observe(id, sum)
		if v != duplicate {
			delivered = append(delivered, id)
		}
		if v == late {
			missing--
		}
		missing += int(count(gaps))
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

// TestWindowEpoch: ids of a known run only rise, so a jump is a gap at once.
func TestWindowEpoch(t *testing.T) {
	even := []uint64{1, 2, 3}
	evenGaps := []gap{{4, 1499}}
	for id := uint64(1500); id <= 1600; id += 2 {
		even = append(even, id)
		if id > 1500 {
			evenGaps = append(evenGaps, gap{id - 1, id - 1})
		}
	}
	for name, test := range map[string]struct {
		ids     []uint64
		gaps    []gap
		missing uint64 // in the end
		late    int
	}{
		"every other":        {even, evenGaps, 1546, 0},
		"confirmed":          {[]uint64{1, 5000, 5003, 5001, 5002}, []gap{{2, 4999}, {5001, 5002}}, 4998, 2},
		"reordered":          {[]uint64{1, 5000, 4990, 5001, 4980}, []gap{{2, 4999}}, 4996, 2},
		"forged":             {[]uint64{1, 2, 1 << 50, 3, 4, 6}, []gap{{3, 1<<50 - 1}, {5, 5}}, 1, 1},
		"forged each time":   {[]uint64{5000, 10000, 5003, 20000, 5006}, []gap{{5001, 9999}, {5004, 9999}, {10001, 19999}}, 4, 2},
		"forged, one by one": {[]uint64{1, 7000, 90000, 2}, []gap{{2, 6999}, {7001, 89999}}, 0, 1},
		"forged backwards":   {[]uint64{5000, 5001, 7, 5002, 5004}, []gap{{5003, 5003}}, 1, 0},
		"forged twice":       {[]uint64{1, 9000, 9001, 2, 4, 6}, []gap{{2, 8999}, {5, 5}}, 2, 2},
		"forged at first":    {[]uint64{1 << 50, 1, 3, 5}, []gap{{2, 2}, {4, 4}}, 2, 0},
		"forged content":     {[]uint64{1, 2, 4, 2, 4, 5}, []gap{{3, 3}}, 1, 0},
		"in its place":       {[]uint64{1, 2, 4, 5124, 4, 3}, []gap{{3, 3}, {5, 5123}}, 5119, 1},
	} {
		w := &window{epoch: true}
		var all []gap
		lateOnes := 0
		for i, id := range test.ids {
			v, gaps := w.observe(id, uint64(i)) // each with its own content
			require.NotEqual(t, duplicate, v, name)
			if v == late {
				lateOnes++
			}
			all = append(all, gaps...)
		}
		assert.Equal(t, test.gaps, all, name)
		assert.Equal(t, test.missing, w.missing, name)
		assert.Equal(t, test.late, lateOnes, name)
	}

	// Without an epoch it takes two that follow each other; those that came are in no gap.
	w := new(window)
	for i, id := range even {
		_, gaps := w.observe(id, uint64(i))
		require.Empty(t, gaps)
	}
	_, gaps := w.observe(1601, 1)
	assert.Equal(t, evenGaps, gaps)
	assert.EqualValues(t, 1546, w.missing)
}

// TestWindowForgedJumps: however often somebody jumps ahead in a server's name, each of its
// messages is delivered once, and what was lost before it is in a gap and counted.
func TestWindowForgedJumps(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	w := &window{epoch: true}
	w.observe(1, 1)
	var lost []uint64 // since the last message
	var all uint64
	var reported []gap // since then
	for id := uint64(2); id < 20_000; id++ {
		if random.IntN(2) == 0 {
			_, gaps := w.observe(id+2*windowSize+random.Uint64N(1<<40), random.Uint64())
			reported = append(reported, gaps...)
		}
		if random.IntN(3) == 0 {
			lost = append(lost, id)
			all++
			continue
		}
		v, gaps := w.observe(id, id)
		require.NotEqual(t, duplicate, v)
		reported = append(reported, gaps...)
		for _, id := range lost {
			require.True(t, slices.ContainsFunc(reported, func(g gap) bool { return g.from <= id && id <= g.to }), "message %d", id)
		}
		require.Equal(t, all, w.missing)
		v, _ = w.observe(id, id)
		require.Equal(t, duplicate, v)
		lost, reported = nil, nil
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

// TestWindowForgedFlood shows that no mix of forged ids makes a genuine message be dropped.
func TestWindowForgedFlood(t *testing.T) {
	for _, epoch := range []bool{false, true} {
		windowForgedFlood(t, &window{epoch: epoch})
	}
}

func windowForgedFlood(t *testing.T, w *window) {
	random := rand.New(rand.NewPCG(1, 2))
	for id := uint64(1); id < 20_000; id++ {
		for range 3 {
			w.observe(random.Uint64N(MaxMessageID), random.Uint64())
			w.observe(id+random.Uint64N(2*windowSize), random.Uint64())
		}
		v, _ := w.observe(id, id)
		require.NotEqual(t, duplicate, v, "message %d was dropped", id)
	}
}

// FuzzWindow compares the window with a map that remembers everything, on streams that a network
// can make: duplicated, reordered and lossy within the window's reach.
func FuzzWindow(f *testing.F) {
	f.Add([]byte{1, 1, 1, 0, 3, 255, 7, 2, 2})
	f.Add([]byte{200, 200, 200, 200, 200, 200, 10, 128, 129})
	f.Fuzz(func(t *testing.T, steps []byte) {
		w, seen := &window{epoch: len(steps)%2 == 0}, map[uint64]bool{}
		const start = 10_000
		highest, missing := uint64(start), 0
		w.observe(start, start)
		seen[start] = true
		for i, step := range steps {
			id := highest + uint64(step) // ahead
			if i%2 == 1 {                // or behind
				id = highest - min(uint64(step)*4, windowSize-1)
			}
			v, gaps := w.observe(id, id)
			require.Equal(t, seen[id], v == duplicate, "id %d", id)
			if len(gaps) > 0 {
				require.Equal(t, []gap{{highest + 1, id - 1}}, gaps)
			}
			missing += int(count(gaps))
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
		require.EqualValues(t, lost, w.missing)
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
