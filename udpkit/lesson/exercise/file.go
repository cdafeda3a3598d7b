package exercise

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrNothing means that the cells that record have not been run.
var ErrNothing = errors.New("nothing is recorded yet: run the cells above first")

// Write keeps results in a file, as JSON. An empty name keeps nothing.
func Write(file string, results any) error {
	if file == "" {
		return nil
	}
	text, err := json.Marshal(results)
	if err == nil {
		err = Cause(os.WriteFile(file, text, 0o600))
	}
	if err != nil {
		return fmt.Errorf("cannot keep the results: %w", err)
	}
	return nil
}

// Read returns the results that [Write] kept in a file. The error wraps [ErrNothing] if there is no
// such file.
func Read[T any](file string) (T, error) {
	var results T
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return results, ErrNothing
	}
	if err == nil {
		err = json.Unmarshal(text, &results)
	}
	if err != nil {
		return results, fmt.Errorf("cannot read the results: %w", Cause(err))
	}
	return results, nil
}

// Update changes the results in a file; change is given the zero value if there are none yet. An
// empty name keeps nothing.
func Update[T any](file string, change func(*T)) error {
	if file == "" {
		return nil
	}
	results, err := Read[T](file)
	if err != nil && !errors.Is(err, ErrNothing) {
		return err
	}
	change(&results)
	return Write(file, results)
}

// Cause leaves the path out of an error: it says much about the reader's machine and nothing to the
// reader.
func Cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
