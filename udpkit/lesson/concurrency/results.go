package concurrency

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
)

// ErrNothing means that the cells that measure have not been run.
var ErrNothing = errors.New("nothing is measured yet: run the cells above first")

// Results is what the experiments have added to a file; nil for those that have
// not run.
type Results struct {
	Servers      *ServersResult      `json:"servers,omitempty"`
	Conversation *ConversationResult `json:"conversation,omitempty"`
	Weather      *WeatherResult      `json:"weather,omitempty"`
	Flow         *FlowResult         `json:"flow,omitempty"`
	Speed        *SpeedResult        `json:"speed,omitempty"`
}

// Load returns the results in a file. The error wraps ErrNothing if there are none.
func Load(file string) (Results, error) {
	var r Results
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return r, ErrNothing
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("cannot read the results: %w", cause(err))
	}
	return r, nil
}

// keep adds one experiment's results to the file; an empty name keeps nothing.
func keep(file string, set func(*Results)) error {
	if file == "" {
		return nil
	}
	r, err := Load(file)
	if err != nil && !errors.Is(err, ErrNothing) {
		return err
	}
	set(&r)
	text, err := json.Marshal(r)
	if err == nil {
		err = cause(os.WriteFile(file, text, 0o600))
	}
	if err != nil {
		return fmt.Errorf("cannot keep the results: %w", err)
	}
	return nil
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

// Median returns the middle one of several values; 0 for none.
func Median[T float64 | time.Duration](values []T) T { return measure.Quantile(values, 0.5) }
