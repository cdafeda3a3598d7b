package broadcastpanel

import (
	"fmt"
	"html/template"
	"math"
	"time"

	_ "embed"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// betweenIdle is enough for a spinner; every update is work for each browser that shows the
// notebook, and for the notebook's file.
const betweenIdle = 250 * time.Millisecond

const maxErrorRows = 5

//go:embed page.html
var pageHTML string

var pageTemplate = panel.Templates(pageHTML, template.FuncMap{
	"short":     format.Short,
	"buffer":    buffer,
	"tenths":    format.Tenths,
	"seconds":   func(d time.Duration) string { return fmt.Sprintf("%.0f s", math.Ceil(d.Seconds())) },
	"number":    format.Number[int],
	"clock":     format.Millis,
	"ago":       format.Ago,
	"timestamp": func(e *udpkit.MessageEvent) string { return timestamp(*e) },
	"data":      func(e *udpkit.MessageEvent) string { return data(*e) },
	"latency":   func(e *udpkit.MessageEvent) string { return latency(*e) },
	"failure":   failureText,
	"color":     Color,
	"plural":    format.Plural[uint64],
	"percent":   percent,
	"alone":     func(s udpkit.ServerSummary) bool { return s.Sent >= unanswered },
	"hint":      func() string { return nobodyAnswers },
})

// Color returns the CSS colour of a state, that white text can be read on. States that are not of
// the default cycle share a neutral one.
func Color(s udpkit.State) string {
	switch s {
	case udpkit.StateActive:
		return "#1a7f37"
	case udpkit.StateStandby:
		return "#0969da"
	case udpkit.StateMaintenance:
		return "#9a6700"
	case udpkit.StateError:
		return "#cf222e"
	}
	return "#57606a"
}

// page is what the live panels of a server and of a client have in common.
type page struct {
	*panel.Live
	Start    udpkit.StartEvent
	Elapsed  time.Duration // since the last message
	Failures failures
	Refused  format.Refused
	Remark   string
	idled    time.Time // when idle last asked for a picture
}

func (p *page) take(e udpkit.Event) {
	switch e := e.(type) {
	case udpkit.StartEvent:
		p.Start = e
	case udpkit.RefusedEvent:
		p.Refused.Take(e.From, e.Reason, e.Count)
	case udpkit.ErrorEvent:
		p.Failures.take(e)
	}
}

func (p *page) note(text string) error {
	p.Change(func() { p.Remark = text })
	return nil
}

func (p *page) idle(elapsed time.Duration) {
	if now := time.Now(); now.Sub(p.idled) >= betweenIdle {
		p.idled = now
		p.Change(func() { p.Elapsed = elapsed })
	}
}

// failures are those that go on, one for each address and interface, the newest last.
type failures []udpkit.ErrorEvent

func (f *failures) take(e udpkit.ErrorEvent) {
	*f = format.Newest(format.Ongoing(*f, e, e.Ended, func(was udpkit.ErrorEvent) bool {
		return was.Peer == e.Peer && was.Interface == e.Interface
	}), maxErrorRows)
}
