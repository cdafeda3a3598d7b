package broadcastpanel

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/stage"
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
	// Input sets a server's state by hand: each line is the state from the next message on; an
	// empty line, or "auto", goes back to the cycle. A read that is waiting when the server ends is
	// left waiting. Default: none.
	Input io.Reader
	// StateFile sets a server's state by hand where there is no keyboard, as in a notebook: its
	// content, looked at once a second, means what a line of Input does. A file that does not exist
	// means the cycle. Default: none.
	StateFile string
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
	// end shows the last picture. No other method is called any more.
	end() error
}

// Server runs a server and shows it until ctx, MaxRuntime or MaxMessages ends it. It returns an
// error if the server cannot start or go on, and if the display or the history cannot be written,
// which ends the server too. The OnEvent of cfg, if set, is called as well.
func Server(ctx context.Context, cfg udpkit.ServerConfig, opt Options) error {
	s, err := begin(ctx, cfg.MaxRuntime, opt)
	if err != nil {
		return err
	}
	cfg.OnEvent = stage.Chain(s.Stage, s.event, cfg.OnEvent)
	server, err := udpkit.NewServer(cfg)
	if err != nil {
		return s.abandon(err)
	}
	s.ended = func() string { return s.ending(server.Stats().Sent, cfg.MaxMessages) }
	if opt.notebook() {
		s.show = newPage("server", &serverView{shown: shown{ended: s.ended}, server: server, File: opt.StateFile})
	} else if err = s.open(ctx, cfg.MaxRuntime, opt, server); err != nil {
		return errors.Join(s.abandon(err), server.Close())
	}
	if s.lines == nil && opt.Input != nil {
		s.lines = console.NewReader(opt.Input)
	}
	hand := &byHand{set: server.SetState, note: func(text string) { s.Show(func() error { return s.show.note(text) }) }}
	if s.lines != nil {
		// Nothing can interrupt a read from a keyboard, so nobody waits for this.
		go func() {
			if err := hand.lines(s.ctx, s.lines); err != nil && !s.lines.Patient() {
				s.Because(console.Farewell(err))
				s.End()
			}
		}()
	}
	s.background.Go(func() { hand.watch(s.ctx, opt.StateFile) })
	s.background.Go(s.ticks)
	return s.run(server)
}

// Client is what Server is, for a client. It also chains cfg's OnIdle.
func Client(ctx context.Context, cfg udpkit.ClientConfig, opt Options) error {
	s, err := begin(ctx, cfg.MaxRuntime, opt)
	if err != nil {
		return err
	}
	cfg.OnEvent = stage.Chain(s.Stage, s.event, cfg.OnEvent)
	callers := cfg.OnIdle
	cfg.OnIdle = func(elapsed time.Duration) {
		s.show.idle(elapsed)
		if callers != nil {
			callers(elapsed)
		}
	}
	client, err := udpkit.NewClient(cfg)
	if err != nil {
		return s.abandon(err)
	}
	s.ended = func() string { return s.ending(client.Stats().Received, cfg.MaxMessages) }
	if opt.notebook() {
		s.show = newPage("client", &clientView{shown: shown{ended: s.ended}, client: client})
	} else {
		opt.Input = nil // that is a server's
		if err = s.open(ctx, cfg.MaxRuntime, opt, nil); err != nil {
			return errors.Join(s.abandon(err), client.Close())
		}
	}
	return s.run(client)
}

// notebook reports whether the live panel is wanted.
func (o Options) notebook() bool { return o.Out == nil && !o.JSON && gonbui.IsNotebook }

// open opens what shows a role that ends with ctx, or after limit, without a notebook. The server
// is nil for a client.
func (s *session) open(ctx context.Context, limit time.Duration, opt Options, server *udpkit.Server) (err error) {
	out := opt.Out
	if out == nil {
		out = os.Stdout
	}
	out = console.NewOutput(ctx, limit, out)
	if opt.JSON {
		s.show = jsonLines{console.NewJSON(out)}
		return nil
	}
	show, lines, restore, err := console.Open(opt.Input, out)
	s.show, s.lines, s.restore = &text{Display: show, ended: s.ended, server: server, verbose: opt.Verbose, present: make(map[client]heard)}, lines, restore
	return err
}

// session is one run of a role: its display, its history and its first failure.
type session struct {
	*stage.Stage
	ctx        context.Context
	show       display
	lines      console.Source // a server's states by hand; nil for none
	restore    func() error   // the terminal
	ended      func() string
	background sync.WaitGroup

	history *console.History // nil for none

	mu   sync.Mutex
	sent time.Time // the server's last message
}

// begin opens the history, before anything else: whoever wants one learns at once that it cannot be
// written.
func begin(ctx context.Context, limit time.Duration, opt Options) (*session, error) {
	s := &session{restore: func() error { return nil }}
	if opt.History != "" {
		var err error
		if s.history, err = console.OpenHistory(ctx, limit, opt.History); err != nil {
			return nil, err
		}
	}
	s.Stage, s.ctx = stage.New(ctx)
	return s, nil
}

// abandon ends a session whose role could not start.
func (s *session) abandon(err error) error {
	s.End()
	if s.history != nil {
		err = errors.Join(err, s.history.Close())
	}
	return err
}

// event records and shows an event.
func (s *session) event(e udpkit.Event) error {
	if s.history != nil {
		s.Fail(s.history.Event(e))
	}
	if _, ok := e.(udpkit.SentEvent); ok {
		s.mu.Lock()
		s.sent = time.Now()
		s.mu.Unlock()
	}
	return s.show.event(e)
}

// ticks gives a server's display the rhythm that a client's gets from OnIdle.
func (s *session) ticks() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case now := <-ticker.C:
			s.mu.Lock()
			sent := s.sent
			s.mu.Unlock()
			if !sent.IsZero() {
				s.show.idle(now.Sub(sent))
			}
		}
	}
}

// ending says in a few words why the role has ended.
func (s *session) ending(count, limit uint64) string {
	why := "time is up"
	if limit > 0 && count >= limit {
		why = "after " + format.Plural(count, "message")
	}
	return s.Why(why)
}

// run runs the role to its end, closes everything and returns the failures.
func (s *session) run(role interface {
	Run(context.Context) error
	Close() error
}) error {
	if s.history != nil {
		s.Fail(s.history.Begin())
	}
	err := role.Run(s.ctx)
	s.Close()
	s.background.Wait()
	closed := role.Close()
	s.Fail(s.show.end())
	if s.history != nil {
		closed = errors.Join(closed, s.history.Close())
	}
	return errors.Join(err, s.Failure(), closed, s.restore())
}

// jsonLines shows events as the journal's lines. Those of notes are skipped by udpkit.ReadJournal.
type jsonLines struct{ *console.JSON }

func (j jsonLines) event(e udpkit.Event) error { return j.Event(e) }
func (j jsonLines) note(text string) error     { return j.Note(text) }
func (jsonLines) idle(time.Duration)           {}
func (jsonLines) end() error                   { return nil }
