package plot

import (
	"errors"
	"fmt"
	"image/color"
	"io/fs"
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel/hub"
)

// Relay shows in the notebook the history of a relay's server or client. See
// [RelaySVG].
func Relay(file string) error { return show(relayPicture(file)) }

// RelaySVG draws a history, see [hub.Options]: how many messages a second were
// stored and delivered, how far the readers were behind or how much of what was
// written was not stored yet, and when a client had no server. An error wraps
// ErrEmpty if nothing is in it.
func RelaySVG(file string) ([]byte, error) {
	p, err := relayPicture(file)
	if err != nil {
		return nil, err
	}
	return p.svg()
}

func relayPicture(file string) (picture, error) {
	h, err := hub.ReadHistory(file)
	if errors.Is(err, fs.ErrNotExist) {
		return picture{}, errNone
	}
	if err != nil {
		return picture{}, fmt.Errorf("cannot read the history: %w", err)
	}
	if len(h.Samples) < 2 {
		return picture{}, fmt.Errorf("%w: the run was too short", ErrEmpty)
	}
	h.Samples = thin(h.Samples)
	last := h.Samples[len(h.Samples)-1]
	flow, behind := newCurves(h), newCurves(h)
	var total string
	if h.Role == hub.RoleServer || h.Role == hub.RoleWriter || h.Role == hub.RoleJoin {
		flow.add("stored", accent, rate(h.Samples, func(s hub.Sample) uint64 { return s.Stored }))
		total += fmt.Sprintf(", messages stored: %d", last.Stored)
	}
	if h.Role != hub.RoleWriter {
		flow.add("delivered", stateColor("ACTIVE"), rate(h.Samples, func(s hub.Sample) uint64 { return s.Delivered }))
		total += fmt.Sprintf(", delivered: %d", last.Delivered)
		if last.Missing > 0 {
			total += fmt.Sprintf(", missing: %d", last.Missing)
		}
	}
	for i, name := range laggards(h.Samples) {
		behind.add(label(name), readerColors[i%len(readerColors)], lag(h.Samples, name))
	}
	if h.Role == hub.RoleWriter || h.Role == hub.RoleJoin {
		behind.add("not stored yet", alarm, level(h.Samples, func(s hub.Sample) uint64 { return s.Pending }))
	}
	title := "Relay " + string(h.Role)
	if h.Username != "" {
		title += " " + label(h.Username)
	}
	over := flow.plot("Throughput", "messages a second")
	below := behind.plot("How far behind", "messages")
	below.X.Label.Text = "time since the start (s)"
	const width, height, legend = 680, 360, 18
	return picture{title: fmt.Sprintf("%s over %v%s", title, last.At.Round(100*time.Millisecond), total), width: width, height: height, draw: func(c draw.Canvas) error {
		s := sequence{Canvas: c}
		half := (c.Max.Y - c.Min.Y) / 2
		over.Draw(draw.Crop(c, 0, -8, half+legend/2, 0))
		flow.legend(s, 0)
		below.Draw(draw.Crop(c, 0, -8, 0, -half-legend/2))
		behind.legend(s, half+legend/2)
		return nil
	}}, nil
}

var readerColors = []color.RGBA{
	{0x1a, 0x7f, 0x37, 0xff}, {0x82, 0x50, 0xdf, 0xff}, {0xbc, 0x4c, 0x00, 0xff}, {0x09, 0x69, 0xda, 0xff},
	{0xbf, 0x39, 0x89, 0xff}, {0x9a, 0x67, 0x00, 0xff}, {0x57, 0x60, 0x6a, 0xff}, {0x1b, 0x7c, 0x83, 0xff},
}

