package nonblocking

import (
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	_ "embed"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

//go:embed page.html
var pageHTML string

var page = panel.Templates(pageHTML, template.FuncMap{
	"short":   format.Short,
	"seconds": func(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) },
	"tenths":  func(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) },
	"color":   Color,
	"style":   func(s udpkit.Style) string { return string(s) },
	"idle":    idleText,
})

// Color returns the CSS colour of a style, the same wherever it is shown.
func Color(s udpkit.Style) string {
	switch s {
	case udpkit.NonBlocking:
		return "#9a6700"
	case udpkit.SelectorStyle:
		return "#0969da"
	case udpkit.Goroutine:
		return "#1a7f37"
	case udpkit.Channel:
		return "#8250df"
	}
	return "#57606a"
}

// idleText returns the median of shares of a processor core, or why there is none.
func idleText(shares []float64) string {
	if len(shares) == 0 {
		return "not measured here"
	}
	return format.Percent(measure.Median(shares), 2)
}

// plain writes as text what a template shows in a notebook.
func plain(out io.Writer, data any) error {
	var b strings.Builder
	switch d := data.(type) {
	case watchData:
		fmt.Fprintf(&b, "%s\n  indicator  %s\n  datagrams  %s\n", d.Style, squares(d.Strip.Ticks, "|"), squares(d.Strip.Handled, "o"))
		fmt.Fprintf(&b, "  %s of the indicator, stood still for %.2f s; %d of %d datagrams\n", format.Plural(len(d.Ticks), "move"), d.Still.Seconds(), len(d.Handled), len(d.Sent))
		fmt.Fprintf(&b, "  returned %v after cancel: %s; %s beside the caller's, %d left\n", format.Short(d.Return), d.Ended, format.Plural(d.Extra, "goroutine"), d.Left)
	case pollData:
		for _, r := range d.Rows {
			fmt.Fprintf(&b, "look every %-6v waits %-8s idle CPU %s\n", r.Every, format.Short(r.Delay), idleText(r.Idle))
		}
	case comparisonData:
		for _, r := range d.Results {
			fmt.Fprintf(&b, "%-12s idle CPU %-9s a datagram %-8s round trip %-8s p99 %-8s %d + %d lines\n",
				r.Style, idleText(r.Idle), costText(r.Cost), format.Short(r.P50()), format.Short(r.P99()), r.Lines, r.Helpers)
		}
		for _, r := range d.Sockets {
			fmt.Fprintf(&b, "%-12s %d sockets: %s, idle CPU %s, all answered in %s\n", r.Style, r.Sockets, format.Plural(r.Goroutines, "goroutine"), idleText(r.Idle), format.Short(r.All))
		}
		for _, r := range d.Slow {
			fmt.Fprintf(&b, "%-24s of %d datagrams handled %d, dropped and counted %d, lost in silence %d\n", r.Name, r.Sent, r.Handled, r.Dropped, r.Lost())
		}
	default:
		return fmt.Errorf("no text for a %T", data)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func squares(marks []bool, mark string) string {
	var b strings.Builder
	for _, m := range marks {
		if m {
			b.WriteString(mark)
		} else {
			b.WriteString("·")
		}
	}
	return b.String()
}
