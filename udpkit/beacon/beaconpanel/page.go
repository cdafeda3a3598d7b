package beaconpanel

import (
	"html/template"

	_ "embed"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

//go:embed page.html
var pageHTML string

var pageTemplate = panel.Templates(pageHTML, template.FuncMap{
	"ago": format.Ago, "clock": format.Millis, "short": format.Short, "name": name, "id": id,
	"rate": format.Rate, "jitter": format.Jitter,
	"change": changeText, "failure": failureText,
})

// page is a live panel in a notebook.
type page struct {
	*panel.Live
	pic picture
}

func newPage() screen {
	p := new(page)
	p.Live = panel.NewLive(pageTemplate.Lookup("beacon"), func() any { return p.pic })
	return p
}

func (p *page) event(_ beacon.Event, pic picture) error { return p.tick(pic) }

func (p *page) tick(pic picture) error {
	p.Change(func() { p.pic = pic })
	return nil
}

func (p *page) end(pic picture) error {
	_ = p.tick(pic)
	return p.End(pic.Ended)
}
