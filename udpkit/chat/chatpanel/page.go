package chatpanel

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	_ "embed"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

const maxLines = 14

//go:embed page.html
var pageHTML string

var pageTemplate = panel.Templates(pageHTML, template.FuncMap{
	"clock":   format.Clock,
	"plural":  format.Plural[uint64],
	"reasons": format.Reasons[chat.Reason],

	"protected": protected, "joinWith": joinWith,
})

// view is what is known of a role beyond its events.
type view struct {
	server *chat.Server
	client *chat.Client
}

// summary is the end of the text that a role leaves behind.
func (v *view) summary() string {
	after := func(runtime time.Duration) string { return fmt.Sprintf(", after %v", runtime.Round(time.Millisecond)) }
	if v.client != nil {
		sum := v.client.Stats()
		return after(sum.Runtime) + format.Summary(13, "sent", format.Plural(sum.Sent, "message"), "received", format.Plural(sum.Received, "line"))
	}
	sum := v.server.Stats()
	return after(sum.Runtime) + format.Summary(13,
		"clients", fmt.Sprintf("%d%s", sum.Accepted, format.Reasons(sum.Refused, ", refused: ")),
		"messages", fmt.Sprintf("%d, and %d of the operator", sum.Messages, sum.Said),
		"sent", format.Plural(sum.Lines, "line")+format.NotZero(sum.Dropped, fmt.Sprintf(", %d dropped", sum.Dropped)),
		"left", format.Reasons(sum.Left, ""))
}

// page shows a role as one live panel in the notebook.
type page struct {
	*panel.Live
	view *view

	Start  chat.StartEvent
	Lines  []pageLine // the newest, the oldest first
	Remark string

	// As of the last picture.
	Server  chat.ServerSummary
	Client  chat.ClientSummary
	Members []chat.Member
}

// pageLine is a line of the chat.
type pageLine struct {
	At   time.Time
	Kind string // notice, own, operator, or a message
	Who  string // "" if the line does not say
	Text string
}

func newPage(v *view, box bool) *page {
	p := &page{view: v}
	name := "server"
	if v.client != nil {
		name = "client"
	}
	p.Live = panel.NewLive(pageTemplate.Lookup(name), p.picture)
	p.Box = box
	return p
}

// picture is what the template shows.
func (p *page) picture() any {
	if p.view.client != nil {
		p.Client = p.view.client.Stats()
	} else {
		p.Server, p.Members = p.view.server.Stats(), p.view.server.Who()
	}
	return p
}

func (p *page) event(e chat.Event) error {
	p.Change(func() {
		at, text := describe(e)
		line := pageLine{At: at, Text: text}
		switch e := e.(type) {
		case chat.StartEvent:
			p.Start = e
			return
		case chat.ServerSummary, chat.ClientSummary:
			return
		case chat.MessageEvent:
			switch {
			case e.From == "" && strings.HasPrefix(text, "* "):
				line.Kind = "notice"
			case e.From == "":
				line.Who, line.Text = sender(text)
			default:
				line.Who, line.Text = e.From, e.Text
			}
		default:
			line.Kind = "notice"
		}
		if line.Kind == "notice" {
			line.Text = strings.TrimPrefix(text, "* ")
		} else if line.Who == "server" {
			line.Kind = "operator"
		}
		p.add(line)
	})
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

func (p *page) add(line pageLine) { p.Lines = format.Newest(append(p.Lines, line), maxLines) }

func (p *page) said(text string) error {
	p.Change(func() {
		p.add(pageLine{At: time.Now(), Kind: "own", Who: "you", Text: text})
		p.Remark = ""
	})
	return nil
}

func (p *page) note(text string) error {
	p.Change(func() { p.Remark = text })
	return nil
}
