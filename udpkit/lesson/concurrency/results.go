package concurrency

import (
	"cmp"
	"fmt"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// ErrConfig is the cause of every error about parameters that cannot be used.
var ErrConfig = service.ErrConfig

// mostPiece is what fits into one UDP datagram over IPv4, RFC 768.
const mostPiece = 65_507

// within returns an error if a parameter is out of range.
func within[T cmp.Ordered](name string, value, least, most T) error {
	if value < least || value > most {
		return fmt.Errorf("%w: %s is %v, and goes from %v to %v", ErrConfig, name, value, least, most)
	}
	return nil
}

// Results is what the experiments have added to a file; nil for those that have not run.
type Results struct {
	Servers      *ServersResult      `json:"servers,omitempty"`
	Conversation *ConversationResult `json:"conversation,omitempty"`
	Weather      *WeatherResult      `json:"weather,omitempty"`
	Flow         *FlowResult         `json:"flow,omitempty"`
	Speed        *SpeedResult        `json:"speed,omitempty"`
}

// Load returns the results in a file. The error wraps [exercise.ErrNothing] if there are none.
func Load(file string) (Results, error) { return exercise.Read[Results](file) }
