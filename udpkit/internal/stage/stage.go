// Package stage is what roles have in common that are shown while they run: what happens is shown
// before anybody else hears of it, and the first failure to do so ends the role.
package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

// lookAgain is how often it is looked whether the recording can be written.
const lookAgain = time.Second

// Setup says how a role is shown and what feeds it.
type Setup struct {
	Out     io.Writer     // nil for the notebook's live panel, or os.Stdout
	JSON    bool          // JSON lines instead of either
	In      io.Reader     // has the lines that are typed; nil for none
	Prompt  string        // of the notebook's input box; "" for none
	History string        // the file of a history; "" for none
	Record  string        // the file of a recording; "" for none
	Limit   time.Duration // how long the role may run; 0 for as long as its context
}

// Stage is where one run of a role is shown. Its methods may be called by any goroutine.
type Stage struct {
	History *console.History // nil for none
	Record  service.Recorder // nil for none

	setup      Setup
	recording  *record.File // nil for none
	callers    context.Context
	running    context.Context
	cancel     context.CancelFunc
	release    context.CancelFunc // of the limit
	restore    func() error       // the terminal
	background sync.WaitGroup
	ended      chan struct{} // closed: so is the stage

	mu     sync.Mutex
	err    error  // the first failure
	why    string // the first reason to end
	closed bool
}

// Open returns a stage of a role, which is to run in the stage's Context. History and recording are
// opened before anything else: whoever wants one learns at once that it cannot be written. Release
// the stage.
func Open(ctx context.Context, setup Setup) (*Stage, error) {
	s := &Stage{setup: setup, callers: ctx, release: func() {}, restore: func() error { return nil }, ended: make(chan struct{})}
	if setup.Limit > 0 {
		s.callers, s.release = context.WithTimeout(ctx, setup.Limit)
	}
	s.running, s.cancel = context.WithCancel(s.callers)
	if setup.History != "" {
		var err error
		if s.History, err = console.OpenHistory(s.callers, setup.History); err != nil {
			s.release()
			return nil, err
		}
	}
	if setup.Record != "" {
		var err error
		if s.recording, err = record.Create(setup.Record); err != nil {
			s.Release()
			return nil, err
		}
		s.Record = s.recording
		s.Repeat(s.watchRecording())
	}
	return s, nil
}

// Box reports whether the role's panel gets an input box below it.
func (s *Stage) Box() bool {
	return s.setup.Out == nil && !s.setup.JSON && gonbui.IsNotebook && s.setup.In == nil && s.setup.Prompt != ""
}

// Context ends with that of the caller, at the limit, and by a failure.
func (s *Stage) Context() context.Context { return s.running }

// Show opens what a role is shown on, with the function for it, and returns where lines come from,
// nil for nowhere.
func Show[D any](s *Stage, page func() D, json func(io.Writer) D, text func(console.Display) D) (show D, lines console.Source, err error) {
	out := console.NewOutput(s.callers, s.setup.Out)
	switch {
	case s.setup.JSON:
		show = json(out)
	case s.setup.Out == nil && gonbui.IsNotebook:
		show = page()
		if s.Box() {
			lines = console.NewInputBox(s.setup.Prompt)
		}
	default:
		var display console.Display
		if display, lines, s.restore, err = console.Open(s.setup.In, out); err != nil {
			return show, nil, err
		}
		show = text(display)
	}
	if lines == nil && s.setup.In != nil {
		lines = console.NewReader(s.setup.In)
	}
	return show, lines, nil
}

// Listen has take do what each line of a source says, until one is the last, or the lines or the
// role end. wrong is told of a line that is too long. In the end, but for that of the role, ended
// is told the source's error, nil after the last line. Nothing can interrupt a read from a
// keyboard, so nobody waits for this. The source may be nil.
func (s *Stage) Listen(from console.Source, take func(line string) (last bool), wrong, ended func(error)) {
	if from == nil {
		return
	}
	go func() {
		for last := false; !last; {
			line, err := from.Next()
			switch {
			case s.running.Err() != nil:
				return
			case errors.Is(err, console.ErrLineTooLong):
				wrong(err)
			case err != nil:
				ended(err)
				return
			default:
				last = take(line)
			}
		}
		ended(nil)
	}()
}

