package concurrency

import (
	"errors"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// Results is what the experiments have added to a file; nil for those that have
// not run.
type Results struct {
	Servers      *ServersResult      `json:"servers,omitempty"`
	Conversation *ConversationResult `json:"conversation,omitempty"`
	Weather      *WeatherResult      `json:"weather,omitempty"`
	Flow         *FlowResult         `json:"flow,omitempty"`
	Speed        *SpeedResult        `json:"speed,omitempty"`
}

// Load returns the results in a file. The error is exercise.ErrNothing if there are none.
func Load(file string) (Results, error) {
	var r Results
	err := exercise.Load(file, &r)
	return r, err
}

// keep adds one experiment's results to the file; an empty name keeps nothing.
func keep(file string, set func(*Results)) error {
	if file == "" {
		return nil
	}
	r, err := Load(file)
	if err != nil && !errors.Is(err, exercise.ErrNothing) {
		return err
	}
	set(&r)
	return exercise.Keep(file, r)
}

// Median returns the middle one of several values; 0 for none.
func Median[T float64 | time.Duration](values []T) T { return measure.Quantile(values, 0.5) }
