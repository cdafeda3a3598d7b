package broadcastpanel

import (
	"html/template"
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
	"tenths":    format.Tenths,
	"clock":     format.Millis,
	"ago":       format.Ago,
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

// page shows a view as one live panel in the notebook.
type page struct {
	*panel.Live
	view  view
	idled time.Time // when idle last asked for a picture
}

// newPage shows a view with the template of that name.
func newPage(name string, v view) *page {
	return &page{Live: panel.NewLive(pageTemplate.Lookup(name), v.picture), view: v}
}

func (p *page) event(e udpkit.Event) error {
	p.Change(func() { p.view.event(e) })
	return nil
}

func (p *page) note(text string) error {
	p.Change(func() { p.view.note(text) })
	return nil
}

func (p *page) idle(elapsed time.Duration) {
	if now := time.Now(); now.Sub(p.idled) >= betweenIdle {
		p.idled = now
		p.Change(func() { p.view.idle(elapsed) })
	}
}

func (p *page) end(why string) error {
	p.Change(func() { p.view.end(why) })
	return p.End()
}
