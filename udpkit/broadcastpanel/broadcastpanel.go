package broadcastpanel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/stage"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// Options says how a role is shown. The zero value suits a notebook.
type Options struct {
	// Out gets text, or JSON. Default: the notebook's live panel inside GoNB, else os.Stdout.
	// Nobody has to read it for the role to end, see Output. Colours and the waiting indicator
	// appear if it is a terminal; NO_COLOR turns the colours off.
	Out io.Writer
	// JSON writes the journal's JSON lines instead of text or a live panel.
	JSON bool
	// Verbose has a server write a line for each message and each acknowledgement. Without it a
	// terminal shows them as counts, in a line that changes in place, and anything else gets a line
	// a message.
	Verbose bool
	// History is a file that gets the journal as JSON lines, for plots and other tools. It is
	// emptied once the role's socket is open. A new one can be read by its owner only (0600); one
	// that exists keeps its mode. Default: none.
	History string
	// Record is a file that gets what the role sends and receives, for Wireshark: see package
	// record. If it exists, the recording is beside it; its name is shown when the role ends.
	// Default: none.
	Record string
	// Draw gets the picture of the run, made of the History, when the role has ended, and shows it:
	// plot.Show does, in a notebook. Default: none is made.
	Draw func(chart.Picture, error) error
	// Input sets a server's state by hand: each line is the state from the next message on; an
	// empty line, or "auto", goes back to the cycle. A read that is waiting when the server ends is
	// left waiting. Default: none.
	Input io.Reader
	// StateFile sets a server's state by hand where there is no keyboard, as in a notebook: its
	// content, looked at once a second, means what a line of Input does. A file that does not exist
	// means the cycle. Default: none.
	StateFile string
	// Large has a server's panel in a notebook be readable from the back of a room: large type, and
	// who has joined, the newest 24 by name, in place of the figures. Default: false.
	Large bool
	// Watch is called once, when the socket is open, with what returns the role's figures up to
	// then: a udpkit.ServerSummary or ClientSummary. Default: none.
	Watch func(stats func() any)
}

// tick is the time between two calls of display.idle, the rhythm of udpkit.ClientConfig.OnIdle.
const tick = udpkit.DefaultIdleInterval

// display shows one role. event and idle may be called at the same time.
type display interface {
	// event shows what has happened, and keeps nothing of it waiting.
	event(udpkit.Event) error
	// idle says how long it is since the last message.
	idle(elapsed time.Duration)
	// note shows a remark of the panel itself, such as a refused state.
	note(text string) error
	// End shows the last picture, and why the role has ended. No other method is called any more.
	End(why string) error
}

// Server runs a server and shows it until ctx, MaxRuntime or MaxMessages ends it. It returns an
// error if the server cannot start or go on, and if the display or the history cannot be written,
// which ends the server too. The OnEvent of cfg, if set, is called as well.
func Server(ctx context.Context, cfg udpkit.ServerConfig, opt Options) error {
	s, err := open(ctx, cfg.MaxRuntime, opt)
	if err != nil {
		return err
	}
	defer s.Release()
	cfg.OnEvent = stage.Chain(s.Stage, s.event, cfg.OnEvent)
	if s.Record != nil {
		cfg.Record = s.Record
	}
	server, err := udpkit.NewServer(cfg)
	if err != nil {
		return err
	}
	defer server.Close()
	if opt.Watch != nil {
		opt.Watch(func() any { return server.Stats() })
	}
	s.reached = func() string { return reached(server.Stats().Sent, cfg.MaxMessages) }
	lines, err := s.display(opt, func() display { return newServerView(server, opt) }, server)
	if err != nil {
		return err
	}
	hand := &byHand{set: server.SetState, note: func(text string) { s.Show(func() error { return s.show.note(text) }) }}
	s.Listen(lines, hand.take, func(err error) { hand.note(err.Error()) }, func(err error) {
		if !lines.Patient() {
			s.Because(console.Farewell(err))
			s.End()
		}
	})
	if opt.StateFile != "" {
		s.Repeat(func() time.Duration { hand.look(opt.StateFile); return lookAgain })
	}
	s.Repeat(func() time.Duration { // the rhythm that a client gets from OnIdle
		if sent := s.sent.Load(); sent != nil {
			s.show.idle(time.Since(*sent))
		}
		return tick
	})
	return s.run(server, ServerPicture)
}

