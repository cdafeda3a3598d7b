package relaypanel

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/stage"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// display shows one role. Its methods may be called at the same time.
type display interface {
	// event shows what has happened: an event of the relay's, or a refusedEvent. What a reader
	// delivers may wait for flush.
	event(relay.Event) error
	// flush is a reader's relay.ReaderConfig.Flush.
	flush() (safe int, err error)
	// wrote shows that a line was given to the writer, as the message of that number.
	wrote(number uint64, text string)
	// sample brings what is shown up to date.
	sample(Sample) error
	// end shows the last picture: why the role has ended. No other method is called any more.
	end(why string) error
}

// session is one run of a role: its display, its history and its first failure.
type session struct {
	*stage.Stage
	// ctx ends with the caller's, with MaxRuntime, and with a failure.
	ctx     context.Context
	callers context.Context
	release context.CancelFunc // of MaxRuntime
	opt     Options
	begun   time.Time

	view    *view
	show    display
	restore func() error // the terminal
	history *history     // nil for none
	samples sync.WaitGroup
	stop    chan struct{} // closed: no more samples
}

// begin opens the history, before anything else: whoever wants one learns at once that it cannot be
// written.
func begin(ctx context.Context, opt Options) (*session, error) {
	s := &session{callers: ctx, opt: opt, begun: time.Now(), restore: func() error { return nil }, stop: make(chan struct{})}
	if opt.History != "" {
		var err error
		if s.history, err = openHistory(ctx, opt); err != nil {
			return nil, err
		}
	}
	ctx, s.release = service.Limit(ctx, opt.MaxRuntime)
	s.Stage, s.ctx = stage.New(ctx)
	return s, nil
}

// abandon ends a session whose role could not start.
func (s *session) abandon(err error) error {
	s.release()
	if s.history != nil {
		err = errors.Join(err, s.history.Close())
	}
	return err
}

// start opens the display, and returns where lines come from; nil if from nowhere.
func (s *session) start(v *view) (source console.Source, err error) {
	s.view = v
	v.begun = s.begun
	out := s.opt.Out
	box := out == nil && !s.opt.JSON && gonbui.IsNotebook
	if out == nil {
		out = os.Stdout
	}
	out = console.NewOutput(s.callers, s.opt.MaxRuntime, out)
	switch {
	case box:
		s.show = newPage(v)
		if s.opt.In == nil && !s.opt.Headless && v.writer != nil {
			source = console.NewInputBox("Write: ")
		}
	case s.opt.JSON:
		s.show = newJSON(out)
	default:
		in := s.opt.In
		if v.writer == nil || s.opt.Say != nil {
			in = nil
		}
		var show console.Display
		show, source, s.restore, err = console.Open(in, out)
		s.show = newText(v, show)
	}
	if source == nil && s.opt.In != nil {
		source = console.NewReader(s.opt.In)
	}
	if s.opt.Say != nil {
		list := console.List(s.opt.Say)
		source = &list
	}
	if s.history != nil {
		s.Fail(s.history.begin(v))
		s.Fail(s.history.add(v.sample()))
	}
	s.samples.Go(s.watch)
	return source, err
}

// watch takes samples.
func (s *session) watch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due time.Duration // the next picture
	for {
		select {
		case <-s.stop:
			return
		case <-timer.C:
		}
		now, pause := s.view.sample(), betweenPictures
		if now.At >= due {
			due = now.At + betweenPictures
			s.Fail(s.show.sample(now))
		}
		if s.history != nil {
			s.Fail(s.history.add(now))
			pause = min(pause, s.history.pause(now.At))
		}
		timer.Reset(pause)
	}
}

// finish ends the session, given what the role ended with, and returns that and the session's own
// failures. why is the reason, if it is another than an interruption.
func (s *session) finish(why string, err error) error {
	close(s.stop)
	s.samples.Wait()
	if s.history != nil {
		s.Fail(s.history.Event(s.view.sample()))
		s.Fail(s.history.Close())
	}
	if why == "" && err != nil && !errors.Is(err, ErrNotStored) && !errors.Is(s.ctx.Err(), context.DeadlineExceeded) {
		why = "by a failure"
	}
	s.Because(why)
	why = s.Why("interrupted")
	s.Close()
	s.release()
	s.Fail(s.show.end(why))
	failed := s.Failure()
	if err == nil && failed == nil && errors.Is(s.ctx.Err(), context.DeadlineExceeded) {
		err = s.view.missed()
	}
	if failed != nil && errors.Is(err, failed) {
		failed = nil
	}
	return errors.Join(err, failed, s.restore())
}

// on returns an OnEvent that shows before it calls the caller's.
func (s *session) on(callers func(relay.Event)) func(relay.Event) {
	return stage.Chain(s.Stage, func(e relay.Event) error {
		s.view.event(e)
		return s.show.event(e)
	}, callers)
}

// flush returns a relay.ReaderConfig.Flush that also calls the caller's.
func (s *session) flush(callers func() (int, error)) func() (int, error) {
	return func() (safe int, err error) {
		safe, err = s.show.flush()
		s.Fail(err)
		if callers != nil {
			theirs, theirErr := callers()
			safe, err = min(safe, theirs), errors.Join(err, theirErr)
		}
		return safe, err
	}
}
