package relaypanel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// ErrNotStored means that lines which a Writer or a Join had to write are not stored, as far as it
// knows.
var ErrNotStored = errors.New("not everything is stored")

// farewell is how long an interrupted role waits for what was written to be stored. To take leave
// of a server that is silent takes another second, and all of it must be over within three.
const farewell = 1800 * time.Millisecond

// Options says how a role is shown and what feeds it. The zero value suits a notebook.
type Options struct {
	// Out gets text, or JSON. Default: the notebook's live panel inside GoNB, else os.Stdout.
	// Nobody has to read it for the role to end, see panel.Output.
	Out io.Writer
	// JSON writes the events as JSON lines instead of text or a live panel.
	JSON bool
	// In has the lines that a Writer or a Join writes. At its end all is stored, and the role ends.
	// If In and Out are terminals, then with an editor for the line, until Ctrl-C or Ctrl-D. A read
	// that is waiting when the role ends is left waiting. Default: the input box of the notebook
	// inside GoNB, if neither Headless nor Say nor Out nor JSON is set; else nothing.
	In io.Reader
	// Headless asks for no input: without a browser nobody could answer.
	Headless bool
	// Say, if not nil, are lines to write without anybody who types, in place of In.
	Say []string
	// History is a file that gets samples of what happens as JSON lines, for ReadHistory and plots.
	// However long the role runs, it stays small. It is emptied once the role's socket is open. A
	// new one can be read by its owner only (0600); one that exists keeps its mode. Default: none.
	History string
	// Record is a file that gets what the role sends and receives, for Wireshark: see package
	// record. If it exists, the recording is beside it; its name is shown when the role ends.
	// Default: none.
	Record string
	// Draw gets the picture of the run, made of the History, when the role has ended, and shows it:
	// plot.Show does, in a notebook. Default: none is made.
	Draw func(chart.Picture, error) error
	// Place is where a server's log is, for a person. Default: nothing is said of it.
	Place string
	// MaxRuntime ends the role after this time. 0 means no limit.
	MaxRuntime time.Duration
	// Watch is called once by Server, when the socket is open, with what returns its figures up to
	// then: a relay.ServerStats. Default: none.
	Watch func(stats func() any)
}

// Server runs a server and shows it until ctx ends or MaxRuntime is over. It returns an error if
// the server cannot start or go on, and if the display or the history cannot be written, which ends
// the server too. The OnEvent of cfg is called as well. If the log of cfg has a method Size()
// (messages, bytes uint64), as that of package store has, its size is shown.
func Server(ctx context.Context, cfg relay.ServerConfig, opt Options) error {
	s, err := begin(ctx, opt, false)
	if err != nil {
		return err
	}
	defer s.Release()
	cfg.OnEvent = s.on(cfg.OnEvent)
	if s.Record != nil {
		cfg.Record = s.Record
	}
	if cfg.Log == nil {
		cfg.Log = relay.NewMemory(0)
	}
	server, err := relay.NewServer(cfg)
	if err != nil {
		return err
	}
	defer server.Close()
	if opt.Watch != nil {
		opt.Watch(func() any { return server.Stats() })
	}
	if _, err = s.start(&view{role: RoleServer, server: server, log: cfg.Log, place: opt.Place}); err != nil {
		return err
	}
	return s.finish("", server.Run(s.ctx))
}

// Reader runs a reader and shows what it reads, as Server does, until ctx ends, MaxRuntime is over
// or MaxMessages are read. Only what is written whole to Out counts as delivered: the next reader
// of the name gets the rest. The Flush of cfg is called as well.
func Reader(ctx context.Context, cfg relay.ReaderConfig, opt Options) error {
	s, err := begin(ctx, opt, false)
	if err != nil {
		return err
	}
	defer s.Release()
	cfg.OnEvent, cfg.Flush = s.on(cfg.OnEvent), s.flush(cfg.Flush)
	if s.Record != nil {
		cfg.Record = s.Record
	}
	reader, err := relay.NewReader(cfg)
	if err != nil {
		return err
	}
	defer reader.Close()
	if _, err = s.start(&view{role: RoleReader, username: cfg.Username, reader: reader, keyed: cfg.Key != nil}); err != nil {
		return err
	}
	err = reader.Run(s.ctx)
	why := ""
	if n := reader.Stats().Delivered; cfg.MaxMessages > 0 && n >= cfg.MaxMessages {
		why = "after " + format.Plural(n, "message")
	}
	return s.finish(why, err)
}

