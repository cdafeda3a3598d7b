package exercise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
)

// ErrPanic means that the reader's function panicked. The error that wraps it has the value too.
var ErrPanic = errors.New("it panicked")

// Call is a function of the reader's that runs.
type Call struct {
	number string
	ended  chan error
	thread atomic.Int64 // that it runs on; 0 once it has ended
}

// calls counts them, to tell them apart.
var calls atomic.Int64

// labelKey is the name of a label that a called function's goroutine has. The goroutines that it
// starts inherit the label, which tells them from all others, whatever else the program does.
const labelKey = "exercise"

// Start calls the reader's function on a goroutine of its own, which has a thread of its own.
func Start(f func() error) *Call {
	c := &Call{number: strconv.FormatInt(calls.Add(1), 10), ended: make(chan error, 1)}
	go pprof.Do(context.Background(), pprof.Labels(labelKey, c.number), func(context.Context) {
		runtime.LockOSThread() // so that what it costs can be told
		defer runtime.UnlockOSThread()
		c.thread.Store(threadID())
		c.ended <- run(f, &c.thread)
	})
	return c
}

// run calls f, and returns what it returns, or that it panicked.
func run(f func() error, thread *atomic.Int64) (err error) {
	defer thread.Store(0)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrPanic, p)
		}
	}()
	return f()
}

// Ended returns the channel on which the function's error arrives once it has ended, nil or not. It
// wraps [ErrPanic] if the function panicked.
func (c *Call) Ended() <-chan error { return c.ended }

// Within waits for the function's end, and reports whether it came within d and before the context
// ended. The error is the function's.
func (c *Call) Within(ctx context.Context, d time.Duration) (err error, ended bool) {
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	select {
	case err = <-c.ended:
		return err, true
	case <-ctx.Done():
	case <-timeout.C:
	}
	return nil, false
}

// caseTime is how long the reader's function may take for a case.
const caseTime = time.Second

// Try calls the reader's function for one case of many, named by what, and reports whether it
// returned within a second, without a panic, and left no goroutine behind. If not, missing says
// which; it is "" if the context has ended.
func Try(ctx context.Context, what string, f func()) (missing string, ok bool) {
	c := Start(func() error { f(); return nil })
	err, ended := c.Within(ctx, caseTime)
	switch {
	case !ended && ctx.Err() != nil:
		return "", false
	case !ended:
		return what + " has not returned after a second", false
	case err != nil:
		return fmt.Sprintf("%s: %v", what, err), false
	}
	if left := c.LeftBehind(); left != "" {
		return what + ": " + left, false
	}
	return "", true
}

// Goroutines returns how many goroutines the function has, with the one that it was called on, and
// how many of them are in a function whose name ends with name.
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

// Created returns how many goroutines this program has made so far, those that have ended too.
func Created() uint64 {
	sample := []metrics.Sample{{Name: "/sched/goroutines-created:goroutines"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
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

// LeftBehind says which goroutines a function that has ended has left; "" if none.
func (c *Call) LeftBehind() (missing string) {
	if n := c.Left(); n > 0 {
		return fmt.Sprintf("it has returned and left %s behind", format.Plural(n, "goroutine"))
	}
	return ""
}

// LeftOpen says that a function has left sockets open which are connected to the server, if there
// are more than before; "" otherwise. It is to be asked at once: the garbage collector closes what
// was forgotten.
func LeftOpen(server net.Addr, before int) (missing string) {
	for range 5 { // what is about to be closed
		if Connected(server) <= before {
			return ""
		}
		time.Sleep(2 * time.Millisecond)
	}
	return "it has returned and left a socket open: whoever opens one closes it"
}

// Descriptors returns the names of what this program has open, by number and name; none where the
// system does not tell.
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

// OpenedSince returns the names of what is open and was not in before, once what is about to be
// closed has been.
func OpenedSince(before map[string]string) (names []string) {
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
