package nonblocking

import (
	"fmt"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// maxMarks bounds what is drawn of one style: no screen shows more.
const maxMarks = 2000

// RunsPicture is what [Watch] recorded, a row for each style: when the indicator moved, and when a
// datagram was handled. The error wraps [exercise.ErrNothing] if it has not run.
func RunsPicture(file string) (chart.Picture, error) {
	runs, err := Recordings(file)
	if err != nil {
		return chart.Picture{}, err
	}
	rows := chart.Rows{
		Title: "One timetable, every style",
		Axis:  "time since the start (s)",
	}
	for _, run := range runs {
		rows.End = max(rows.End, run.Cancelled)
		rows.Rows = append(rows.Rows, chart.Row{Name: string(run.Style), Lines: newest(run.Ticks), Color: Color(run.Style), Dots: newest(run.Handled)})
	}
	return chart.Picture{
		Title: fmt.Sprintf("When the waiting indicator moved and datagrams were handled, for %d styles", len(runs)),
		Legend: []chart.Word{
			{Text: "| the indicator moved", Color: chart.Ink}, {Text: "● a datagram was handled", Color: chart.Ink},
		},
		Bands: []chart.Band{{Height: float64(54 + 34*len(runs)), Charts: []chart.Chart{rows}}},
	}, nil
}

func newest(times []time.Duration) []time.Duration { return times[max(0, len(times)-maxMarks):] }

// ComparisonPicture is what [Compare] measured: six small charts with a row for each style. The
// error wraps [exercise.ErrNothing] if it has not run.
func ComparisonPicture(file string) (chart.Picture, error) {
	m, err := Load(file)
	if err != nil {
		return chart.Picture{}, err
	}
	one := func(s udpkit.Style, value float64, text string) chart.Total {
		return chart.Total{Name: string(s), Text: text, Parts: []chart.Part{{Value: value, Color: Color(s)}}}
	}
	var (
		idle    = chart.Totals{Title: "CPU while idle", Axis: "% of one core"}
		cost    = chart.Totals{Title: "CPU of a datagram", Axis: "µs, sending included"}
		trips   = chart.Ranges{Title: "Round trip", Axis: "median to p99 (ms)"}
		sockets = chart.Totals{Title: "Goroutines for many sockets", Axis: "goroutines"}
		slow    = chart.Totals{Title: "A slow handler", Axis: "datagrams: handled; grey: dropped and counted; red: lost in silence"}
		code    = chart.Totals{Title: "Lines of code", Axis: "lines: the loop; faint: its helpers"}
	)
	in := func(d, unit time.Duration) float64 { return float64(d) / float64(unit) }
	for _, r := range m.Results {
		if len(r.Idle) > 0 {
			share := 100 * measure.Median(r.Idle)
			idle.Totals = append(idle.Totals, one(r.Style, share, fmt.Sprintf("%.2f %%", share)))
		}
		if len(r.Cost) > 0 {
			micros := in(measure.Median(r.Cost), time.Microsecond)
			cost.Totals = append(cost.Totals, one(r.Style, micros, fmt.Sprintf("%.1f µs", micros)))
		}
		trips.Ranges = append(trips.Ranges, chart.Range{
			Name: string(r.Style), Color: Color(r.Style), Low: in(r.P50(), time.Millisecond), High: in(r.P99(), time.Millisecond),
		})
		if r.Lines > 0 {
			t := one(r.Style, float64(r.Lines), fmt.Sprintf("%d + %d", r.Lines, r.Helpers))
			t.Parts = append(t.Parts, chart.Part{Value: float64(r.Helpers), Color: faded(Color(r.Style))})
			code.Totals = append(code.Totals, t)
		}
	}
	for _, r := range m.Sockets {
		sockets.Title = fmt.Sprintf("Goroutines for %d sockets", r.Sockets)
		sockets.Totals = append(sockets.Totals, one(r.Style, float64(r.Goroutines), fmt.Sprint(r.Goroutines)))
	}
	for _, r := range m.Slow {
		t := one(r.Style, float64(r.Handled), "")
		t.Name = strings.Replace(r.Name, "queue ", "", 1)
		t.Parts = append(t.Parts, chart.Part{Value: float64(r.Dropped), Color: chart.Pale}, chart.Part{Value: float64(r.Lost()), Color: chart.Alarm})
		slow.Totals = append(slow.Totals, t)
	}
	return chart.Picture{
		Title: "All styles compared: CPU while idle, CPU of a datagram, round trip, goroutines, a slow handler, lines of code",
		Bands: []chart.Band{{Height: 192, Charts: []chart.Chart{idle, cost, trips}}, {Height: 192, Charts: []chart.Chart{sockets, slow, code}}},
	}, nil
}

// faded is a colour, nearly white.
func faded(css string) string {
	var r, g, b int
	_, _ = fmt.Sscanf(css, "#%02x%02x%02x", &r, &g, &b) // a colour of ours, so there is no error
	pale := func(v int) int { return 0xff - (0xff-v)/3 }
	return fmt.Sprintf("#%02x%02x%02x", pale(r), pale(g), pale(b))
}