// Writer runs a writer, shows it as Server does, and writes lines until they end and all are
// stored. When ctx ends or MaxRuntime is over, or a person leaves, it waits for that for almost 2
// s. The error wraps ErrNotStored if a line is not known to be stored, or cannot be sent, which is
// shown with the line's number; only a person, who sees that at once, may go on as if nothing had
// been.
func Writer(ctx context.Context, cfg relay.WriterConfig, opt Options) error {
	s, err := begin(ctx, opt, true)
	if err != nil {
		return err
	}
	defer s.Release()
	now := make(chan struct{})
	close(now)
	p := &pen{session: s, begin: now, ending: func() {}}
	cfg.OnEvent = s.on(cfg.OnEvent)
	if s.Record != nil {
		cfg.Record = s.Record
	}
	if p.writer, err = relay.NewWriter(cfg); err != nil {
		return err
	}
	defer p.writer.Close()
	source, err := s.start(&view{role: RoleWriter, username: cfg.Username, writer: p.writer, keyed: cfg.Key != nil})
	if err != nil {
		return err
	}
	if source == nil {
		source = new(console.List)
	}
	return s.finish(p.write(source))
}

// JoinConfig configures a Join.
type JoinConfig struct {
	// Servers, Port and Resolver are those of a relay.ReaderConfig, for both.
	Servers  []string
	Port     uint16
	Resolver *net.Resolver
	// Username is needed, see relay.CheckUsername.
	Username string
	// From is where in the log to begin to read. Default relay.FromLast.
	From relay.From
	// Key and Seal are those of a relay.ReaderConfig, for both. Default: no key.
	Key  *key.Ring
	Seal bool
	// OnEvent is called for each event of reader and writer, one call at a time for each of the
	// two.
	OnEvent func(relay.Event)
}

// Join runs a reader and a writer of one name and shows them as Server does. What it writes comes
// back through the reader, and is shown then, in its place in the log. It ends as Writer does, and
// by failures of the reader.
func Join(ctx context.Context, cfg JoinConfig, opt Options) error {
	s, err := begin(ctx, opt, true)
	if err != nil {
		return err
	}
	defer s.Release()
	on := s.on(nil)
	var stored atomic.Uint64 // the last sequence number of what it wrote
	served := make(chan struct{})
	begin := sync.OnceFunc(func() { close(served) }) // the reader gets what is written from now on
	heard := func(role relay.Role) func(relay.Event) {
		return func(e relay.Event) {
			on(ofRole(e, role))
			if cfg.OnEvent != nil {
				cfg.OnEvent(e)
			}
			switch e := e.(type) {
			case relay.LinkEvent:
				if e.Up && role == relay.RoleReader {
					begin()
				}
			case relay.StoredEvent:
				stored.Store(max(stored.Load(), e.Seq))
			}
		}
	}
	reader, err := relay.NewReader(relay.ReaderConfig{
		Servers: cfg.Servers, Port: cfg.Port, Resolver: cfg.Resolver, Username: cfg.Username, From: cfg.From, Key: cfg.Key, Seal: cfg.Seal, Record: s.Record,
		OnEvent: heard(relay.RoleReader), Flush: s.flush(nil),
	})
	if err != nil {
		return err
	}
	defer reader.Close()
	p := &pen{session: s, begin: served}
	p.writer, err = relay.NewWriter(relay.WriterConfig{
		Servers: cfg.Servers, Port: cfg.Port, Resolver: cfg.Resolver, Username: cfg.Username, Key: cfg.Key, Seal: cfg.Seal, Record: s.Record,
		OnEvent: heard(relay.RoleWriter),
	})
	if err != nil {
		return err
	}
	defer p.writer.Close()
	source, err := s.start(&view{role: RoleJoin, username: cfg.Username, reader: reader, writer: p.writer, keyed: cfg.Key != nil})
	if err != nil {
		return err
	}
	readerContext, endReader := context.WithCancel(context.WithoutCancel(s.ctx))
	defer endReader()
	read := make(chan error, 1)
	go func() {
		err := reader.Run(readerContext)
		if err != nil {
			s.End()
		}
		read <- err
	}()
	p.ending = func() {
		// All has to come back, but no longer than a farewell takes.
		ctx, cancel := context.WithTimeout(s.ctx, farewell)
		defer cancel()
		for last := stored.Load(); last > 0 && reader.Stats().Next <= last && ctx.Err() == nil; {
			time.Sleep(5 * time.Millisecond)
		}
		endReader()
	}
	why, err := p.write(source)
	if readErr := <-read; readErr != nil {
		why, err = "by a failure", both(readErr, err)
	}
	return s.finish(why, err)
}

// ofRole marks which of a Join's two clients has reported an event, where that cannot be seen.
func ofRole(e relay.Event, role relay.Role) relay.Event {
	if e, ok := e.(relay.LinkEvent); ok {
		return linkEvent{e, role}
	}
	return e
}

type linkEvent struct {
	relay.LinkEvent
	Role relay.Role `json:"role"`
}

// refusedEvent says that a line cannot be sent.
type refusedEvent struct {
	Line uint64    `json:"line"` // its number, from 1
	Text string    `json:"error"`
	At   time.Time `json:"at"`
}

func (refusedEvent) Kind() string { return "refused" }

func (e refusedEvent) String() string { return fmt.Sprintf("line %d is not sent: %s", e.Line, e.Text) }
