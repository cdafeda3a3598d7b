package concurrency

import (
	"fmt"
	"html/template"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	_ "embed"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"short":   short,
	"bytes":   bytesText,
	"rate":    rateText,
	"percent": percent,
	"color":   Color,
	"text":    panel.Printable,
	"title":   func(c Conditions) string { return c.Title() },
}).Parse(pageHTML))

// Color returns the CSS colour of a protocol, the same wherever it is shown.
func Color(protocol string) string {
	if strings.EqualFold(protocol, "udp") {
		return "#bc4c00"
	}
	return "#0969da"
}

// Title says in a few words what befalls the packets.
func (c Conditions) Title() string {
	switch c.Name {
	case Fair:
		return "nothing happens"
	case Loss:
		return fmt.Sprintf("%s of the packets lost", percent(c.Loss))
	case Damage:
		return fmt.Sprintf("a bit flipped in %s", percent(c.Damage))
	case Detours:
		return fmt.Sprintf("a detour for %s", percent(c.Detour))
	case Echoes:
		return fmt.Sprintf("%s arrive twice", percent(c.Twice))
	case Narrow:
		return "twice as much as can pass"
	}
	return c.Name
}

// short returns a duration with three significant digits: 412µs, 1.24ms, 3.2s.
func short(d time.Duration) string {
	unit := time.Duration(1)
	for ; d/unit >= 1000; unit *= 10 {
	}
	return d.Round(unit).String()
}

func bytesText(n int) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// rateText returns a data rate in bytes a second.
func rateText(r float64) string {
	if r >= 1e9 {
		return fmt.Sprintf("%.2f GB/s", r/1e9)
	}
	return fmt.Sprintf("%.0f MB/s", r/1e6)
}

func percent(share float64) string {
	if share != 0 && share < 0.01 {
		return "< 1 %"
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}

// shown is something that is shown while it grows; as text, when it is complete.
type shown struct {
	name string
	live *panel.Live
	now  atomic.Pointer[state] // what the drawing goroutine reads
}

type state struct {
	Data any // is not changed any more
	Note string
}

const measuring = "measuring …"

func newShow(name string, data any) *shown {
	s := &shown{name: name}
	s.now.Store(&state{data, measuring})
	if gonbui.IsNotebook {
		s.live = panel.NewLive(func(bool) (*template.Template, any) { return page.Lookup(name), *s.now.Load() })
		s.live.News()
	}
	return s
}

// news has other data drawn.
func (s *shown) news(data any) {
	s.now.Store(&state{data, measuring})
	if s.live != nil {
		s.live.News()
	}
}

// interrupted ends with what there is.
func (s *shown) interrupted() error { return s.last("interrupted") }

func (s *shown) end() error { return s.last("") }

func (s *shown) last(note string) error {
	now := state{s.now.Load().Data, note}
	s.now.Store(&now)
	if s.live != nil {
		return s.live.End()
	}
	return plain(os.Stdout, s.name, now)
}

// plain writes as text what the template of that name shows in a notebook.
func plain(out io.Writer, name string, now state) error {
	var b strings.Builder
	switch d := now.Data.(type) {
	case *ServersResult:
		for _, r := range d.Runs {
			fmt.Fprintf(&b, "%-26s %d of %d answered, the last after %s, median %s; dropped and counted %d\n",
				r.Name, r.Answered(), len(r.Clients), short(r.Took), short(r.Median()), r.Dropped)
		}
	case *ConversationResult:
		for _, e := range d.Exchanges() {
			fmt.Fprintf(&b, "%s: answered after %s, %.1f round trips\n", e.Protocol, short(e.Answered), d.RoundTrips(e))
			for _, p := range e.Packets {
				fmt.Fprintf(&b, "  %7s %s %-8s %d + %d + %d bytes\n", short(p.Sent), arrow(p.Answer), p.Flags, p.IP, p.Header, p.Data)
			}
		}
		noWire(&b, d.NoWire)
	case *WeatherResult:
		for _, c := range d.Cases {
			for _, t := range c.Transfers() {
				fmt.Fprintf(&b, "%-28s %s delivered %d of %d, twice %d, out of order %d, damaged %d; median %s, worst %s\n",
					c.Title(), t.Protocol, t.Delivered, len(t.Sent), t.Twice, t.Disorder, t.Damaged, short(t.Median()), short(t.Worst()))
			}
		}
		noWire(&b, d.NoWire)
	case *FlowResult:
		for _, p := range d.Ends {
			fmt.Fprintf(&b, "%s: the system took %s, stopped the sender: %v; arrived %s\n", p.Protocol, bytesText(p.Accepted), p.Stopped, bytesText(p.Arrived))
		}
	case *SpeedResult:
		for _, r := range d.Rows {
			fmt.Fprintf(&b, "%-16s first answer %s, next %s, %s, lost %s\n", r.Name, short(r.P50First()), short(r.P50Next()), rateText(r.Rate()), percent(r.Lost()))
		}
	case []Row:
		for _, r := range d {
			fmt.Fprintf(&b, "%-20s TCP: %s\n%-20s UDP: %s\n%-20s (%s)\n", r.Feature, r.TCP, "", r.UDP, "", r.How)
		}
	default:
		return fmt.Errorf("no text for %s", name)
	}
	if now.Note != "" {
		fmt.Fprintln(&b, now.Note)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func noWire(b *strings.Builder, why string) {
	if why != "" {
		fmt.Fprintf(b, "%s: %s\n", missing, why)
	}
}

// missing introduces the reason why there is no wire.
const missing = "TCP's packets cannot be watched or disturbed here"

func arrow(answer bool) string {
	if answer {
		return "<--"
	}
	return "-->"
}

// Limits says how many are served at once and how many may wait.
func (r ServerRun) Limits() string {
	if r.Mode == echo.Sequential {
		return "1 at a time, the others in the socket's buffer"
	}
	return fmt.Sprintf("up to %d at once, queue of %d", r.Workers, r.Queue)
}
