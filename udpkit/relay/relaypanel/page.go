package relaypanel

import (
	"fmt"
	"html/template"
	"os"
	"slices"
	"strings"
	"time"

	_ "embed"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

const (
	maxLines       = 14
	maxServerLines = 6
	maxUnder       = 5 // of the messages that are not stored yet
)

//go:embed page.html
var pageHTML string

var pageTemplate = panel.Templates(pageHTML, template.FuncMap{
	"clock":  format.Clock,
	"short":  format.Short,
	"number": format.Number[uint64],
	"ago":    format.Ago,
	"reads":  func(c relay.ClientInfo) bool { return c.Role == relay.RoleReader },
})

// page shows a role as one live panel in the notebook.
type page struct {
	*panel.Live
	view *view
	flow flow
	told int // events that flush has to account for

	Lines    []pageLine // the newest, the oldest first
	Under    []underWay // the newest that are not stored yet
	Remark   string
	Failures []relay.ErrorEvent // that go on, one for each thing that fails

	// As of the last picture.
	Title, State, Help, Nothing, Small string
	Served, Pending                    bool
	Numbers                            []pageNumber
	Clients                            []relay.ClientInfo
	Now                                time.Time
}

// pageLine is a message, or a notice. Its texts are fit to be shown.
type pageLine struct {
	At     time.Time
	Notice string
	Seq    uint64
	Who    string
	Own    bool
	Text   string
	Took   time.Duration
}

// underWay is a message that is not known to be stored.
type underWay struct {
	number uint64
	Text   string
}

// pageNumber is a number and what it counts.
type pageNumber struct{ Value, Label string }

func newPage(v *view, box bool) *page {
	p := &page{view: v}
	p.Live = panel.NewLive(pageTemplate.Lookup("role"), p.picture)
	p.Box = box
	return p
}

func (p *page) event(e relay.Event) error {
	p.Change(func() {
		switch e := e.(type) {
		case relay.MessageEvent:
			p.told++
			p.add(pageLine{At: e.At, Seq: e.Seq, Who: printable(e.Username), Own: p.view.own(e.Username), Text: printable(e.Text)})
		case relay.StoredEvent:
			p.Under = slices.DeleteFunc(p.Under, func(u underWay) bool { return u.number <= e.Number })
			if p.view.reader == nil { // else it comes back
				p.add(pageLine{At: time.Now(), Seq: e.Seq, Text: printable(e.Text), Took: e.Took})
			}
		case relay.ErrorEvent:
			p.fail(e)
		case refusedEvent:
			p.Remark = e.String()
		default:
			if delivered(e) {
				p.told++
			}
			if text := notice(e); text != "" {
				p.add(pageLine{At: time.Now(), Notice: text})
			}
		}
	})
	return nil
}

// flush says that what was told is in the panel, which draws by itself.
func (p *page) flush() (safe int, err error) {
	p.Change(func() { safe, p.told = p.told, 0 })
	return safe, nil
}

// fail shows a failure as long as it goes on.
func (p *page) fail(e relay.ErrorEvent) {
	e.Text = printable(e.Text)
	p.Failures = format.Ongoing(p.Failures, e, e.Ended, func(was relay.ErrorEvent) bool { return was.What == e.What })
	if e.Ended {
		p.add(pageLine{At: e.At, Notice: e.Text})
	}
}

func (p *page) add(line pageLine) {
	most := maxLines
	if p.Serves() {
		most = maxServerLines
	}
	p.Lines = format.Newest(append(p.Lines, line), most)
}

func (p *page) wrote(number uint64, text string) {
	p.Change(func() {
		p.Under = format.Newest(append(p.Under, underWay{number, printable(text)}), maxUnder)
		p.Remark = ""
	})
}

func (p *page) sample(_ Sample, f flow) error {
	p.Change(func() { p.flow = f })
	return nil
}

// Serves reports whether the role is a server.
func (p *page) Serves() bool { return p.view.server != nil }

// picture is what the template shows.
func (p *page) picture() any {
	v := p.view
	p.State, p.Served, p.Now, p.Numbers = v.state(), v.served(), time.Now(), nil
	if p.Serves() {
		p.server()
	} else {
		p.client()
	}
	return p
}

func (p *page) number(value, label string) { p.Numbers = append(p.Numbers, pageNumber{value, label}) }

// rate adds how many messages a second there are. In the end nothing flows: a rate would be that of
// the last seconds.
func (p *page) rate(perSecond float64, label string) {
	if p.Ended == "" {
		p.number(rate(perSecond), label)
	}
}

// client fills in what a client's page shows.
func (p *page) client() {
	v := p.view
	var small []string
	if v.reader != nil {
		s := v.reader.Stats()
		p.Title, p.Help, p.Nothing = "Reader: "+v.username, "■ ends it; the server remembers how far it has read", "Nothing to read yet."
		p.number(format.Number(s.Delivered), "read")
		p.rate(p.flow.delivered, "read/s")
		p.number(format.Number(behind(s)), "behind")
		p.number(format.Number(s.Missing), "missing")
		small = append(small, fmt.Sprintf("%s with messages: %d came twice, %d early · %d malformed", format.Plural(s.Datagrams, "datagram"), s.Duplicates, s.Early, s.Malformed))
		if s.KernelDropped > 0 {
			small = append(small, fmt.Sprintf("%d dropped by the kernel, and sent again", s.KernelDropped))
		}
	}
	if v.writer != nil {
		s := v.writer.Stats()
		p.Title, p.Help, p.Nothing = "Writer: "+v.username, "each line that you type is a message; ■ leaves", "Nothing is stored yet."
		p.number(format.Number(s.Written), "written")
		p.number(format.Number(s.Stored), "stored")
		if v.reader == nil {
			p.rate(p.flow.stored, "stored/s")
		}
		p.number(format.Number(s.Pending), "not stored yet")
		p.Pending = s.Pending > 0
		small = append(small, fmt.Sprintf("%s sent, %s sent again", format.Plural(s.Datagrams, "datagram"), format.Plural(s.Resent, "message")))
	}
	if v.reader != nil && v.writer != nil {
		p.Title, p.Nothing = v.username, "Nothing to read yet."
	}
	p.Small = strings.Join(small, " · ") + v.untrusted(" · not believed: ")
}

// server fills in what a server's page shows.
func (p *page) server() {
	v := p.view
	s := v.server.Stats()
	p.Title, p.State, p.Nothing = "Relay server", "open on "+v.server.Addr().String(), "Nobody has come yet."
	p.Help = fmt.Sprintf("writers write, it stores, readers read · %s · ■ ends it; this is process %d", v.logText(s.First, s.Last), os.Getpid())
	p.number(fmt.Sprint(s.Readers), "readers")
	p.number(fmt.Sprint(s.Writers), "writers")
	p.number(format.Number(s.Stored), "stored")
	p.rate(p.flow.stored, "stored/s")
	p.number(format.Number(s.Delivered), "delivered")
	p.rate(p.flow.delivered, "delivered/s")
	p.number(format.Number(s.Last+1-s.First), "in the log")
	if size := v.logSize(); size != "" {
		p.number(size, "on disk")
	}
	p.Clients = v.server.Clients()
	p.Small = fmt.Sprintf("%s with messages, %d sent again · %d registered, %d asked to prove their address", format.Plural(s.Sent, "datagram"), s.Resent, s.Registered, s.Challenged) +
		fmt.Sprintf(" · of writers: %d came twice, %d too early · %d malformed, %d of unknown clients", s.Duplicates, s.OutOfOrder, s.Malformed, s.Unknown) +
		v.untrusted(" · not believed: ") + format.Reasons(s.Left, " · gone: ") + format.Reasons(s.Refused, " · refused: ") +
		format.NotZero(s.Gone, fmt.Sprintf(" · %s no longer kept when readers came to them", format.Plural(s.Gone, "message"))) +
		format.NotZero(s.KernelDropped, fmt.Sprintf(" · %d dropped by the kernel", s.KernelDropped)) +
		format.NotZero(s.EventsDropped, fmt.Sprintf(" · %d events not shown", s.EventsDropped))
}
