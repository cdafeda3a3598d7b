package plot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// ErrEmpty means that a journal has nothing to draw.
var ErrEmpty = errors.New("nothing recorded yet")

// errNone is what a cell that looks back says before the first run of the live cell, which is the notebook's last.
var errNone = fmt.Errorf("%w: run this cell again when you have stopped the live cell below", ErrEmpty)

// newest bounds what is drawn: no screen shows more.
const newest = 2000

// read returns the events of a journal, oldest first.
func read(file string) ([]udpkit.Event, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNone
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
