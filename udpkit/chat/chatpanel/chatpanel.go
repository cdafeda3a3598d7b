package chatpanel

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/stage"
)

// leaving is how long a client waits for the server's goodbye after exit.
const leaving = time.Second

// Options says how a role is shown and what feeds it. The zero value suits a notebook.
type Options struct {
	// Out gets text, or JSON. Default: the notebook's live panel inside GoNB, else os.Stdout.
	// Nobody has to read it for the role to end, see panel.Output.
	Out io.Writer
	// JSON writes the events as JSON lines instead of text or a live panel.
	JSON bool
	// In is read for lines to say; exit, or the end of In, ends the role. If In and Out are
	// terminals, then with an editor for the line. A read that is waiting when the role ends is
	// left waiting. Default: the input box of the notebook inside GoNB, if neither Headless nor Say
	// nor Out nor JSON is set; else nothing.
	In io.Reader
	// Headless asks for no input: without a browser nobody could answer.
	Headless bool
	// Say are lines to say without anybody who types, as a person takes turns: each when a message
	// has come. A client begins with the first one. An "exit" ends the role.
	Say []string
	// MaxRuntime ends the role after this time. 0 means no limit.
	MaxRuntime time.Duration
	// Record is a file that gets what the role sends and receives, for Wireshark: see package
	// record. If it exists, the recording is beside it; its name is shown when the role ends.
	// Default: none.
	Record string
	// Watch is called once by Server, when the socket is open, with what returns its figures up to
	// then: a chat.ServerSummary. Default: none.
	Watch func(stats func() any)
}

// display shows one role. Its methods may be called at the same time.
type display interface {
	// event shows what has happened.
	event(chat.Event) error
	// said shows what was said here and does not come back as an event.
	said(text string) error
	// note shows a remark of the program itself, such as a refused line.
	note(text string) error
	// End shows the last picture: why the role has ended. No other method is called any more.
	End(why string) error
}

// session is one run of a role.
type session struct {
	*stage.Stage
	show   display
	say    func(string) error
	exit   func() // what an exit does
	echo   bool   // show what was said: it neither stands on the screen nor comes as an event
	client bool
	turns  []string // Options.Say that are left
}

// Server runs a server and shows it until ctx ends, exit is typed or MaxRuntime is over. It returns
// an error if the server cannot start or go on, and if the display fails, which ends the server
// too. The OnEvent of cfg is called as well.
func Server(ctx context.Context, cfg chat.ServerConfig, opt Options) error {
	s, err := open(ctx, opt)
	if err != nil {
		return err
	}
	defer s.Release()
	if s.Record != nil {
		cfg.Record = s.Record
	}
	cfg.OnEvent = s.chain(cfg.OnEvent)
	server, err := chat.NewServer(cfg)
	if err != nil {
		return err
	}
	defer server.Close()
	if opt.Watch != nil {
		opt.Watch(func() any { return server.Stats() })
	}
	s.say = s.operator(server)
	s.exit = s.End
	return s.run(server, &view{server: server})
}

