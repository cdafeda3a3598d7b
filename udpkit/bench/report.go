package bench

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Report is the result of [Run].
type Report struct {
	Machine Machine `json:"machine"`
	// Rounds, Time and Idle are those of the [Config].
	Rounds int           `json:"rounds"`
	Time   time.Duration `json:"time_ns"`
	Idle   time.Duration `json:"idle_ns"`
	Rows   []*Row        `json:"rows"`
	// Sending is what the senders do.
	Sending []*Sending `json:"sending,omitempty"`
	// FanOut is what the servers do that send to many.
	FanOut []*FanOut `json:"fan_out,omitempty"`
	Acks   *Acks     `json:"acks,omitempty"`
	// Missing is what could not be measured here, and why.
	Missing []Missing `json:"missing"`
}

// Machine is where it was measured.
type Machine struct {
	OS        string `json:"os"`
	Kernel    string `json:"kernel,omitempty"`
	Arch      string `json:"arch"`
	CPUs      int    `json:"cpus"`
	Processor string `json:"processor,omitempty"`
	Go        string `json:"go"`
	C         string `json:"c,omitempty"`
	Python    string `json:"python,omitempty"`
	NATS      string `json:"nats,omitempty"`
}

// Missing is something that could not be measured.
type Missing struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Row is all that was measured of one receiver; nil is not measured.
type Row struct {
	Name string `json:"name"`
	// Twin is the row that Full is compared with: the same mechanism in C. Paced and the round trip
	// are compared with a blocking receive in C.
	Twin string `json:"twin"`
	// Full is with a sender at full speed, Paced with one that sends 50,000 datagrams a second. On
	// Linux the former gives the kernel 64 at a time (UDP_SEGMENT), since one that makes a system
	// call for each is slower than most receivers; for a receiver without GRO the kernel takes them
	// apart again.
	Full  *Throughput `json:"full,omitempty"`
	Paced *Throughput `json:"paced,omitempty"`
	// Backlog is with the sender of Full, but never waiting for it: the receiver rests in between,
	// and then finds the socket's buffer full.
	Backlog *Throughput `json:"backlog,omitempty"`
	P50     *Figure     `json:"p50_ns,omitempty"`
	P99     *Figure     `json:"p99_ns,omitempty"`
	// P50Ratio and P99Ratio compare the round trip with that of a blocking receive in C in the same
	// round.
	P50Ratio *Figure `json:"p50_ratio,omitempty"`
	P99Ratio *Figure `json:"p99_ratio,omitempty"`
	Idle     []Idle  `json:"idle,omitempty"`
}

// Throughput is what one receiver did with one kind of load.
type Throughput struct {
	Rate        Figure `json:"datagrams_per_second"`
	CPU         Figure `json:"cpu_ns"`      // for each datagram
	Allocations Figure `json:"allocations"` // for each datagram
	// RateRatio and CPURatio compare with another row in the same round.
	RateRatio *Figure `json:"rate_ratio,omitempty"`
	CPURatio  *Figure `json:"cpu_ratio,omitempty"`
}

// Deliveries is what was measured of one that sends to many. A delivery is a message for one of
// them.
type Deliveries struct {
	Name string `json:"name"`
	Rate Figure `json:"deliveries_per_second"`
	CPU  Figure `json:"cpu_ns"` // of the sender, for each delivery
	// Twin is the row that RateRatio and CPURatio compare with, in the same round.
	Twin      string  `json:"twin"`
	RateRatio *Figure `json:"rate_ratio,omitempty"`
	CPURatio  *Figure `json:"cpu_ratio,omitempty"`

	table  string // where it is shown
	column int
}

