package exercise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Report prints what a check has found: what is missing, or praise if that is nothing. Neither is a failure, since an exercise
// that nobody has done yet is no error. It returns err, which is for a check that could not be done.
func Report(ctx context.Context, missing string, err error) error {
	switch {
	case err != nil:
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		fmt.Println("The check was interrupted.")
	case missing == "":
		fmt.Println("✓ All that was asked for. Well done!")
	default:
		fmt.Println("✗ Not yet: " + missing)
	}
	return nil
}

// ErrNothing means that the cells that record have not been run.
var ErrNothing = errors.New("nothing is recorded yet: run the cells above first")

// Keep writes what a lesson has recorded to a file, as JSON.
func Keep(file string, recording any) error {
	text, err := json.Marshal(recording)
	if err == nil {
		err = WithoutPath(os.WriteFile(file, text, 0o600))
	}
	if err != nil {
		return fmt.Errorf("cannot keep what was recorded: %w", err)
	}
	return nil
}

// Load reads what Keep wrote; ErrNothing means that there is no such file.
func Load(file string, recording any) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNothing
	}
	if err == nil {
		err = json.Unmarshal(text, recording)
	}
	if err != nil {
		return fmt.Errorf("cannot read what was recorded: %w", WithoutPath(err))
	}
	return nil
}

// WithoutPath leaves the path out of an error: it says much about the reader's machine and nothing to the reader.
func WithoutPath(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	return err
}
