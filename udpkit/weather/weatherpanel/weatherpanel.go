// Package weatherpanel shows a forwarder of package weather while it runs, in a notebook, in a
// terminal or as JSON lines, and takes changes of the weather that are typed.
package weatherpanel

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strings"
	"sync"
	"time"

	_ "embed"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/stage"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
)

const (
	// every is the time between two pictures; of JSON lines everySlow.
	every, everySlow = 200 * time.Millisecond, time.Second
	// notesShown is how many of the last changes a panel shows.
	notesShown = 5
)

// Options says how a forwarder is shown. The zero value suits a notebook.
type Options struct {
	// Out gets lines of text, or JSON. Default: the notebook's live panel, or os.Stdout.
	Out io.Writer
	// JSON writes a weather.Report a second as a line of JSON, also for each change and in the end.
	JSON bool
	// In has lines of settings, see weather.Settings.With. A read that is waiting in the end is
	// left waiting. Default: the input box of the notebook inside GoNB, if neither Headless nor Out
	// nor JSON is set; else nothing.
	In io.Reader
	// Headless asks for no input: without a browser nobody could answer.
	Headless bool
	// MaxRuntime ends it after this time. 0 means no limit.
	MaxRuntime time.Duration
}

// Show runs a forwarder and shows it until ctx or MaxRuntime ends it. It returns an error that
// wraps weather.ErrConfig, or one if it cannot start or go on, or the display cannot be written.
func Show(ctx context.Context, cfg weather.Config, opt Options) error {
	if opt.MaxRuntime < 0 {
		return fmt.Errorf("%w: MaxRuntime cannot be negative", weather.ErrConfig)
	}
	setup := stage.Setup{Out: opt.Out, JSON: opt.JSON, In: opt.In, Limit: opt.MaxRuntime}
	if !opt.Headless {
		setup.Prompt = "loss=20% delay=50ms, or fair: "
	}
	s, err := stage.Open(ctx, setup)
	if err != nil {
		return err
	}
	defer s.Release()
	v := new(view)
	cfg.OnEvent = stage.Chain(s, v.event, cfg.OnEvent)
	if v.forwarder, err = weather.New(cfg); err != nil {
		return err
	}
	defer v.forwarder.Close()
	show, lines, err := stage.Show(s, newPage,
		func(out io.Writer) display { return jsonLines{console.NewJSON(out)} },
		func(out console.Display) display { return text{out} })
	if err != nil {
		return err
	}
	v.show = show
	s.Fail(show.begin(v.forwarder.Report(), lines != nil))
	pause := every
	if opt.JSON {
		pause = everySlow
	}
	s.Repeat(func() time.Duration { s.Show(v.picture); return pause })
	s.Listen(lines, func(line string) bool {
		settings, err := v.forwarder.Settings().With(line)
		if err == nil && strings.TrimSpace(line) != "" {
			err = v.forwarder.Set(settings)
		}
		if err != nil {
			s.Show(func() error { return v.note(format.Reason(err)) })
		}
		return false
	}, func(err error) { s.Show(func() error { return v.note(format.Reason(err)) }) }, func(error) {})
	err = v.forwarder.Run(s.Context())
	return s.Finish(err, "interrupted", func(why string) error { return errors.Join(v.picture(), show.end(v.forwarder.Report(), why)) })
}

// view is what is shown of a forwarder.
type view struct {
	forwarder *weather.Forwarder
	mu        sync.Mutex // held while show draws
	show      display
}

func (v *view) picture() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.show.report(v.forwarder.Report())
}

