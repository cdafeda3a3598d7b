package broadcastpanel

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// lookAgain is how often the state file is read.
const lookAgain = time.Second

// byHand sets a server's state from what a person writes.
type byHand struct {
	set  func(udpkit.State) error
	note func(text string)
	seen string // in the file, or why it could not be read
}

// take sets the state that the text names. No state is the last one.
func (h *byHand) take(text string) (last bool) {
	state := strings.TrimSpace(text)
	if strings.EqualFold(state, "auto") {
		state = ""
	}
	switch err := h.set(udpkit.State(state)); {
	case err != nil:
		h.note(err.Error())
	case state == "":
		h.note("state by hand: none, the cycle goes on")
	default:
		h.note("state by hand: " + state)
	}
	return false
}

// look takes the content of a file if it has changed.
func (h *byHand) look(name string) {
	text, err := readState(name)
	if err != nil {
		text = err.Error()
	}
	if text == h.seen {
		return
	}
	if h.seen = text; err != nil {
		h.note(text)
	} else {
		h.take(text)
	}
}

// readState returns the beginning of a file, more than any state has, or nothing if there is no
// such file.
func readState(name string) (string, error) {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("the state file cannot be read: %w", err)
	}
	defer file.Close() // was only read
	text, err := io.ReadAll(io.LimitReader(file, 4*udpkit.MaxStateLen))
	if err != nil {
		return "", fmt.Errorf("the state file cannot be read: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