// Figure is a measurement in several rounds.
type Figure struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`

	rounds map[int]float64
}

func (f *Figure) add(round int, v float64) {
	if f.rounds == nil {
		f.rounds = make(map[int]float64)
	}
	f.rounds[round] = v
	sorted := slices.Sorted(maps.Values(f.rounds))
	n := len(sorted)
	f.Min, f.Max, f.Median = sorted[0], sorted[n-1], (sorted[(n-1)/2]+sorted[n/2])/2
}

// over returns the ratio to another figure, of the rounds that have both; nil if there is none.
// What was too short to be told, on a busy machine, is left out.
func (f *Figure) over(other *Figure) *Figure {
	if f == nil || other == nil {
		return nil
	}
	var ratio Figure
	for round, v := range f.rounds {
		if with, ok := other.rounds[round]; ok && with > 0 {
			ratio.add(round, v/with)
		}
	}
	if ratio.rounds == nil {
		return nil
	}
	return &ratio
}

// Idle is what a receiver uses while nothing comes.
type Idle struct {
	Sockets int     `json:"sockets"`
	CPU     float64 `json:"cpu"`               // the share of a core
	WakeUps float64 `json:"wake_ups_a_second"` // of all its threads
}

func newReport(cfg Config) *Report {
	return &Report{
		Machine: Machine{
			OS: runtime.GOOS, Kernel: kernel(), Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Processor: processor(),
			Go: runtime.Version(),
		},
		Rounds: cfg.Rounds, Time: cfg.Time, Idle: cfg.Idle,
		Missing: []Missing{},
	}
}

func (r *Report) row(name string) *Row {
	for _, row := range r.Rows {
		if row.Name == name {
			return row
		}
	}
	row := &Row{Name: name}
	r.Rows = append(r.Rows, row)
	return row
}

func (row *Row) throughput(m mode) **Throughput {
	switch m {
	case paced:
		return &row.Paced
	case backlogged:
		return &row.Backlog
	}
	return &row.Full
}

func (r *Report) add(name string, m mode, round int, c count) {
	t := r.row(name).throughput(m)
	if *t == nil {
		*t = new(Throughput)
	}
	(*t).Rate.add(round, float64(c.Datagrams)/(float64(c.Elapsed)/1e9))
	(*t).CPU.add(round, float64(c.CPU)/float64(c.Datagrams))
	(*t).Allocations.add(round, float64(c.Allocations)/float64(c.Datagrams))
}

func (r *Report) addRoundTrip(name string, round int, trip RoundTrip) {
	row := r.row(name)
	if row.P50 == nil {
		row.P50, row.P99 = new(Figure), new(Figure)
	}
	row.P50.add(round, float64(trip.P50))
	row.P99.add(round, float64(trip.P99))
}

func (r *Report) addIdle(name string, idle Idle) {
	row := r.row(name)
	row.Idle = append(row.Idle, idle)
}

// finish compares the rows with their twins.
func (r *Report) finish(subjects []subject) {
	for _, s := range subjects {
		row, twin := r.row(s.name), r.row(s.twin)
		row.Twin = s.twin
		blocking := r.row(cBlocking)
		for _, m := range s.modes {
			with := twin
			if m == paced {
				with = blocking
			}
			if t, other := *row.throughput(m), *with.throughput(m); t != nil && other != nil {
				t.RateRatio, t.CPURatio = t.Rate.over(&other.Rate), t.CPU.over(&other.CPU)
			}
		}
		row.P50Ratio, row.P99Ratio = row.P50.over(blocking.P50), row.P99.over(blocking.P99)
	}
	for _, d := range r.deliveries() {
		if twin := r.findDeliveries(d.Twin, d.table, d.column); twin != nil {
			d.RateRatio, d.CPURatio = d.Rate.over(&twin.Rate), d.CPU.over(&twin.CPU)
		}
	}
}

func (r *Report) deliveries() (all []*Deliveries) {
	for _, s := range r.Sending {
		all = append(all, &s.Deliveries)
	}
	for _, f := range r.FanOut {
		all = append(all, &f.Deliveries)
	}
	return all
}

// findDeliveries returns the row, if there is one.
func (r *Report) findDeliveries(name, table string, column int) *Deliveries {
	for _, d := range r.deliveries() {
		if d.Name == name && d.table == table && d.column == column {
			return d
		}
	}
	return nil
}

// deliveryTable returns the rows of a table, with the heading. Each of columns has the rate and how
// it compares; heading is how it is called.
func (r *Report) deliveryTable(table, who, heading string, columns []int) [][]string {
	rows := [][]string{{who}}
	for _, column := range columns {
		rows[0] = append(rows[0], fmt.Sprintf(heading, column), "CPU each", "x", "CPU x")
	}
	var names []string
	for _, d := range r.deliveries() {
		if d.table == table && !slices.Contains(names, d.Name) {
			names = append(names, d.Name)
		}
	}
	for _, name := range names {
		cells := []string{name}
		for _, column := range columns {
			switch d := r.findDeliveries(name, table, column); {
			case d == nil:
				cells = append(cells, "", "", "", "")
			case d.Name == d.Twin:
				cells = append(cells, millions(d.Rate), each(d.CPU), "", "")
			default:
				cells = append(cells, millions(d.Rate), each(d.CPU), times(d.RateRatio), times(d.CPURatio))
			}
		}
		rows = append(rows, cells)
	}
	return rows
}

// WriteText writes the report as tables, which are Markdown too.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	m := r.Machine
	b.WriteString(m.OS)
	for _, part := range []string{m.Kernel, m.Arch, m.Processor, fmt.Sprintf("%d CPUs", m.CPUs), m.Go, m.C, m.Python, m.NATS} {
		if part != "" {
			b.WriteString(", " + part)
		}
	}
	fmt.Fprintf(&b, ".\nMedians of %d rounds of %v that took turns, ± the most that one was away; CPU is the receiver's own; x is a ratio within a round.\n", r.Rounds, r.Time)
	r.full(&b)
	r.waiting(&b)
	r.sendingTables(&b)
	r.fanOutTables(&b)
	if a := r.Acks; a != nil {
		fmt.Fprintf(&b, "\nA server with %d clients, all of which acknowledge a message a second: %d of %d acknowledgements counted, %.0f %% of a core, %.0f bytes a client.\n",
			a.Clients, a.Counted, a.Sent, 100*a.CPU, a.Memory)
	}
	if len(r.Missing) > 0 {
		fmt.Fprint(&b, "\nNot measured:\n")
		for _, m := range r.Missing {
			fmt.Fprintf(&b, "- %s: %s\n", m.What, m.Why)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) full(w io.Writer) {
	rows := [][]string{{"receiver", "datagrams/s", "CPU each", "allocations each", "beside", "rate x", "CPU x", "on a backlog", "CPU x"}}
	for _, row := range r.Rows {
		t := row.Full
		if t == nil {
			continue
		}
		allocations := fmt.Sprintf("%.2f", t.Allocations.Median)
		if !strings.HasPrefix(row.Name, "Go ") && !strings.HasPrefix(row.Name, "udpkit ") {
			allocations = "" // not counted there
		}
		cells := []string{row.Name, millions(t.Rate), nanoseconds(t.CPU), allocations, "", "", "", "", ""}
		if t.RateRatio != nil && row.Name != row.Twin {
			cells[4], cells[5], cells[6] = row.Twin, times(t.RateRatio), times(t.CPURatio)
		}
		if row.Backlog != nil {
			cells[7] = nanoseconds(row.Backlog.CPU)
			if row.Name != row.Twin {
				cells[8] = times(row.Backlog.CPURatio)
			}
		}
		rows = append(rows, cells)
	}
	table(w, "A sender at full speed, datagrams of 120 bytes", rows)
}

func (r *Report) waiting(w io.Writer) {
	rows := [][]string{{"receiver", "CPU each", "x", "round trip p50", "x", "p99", "x", "idle", "wake-ups/s", "idle, 100 sockets"}}
	for _, row := range r.Rows {
		cells := make([]string, len(rows[0]))
		cells[0] = row.Name
		if row.Paced != nil {
			cells[1], cells[2] = nanoseconds(row.Paced.CPU), times(row.Paced.CPURatio)
		}
		if row.P50 != nil {
			cells[3], cells[4], cells[5], cells[6] = micros(*row.P50), times(row.P50Ratio), micros(*row.P99), times(row.P99Ratio)
		}
		for _, idle := range row.Idle {
			if idle.Sockets == 1 {
				cells[7], cells[8] = fmt.Sprintf("%.3f %%", 100*idle.CPU), fmt.Sprintf("%.1f", idle.WakeUps)
			} else {
				cells[9] = fmt.Sprintf("%.3f %%", 100*idle.CPU)
			}
		}
		if strings.Join(cells[1:], "") != "" {
			rows = append(rows, cells)
		}
	}
	table(w, "Waiting: 50,000 datagrams a second; one at a time there and back; none (x: beside "+cBlocking+")", rows)
}

// table writes rows, the first of which is the heading, if there are others.
func table(w io.Writer, title string, rows [][]string) {
	if len(rows) < 2 {
		return
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	fmt.Fprintf(w, "\n%s:\n\n", title)
	for i, row := range rows {
		for j, cell := range row {
			fmt.Fprintf(w, "| %-*s ", widths[j], cell)
		}
		fmt.Fprintln(w, "|")
		if i == 0 {
			for _, width := range widths {
				fmt.Fprintf(w, "|%s", strings.Repeat("-", width+2))
			}
			fmt.Fprintln(w, "|")
		}
	}
}

func millions(f Figure) string {
	if f.Median < 1e5 {
		return fmt.Sprintf("%.3g k %s", f.Median/1e3, f.spread())
	}
	return fmt.Sprintf("%.3g M %s", f.Median/1e6, f.spread())
}

func nanoseconds(f Figure) string { return fmt.Sprintf("%.0f ns %s", f.Median, f.spread()) }

// each is a time for one of many.
func each(f Figure) string {
	if f.Median >= 10_000 {
		return fmt.Sprintf("%.3g us", f.Median/1e3)
	}
	return fmt.Sprintf("%.0f ns", f.Median)
}

func micros(f Figure) string { return fmt.Sprintf("%.1f us %s", f.Median/1e3, f.spread()) }

// spread says how far the rounds are from the median.
func (f Figure) spread() string {
	return fmt.Sprintf("±%.0f %%", 100*max(f.Max-f.Median, f.Median-f.Min)/f.Median)
}

func times(f *Figure) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf("%.2f", f.Median)
}
