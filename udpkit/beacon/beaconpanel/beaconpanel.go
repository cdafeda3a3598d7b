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
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

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

// Show runs a beacon and shows its table until ctx or cfg.MaxRuntime ends it: as one live panel in
// a notebook, elsewhere as Text does on os.Stdout. It returns an error if the beacon cannot start
// or go on, and if the display cannot be written, which ends the beacon too. The OnEvent of cfg, if
// set, is called as well.
func Show(ctx context.Context, cfg beacon.Config) error {
	if gonbui.IsNotebook {
		return run(ctx, cfg, newPage)
	}
	return Text(ctx, cfg, os.Stdout)
}

// JSON is Show with each event as a line of JSON.
func JSON(ctx context.Context, cfg beacon.Config, out io.Writer) error {
	lines := jsonLines{console.NewJSON(console.NewOutput(ctx, cfg.MaxRuntime, out))}
	return run(ctx, cfg, func() screen { return lines })
}

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

// run runs a beacon and shows it on a screen, which is made once the beacon's socket is open.
func run(ctx context.Context, cfg beacon.Config, newScreen func() screen) error {
	st, running := stage.New(ctx)
	defer st.End()
	var (
		mu  sync.Mutex
		b   *beacon.Beacon
		s   screen
		pic picture
	)
	// show draws. The caller holds mu.
	show := func(draw func(picture) error) error {
		pic.Now, pic.Peers, pic.Stats = time.Now(), b.Peers(), b.Stats()
		return draw(pic) // the screen may draw it later: what it refers to is replaced, never changed
	}
	cfg.OnEvent = stage.Chain(st, func(e beacon.Event) error {
		mu.Lock()
		defer mu.Unlock()
		pic.note(e)
		return show(func(p picture) error { return s.event(e, p) })
	}, cfg.OnEvent)
	b, err := beacon.New(cfg)
	if err != nil {
		return err
	}
	s = newScreen()
	var ticks sync.WaitGroup
	ticks.Go(func() {
		ticker := time.NewTicker(redraw)
		defer ticker.Stop()
		for {
			select {
			case <-running.Done():
				return
			case <-ticker.C:
				mu.Lock()
				st.Fail(show(s.tick))
				mu.Unlock()
			}
		}
	})
	err = b.Run(running)
	if err != nil {
		st.Because(err.Error())
	}
	st.Close()
	ticks.Wait()
	pic.Ended = st.Why("time is up")
	st.Fail(show(s.end))
	return errors.Join(err, st.Failure(), b.Close())
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
