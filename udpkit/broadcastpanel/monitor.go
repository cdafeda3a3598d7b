package broadcastpanel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/stage"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// SortKey is what the runs of servers are ordered by.
type SortKey string

// What runs can be ordered by: their address, when they were heard last, or a figure, largest
// first. Those that are over are behind the others.
const (
	SortAddress    SortKey = "address"
	SortLast       SortKey = "last"
	SortRate       SortKey = "rate"
	SortJitter     SortKey = "jitter"
	SortMissed     SortKey = "missed"
	SortLate       SortKey = "late"
	SortDuplicates SortKey = "duplicates"
	SortRestarts   SortKey = "restarts"
)

// SortKeys returns all of them.
func SortKeys() []SortKey {
	return []SortKey{SortAddress, SortLast, SortRate, SortJitter, SortMissed, SortLate, SortDuplicates, SortRestarts}
}

// MonitorOptions says how a monitor is shown. The zero value suits a notebook.
type MonitorOptions struct {
	// Out gets a table, or JSON: see Options. On a terminal the table changes in place; anything
	// else gets it once, in the end.
	Out io.Writer
	// JSON writes a line of JSON for each picture instead, a udpkit.MonitorReport.
	JSON bool
	// Sort is what the runs are ordered by. Default SortAddress.
	Sort SortKey
	// Every is the time between two pictures. Default 1 s.
	Every time.Duration
	// MaxRuntime ends it after this time. 0 means no limit.
	MaxRuntime time.Duration
	// Large has the panel in a notebook be readable from the back of a room: large type, and fewer
	// columns and rows.
	Large bool
}

// Monitor shows who broadcasts to a port, until ctx or MaxRuntime ends it. It returns an error that
// wraps udpkit.ErrConfig, or one if the monitor cannot start or go on, or the display cannot be
// written.
func Monitor(ctx context.Context, cfg udpkit.MonitorConfig, opt MonitorOptions) error {
	opt.Sort, opt.Every = cmp.Or(opt.Sort, SortAddress), cmp.Or(opt.Every, time.Second)
	if !slices.Contains(SortKeys(), opt.Sort) {
		return fmt.Errorf("%w: runs cannot be sorted by %q", udpkit.ErrConfig, opt.Sort)
	}
	if opt.Every < 0 || opt.MaxRuntime < 0 {
		return fmt.Errorf("%w: Every and MaxRuntime cannot be negative", udpkit.ErrConfig)
	}
	s, err := stage.Open(ctx, stage.Setup{Out: opt.Out, JSON: opt.JSON, Limit: opt.MaxRuntime})
	if err != nil {
		return err
	}
	defer s.Release()
	monitor, err := udpkit.NewMonitor(cfg)
	if err != nil {
		return err
	}
	defer monitor.Close()
	show, _, err := stage.Show(s, func() monitorDisplay { return newMonitorView(opt.Large) },
		func(out io.Writer) monitorDisplay { return monitorJSON{console.NewJSON(out)} },
		func(out console.Display) monitorDisplay { return &monitorText{Display: out} })
	if err != nil {
		return err
	}
	picture := func() error {
		report := monitor.Report()
		sortRuns(report.Runs, opt.Sort)
		return show.report(report)
	}
	s.Repeat(func() time.Duration { s.Show(picture); return opt.Every })
	err = monitor.Run(s.Context())
	return s.Finish(err, "interrupted", func(why string) error { return errors.Join(picture(), show.End(why)) })
}

