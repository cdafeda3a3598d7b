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

// defaultState returns the state of the default cycle that text names, without
// an allocation.
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

// states keeps the texts of states, so that a server which repeats a few costs no
// allocation for each message. It is bounded: a full one begins anew.
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
	case printable(text):
		return nil
	case !utf8.ValidString(text):
		return fmt.Errorf("%w: the %s %q is not valid UTF-8", ErrConfig, what, text)
	}
	bad := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
	r, _ := utf8.DecodeRuneInString(text[bad:])
	return fmt.Errorf("%w: the %s %q has the unprintable character %U", ErrConfig, what, text, r)
}

// printable tells whether text is valid UTF-8 that can be shown as it is.
func printable[T string | []byte](text T) bool {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(string(text[i:min(len(text), i+utf8.UTFMax)])) // a copy on the stack
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			return false
		}
		i += n
	}
	return true
}
