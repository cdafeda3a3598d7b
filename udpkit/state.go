package udpkit

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// State is what a server says about itself in every message. Any text of 1 to
// MaxStateLen bytes that can be printed will do; the four below are the ones
// that a server cycles through by default.
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

// ParseStates reads a comma-separated cycle such as "ACTIVE,STANDBY". Spaces
// around a state are dropped. An error wraps ErrConfig.
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

// checkText refuses what cannot be shown as it is: a name that a person types
// in has no control or invisible formatting characters.
func checkText(what, text string, limit int) error {
	switch {
	case text == "":
		return fmt.Errorf("%w: the %s is empty", ErrConfig, what)
	case len(text) > limit:
		return fmt.Errorf("%w: the %s %.20q... has %d bytes, the limit is %d", ErrConfig, what, text, len(text), limit)
	case !utf8.ValidString(text):
		return fmt.Errorf("%w: the %s %q is not valid UTF-8", ErrConfig, what, text)
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%w: the %s %q has the unprintable character %U", ErrConfig, what, text, r)
		}
	}
	return nil
}