// sortRuns orders runs, which are ordered by address.
func sortRuns(runs []udpkit.RunInfo, by SortKey) {
	over := func(r udpkit.RunInfo) int {
		if r.Status == udpkit.RunUp {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(runs, func(a, b udpkit.RunInfo) int {
		figure := 0
		switch by {
		case SortLast:
			figure = b.Last.Compare(a.Last)
		case SortRate:
			figure = cmp.Compare(b.Rate, a.Rate)
		case SortJitter:
			figure = cmp.Compare(b.Jitter, a.Jitter)
		case SortMissed:
			figure = cmp.Compare(b.Missed, a.Missed)
		case SortLate:
			figure = cmp.Compare(b.Late, a.Late)
		case SortDuplicates:
			figure = cmp.Compare(b.Duplicates, a.Duplicates)
		case SortRestarts:
			figure = cmp.Compare(b.Restarts, a.Restarts)
		}
		return cmp.Or(cmp.Compare(over(a), over(b)), figure)
	})
}

// monitorDisplay shows a monitor. Its methods are called one at a time.
type monitorDisplay interface {
	report(udpkit.MonitorReport) error
	End(why string) error
}

type monitorJSON struct{ *console.JSON }

func (j monitorJSON) report(r udpkit.MonitorReport) error { return j.Event(r) }
func (monitorJSON) End(string) error                      { return nil }

// monitorText shows a table that changes in place, or one in the end.
type monitorText struct {
	console.Display
	block console.Block
	last  udpkit.MonitorReport
}

func (t *monitorText) report(r udpkit.MonitorReport) error {
	t.last = r
	return t.block.Draw(t, 2, func(most int) []string { return monitorLines(r, most) })
}

func (t *monitorText) End(why string) error {
	lines := []string{"Ended: " + why + ", " + format.Short(t.last.Runtime)}
	if width, _ := t.Window(); width == 0 {
		lines = append(monitorLines(t.last, len(t.last.Runs)+len(t.last.Refused)+4), lines...)
	}
	return t.Print(strings.Join(lines, "\n"))
}

// monitorLines returns at most that many lines, and no fewer than three: who is there, a table, and
// what was refused.
func monitorLines(r udpkit.MonitorReport, most int) []string {
	remarks := monitorRemarks(r)
	remarks = remarks[:min(len(remarks), max(0, most-3))]
	shown := r.Runs[:min(len(r.Runs), max(0, most-2-len(remarks)))]
	if len(shown) < len(r.Runs) && len(shown) > 0 {
		shown = shown[:len(shown)-1] // the place of how many more there are
	}
	lines := []string{monitorTitle(r)}
	if len(shown) > 0 {
		table := [][]string{monitorHead}
		for _, run := range shown {
			table = append(table, monitorRow(run, r.At))
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(console.Table(table), "\n"), "\n")...)
	}
	if more := len(r.Runs) - len(shown); more > 0 {
		lines = append(lines, fmt.Sprintf("and %s more", format.Number(more)))
	}
	return append(lines, remarks...)
}

// maxRefusedRows is how many hosts and reasons are shown, those that were refused last.
const maxRefusedRows = 5

// monitorRemarks says what is in no row.
func monitorRemarks(r udpkit.MonitorReport) (lines []string) {
	refused := slices.Clone(r.Refused)
	slices.SortStableFunc(refused, func(a, b udpkit.RefusedInfo) int { return b.Last.Compare(a.Last) })
	for _, one := range refused[:min(len(refused), maxRefusedRows)] {
		lines = append(lines, format.RefusedLine(netip.AddrPortFrom(one.From, 0), one.Reason, one.Count))
	}
	if more := len(refused) - maxRefusedRows; more > 0 {
		lines = append(lines, fmt.Sprintf("and refused for %s more hosts and reasons", format.Number(more)))
	}
	if r.Forgotten > 0 {
		lines = append(lines, forgotten(udpkit.ForgottenEvent{Runs: r.Forgotten}))
	}
	if r.KernelDropped > 0 {
		lines = append(lines, format.Plural(r.KernelDropped, "datagram")+" dropped by the kernel, which count as missed")
	}
	return lines
}

// monitorTitle says who is there.
func monitorTitle(r udpkit.MonitorReport) string {
	counts := make(map[udpkit.RunStatus]int)
	for _, run := range r.Runs {
		counts[run.Status]++
	}
	return fmt.Sprintf("Port %d, for %s: %s up, %d silent, %d ended", r.Port, format.Tenths(r.Runtime), format.Plural(counts[udpkit.RunUp], "server"),
		counts[udpkit.RunSilent], counts[udpkit.RunEnded])
}

// monitorHead is above monitorRow. What matters most stands where a narrow terminal shows it.
var monitorHead = []string{"server", "state", "heard", "rate/s", "jitter", "msgs", "missed", "gaps", "late", "dup", "restarts", "last"}

// monitorRow is a run. A state that somebody made long pushes nothing off the terminal.
func monitorRow(run udpkit.RunInfo, now time.Time) []string {
	heard := format.Ago(now, run.Last)
	if run.Status != udpkit.RunUp {
		heard = string(run.Status) + " " + heard
	}
	row := []string{run.Server.String(), console.Pad(console.Cut(panel.Printable(string(run.State)), 12), 11), heard, format.Rate(run.Rate), format.Jitter(run.Jitter)}
	for _, count := range []uint64{run.Received, run.Missed, run.Gaps, run.Late, run.Duplicates, run.Restarts} {
		row = append(row, fmt.Sprint(count))
	}
	return append(row, fmt.Sprintf("#%d", run.LastID))
}

// monitorView is a monitor's panel.
type monitorView struct {
	*panel.Live
	Report udpkit.MonitorReport
	Large  bool
}

func newMonitorView(large bool) *monitorView {
	v := &monitorView{Large: large}
	v.Live = panel.NewLive(pageTemplate.Lookup("monitor"), func() any { return v })
	return v
}

func (v *monitorView) report(r udpkit.MonitorReport) error {
	v.Change(func() { v.Report = r })
	return nil
}

// What the template shows.
func (v *monitorView) Title() string     { return monitorTitle(v.Report) }
func (v *monitorView) Head() []string    { return v.columns(monitorHead) }
func (v *monitorView) Remarks() []string { return monitorRemarks(v.Report) }

// Rows returns how many runs are shown. On a projector nobody scrolls.
func (v *monitorView) Rows() int {
	if v.Large {
		return 8
	}
	return 40
}

// Cells returns those of a run behind its address and its state.
func (v *monitorView) Cells(run udpkit.RunInfo) []string {
	return v.columns(monitorRow(run, v.Report.At))[2:]
}

// columns returns those that a projector has room for, or all.
func (v *monitorView) columns(row []string) (shown []string) {
	if !v.Large {
		return row
	}
	for i, column := range monitorHead {
		if slices.Contains([]string{"server", "state", "heard", "missed"}, column) {
			shown = append(shown, row[i])
		}
	}
	return shown
}