// Repeat calls do, again and again after each pause that it returns, until the stage is closed.
// Finish waits for that.
func (s *Stage) Repeat(do func() (pause time.Duration)) {
	s.background.Go(func() {
		timer := time.NewTimer(0)
		defer timer.Stop()
		for {
			select {
			case <-s.ended:
				return
			case <-timer.C:
				timer.Reset(do())
			}
		}
	})
}

// Go calls do in the background, with a context that ends with the stage. Finish waits for it.
func (s *Stage) Go(do func(context.Context)) {
	s.background.Go(func() { do(s.running) })
}

// Finish closes the stage of a role that has ended with err, has end show the last picture and why
// it ended, see Ended, and returns all failures.
func (s *Stage) Finish(err error, otherwise string, end func(why string) error) error {
	if err != nil && !errors.Is(s.callers.Err(), context.DeadlineExceeded) {
		s.Because("by a failure")
	}
	s.Close()
	s.background.Wait()
	if s.recording != nil {
		_ = s.recording.Close() // Ended tells what is missing
	}
	s.Fail(end(s.Ended(otherwise)))
	if s.recording != nil && s.setup.JSON {
		fmt.Fprintln(os.Stderr, s.Recorded())
	}
	if s.History != nil {
		s.Fail(s.History.Close())
	}
	failed := s.Failure()
	if failed != nil && errors.Is(err, failed) {
		failed = nil
	}
	return errors.Join(err, failed, s.restore())
}

// Release frees what the stage holds, whether or not it could be finished.
func (s *Stage) Release() {
	s.Close()
	s.release()
	if s.History != nil {
		_ = s.History.Close() // Finish has, and has told
	}
	if s.recording != nil {
		_ = s.recording.Close() // likewise
	}
}

// Chain returns an OnEvent that shows an event before it calls the caller's, which may be nil.
func Chain[E any](s *Stage, show func(E) error, callers func(E)) func(E) {
	return func(e E) {
		s.Show(func() error { return show(e) })
		if callers != nil {
			callers(e)
		}
	}
}

// Show shows something, unless the stage is closed.
func (s *Stage) Show(show func() error) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if !closed {
		s.Fail(show())
	}
}

// Fail keeps the first failure and ends the role: a record with holes in it, or a panel that stands
// still, would deceive.
func (s *Stage) Fail(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.cancel()
}

// Failure returns the first failure.
func (s *Stage) Failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// End ends the role.
func (s *Stage) End() { s.cancel() }

// Because keeps the first reason why the role will end, in a few words.
func (s *Stage) Because(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == "" {
		s.why = why
	}
}

// Close ends the role and the stage: after it nothing is shown but by who has closed it.
func (s *Stage) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		close(s.ended)
	}
	s.closed = true
	s.cancel()
}

// Why says in a few words why the role has ended: by a failure to show, for the reason that was
// kept, because of its context, or as otherwise says.
func (s *Stage) Why(otherwise string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch ended := s.callers.Err(); {
	case s.err != nil:
		return "by a failure to show or to write"
	case s.why != "":
		return s.why
	case errors.Is(ended, context.DeadlineExceeded):
		return "time is up"
	case ended != nil:
		return "interrupted"
	}
	return otherwise
}

// Ended is Why, with the name of the recording.
func (s *Stage) Ended(otherwise string) string {
	why := s.Why(otherwise)
	if s.recording != nil {
		why += ", " + s.Recorded()
	}
	return why
}

// Recorded says where the recording is, and what is missing in it; "" if there is none.
func (s *Stage) Recorded() string {
	if s.recording == nil {
		return ""
	}
	said := "recorded in " + s.recording.Name()
	if missed, why := s.recording.Missed(); missed > 0 {
		said += fmt.Sprintf(" but for %s (%s)", format.Plural(missed, "packet"), why)
	}
	return said
}

// watchRecording returns what says, for Repeat, when the recording cannot be written and when it
// can again. The role goes on.
func (s *Stage) watchRecording() func() time.Duration {
	failing := false
	return func() time.Duration {
		err := s.recording.Err()
		if err != nil && !failing {
			fmt.Fprintf(os.Stderr, "%v. The program goes on, and the recording as soon as it can.\n", err)
		} else if err == nil && failing {
			missed, _ := s.recording.Missed()
			fmt.Fprintf(os.Stderr, "The recording goes on, without %s.\n", format.Plural(missed, "packet"))
		}
		failing = err != nil
		return lookAgain
	}
}
