package nonblocking

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

// called is a function of the reader's that runs.
type called struct {
	number string
	ended  chan error // what it returned, or its panic
}

// calls counts them, to tell them apart.
var calls atomic.Int64

// labelKey is the name of a label that a called function's goroutine has. The goroutines that it starts inherit the
// label: so they can be told from all others, whatever else the program does.
const labelKey = "exercise"

func call(f func() error) *called {
	c := &called{number: strconv.FormatInt(calls.Add(1), 10), ended: make(chan error, 1)}
	go pprof.Do(context.Background(), pprof.Labels(labelKey, c.number), func(context.Context) {
		defer func() {
			if p := recover(); p != nil {
				c.ended <- fmt.Errorf("it panicked: %v", p)
			}
		}()
		c.ended <- f()
	})
	return c
}

// within waits for the function's end, and reports whether it came in time.
func (c *called) within(d time.Duration) (err error, ended bool) {
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	select {
	case err = <-c.ended:
		return err, true
	case <-timeout.C:
		return nil, false
	}
}

// goroutines returns how many goroutines the function has, with the one that it was called on, and how many of them
// are in a function whose name ends so.
func (c *called) goroutines(name string) (all, inside int) {
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

// left returns how many goroutines the function has, once those that are about to end have ended.
func (c *called) left() (n int) {
	for range 50 {
		if n, _ = c.goroutines(""); n == 0 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	return n
}

// free ends the goroutines that wait for room in one channel, or for something to take from the other.
func (c *called) free(in <-chan int, out chan<- int) {
	for range 50 {
		if all, _ := c.goroutines(""); all == 0 {
			return
		}
		for range cap(in) {
			select {
			case <-in:
			default:
			}
		}
		time.Sleep(2 * time.Millisecond)
		select {
		case out <- 0:
		default:
		}
	}
}

// descriptors returns the names of what this program has open, each with its number; none where the system does not
// tell.
func descriptors() map[string]string {
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

// opened returns what has been opened since, once what is about to be closed is.
func opened(before map[string]string) (names []string) {
	for range 50 {
		names = nil
		for key, name := range descriptors() {
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
