package nonblocking

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
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

// append adds the recording to a file of JSON lines.
func (r Recording) append(file string) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("cannot keep the recording: %w", cause(err))
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// cause leaves the path out of an error: it says much about the reader's machine
// and nothing to the reader.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// ErrNothing means that the cells that record have not been run.
var ErrNothing = errors.New("nothing is recorded yet: run the cells above first")

// Recordings returns what Watch has appended to a file: the newest of each style,
// in the order of [udpkit.Styles]. The error wraps ErrNothing if there is none.
func Recordings(file string) ([]Recording, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNothing
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the recordings: %w", cause(err))
	}
	defer f.Close() // was only read
	newest := make(map[udpkit.Style]Recording)
	for decoder := json.NewDecoder(f); decoder.More(); {
		var r Recording
		if err := decoder.Decode(&r); err != nil {
			return nil, fmt.Errorf("cannot read the recordings: %w", err)
		}
		newest[r.Style] = r
	}
	var all []Recording
	for _, style := range udpkit.Styles() {
		if r, ok := newest[style]; ok {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return nil, ErrNothing
	}
	return all, nil
}
