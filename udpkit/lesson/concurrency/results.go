package concurrency

import "github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"

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
