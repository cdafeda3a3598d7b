package broadcastpanel

import (
	"html/template"
	"sync"
	"time"

	_ "embed"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// betweenIdle is enough for a spinner; every update is work for each browser that shows the
// notebook, and for the notebook's file.
const betweenIdle = 250 * time.Millisecond

//go:embed page.html
var pageHTML string

var pageTemplate = panel.Templates(pageHTML, template.FuncMap{
	"short":     format.Short,
	"buffer":    buffer,
	"tenths":    tenths,
	"clock":     format.Millis,
	"ago":       func(now, then time.Time) string { return tenths(max(0, now.Sub(then))) },
	"timestamp": func(e *udpkit.MessageEvent) string { return timestamp(*e) },
	"data":      func(e *udpkit.MessageEvent) string { return data(*e) },
	"failure":   failureText,
	"color":     Color,
	"plural":    format.Plural[uint64],
	"percent":   percent,
})

// Color returns the CSS colour of a state, that white text can be read on. States that are not of
// the default cycle share a neutral one.
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

// view is what a page shows: it collects what happens, and returns the name and the data of a
// template. Calls are not concurrent.
type view interface {
	event(udpkit.Event)
	idle(elapsed time.Duration)
	note(text string)
	data(final bool) (name string, data any)
}

// page shows a view as one live panel in the notebook.
type page struct {
	*panel.Live
	mu   sync.Mutex
	view view
	drew time.Time // when the last panel was begun
}

func newPage(v view) *page {
	p := &page{view: v}
	p.Live = panel.NewLive(p.snapshot)
	return p
}

func (p *page) event(e udpkit.Event) error {
	p.mu.Lock()
	p.view.event(e)
	p.mu.Unlock()
	p.News()
	return nil
}

func (p *page) note(text string) error {
	p.mu.Lock()
	p.view.note(text)
	p.mu.Unlock()
	p.News()
	return nil
}

func (p *page) idle(elapsed time.Duration) {
	p.mu.Lock()
	p.view.idle(elapsed)
	stale := time.Since(p.drew) >= betweenIdle
	p.mu.Unlock()
	if stale {
		p.News()
	}
}

func (p *page) snapshot(final bool) (*template.Template, any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drew = time.Now()
	name, data := p.view.data(final)
	return pageTemplate.Lookup(name), data
}

func (p *page) end() error { return p.End() }
