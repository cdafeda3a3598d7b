package relaypanel

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// Picture is a history, see [Options]: how many messages a second were stored and delivered, how
// far the readers were behind or how much of what was written was not stored yet, and when a client
// had no server. The error is a chart.Nothing if there is none, or if the run was too short.
func Picture(file string) (chart.Picture, error) {
	h, err := ReadHistory(file)
	if errors.Is(err, fs.ErrNotExist) {
		return chart.Picture{}, chart.NotRun
	}
	if err != nil {
		return chart.Picture{}, fmt.Errorf("cannot read the history: %w", err)
	}
	if len(h.Samples) < 2 {
		return chart.Picture{}, chart.Nothing("nothing recorded yet: the run was too short")
	}
	h.Samples = thin(h.Samples)
	last := h.Samples[len(h.Samples)-1]
	flow := chart.Curves{Title: "Throughput", Y: "messages a second", End: last.At, Away: away(h.Samples), Why: "no server"}
	behind := flow
	behind.Title, behind.X, behind.Y = "How far behind", "time since the start (s)", "messages"
	title := "Relay " + string(h.Role)
	if h.Username != "" {
		title += " " + h.Username
	}
	title += fmt.Sprintf(" over %v", last.At.Round(100*time.Millisecond))
	writes := h.Role == RoleWriter || h.Role == RoleJoin
	if writes || h.Role == RoleServer {
		flow.Curves = append(flow.Curves, chart.Curve{Name: "stored", Color: chart.Accent, Steps: growth(h.Samples, func(s Sample) uint64 { return s.Stored })})
		title += fmt.Sprintf(", messages stored: %d", last.Stored)
	}
	if h.Role != RoleWriter {
		flow.Curves = append(flow.Curves, chart.Curve{Name: "delivered", Color: chart.Good, Dashed: true, Steps: growth(h.Samples, func(s Sample) uint64 { return s.Delivered })})
		title += fmt.Sprintf(", delivered: %d", last.Delivered)
		if last.Missing > 0 {
			title += fmt.Sprintf(", missing: %d", last.Missing)
		}
	}
	for i, name := range laggards(h.Samples) {
		behind.Curves = append(behind.Curves, chart.Curve{Name: name, Color: readerColors[i%len(readerColors)], Steps: level(h.Samples, func(s Sample) (uint64, bool) {
			at := slices.IndexFunc(s.Lags, func(l Lag) bool { return l.Username == name })
			if at < 0 {
				return 0, false
			}
			return s.Lags[at].Messages, true
		})})
	}
	if writes {
		behind.Curves = append(behind.Curves, chart.Curve{Name: "not stored yet", Color: chart.Alarm, Steps: level(h.Samples, func(s Sample) (uint64, bool) {
			return s.Pending, true
		})})
	}
	return chart.Picture{
		Title: title,
		Bands: []chart.Band{{Height: 172, Charts: []chart.Chart{flow}}, {Height: 172, Charts: []chart.Chart{behind}}},
	}, nil
}

// readerColors are none of those that mean something else in the picture: stored, delivered, not
// stored yet, no server.
var readerColors = []string{"#8250df", "#bc4c00", "#1b7c83", "#bf3989", "#9a6700", "#5c3d2e"}

// thin puts samples together that no picture can tell apart: one of them stands for those that came
// since, with the highest of the numbers that rise and fall.
func thin(samples []Sample) (few []Sample) {
	const most = 170
	apart := samples[len(samples)-1].At / most
	for i, s := range samples {
		n := len(few) - 1
		if n < 0 || s.At-few[n].At >= apart || i == len(samples)-1 {
			few = append(few, s)
			continue
		}
		few[n].Pending = max(few[n].Pending, s.Pending)
		few[n].Served = few[n].Served && s.Served
		lags := slices.Clone(few[n].Lags)
		for _, l := range s.Lags {
			at := slices.IndexFunc(lags, func(have Lag) bool { return have.Username == l.Username })
			if at < 0 {
				lags = append(lags, l)
			} else {
				lags[at].Messages = max(lags[at].Messages, l.Messages)
			}
		}
		few[n].Lags = lags
	}
	return few
}

// laggards returns the readers in the samples, in order of the names: as many as have a colour, the
// first ones to come.
func laggards(samples []Sample) []string {
	var names []string
	for _, s := range samples {
		for _, l := range s.Lags {
			if !slices.Contains(names, l.Username) && len(names) < len(readerColors) {
				names = append(names, l.Username)
			}
		}
	}
	slices.Sort(names)
	return names
}

// growth returns how fast a count has grown between the samples.
func growth(samples []Sample, count func(Sample) uint64) (steps []chart.Step) {
	for i, s := range samples[1:] {
		before := samples[i]
		took := (s.At - before.At).Seconds()
		if took <= 0 || count(s) < count(before) {
			continue
		}
		steps = append(steps, chart.Step{From: before.At, To: s.At, Value: float64(count(s)-count(before)) / took})
	}
	return steps
}

// level returns a value that stays until the next sample, and is not always there.
func level(samples []Sample, value func(Sample) (uint64, bool)) (steps []chart.Step) {
	for i, s := range samples[:len(samples)-1] {
		if v, ok := value(s); ok {
			steps = append(steps, chart.Step{From: s.At, To: samples[i+1].At, Value: float64(v)})
		}
	}
	return steps
}

// away returns the times without a server.
func away(samples []Sample) (steps []chart.Step) {
	for i, s := range samples[:len(samples)-1] {
		to := samples[i+1].At
		switch n := len(steps) - 1; {
		case s.Served:
		case n >= 0 && steps[n].To == s.At:
			steps[n].To = to
		default:
			steps = append(steps, chart.Step{From: s.At, To: to})
		}
	}
	return steps
}
