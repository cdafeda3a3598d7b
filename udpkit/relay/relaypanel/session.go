package relaypanel

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
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
	sample(Sample, flow) error
	// End shows the last picture: why the role has ended. No other method is called any more.
	End(why string) error
}

// session is one run of a role: its display and its history.
type session struct {
	*stage.Stage
	ctx   context.Context // the stage's
	opt   Options
	begun time.Time

	view *view
	show display
}

// begin opens a session. Release it.
func begin(ctx context.Context, opt Options, writes bool) (*session, error) {
	setup := stage.Setup{Out: opt.Out, JSON: opt.JSON, History: opt.History, Record: opt.Record, Limit: opt.MaxRuntime}
	if writes && opt.Say == nil {
		setup.In = opt.In
		if !opt.Headless {
			setup.Prompt = "Write: "
		}
	}
	st, err := stage.Open(ctx, setup)
	if err != nil {
		return nil, err
	}
	return &session{Stage: st, ctx: st.Context(), opt: opt, begun: time.Now()}, nil
}

// start opens the display, and returns where lines come from; nil if from nowhere.
func (s *session) start(v *view) (source console.Source, err error) {
	s.view = v
	v.begun = s.begun
	s.show, source, err = stage.Show(s.Stage,
		func() display { return newPage(v, s.Box()) },
		func(out io.Writer) display { return &jsonLines{lines{out: out}} },
		func(out console.Display) display { return newText(v, out) })
	if err != nil {
		return nil, err
	}
	if s.opt.Say != nil {
		list := console.List(s.opt.Say)
		source = &list
	}
	if s.History != nil {
		s.Fail(s.History.Begin())
		s.Fail(s.History.Event(History{Role: v.role, Username: v.username, Begun: v.begun, PID: os.Getpid()}))
	}
	s.watch()
	return source, nil
}

// watch takes samples, for the display and, ever more rarely, for the history.
func (s *session) watch() {
	const few = 5                     // of which the flow is taken
	var recent []Sample               // for pictures
	var picture, record time.Duration // when the next ones are due
	if s.History != nil {             // it begins before the role does
		s.Fail(s.History.Event(s.view.sample()))
		record = finest / 2
	}
	s.Repeat(func() time.Duration {
		now, pause := s.view.sample(), betweenPictures
		if now.At >= picture {
			picture = now.At + betweenPictures
			recent = format.Newest(append(recent, now), few)
			s.Fail(s.show.sample(now, flowOf(recent)))
		}
		if s.History != nil {
			apart := max(finest, now.At/coarser)
			if now.At >= record {
				record = now.At + apart/2 // a timer is never early
				s.Fail(s.History.Event(now))
			}
			pause = min(pause, apart)
		}
		return pause
	})
}

// finish ends the session, given what the role ended with, and returns that and the session's own
// failures. why is the reason, if it is another than an interruption.
func (s *session) finish(why string, err error) error {
	if s.History != nil {
		s.Fail(s.History.Event(s.view.sample()))
	}
	if why == "" && errors.Is(err, ErrNotStored) {
		why = s.Why("interrupted") // it is no other failure
	}
	s.Because(why)
	err = s.Finish(err, "interrupted", s.show.End)
	if err == nil && errors.Is(s.ctx.Err(), context.DeadlineExceeded) {
		err = s.view.missed()
	}
	if s.opt.Draw != nil && s.opt.History != "" {
		err = errors.Join(err, s.opt.Draw(Picture(s.opt.History)))
	}
	return err
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
