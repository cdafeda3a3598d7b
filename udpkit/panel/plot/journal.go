package plot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// ErrEmpty means that a journal has nothing to draw.
var ErrEmpty = errors.New("nothing to draw")

// newest bounds what is drawn: no screen shows more.
const newest = 2000

// read returns the events of a journal, oldest first.
func read(file string) ([]udpkit.Event, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no history yet; run the cell above, interrupt it, and come back", ErrEmpty)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the history: %w", err)
	}
	defer f.Close() // was only read
	var events []udpkit.Event
	for e, err := range udpkit.ReadJournal(f) {
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

// last returns the newest elements of s.
func last[T any](s []T) []T { return s[max(0, len(s)-newest):] }
