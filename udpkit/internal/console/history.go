package console

import (
	"context"
	"fmt"
	"os"
)

// History is a file that gets events as JSON lines.
type History struct {
	*JSON
	file *os.File
}

// OpenHistory opens a history, which a new file's owner alone can read. What it has from an earlier
// run is there until Begin. For ctx see NewOutput.
func OpenHistory(ctx context.Context, name string) (*History, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the history cannot be written; choose another file: %w", err)
	}
	return &History{NewJSON(NewOutput(ctx, file)), file}, nil
}

// Begin empties the history, once the role can start.
func (h *History) Begin() error {
	if info, err := h.file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil // a pipe, which cannot be emptied
	}
	return h.file.Truncate(0)
}

// Close closes the file.
func (h *History) Close() error { return h.file.Close() }
