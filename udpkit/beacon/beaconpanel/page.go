package beaconpanel

import (
	"html/template"
	"sync"

	_ "embed"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// peersShown bounds the table on a page.
const peersShown = 50

//go:embed page.html
var pageHTML string

var pageTemplate = panel.Templates(pageHTML, template.FuncMap{
	"ago": ago, "clock": format.Millis, "short": format.Short, "name": name, "id": id,
	"change": changeText, "failure": failureText,
})

// page is a live panel in a notebook.
type page struct {
	*panel.Live
	mu  sync.Mutex
	pic picture
}

func newPage() *page {
	p := new(page)
	p.Live = panel.NewLive(func(bool) (*template.Template, any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return pageTemplate.Lookup("beacon"), p.pic
	})
	return p
}

func (p *page) show(pic picture) {
	p.mu.Lock()
	p.pic = pic
	p.mu.Unlock()
}

func (p *page) event(_ beacon.Event, pic picture) error { return p.tick(pic) }

func (p *page) tick(pic picture) error {
	p.show(pic)
	p.News()
	return nil
}

func (p *page) end(pic picture) error {
	p.show(pic)
	return p.End()
}

// Where is what the template calls.
func (p picture) Where() string { return p.where() }

// Shown are the peers that fit.
func (p picture) Shown() []beacon.Peer { return p.Peers[:min(peersShown, len(p.Peers))] }

// More is how many do not.
func (p picture) More() int { return len(p.Peers) - len(p.Shown()) }