func (v *view) event(e weather.Event) error {
	if e.Err != nil {
		return v.note(format.Reason(e.Err))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return errors.Join(v.show.note(e.At, e.Settings.String(), false), v.show.report(v.forwarder.Report()))
}

func (v *view) note(wrong string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.show.note(time.Now(), panel.Printable(wrong), true)
}

// display shows a forwarder. Its methods are called one at a time.
type display interface {
	begin(r weather.Report, asks bool) error
	report(weather.Report) error
	note(at time.Time, text string, wrong bool) error
	end(r weather.Report, why string) error
}

type jsonLines struct{ *console.JSON }

func (j jsonLines) begin(r weather.Report, _ bool) error        { return nil }
func (j jsonLines) report(r weather.Report) error               { return j.Event(r) }
func (j jsonLines) end(weather.Report, string) error            { return nil }
func (j jsonLines) note(_ time.Time, text string, _ bool) error { return j.Note(text) }

type text struct{ console.Display }

func (t text) begin(r weather.Report, asks bool) error {
	how := ""
	if asks {
		how = " Type a change, such as loss=20%, or fair."
	}
	return t.Print(title(r) + ": " + r.Settings.String() + "." + how + " Ctrl-C ends it.")
}

func (t text) report(r weather.Report) error {
	t.Status(format.Frame(), strings.Join(append([]string{sky(r)}, summary(r)...), " · "))
	return nil
}

func (t text) note(at time.Time, what string, _ bool) error {
	return t.Print(format.Millis(at) + "  " + what)
}

func (t text) end(r weather.Report, why string) error {
	return errors.Join(t.Clear(), t.Print("Ended: "+why+", "+format.Short(r.Runtime)+"\n"+strings.Join(summary(r), "\n")))
}

// title says what is forwarded.
func title(r weather.Report) string {
	what := "UDP"
	if r.TCP {
		what = "TCP"
	}
	return fmt.Sprintf("%s at %v goes to %v, seed %d", what, r.Listen, r.To, r.Seed)
}

// sky says what the weather is.
func sky(r weather.Report) string {
	if r.Parted {
		return "nothing arrives"
	}
	return r.Settings.String()
}

// summary says what became of all.
func summary(r weather.Report) []string {
	list := []string{"there " + fate(r.There), "back " + fate(r.Back)}
	return append(list, rest(r)...)
}

func fate(c weather.Counts) string {
	return strings.Join(append([]string{fmt.Sprintf("%d arrived of %d", c.Delivered, c.Received)}, notZero([]figure{
		{c.Lost, "lost"}, {c.Parted, "parted"}, {c.Full, "no room"}, {c.Twice, "twice"}, {c.Overtaken, "overtaken"}, {c.Failed, "failed"},
	})...), ", ")
}

// figure is a count and what it is of.
type figure struct {
	count uint64
	of    string
}

func notZero(figures []figure) (list []string) {
	for _, one := range figures {
		if one.count > 0 {
			list = append(list, format.Number(one.count)+" "+one.of)
		}
	}
	return list
}

// rest says what is in neither direction.
func rest(r weather.Report) []string {
	noun := "source"
	if r.TCP {
		noun = "connection"
	}
	return append([]string{fmt.Sprintf("%s, %d now", format.Plural(r.Seen, noun), r.Sources), fmt.Sprintf("%d on the way", r.Waiting)}, notZero([]figure{
		{r.Forgotten, "idle ones forgotten"}, {r.Refused, "refused: no room, or nobody there"}, {r.Strangers, "from strangers"},
		{r.KernelDropped, "dropped by the kernel"}, {r.ReadErrors, "reads failed"},
	})...)
}

//go:embed page.html
var pageHTML string

var pageTemplate = panel.Templates(pageHTML, template.FuncMap{"short": format.Short, "clock": format.Millis})

// page is a live panel in a notebook.
type page struct {
	*panel.Live
	Report weather.Report
	Notes  []note
}

// note is a change, or why there was none.
type note struct {
	At    time.Time
	Text  string
	Wrong bool
}

func newPage() display {
	p := new(page)
	p.Live = panel.NewLive(pageTemplate.Lookup("weather"), func() any { return p })
	return p
}

func (p *page) begin(r weather.Report, asks bool) error {
	p.Change(func() { p.Report, p.Box = r, asks })
	return nil
}

func (p *page) report(r weather.Report) error {
	p.Change(func() { p.Report = r })
	return nil
}

func (p *page) note(at time.Time, text string, wrong bool) error {
	p.Change(func() { p.Notes = format.Newest(append(p.Notes, note{at, text, wrong}), notesShown) })
	return nil
}

func (p *page) end(r weather.Report, why string) error {
	_ = p.report(r)
	return p.End(why)
}

// What the template shows.
func (p *page) Title() string   { return title(p.Report) }
func (p *page) Sky() string     { return sky(p.Report) }
func (p *page) Rest() string    { return strings.Join(rest(p.Report), " · ") }
func (p *page) Ways() []wayView { return []wayView{{"there", p.Report.There}, {"back", p.Report.Back}} }

// wayView is a row of the panel.
type wayView struct {
	Name string
	weather.Counts
}
