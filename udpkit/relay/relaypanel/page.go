package relaypanel

import (
	"fmt"
	"html/template"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	_ "embed"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

const (
	maxLines       = 14
	maxServerLines = 6
	maxClients     = 20
	maxUnder       = 5 // of the messages that are not stored yet
)

//go:embed page.html
var pageHTML string

var pageTemplate = panel.Templates(pageHTML, template.FuncMap{
	"clock":  format.Clock,
	"short":  format.Short,
	"number": format.Number[uint64],
	"ago":    func(now, then time.Time) string { return max(0, now.Sub(then)).Round(100 * time.Millisecond).String() },
	"reads":  func(c relay.ClientInfo) bool { return c.Role == relay.RoleReader },
})

// page shows a role as one live panel in the notebook.
type page struct {
	*panel.Live
	view *view

	mu       sync.Mutex
	lines    []pageLine // the newest, the oldest first
	under    []underWay // the newest that are not stored yet
	remark   string
	failures []relay.ErrorEvent // that go on, one for each thing that fails
	recent   []Sample
	ended    string
	told     int // events that flush has to account for
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

func newPage(v *view) *page {
	p := &page{view: v}
	p.Live = panel.NewLive(p.snapshot)
	return p
}

func (p *page) event(e relay.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := e.(type) {
	case relay.MessageEvent:
		p.told++
		p.add(pageLine{At: e.At, Seq: e.Seq, Who: printable(e.Username), Own: p.view.own(e.Username), Text: printable(e.Text)})
	case relay.StoredEvent:
		p.under = slices.DeleteFunc(p.under, func(u underWay) bool { return u.number <= e.Number })
		if p.view.reader == nil { // else it comes back
			p.add(pageLine{At: time.Now(), Seq: e.Seq, Text: printable(e.Text), Took: e.Took})
		}
	case relay.ErrorEvent:
		p.fail(e)
	case refusedEvent:
		p.remark = e.String()
	default:
		switch e.(type) {
		case relay.GapEvent, relay.LogEvent:
			p.told++
		}
		if text := notice(e); text != "" {
			p.add(pageLine{At: time.Now(), Notice: text})
		}
	}
	p.News()
	return nil
}

// flush says that what was told is in the panel, which draws by itself.
func (p *page) flush() (safe int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	safe, p.told = p.told, 0
	return safe, nil
}

// fail shows a failure as long as it goes on.
func (p *page) fail(e relay.ErrorEvent) {
	p.failures = slices.DeleteFunc(p.failures, func(was relay.ErrorEvent) bool { return was.What == e.What })
	if e.Ended {
		p.add(pageLine{At: e.At, Notice: printable(e.Text)})
	} else {
		e.Text = printable(e.Text)
		p.failures = append(p.failures, e)
	}
}

func (p *page) add(line pageLine) {
	most := maxLines
	if p.view.server != nil {
		most = maxServerLines
	}
	p.lines = append(p.lines, line)
	p.lines = p.lines[max(0, len(p.lines)-most):]
}

func (p *page) wrote(number uint64, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.under = append(p.under, underWay{number, printable(text)})
	p.under = p.under[max(0, len(p.under)-maxUnder):]
	p.remark = ""
	p.News()
}

func (p *page) sample(s Sample) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recent = recent(p.recent, s)
	p.News()
	return nil
}

func (p *page) end(why string) error {
	p.mu.Lock()
	p.ended = why
	p.mu.Unlock()
	return p.End()
}

// pageData is what the templates show.
type pageData struct {
	Title, State, Help, Nothing, Remark, Small string
	Ended                                      string // "" while it runs
	Served                                     bool
	Numbers                                    []pageNumber
	Lines                                      []pageLine
	Under                                      []underWay
	Pending                                    bool
	Failures                                   []relay.ErrorEvent
	Clients                                    []relay.ClientInfo
	More                                       int // clients that are not in Clients
	Now                                        time.Time
}

// pageNumber is a number and what it counts.
type pageNumber struct{ Value, Label string }

func (p *page) snapshot(bool) (*template.Template, any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.view
	d := pageData{
		Lines: slices.Clone(p.lines), Under: slices.Clone(p.under), Failures: slices.Clone(p.failures),
		Remark: p.remark, Ended: p.ended, State: v.state(), Served: v.served(), Now: time.Now(),
	}
	stored, delivered := rates(p.recent)
	add := func(value, label string) { d.Numbers = append(d.Numbers, pageNumber{value, label}) }
	if p.ended != "" { // then nothing flows, and a rate would be that of the last seconds
		stored, delivered = 0, 0
	}
	perSecond := func(r float64, label string) {
		if p.ended == "" {
			add(rate(r), label)
		}
	}
	if v.server != nil {
		p.server(&d, add, func() { perSecond(stored, "stored/s") }, func() { perSecond(delivered, "delivered/s") })
		return pageTemplate.Lookup("server"), d
	}
	var small []string
	if v.reader != nil {
		s := v.reader.Stats()
		d.Title, d.Help, d.Nothing = "Reader: "+v.username, "■ ends it; the server remembers how far it has read", "Nothing to read yet."
		add(format.Number(s.Delivered), "read")
		perSecond(delivered, "read/s")
		add(format.Number(behind(s)), "behind")
		add(format.Number(s.Missing), "missing")
		small = append(small, fmt.Sprintf("%s with messages: %d came twice, %d early · %d malformed", format.Plural(s.Datagrams, "datagram"), s.Duplicates, s.Early, s.Malformed))
		if s.KernelDropped > 0 {
			small = append(small, fmt.Sprintf("%d dropped by the kernel, and sent again", s.KernelDropped))
		}
	}
	if v.writer != nil {
		s := v.writer.Stats()
		d.Title, d.Help, d.Nothing = "Writer: "+v.username, "each line that you type into the box below is a message; ■ leaves", "Nothing is stored yet."
		add(format.Number(s.Written), "written")
		add(format.Number(s.Stored), "stored")
		if v.reader == nil {
			perSecond(stored, "stored/s")
		}
		add(format.Number(s.Pending), "not stored yet")
		d.Pending = s.Pending > 0
		small = append(small, fmt.Sprintf("%s sent, %s sent again", format.Plural(s.Datagrams, "datagram"), format.Plural(s.Resent, "message")))
	}
	if v.reader != nil && v.writer != nil {
		d.Title, d.Nothing = v.username, "Nothing to read yet."
	}
	d.Small = strings.Join(small, " · ")
	return pageTemplate.Lookup("client"), d
}

// server fills in what a server's page shows.
func (p *page) server(d *pageData, add func(value, label string), stored, delivered func()) {
	v := p.view
	s := v.server.Stats()
	d.Title, d.State, d.Nothing = "Relay server", "open on "+v.server.Addr().String(), "Nobody has come yet."
	d.Help = fmt.Sprintf("writers write, it stores, readers read · %s · ■ ends it; this is process %d", v.logText(s.First, s.Last), os.Getpid())
	add(fmt.Sprint(s.Readers), "readers")
	add(fmt.Sprint(s.Writers), "writers")
	add(format.Number(s.Stored), "stored")
	stored()
	add(format.Number(s.Delivered), "delivered")
	delivered()
	add(format.Number(s.Last+1-s.First), "in the log")
	if size := v.logSize(); size != "" {
		add(size, "on disk")
	}
	clients := v.server.Clients()
	d.Clients = clients[:min(len(clients), maxClients)]
	d.More = len(clients) - len(d.Clients)
	small := fmt.Sprintf("%s with messages, %d sent again · %d registered, %d asked to prove their address", format.Plural(s.Sent, "datagram"), s.Resent, s.Registered, s.Challenged) +
		fmt.Sprintf(" · of writers: %d came twice, %d too early · %d malformed, %d of unknown clients", s.Duplicates, s.OutOfOrder, s.Malformed, s.Unknown) +
		format.Reasons(s.Left, " · left: ") + format.Reasons(s.Refused, " · refused: ")
	if s.Gone > 0 {
		small += fmt.Sprintf(" · %s no longer kept when readers came to them", format.Plural(s.Gone, "message"))
	}
	if s.KernelDropped > 0 {
		small += fmt.Sprintf(" · %d dropped by the kernel", s.KernelDropped)
	}
	if s.EventsDropped > 0 {
		small += fmt.Sprintf(" · %d events not shown", s.EventsDropped)
	}
	d.Small = small
}
