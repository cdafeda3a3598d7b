package weather

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// file is a file of settings. It is for one goroutine at a time.
type file struct {
	last string // its text, or why it could not be read
}

// read reads the file; what it does not have is as in defaults. changed says that it is not as it
// was, which is compared by what it says: the time of a file changes too seldom, or not at all.
func (f *file) read(name string, defaults Settings) (settings Settings, changed bool, err error) {
	text, err := readAtMost(name, maxSettings)
	now := string(text)
	if err != nil {
		now = err.Error()
	}
	changed, f.last = now != f.last, now
	settings = defaults
	if err == nil {
		err = settings.UnmarshalJSON(text)
	}
	if err != nil {
		err = fmt.Errorf("the settings in %s cannot be used: %w", name, err)
	}
	return settings, changed, err
}

func readAtMost(name string, most int) ([]byte, error) {
	in, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, int64(most)+1))
	if err == nil && len(text) > most {
		err = errors.New("it is too long")
	}
	return text, err
}
