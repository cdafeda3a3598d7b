// Package beaconpanel shows a beacon's table of peers while it runs: in a notebook, in a terminal,
// or as lines.
//
//	panel.Main(func(ctx context.Context) error {
//		return beaconpanel.Show(ctx, beacon.Config{Name: "ann", MaxRuntime: 10 * time.Second})
//	})
//
// What peers send is shown, never interpreted; see package panel.
package beaconpanel

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/stage"
)

const (
	// redraw is how often the ages of the peers are brought up to date.
	redraw = 500 * time.Millisecond
	// changesShown is how many of the last changes are shown.
	changesShown = 6
)

// Options says how a beacon is shown. The zero value suits a notebook.
type Options struct {
	// Out gets text, on a terminal the table in place and elsewhere a line for each change, and a
	// summary in the end; or JSON. Default: the notebook's live panel inside GoNB, else os.Stdout.
	Out io.Writer
	// JSON writes the events as JSON lines instead of text or a live panel.
	JSON bool
	// Record is a file that gets what the role sends and receives, for Wireshark: see package
	// record. If it exists, the recording is beside it; its name is shown when the role ends.
	// Default: none.
	Record string
}

// Show is Run without options.
func Show(ctx context.Context, cfg beacon.Config) error { return Run(ctx, cfg, Options{}) }

type jsonLines struct{ *console.JSON }

func (j jsonLines) event(e beacon.Event, _ picture) error { return j.Event(e) }
func (jsonLines) tick(picture) error                      { return nil }
func (jsonLines) end(picture) error                       { return nil }

// screen is what a table is shown on. Calls are not concurrent; end is the last.
type screen interface {
	event(e beacon.Event, p picture) error
	tick(p picture) error
	end(p picture) error
}

// picture is what there is to see at one moment.
type picture struct {
	Start    beacon.StartEvent
	Peers    []beacon.Peer
	Stats    beacon.Stats
	Changes  []beacon.PeerEvent  // the last ones, oldest first
	Failures []beacon.ErrorEvent // that go on
	Refused  format.Refused
	Now      time.Time
	Ended    string // why, once it has
}

// Run runs a beacon and shows its table until ctx or cfg.MaxRuntime ends it. It returns an error if
// the beacon cannot start or go on, and if the display cannot be written, which ends the beacon
// too. The OnEvent of cfg, if set, is called as well.
func Run(ctx context.Context, cfg beacon.Config, opt Options) error {
	st, err := stage.Open(ctx, stage.Setup{Out: opt.Out, JSON: opt.JSON, Record: opt.Record, Limit: cfg.MaxRuntime})
	if err != nil {
		return err
	}
	defer st.Release()
	if st.Record != nil {
		cfg.Record = st.Record
	}
	var (
		mu  sync.Mutex
		b   *beacon.Beacon
		s   screen
		pic picture
	)
	// show draws.
	show := func(draw func(picture) error) error {
		mu.Lock()
		defer mu.Unlock()
		pic.Now, pic.Peers, pic.Stats = time.Now(), b.Peers(), b.Stats()
		return draw(pic) // the screen may draw it later: what it refers to is replaced, never changed
	}
	cfg.OnEvent = stage.Chain(st, func(e beacon.Event) error {
		mu.Lock()
		pic.note(e)
		mu.Unlock()
		return show(func(p picture) error { return s.event(e, p) })
	}, cfg.OnEvent)
	b, err = beacon.New(cfg)
	if err != nil {
		return err
	}
	s, _, err = stage.Show(st, newPage,
		func(out io.Writer) screen { return jsonLines{console.NewJSON(out)} },
		func(out console.Display) screen { return &text{Display: out} })
	if err != nil {
		return errors.Join(err, b.Close())
	}
	st.Repeat(func() time.Duration {
		st.Fail(show(func(p picture) error {
			if p.Start.At.IsZero() {
				return nil // what has begun is said first
			}
			return s.tick(p)
		}))
		return redraw
	})
	if err = b.Run(st.Context()); err != nil {
		st.Because(err.Error())
	}
	return st.Finish(err, "time is up", func(why string) error {
		pic.Ended = why
		return errors.Join(show(s.end), b.Close())
	})
}

// note keeps what an event says.
func (p *picture) note(e beacon.Event) {
	switch e := e.(type) {
	case beacon.StartEvent:
		p.Start = e
	case beacon.PeerEvent:
		p.Changes = format.Newest(append(slices.Clone(p.Changes), e), changesShown)
	case beacon.RefusedEvent:
		p.Refused.Take(e.From, e.Reason, e.Count)
	case beacon.ErrorEvent:
		p.Failures = format.Newest(format.Ongoing(p.Failures, e, e.Ended, func(was beacon.ErrorEvent) bool {
			return was.Target == e.Target && was.Interface == e.Interface
		}), changesShown)
	}
}

// Key says what a key is used for.
func (p picture) Key() string {
	if p.Start.Key == "" {
		return ""
	}
	return ", " + string(p.Start.Key) + " with the key"
}

// Where says where the HELLOs go.
func (p picture) Where() string {
	list := make([]string, len(p.Start.Targets))
	for i, a := range p.Start.Targets {
		list[i] = a.String()
	}
	if len(list) == 0 {
		return "no address yet"
	}
	return strings.Join(list, ", ")
}
