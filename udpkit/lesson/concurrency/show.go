package concurrency

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strings"

	_ "embed"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

//go:embed page.html
var pageHTML string

var page = panel.Templates(pageHTML, template.FuncMap{
	"short":   format.Short,
	"bytes":   bytesText,
	"rate":    rateText,
	"percent": percent,
	"color":   Color,
	"title":   func(c Conditions) string { return c.Title() },
})

// Color returns the CSS colour of a protocol, the same wherever it is shown.
func Color(protocol string) string {
	if strings.EqualFold(protocol, "udp") {
		return "#bc4c00"
	}
	return "#0969da"
}

// Title says in a few words what happens to the packets.
func (c Conditions) Title() string {
	var all []string
	for _, w := range []struct {
		share float64
		text  string
	}{{c.Loss, "%s of the packets lost"}, {c.Damage, "a bit flipped in %s"}, {c.Detour, "a detour for %s"}, {c.Twice, "%s arrive twice"}} {
		if w.share > 0 {
			all = append(all, fmt.Sprintf(w.text, percent(w.share)))
		}
	}
	if c.Rate > 0 && c.Every > 0 {
		bytes := float64(c.Size) / c.Every.Seconds()
		all = append(all, fmt.Sprintf("%.2g times as much as can pass", bytes/float64(c.Rate)))
	}
	return cmp.Or(strings.Join(all, ", "), "nothing happens")
}

// bytesText returns a size in powers of ten, as the lesson does.
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

func percent(share float64) string { return format.Percent(share, 0) }

// state is what the templates show.
type state struct {
	Data any // does not change any more
	Note string
}

const measuring = "measuring …"

// experiment shows what measure passes to news, at first an empty result, and then keeps the
// results, unless they are incomplete: where measure failed, or the context ended.
func experiment(ctx context.Context, file, name string, empty any, measure func(news func(any)) error, keep func(*Results)) error {
	now := state{empty, measuring}
	show := exercise.NewShow(page.Lookup(name), plain, now)
	err := measure(func(data any) {
		now.Data = data
		show.News(now)
	})
	if now.Note = ""; ctx.Err() != nil {
		now.Note = "interrupted"
		return show.End(now)
	}
	if err != nil {
		return errors.Join(err, show.End(now))
	}
	return errors.Join(show.End(now), exercise.Update(file, keep))
}

// plain writes a state as the text of what a template shows in a notebook.
func plain(out io.Writer, data any) error {
	var b strings.Builder
	now := data.(state)
	switch d := now.Data.(type) {
	case *ServersResult:
		for _, r := range d.Runs {
			fmt.Fprintf(&b, "%-26s %d of %d answered, the last after %s, median %s; dropped and counted %d\n",
				r.Name, r.Answered(), len(r.Clients), format.Short(r.Took), format.Short(r.Median()), r.Dropped)
		}
	case *ConversationResult:
		for _, e := range d.Exchanges() {
			fmt.Fprintf(&b, "%s: answered after %s, %.1f round trips\n", e.Protocol, format.Short(e.Answered), d.RoundTrips(e))
			for _, p := range e.Packets {
				fmt.Fprintf(&b, "  %7s %s %-8s %d + %d + %d bytes\n", format.Short(p.Sent), arrow(p.Answer), p.Flags, p.IP, p.Header, p.Data)
			}
		}
		noWire(&b, d.NoWire)
	case *WeatherResult:
		for _, c := range d.Cases {
			for _, t := range c.Transfers() {
				fmt.Fprintf(&b, "%-28s %s delivered %d of %d, twice %d, out of order %d, damaged %d; median %s, worst %s\n",
					c.Title(), t.Protocol, t.Delivered, len(t.Sent), t.Twice, t.Disorder, t.Damaged, format.Short(t.Median()), format.Short(t.Worst()))
			}
		}
		noWire(&b, d.NoWire)
	case *FlowResult:
		for _, p := range d.Ends {
			fmt.Fprintf(&b, "%s: the system took %s, stopped the sender: %v; arrived %s\n", p.Protocol, bytesText(p.Accepted), p.Stopped, bytesText(p.Arrived))
		}
	case *SpeedResult:
		for _, r := range d.Rows {
			fmt.Fprintf(&b, "%-16s first answer %s, next %s, %s, lost %s\n", r.Name, format.Short(r.P50First()), format.Short(r.P50Next()), rateText(r.Rate()), percent(r.Lost()))
		}
	case []Row:
		for _, r := range d {
			fmt.Fprintf(&b, "%-20s TCP: %s\n%-20s UDP: %s\n%-20s (%s)\n", r.Feature, r.TCP, "", r.UDP, "", r.How)
		}
	default:
		return fmt.Errorf("no text for a %T", d)
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
