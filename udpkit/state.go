package udpkit

import (
	"fmt"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/names"
)

// State is what a server says about itself in every message. Any text of 1 to MaxStateLen bytes
// that can be printed will do; the four below are the ones that a server cycles through by default.
type State string

// The states of the default cycle, in its order.
const (
	StateActive      State = "ACTIVE"
	StateStandby     State = "STANDBY"
	StateMaintenance State = "MAINTENANCE"
	StateError       State = "ERROR"
)

// MaxStateLen is the longest state in bytes.
const MaxStateLen = 64

// DefaultStates returns the default cycle. The slice is the caller's.
func DefaultStates() []State {
	return []State{StateActive, StateStandby, StateMaintenance, StateError}
}

// defaultState returns the state of the default cycle that text names, without an allocation.
func defaultState(text []byte) (State, bool) {
	switch string(text) {
	case string(StateActive):
		return StateActive, true
	case string(StateStandby):
		return StateStandby, true
	case string(StateMaintenance):
		return StateMaintenance, true
	case string(StateError):
		return StateError, true
	}
	return "", false
}

// states keeps the texts of states, so that a server which repeats a few costs no allocation for
// each message. It is bounded: a full one begins anew.
type states map[string]State

const maxStates = 64

func (s states) get(text []byte) State {
	if state, ok := defaultState(text); ok {
		return state
	}
	state, ok := s[string(text)]
	if !ok {
		if len(s) >= maxStates {
			clear(s)
		}
		state = State(text)
		s[string(state)] = state
	}
	return state
}

// ParseStates reads a comma-separated cycle such as "ACTIVE,STANDBY". Spaces around a state are
// dropped. An error wraps ErrConfig.
func ParseStates(list string) ([]State, error) {
	var states []State
	for _, name := range strings.Split(list, ",") {
		state := State(strings.TrimSpace(name))
		if err := state.check(); err != nil {
			return nil, err
		}
		states = append(states, state)
	}
	return states, nil
}

func (s State) check() error { return checkText("state", string(s), MaxStateLen) }

// checkText refuses what cannot be shown as it is.
func checkText(what, text string, limit int) error {
	if err := names.CheckText(what, text, limit); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return nil
}
