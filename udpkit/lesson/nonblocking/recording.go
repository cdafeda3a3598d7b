package nonblocking

import (
	"errors"
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
	// Cancelled is when the context was cancelled, and Return how long it took
	// Receive to return after that.
	Cancelled time.Duration `json:"cancelled_ns"`
	Return    time.Duration `json:"return_ns"`
	// Extra is how many goroutines the style ran beside the caller's, and Left how
	// many of all those were still there after Receive had returned.
	Extra int `json:"extra_goroutines"`
	Left  int `json:"left_goroutines"`
	// Ended is the text of the error that Receive returned.
	Ended string `json:"ended"`
}

// Standstill is the longest time in which nothing moved: neither a tick nor a
// datagram.
func (r Recording) Standstill() time.Duration {
	moves := slices.Concat([]time.Duration{0}, r.Ticks, r.Handled, []time.Duration{r.Cancelled})
	slices.Sort(moves)
	var longest time.Duration
	for i := 1; i < len(moves); i++ {
		longest = max(longest, moves[i]-moves[i-1])
	}
	return longest
}

// append adds the recording to those in a file.
func (r Recording) append(file string) error {
	var all []Recording
	if err := exercise.Load(file, &all); err != nil && !errors.Is(err, exercise.ErrNothing) {
		return err
	}
	return exercise.Keep(file, append(all, r))
}

// Recordings returns what Watch has appended to a file: the newest of each style,
// in the order of [udpkit.Styles]. The error is exercise.ErrNothing if there is none.
func Recordings(file string) ([]Recording, error) {
	var all []Recording
	if err := exercise.Load(file, &all); err != nil {
		return nil, err
	}
	var newest []Recording
	for _, style := range udpkit.Styles() {
		for _, r := range slices.Backward(all) {
			if r.Style == style {
				newest = append(newest, r)
				break
			}
		}
	}
	if len(newest) == 0 {
		return nil, exercise.ErrNothing
	}
	return newest, nil
}