// Client is what Server is, for a client. It also chains cfg's OnIdle.
func Client(ctx context.Context, cfg udpkit.ClientConfig, opt Options) error {
	opt.Input = nil // that is a server's
	s, err := open(ctx, cfg.MaxRuntime, opt)
	if err != nil {
		return err
	}
	defer s.Release()
	cfg.OnEvent = stage.Chain(s.Stage, s.event, cfg.OnEvent)
	if s.Record != nil {
		cfg.Record = s.Record
	}
	callers := cfg.OnIdle
	cfg.OnIdle = func(elapsed time.Duration) {
		s.show.idle(elapsed)
		if callers != nil {
			callers(elapsed)
		}
	}
	client, err := udpkit.NewClient(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	if opt.Watch != nil {
		opt.Watch(func() any { return client.Stats() })
	}
	s.reached = func() string { return reached(client.Stats().Received, cfg.MaxMessages) }
	if _, err = s.display(opt, func() display { return newClientView(client) }, nil); err != nil {
		return err
	}
	if !opt.JSON {
		s.doctor = new(silences)
	}
	return s.run(client, ClientPicture)
}

// session is one run of a role.
type session struct {
	*stage.Stage
	show    display
	reached func() string             // why the role has ended by itself
	sent    atomic.Pointer[time.Time] // a server's last message
	opt     Options
	doctor  *silences // nil but for a client that is shown to a person
}

func open(ctx context.Context, limit time.Duration, opt Options) (s *session, err error) {
	s = &session{opt: opt}
	s.Stage, err = stage.Open(ctx, stage.Setup{Out: opt.Out, JSON: opt.JSON, In: opt.Input, History: opt.History, Record: opt.Record, Limit: limit})
	return s, err
}

// display opens what shows the role, in a notebook the page. The server is nil for a client.
func (s *session) display(opt Options, page func() display, server *udpkit.Server) (lines console.Source, err error) {
	s.show, lines, err = stage.Show(s.Stage, page,
		func(out io.Writer) display { return jsonLines{console.NewJSON(out)} },
		func(out console.Display) display {
			return &text{Display: out, ended: func() string { return s.Ended(s.reached()) }, server: server, verbose: opt.Verbose, present: make(map[client]heard)}
		})
	return lines, err
}

// event records and shows an event.
func (s *session) event(e udpkit.Event) error {
	if s.History != nil {
		s.Fail(s.History.Event(e))
	}
	switch e := e.(type) {
	case udpkit.SentEvent:
		now := time.Now()
		s.sent.Store(&now)
	case udpkit.CommandEvent:
		if e.Verb == "stop" {
			s.Because(fmt.Sprintf("by a command of %v", e.From))
		}
	}
	err := s.show.event(e)
	if s.doctor != nil && s.doctor.begins(e) {
		s.ask(e.(udpkit.TimeoutEvent))
	}
	return err
}

// reached says in a few words why a role has ended by itself, after that many messages.
func reached(count, limit uint64) string {
	if limit > 0 && count >= limit {
		return "after " + format.Plural(count, "message")
	}
	return "time is up"
}

// run runs the role to its end, closes everything, has the run drawn, and returns the failures.
func (s *session) run(role interface {
	Run(context.Context) error
	Close() error
}, picture func(file string) (chart.Picture, error)) error {
	if s.History != nil {
		s.Fail(s.History.Begin())
	}
	err := role.Run(s.Context())
	err = s.Finish(err, s.reached(), func(why string) error { return errors.Join(role.Close(), s.show.End(why)) })
	if s.opt.Draw == nil || s.opt.History == "" {
		return err
	}
	return errors.Join(err, s.opt.Draw(picture(s.opt.History)))
}

// jsonLines shows events as the journal's lines. Those of notes are skipped by udpkit.ReadJournal.
type jsonLines struct{ *console.JSON }

func (j jsonLines) event(e udpkit.Event) error { return j.Event(e) }
func (j jsonLines) note(text string) error     { return j.Note(text) }
func (jsonLines) idle(time.Duration)           {}
func (jsonLines) End(string) error             { return nil }