// thin puts samples together that no picture can tell apart: one of them stands for
// those that came since, with the highest of the numbers that rise and fall.
func thin(samples []hub.Sample) (few []hub.Sample) {
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
			at := slices.IndexFunc(lags, func(have hub.Lag) bool { return have.Username == l.Username })
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

// laggards returns the readers in the samples, in order of the names: as many as
// have a colour, the first ones to come.
func laggards(samples []hub.Sample) []string {
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

// step is a value from one time on until another.
type step struct{ from, to, value float64 }

// rate returns how fast a count has grown between the samples.
func rate(samples []hub.Sample, count func(hub.Sample) uint64) (steps []step) {
	for i, s := range samples[1:] {
		before := samples[i]
		took := (s.At - before.At).Seconds()
		if took <= 0 || count(s) < count(before) {
			continue
		}
		steps = append(steps, step{before.At.Seconds(), s.At.Seconds(), float64(count(s)-count(before)) / took})
	}
	return steps
}

// level returns a value that stays until the next sample.
func level(samples []hub.Sample, value func(hub.Sample) uint64) (steps []step) {
	for i, s := range samples[:len(samples)-1] {
		steps = append(steps, step{s.At.Seconds(), samples[i+1].At.Seconds(), float64(value(s))})
	}
	return steps
}

// lag returns how far a reader was behind while it was there.
func lag(samples []hub.Sample, name string) (steps []step) {
	for i, s := range samples[:len(samples)-1] {
		for _, l := range s.Lags {
			if l.Username == name {
				steps = append(steps, step{s.At.Seconds(), samples[i+1].At.Seconds(), float64(l.Messages)})
			}
		}
	}
	return steps
}

// curves is a plotter: steps in several colours, on grey where there was no server.
type curves struct {
	all  []curve
	away []step
	end  float64
}

type curve struct {
	name  string
	of    color.RGBA
	steps []step
}

func newCurves(h hub.History) *curves {
	c := &curves{end: h.Samples[len(h.Samples)-1].At.Seconds()}
	for i, s := range h.Samples[:len(h.Samples)-1] {
		from, to := s.At.Seconds(), h.Samples[i+1].At.Seconds()
		switch n := len(c.away) - 1; {
		case s.Served:
		case n >= 0 && c.away[n].to == from:
			c.away[n].to = to
		default:
			c.away = append(c.away, step{from: from, to: to})
		}
	}
	return c
}

func (c *curves) add(name string, of color.RGBA, steps []step) {
	c.all = append(c.all, curve{name, of, steps})
}

func (c *curves) plot(title, y string) *plot.Plot {
	p := newPlot(title, "", y)
	p.Add(c)
	p.X.Min, p.X.Max = 0, max(c.end, 1e-3)
	highest := 1.0
	for _, curve := range c.all {
		for _, s := range curve.steps {
			highest = max(highest, s.value)
		}
	}
	p.Y.Min, p.Y.Max = 0, 1.08*highest
	p.X.Tick.Marker, p.Y.Tick.Marker = few{}, thousands{}
	return p
}

// Plot implements plot.Plotter.
func (c *curves) Plot(canvas draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&canvas)
	for _, a := range c.away {
		canvas.FillPolygon(color.RGBA{0xea, 0xee, 0xf2, 0xff}, []vg.Point{
			{X: x(a.from), Y: canvas.Min.Y}, {X: x(a.to), Y: canvas.Min.Y}, {X: x(a.to), Y: canvas.Max.Y}, {X: x(a.from), Y: canvas.Max.Y},
		})
	}
	for _, curve := range c.all {
		var line []vg.Point
		stroke := func() {
			if len(line) > 1 {
				canvas.StrokeLines(draw.LineStyle{Color: curve.of, Width: 1.75}, line)
			}
			line = nil
		}
		for i, s := range curve.steps {
			if i > 0 && s.from != curve.steps[i-1].to {
				stroke() // it was away in between
			}
			line = append(line, vg.Point{X: x(s.from), Y: y(s.value)}, vg.Point{X: x(s.to), Y: y(s.value)})
		}
		stroke()
	}
}

// legend says beside the title which colour is which.
func (c *curves) legend(s sequence, top vg.Length) {
	const letter = 5.4 // points, on average
	at := vg.Length(660)
	say := func(words string, of color.Color) {
		s.say(at, top+11, text.XRight, of, words)
		at -= letter*vg.Length(len([]rune(words))) + 10
	}
	if len(c.away) > 0 {
		say("grey: no server", grey)
	}
	for _, curve := range slices.Backward(c.all) {
		if at < 260 {
			break // the rest has no room
		}
		say("● "+curve.name, curve.of)
	}
}

// thousands puts a few ticks on round numbers.
type thousands struct{}

// Ticks implements plot.Ticker.
func (thousands) Ticks(low, high float64) []plot.Tick {
	if high < 5 {
		return integers{}.Ticks(low, high)
	}
	ticks := few{}.Ticks(low, high)
	for i, t := range ticks {
		if t.Value >= 1000 {
			ticks[i].Label = fmt.Sprintf("%.3gk", t.Value/1000)
		}
	}
	return ticks
}
