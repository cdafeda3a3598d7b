// Package radar shows a beacon's table of peers while it runs: in a notebook, in
// a terminal, or as lines.
//
//	panel.Main(func(ctx context.Context) error {
//		return radar.Show(ctx, beacon.Config{Name: "ann", MaxRuntime: 10 * time.Second})
//	})
//
// What peers send is shown, never interpreted; see package panel.
package radar

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
)

const (
	// redraw is how often the ages of the peers are brought up to date.
	redraw = 500 * time.Millisecond
	// changesShown is how many of the last changes are shown.
	changesShown = 6
)

// Show runs a beacon and shows its table until ctx or cfg.MaxRuntime ends it: as
// one live panel in a notebook, elsewhere as Text does on os.Stdout. It returns an
// error if the beacon cannot start or go on, and if the display cannot be
// written, which ends the beacon too. The OnEvent of cfg, if set, is called as
// well.
func Show(ctx context.Context, cfg beacon.Config) error {
	if gonbui.IsNotebook {
		return run(ctx, cfg, func() screen { return newPage() })
	}
	return Text(ctx, cfg, os.Stdout)
}

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
	Now      time.Time
	Ended    string // why, once it has
}

// run runs a beacon and shows it on a screen, which is made once the beacon's
// socket is open.
func run(ctx context.Context, cfg beacon.Config, newScreen func() screen) error {
	caller, cancel := ctx, context.CancelFunc(nil)
	ctx, cancel = context.WithCancel(ctx)
	defer cancel()
	var (
		mu      sync.Mutex
		b       *beacon.Beacon
		s       screen
		pic     picture
		failure error
	)
	// show draws with mu held; the first failure to do so ends the beacon.
	show := func(draw func(picture) error) {
		pic.Now, pic.Peers, pic.Stats = time.Now(), b.Peers(), b.Stats()
		// The screen may draw it later: what it refers to is replaced, never changed.
		if err := draw(pic); err != nil && failure == nil {
			failure = err
			cancel()
		}
	}
	callers := cfg.OnEvent
	cfg.OnEvent = func(e beacon.Event) {
		mu.Lock()
		pic.note(e)
		if _, last := e.(beacon.Stats); !last {
			show(func(p picture) error { return s.event(e, p) })
		}
		mu.Unlock()
		if callers != nil {
			callers(e)
		}
	}
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
			case <-ctx.Done():
				return
			case <-ticker.C:
				mu.Lock()
				show(s.tick)
				mu.Unlock()
			}
		}
	})
	err = b.Run(ctx)
	cancel()
	ticks.Wait()
	switch {
	case err != nil:
		pic.Ended = err.Error()
	case failure != nil:
		pic.Ended = "by a failure to show"
	case errors.Is(caller.Err(), context.Canceled):
		pic.Ended = "interrupted"
	default:
		pic.Ended = "time is up"
	}
	show(s.end)
	return errors.Join(err, failure, b.Close())
}

// note keeps what an event says.
func (p *picture) note(e beacon.Event) {
	switch e := e.(type) {
	case beacon.StartEvent:
		p.Start = e
	case beacon.PeerEvent:
		p.Changes = append(slices.Clone(p.Changes), e)
		p.Changes = p.Changes[max(0, len(p.Changes)-changesShown):]
	case beacon.ErrorEvent:
		p.Failures = slices.DeleteFunc(slices.Clone(p.Failures), func(f beacon.ErrorEvent) bool {
			return f.Target == e.Target && f.Interface == e.Interface
		})
		if !e.Ended {
			p.Failures = append(p.Failures, e)
			p.Failures = p.Failures[max(0, len(p.Failures)-changesShown):]
		}
	}
}

// where says where the HELLOs go.
func (p picture) where() string {
	list := make([]string, len(p.Start.Targets))
	for i, a := range p.Start.Targets {
		list[i] = a.String()
	}
	if len(list) == 0 {
		return "no address yet"
	}
	return strings.Join(list, ", ")
}
