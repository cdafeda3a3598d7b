package nonblocking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// Comparison is what [Compare] measured.
type Comparison struct {
	Results []Result        `json:"results"`
	Sockets []SocketsResult `json:"sockets"`
	Slow    []SlowResult    `json:"slow"`
}

// Result is what one style costs on one socket.
type Result struct {
	Style udpkit.Style `json:"style"`
	// Idle is which share of a core the process used while it waited, once for each round; empty
	// where the system does not tell.
	Idle []float64 `json:"idle"`
	// Cost is the CPU time of a datagram at full speed, sending included, once for each round;
	// empty where the system does not tell.
	Cost []time.Duration `json:"cost_ns"`
	// RoundTrips are the times from a question to its answer.
	RoundTrips []time.Duration `json:"round_trips_ns"`
	// Lines of code of the style's loop, and of the helpers in its own files; 0 if the source is
	// not here.
	Lines   int `json:"lines"`
	Helpers int `json:"helpers"`
}

// P50 returns the median round trip.
func (r Result) P50() time.Duration { return measure.Median(r.RoundTrips) }

// P99 returns the round trip that 99 of 100 do not exceed.
func (r Result) P99() time.Duration { return measure.Quantile(r.RoundTrips, 0.99) }

// CostText returns the median cost, or why there is none.
func (r Result) CostText() string { return costText(r.Cost) }

// SocketsResult is what many sockets at once need.
type SocketsResult struct {
	Style      udpkit.Style  `json:"style"`
	Sockets    int           `json:"sockets"`
	Goroutines int           `json:"goroutines"`
	Idle       []float64     `json:"idle"`   // see Result
	All        time.Duration `json:"all_ns"` // until one datagram to each socket was handled
}

// SlowResult is what became of a burst of datagrams whose handler is slow.
type SlowResult struct {
	Name    string       `json:"name"`
	Style   udpkit.Style `json:"style"`
	Detail  string       `json:"detail"`
	Sent    int          `json:"sent"`
	Handled int          `json:"handled"`
	Dropped int          `json:"dropped"` // and counted by the receiver
}

// Lost returns how many vanished without being counted by the receiver.
func (r SlowResult) Lost() int { return max(0, r.Sent-r.Handled-r.Dropped) }

func costText(cost []time.Duration) string {
	if len(cost) == 0 {
		return "not measured here"
	}
	return format.Short(measure.Median(cost))
}

// sizes say how much is measured.
type sizes struct {
	rounds     int
	idle       time.Duration // of silence, each round
	windows    int           // of datagrams at full speed, each round
	roundTrips int           // each round
	sockets    int
	burst      int
	handler    time.Duration // of a slow handler
}

var lessonSizes = sizes{
	rounds: 3, idle: 500 * time.Millisecond, windows: 100, roundTrips: 60, sockets: 64, burst: 600, handler: time.Millisecond,
}

// Compare measures all styles by the same procedure, in rounds that take turns, and writes the
// result to a file. It takes half a minute.
func Compare(ctx context.Context, file string) error {
	c := &comparing{sizes: lessonSizes}
	return c.run(ctx, file)
}

// Load returns what Compare wrote. The error wraps [exercise.ErrNothing] if it has not run.
func Load(file string) (Comparison, error) { return exercise.Read[Comparison](file) }

type comparing struct {
	sizes
	Comparison
	note string
	show *exercise.Show
}

// comparisonData is what the template shows.
type comparisonData struct {
	Comparison
	Note string
}

// data copies what is going to change.
func (c *comparing) data() any {
	d := comparisonData{c.Comparison, c.note}
	d.Results, d.Sockets, d.Slow = slices.Clone(c.Results), slices.Clone(c.Sockets), slices.Clone(c.Slow)
	return d
}

// step shows what comes next, and returns an error if nothing does.
func (c *comparing) step(ctx context.Context, format string, args ...any) error {
	c.note = fmt.Sprintf(format, args...)
	c.show.News(c.data())
	return ctx.Err()
}

func (c *comparing) run(ctx context.Context, file string) error {
	c.show = exercise.NewShow(page.Lookup("comparison"), plain, c.data())
	err := c.measure(ctx)
	switch {
	case ctx.Err() != nil:
		c.note, err = "interrupted", nil
	case err == nil:
		c.note = fmt.Sprintf("medians of %d rounds that took turns", c.rounds)
		err = exercise.Write(file, c.Comparison)
	}
	return errors.Join(err, c.show.End(c.data()))
}

func (c *comparing) measure(ctx context.Context) error {
	for _, style := range udpkit.Styles() {
		loop, helpers, err := lines(style)
		if err != nil && !errors.Is(err, exercise.ErrNoSource) {
			return err
		}
		c.Results = append(c.Results, Result{Style: style, Lines: loop, Helpers: helpers})
	}
	for round := range c.rounds {
		for i := range c.Results {
			r := &c.Results[i]
			if err := c.step(ctx, "round %d of %d: %s", round+1, c.rounds, r.Style); err != nil {
				return err
			}
			if err := c.one(ctx, r); err != nil {
				return fmt.Errorf("%s: %w", r.Style, err)
			}
		}
	}
	for _, style := range udpkit.Styles() {
		if err := c.step(ctx, "%d sockets at once: %s", c.sizes.sockets, style); err != nil {
			return err
		}
		r, err := c.many(ctx, style)
		if err != nil {
			return fmt.Errorf("%d sockets, %s: %w", c.sizes.sockets, style, err)
		}
		c.Sockets = append(c.Sockets, r)
	}
	for _, slow := range c.slowCases() {
		if err := c.step(ctx, "a slow handler: %s", slow.Name); err != nil {
			return err
		}
		r, err := c.slow(ctx, slow)
		if err != nil {
			return fmt.Errorf("slow handler, %s: %w", slow.Name, err)
		}
		c.Slow = append(c.Slow, r)
	}
	return nil
}
