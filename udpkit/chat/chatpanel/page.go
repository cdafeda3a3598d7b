package chatpanel

import (
	"fmt"
	"html/template"
	"strings"
	"sync"
	"time"

	_ "embed"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

const (
	maxLines   = 14
	maxMembers = 20
)

//go:embed page.html
var pageHTML string

var pageTemplate = panel.Templates(pageHTML, template.FuncMap{
	"clock":  format.Clock,
	"plural": format.Plural[uint64],
})

// view is what is known of a role beyond its events.
type view struct {
	server *chat.Server
	client *chat.Client
}

// summary is the end of the text that a role leaves behind.
func (v *view) summary() string {
	if v.client != nil {
		sum := v.client.Stats()
		return fmt.Sprintf(", after %v\n  sent       %s\n  received   %s", sum.Runtime.Round(time.Millisecond), format.Plural(sum.Sent, "message"), format.Plural(sum.Received, "line"))
	}
	sum := v.server.Stats()
	text := fmt.Sprintf(", after %v\n  clients    %d%s\n  messages   %d, and %d of the operator\n  sent       %s",
		sum.Runtime.Round(time.Millisecond), sum.Accepted, format.Reasons(sum.Refused, ", refused: "), sum.Messages, sum.Said, format.Plural(sum.Lines, "line"))
	if sum.Dropped > 0 {
		text += fmt.Sprintf(", %d dropped", sum.Dropped)
	}
	return text + format.Reasons(sum.Left, "\n  left       ")
}

// page shows a role as one live panel in the notebook.
type page struct {
	*panel.Live
	view *view

	mu     sync.Mutex
	start  chat.StartEvent
	lines  []pageLine // the newest, the oldest first
	remark string
	ended  string
}

// pageLine is a line of the chat.
type pageLine struct {
	At   time.Time
	Kind string // notice, own, operator, or a message
	Who  string // "" if the line does not say
	Text string
}

func newPage(v *view) *page {
	p := &page{view: v}
	p.Live = panel.NewLive(p.snapshot)
	return p
}

func (p *page) event(e chat.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := e.(type) {
	case chat.StartEvent:
		p.start = e
	case chat.ServerSummary, chat.ClientSummary:
	default:
		line := pageLine{At: when(e), Text: describe(e)}
		m, message := e.(chat.MessageEvent)
		switch {
		case !message || m.From == "" && strings.HasPrefix(line.Text, "* "):
			line.Kind, line.Text = "notice", strings.TrimPrefix(line.Text, "* ")
		case m.From == "":
			line.Who, line.Text = sender(line.Text)
		default:
			line.Who, line.Text = m.From, m.Text
		}
		if line.Who == "server" {
			line.Kind = "operator"
		}
		p.add(line)
	}
	p.News()
	return nil
}

// sender takes a line of a server apart, if it says who sent it: a name has no space in it.
func sender(line string) (who, text string) {
	who, text, ok := strings.Cut(line, ": ")
	if !ok || strings.Contains(who, " ") {
		return "", line
	}
	return who, text
}

func (p *page) add(line pageLine) {
	p.lines = append(p.lines, line)
	p.lines = p.lines[max(0, len(p.lines)-maxLines):]
}

func (p *page) said(text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(pageLine{At: time.Now(), Kind: "own", Who: "you", Text: text})
	p.remark = ""
	p.News()
	return nil
}

func (p *page) note(text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remark = text
	p.News()
	return nil
}

func (p *page) end(why string) error {
	p.mu.Lock()
	p.ended = why
	p.mu.Unlock()
	return p.End()
}

// pageData is what the template shows.
type pageData struct {
	Start   chat.StartEvent
	Lines   []pageLine
	Remark  string
	Ended   string // "" while it runs
	Server  chat.ServerSummary
	Client  chat.ClientSummary
	Left    string
	Members []chat.Member
	More    int // members that are not shown
	Now     int
}

func (p *page) snapshot(bool) (*template.Template, any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := pageData{Start: p.start, Lines: append([]pageLine(nil), p.lines...), Remark: p.remark, Ended: p.ended}
	if p.view.client != nil {
		d.Client = p.view.client.Stats()
		return pageTemplate.Lookup("client"), d
	}
	d.Server = p.view.server.Stats()
	d.Left = format.Reasons(d.Server.Left, "")
	d.Members = p.view.server.Who()
	d.Now = len(d.Members)
	d.Members = d.Members[:min(d.Now, maxMembers)]
	d.More = d.Now - len(d.Members)
	return pageTemplate.Lookup("server"), d
}
