package service

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// Journal writes events as JSON lines: one object a line whose first field, "event", is the kind.
// It is safe for concurrent use.
type Journal struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

// NewJournal returns a journal that writes each event to w at once.
func NewJournal(w io.Writer) *Journal { return &Journal{w: w} }

// Write appends one event. After an error it writes no more and returns the same error.
func (j *Journal) Write(e interface{ Kind() string }) error {
	fields, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	line := fmt.Appendf(nil, `{"event":%q,%s`+"\n", e.Kind(), fields[1:])
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		if _, err := j.w.Write(line); err != nil {
			j.err = fmt.Errorf("journal: %w", err)
		}
	}
	return j.err
}
