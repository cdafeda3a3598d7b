// Package exercise is what the checks of all notebooks are made of: it runs the reader's function, sees what it leaves
// behind, judges a client that has to ask again, and reports what is missing. It also keeps what a lesson has recorded, and
// shows what is being measured.
package exercise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Call is a function of the reader's that runs.
type Call struct {
	// Ended gets what the function has returned; a panic is an error that wraps ErrPanic.
	Ended  <-chan error
	number string
}

// ErrPanic means that the reader's function has panicked.
var ErrPanic = errors.New("it panicked")

// calls counts them, to tell them apart.
var calls atomic.Int64

// labelKey is the name of a label that a called function's goroutine has. The goroutines that it starts inherit the
// label: so they can be told from all others, whatever else the program does.
const labelKey = "exercise"

// Start calls f on a goroutine of its own.
func Start(f func() error) *Call {
	ended := make(chan error, 1)
	c := &Call{Ended: ended, number: strconv.FormatInt(calls.Add(1), 10)}
	go pprof.Do(context.Background(), pprof.Labels(labelKey, c.number), func(context.Context) {
		defer func() {
			if p := recover(); p != nil {
				ended <- fmt.Errorf("%w: %v", ErrPanic, p)
			}
		}()
		ended <- f()
	})
	return c
}

// Within waits for the function's end, and reports whether it came in time.
func (c *Call) Within(d time.Duration) (err error, ended bool) {
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	select {
	case err = <-c.Ended:
		return err, true
	case <-timeout.C:
		return nil, false
	}
}

// Goroutines returns how many goroutines the function has, with the one that it was called on, and how many of them
// are in a function whose name ends so.
func (c *Call) Goroutines(name string) (all, inside int) {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a buffer takes everything
	for group := range strings.SplitSeq(profile.String(), "\n\n") {
		if !strings.Contains(group, fmt.Sprintf("# labels: {%q:%q}", labelKey, c.number)) {
			continue
		}
		for line := range strings.Lines(group) { // "2 @ 0x47b6ce 0x4133c5", and then the labels and the functions
			if before, _, ok := strings.Cut(line, " @ "); ok {
				n, _ := strconv.Atoi(before)
				all += n
				if strings.Contains(group, name+"+0x") {
					inside += n
				}
			}
		}
	}
	return all, inside
}

// Left returns how many goroutines the function has, once those that are about to end have ended.
func (c *Call) Left() (n int) {
	for range 50 {
		if n, _ = c.Goroutines(""); n == 0 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	return n
}

// Descriptors returns the names of what this program has open, each with its number; none where the system does not
// tell.
func Descriptors() map[string]string {
	open := make(map[string]string)
	entries, _ := os.ReadDir("/dev/fd") // there is none on Windows
	for _, e := range entries {
		name, err := os.Readlink(filepath.Join("/dev/fd", e.Name()))
		if !errors.Is(err, fs.ErrNotExist) { // that was the directory itself
			open[e.Name()+" "+name] = name
		}
	}
	return open
}

// Opened returns what has been opened since Descriptors returned before, once what is about to be closed is.
func Opened(before map[string]string) (names []string) {
	for range 50 {
		names = nil
		for key, name := range Descriptors() {
			if _, ok := before[key]; !ok {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	return names
}
