package panel

import (
	"errors"
	"fmt"
	"html/template"
	"strings"
	"sync"
	"time"

	_ "embed"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/janpfeifer/gonb/gonbui"
)

const (
	// betweenUpdates bounds the updates to ten a second.
	betweenUpdates = 100 * time.Millisecond
	// betweenIdle is enough for a spinner; every update is work for each browser
	// that shows the notebook, and for the notebook's file.
	betweenIdle = 250 * time.Millisecond
	// lastUpdate is how long the last panel may take to reach the notebook. An
	// interrupted cell is killed after 5 s.
	lastUpdate = 2 * time.Second
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"text":      func(s any) string { return Printable(fmt.Sprint(s)) },
	"short":     short,
	"tenths":    tenths,
	"clock":     clock,
	"ago":       func(now, then time.Time) string { return tenths(max(0, now.Sub(then))) },
	"timestamp": func(e *udpkit.MessageEvent) string { return timestamp(*e) },
	"missing":   func(e *udpkit.GapEvent) string { return missing(*e) },
	"failure":   failureText,
	"color":     Color,
	"plural":    plural[uint64],
	"percent":   func(part float64) string { return fmt.Sprintf("%.0f %%", 100*part) },
}).Parse(pageHTML))

// Color returns the CSS colour of a state, that white text can be read on. States
// that are not of the default cycle share a neutral one.
func Color(s udpkit.State) string {
	switch s {
	case udpkit.StateActive:
		return "#1a7f37"
	case udpkit.StateStandby:
		return "#0969da"
	case udpkit.StateMaintenance:
		return "#9a6700"
	case udpkit.StateError:
		return "#cf222e"
	}
	return "#57606a"
}

// view is what a page shows: it collects what happens, and returns the name and
// the data of a template. Calls are not concurrent.
type view interface {
	event(udpkit.Event)
	idle(elapsed time.Duration)
	note(text string)
	data(final bool) (name string, data any)
}

// page shows a view as one live panel in the notebook. A goroutine of its own
// draws: a browser that is slow, or gone, delays nothing.
type page struct {
	mu   sync.Mutex
	view view
	drew time.Time // when the last panel was begun

	dirty chan struct{} // holds one element if there is news
	last  chan struct{} // closed: draw the last panel
	done  chan error
}

func newPage(v view) *page {
	p := &page{view: v, dirty: make(chan struct{}, 1), last: make(chan struct{}), done: make(chan error, 1)}
	go p.draw(gonbui.UniqueId())
	return p
}

func (p *page) event(e udpkit.Event) error {
	p.mu.Lock()
	p.view.event(e)
	p.mu.Unlock()
	p.news()
	return nil
}

func (p *page) note(text string) error {
	p.mu.Lock()
	p.view.note(text)
	p.mu.Unlock()
	p.news()
	return nil
}

func (p *page) idle(elapsed time.Duration) {
	p.mu.Lock()
	p.view.idle(elapsed)
	stale := time.Since(p.drew) >= betweenIdle
	p.mu.Unlock()
	if stale {
		p.news()
	}
}

// news asks for a new panel.
func (p *page) news() {
	select {
	case p.dirty <- struct{}{}:
	default:
	}
}

// draw draws a panel whenever there is news, and the last one.
func (p *page) draw(id string) {
	pause := time.NewTicker(betweenUpdates)
	defer pause.Stop()
	for {
		select {
		case <-p.last:
			err := p.update(id, true)
			gonbui.Sync()
			p.done <- errors.Join(err, gonbui.Error())
			return
		case <-p.dirty:
		}
		if err := p.update(id, false); err != nil {
			p.done <- err
			return
		}
		select {
		case <-p.last: // seen again above
		case <-pause.C:
		}
	}
}

// update sends one panel. This is the only place from which a panel's HTML goes
// to the notebook, and it has come out of html/template.
func (p *page) update(id string, final bool) error {
	p.mu.Lock()
	p.drew = time.Now()
	name, data := p.view.data(final)
	p.mu.Unlock()
	var html strings.Builder
	if err := pageTemplate.ExecuteTemplate(&html, name, data); err != nil {
		return fmt.Errorf("cannot draw the panel: %w", err)
	}
	gonbui.UpdateHTML(id, html.String())
	return gonbui.Error()
}

func (p *page) end() error {
	close(p.last)
	timeout := time.NewTimer(lastUpdate)
	defer timeout.Stop()
	select {
	case err := <-p.done:
		return err
	case <-timeout.C:
		return fmt.Errorf("the notebook did not take the last panel within %v", lastUpdate)
	}
}