// Client connects to a server and shows what it sends, as Server does. It returns nil too when the
// server ends the connection.
func Client(ctx context.Context, cfg chat.ClientConfig, opt Options) error {
	s, err := open(ctx, opt)
	if err != nil {
		return err
	}
	defer s.Release()
	if s.Record != nil {
		cfg.Record = s.Record
	}
	s.client = true
	cfg.OnEvent = s.chain(cfg.OnEvent)
	client, err := chat.Dial(s.Context(), cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	s.say = client.Send
	s.exit = func() {
		if client.Leave() != nil {
			s.End()
		}
	}
	return s.run(client, &view{client: client})
}

func open(ctx context.Context, opt Options) (*session, error) {
	setup := stage.Setup{Out: opt.Out, Record: opt.Record, JSON: opt.JSON, In: opt.In, Limit: opt.MaxRuntime}
	if !opt.Headless && len(opt.Say) == 0 {
		setup.Prompt = "Say: "
	}
	s, err := stage.Open(ctx, setup)
	if err != nil {
		return nil, err
	}
	return &session{Stage: s, turns: opt.Say}, nil
}

// operator returns what the operator's lines do: they are said to everybody, but for commands.
func (s *session) operator(server *chat.Server) func(string) error {
	return func(line string) error {
		if !strings.HasPrefix(line, "/") {
			return server.Say(line)
		}
		if line != "/who" {
			return errors.New("there is no such command here; there are /who and exit")
		}
		var names []string
		for _, m := range server.Who() {
			names = append(names, strings.TrimSpace(m.Name+" "+m.Addr.String()))
		}
		text := "nobody is here"
		if len(names) > 0 {
			text = "here: " + strings.Join(names, ", ")
		}
		s.Show(func() error { return s.show.note(text) })
		return nil
	}
}

// run opens the display, starts to read, and runs the role to its end.
func (s *session) run(role interface {
	Run(context.Context) error
	Close() error
}, v *view) (err error) {
	var source console.Source
	s.show, source, err = stage.Show(s.Stage,
		func() display { s.echo = s.client; return newPage(v, s.Box()) },
		func(out io.Writer) display { return jsonLines{console.NewJSON(out)} },
		func(out console.Display) display { return &text{out, v.summary} })
	if err != nil {
		return err
	}
	s.Listen(source, func(line string) bool { return s.take(line, s.echo) }, s.note, func(err error) {
		if err != nil && source.Patient() && !s.client {
			return // a server may run without a keyboard
		}
		if err != nil {
			s.leave(console.Farewell(err))
		}
		if !source.Patient() {
			time.AfterFunc(leaving, s.End)
		}
	})
	if err = role.Run(s.Context()); errors.Is(err, chat.ErrServerClosed) {
		err = nil
		s.Because("the server closed the connection")
	}
	_ = role.Close() // before the recording is, which has that too
	return s.Finish(err, "interrupted", s.show.End)
}

// chain returns an OnEvent that shows before it calls the caller's.
func (s *session) chain(callers func(chat.Event)) func(chat.Event) {
	on := stage.Chain(s.Stage, func(e chat.Event) error { return s.show.event(e) }, callers)
	return func(e chat.Event) {
		on(e)
		switch e := e.(type) {
		case chat.StartEvent:
			if s.client {
				s.turn()
			}
		case chat.MessageEvent:
			if s.client && !strings.HasPrefix(e.Text, "* ") || e.Client.IsValid() {
				s.turn()
			}
		}
	}
}

// turn says the next line of Options.Say.
func (s *session) turn() {
	if len(s.turns) == 0 {
		return
	}
	line := s.turns[0]
	s.turns = s.turns[1:]
	if s.take(line, true) {
		time.AfterFunc(leaving, s.End)
	}
}

// take does what a line says.
func (s *session) take(line string, echo bool) (exit bool) {
	line = strings.TrimSpace(line)
	switch {
	case line == "":
		return false
	case strings.EqualFold(line, "exit"):
		s.leave("by exit")
		return true
	}
	if err := s.say(line); err != nil {
		s.note(err)
	} else if echo && s.client {
		s.Show(func() error { return s.show.said(line) })
	}
	return false
}

// note says what is wrong with a line.
func (s *session) note(err error) {
	s.Show(func() error { return s.show.note(strings.TrimPrefix(err.Error(), chat.ErrConfig.Error()+": ")) })
}

// leave ends the role for a reason.
func (s *session) leave(why string) {
	s.Because(why)
	s.exit()
}

// jsonLines shows events as JSON lines.
type jsonLines struct{ *console.JSON }

func (j jsonLines) event(e chat.Event) error { return j.Event(e) }
func (j jsonLines) note(text string) error   { return j.Note(chat.Clean(text)) }
func (jsonLines) said(string) error          { return nil }
func (jsonLines) End(string) error           { return nil }
