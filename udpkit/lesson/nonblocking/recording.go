package nonblocking

import (
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// Recording is what one style did during a [Watch]. Times are since its start.
type Recording struct {
	Style udpkit.Style `json:"style"`
	// Ticks are the times at which the receiver let the indicator move (OnIdle).
	Ticks []time.Duration `json:"ticks_ns"`
	// Sent and Handled are the times of the datagrams.
	Sent    []time.Duration `json:"sent_ns"`
	Handled []time.Duration `json:"handled_ns"`
	// Cancelled is when the context was cancelled, and Return how long it took Receive to return
	// after that.
	Cancelled time.Duration `json:"cancelled_ns"`
	Return    time.Duration `json:"return_ns"`
	// Extra is how many goroutines the style ran beside the caller's, and Left how many of all
	// those were still there after Receive had returned.
	Extra int `json:"extra_goroutines"`
	Left  int `json:"left_goroutines"`
	// Ended is the text of the error that Receive returned.
	Ended string `json:"ended"`
}

// Standstill is the longest time in which nothing moved: neither a tick nor a datagram.
func (r Recording) Standstill() time.Duration {
	moves := slices.Concat([]time.Duration{0}, r.Ticks, r.Handled, []time.Duration{r.Cancelled})
	slices.Sort(moves)
	var longest time.Duration
	for i := 1; i < len(moves); i++ {
		longest = max(longest, moves[i]-moves[i-1])
	}
	return longest
}

// keep makes the recording the newest one of its style in a file.
func (r Recording) keep(file string) error {
	return exercise.Update(file, func(newest *map[udpkit.Style]Recording) {
		if *newest == nil {
			*newest = make(map[udpkit.Style]Recording)
		}
		(*newest)[r.Style] = r
	})
}

// Recordings returns what Watch has kept in a file: the newest of each style, in the order of
// [udpkit.Styles]. The error wraps [exercise.ErrNothing] if there is none.
func Recordings(file string) ([]Recording, error) {
	newest, err := exercise.Read[map[udpkit.Style]Recording](file)
	if err != nil {
		return nil, err
	}
	var all []Recording
	for _, style := range udpkit.Styles() {
		if r, ok := newest[style]; ok {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return nil, exercise.ErrNothing
	}
	return all, nil
}
