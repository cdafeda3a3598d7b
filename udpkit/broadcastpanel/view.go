package broadcastpanel

import (
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
)

const (
	maxErrorRows   = 5
	maxMessageRows = 8 // of the last messages and gaps
)

// view is what a page shows: it collects what happens. Calls are not concurrent.
type view interface {
	event(udpkit.Event)
	idle(elapsed time.Duration)
	note(text string)
	end(why string)
	// picture brings what has to be asked for up to date, and returns the view, for its template.
	picture() any
}

// shown is what a server and a client have in common.
type shown struct {
	Start    udpkit.StartEvent
	Elapsed  time.Duration // since the last message
	Failures failures
	Refused  format.Refused
	Remark   string
	Ended    string // why, "" while it runs
}

func (v *shown) event(e udpkit.Event) {
	switch e := e.(type) {
	case udpkit.StartEvent:
		v.Start = e
	case udpkit.RefusedEvent:
		v.Refused.Take(e.From, e.Reason, e.Count)
	case udpkit.ErrorEvent:
		v.Failures.take(e)
	}
}

func (v *shown) idle(elapsed time.Duration) { v.Elapsed = elapsed }
func (v *shown) note(text string)           { v.Remark = text }
func (v *shown) end(why string)             { v.Ended = why }

// serverView is a server's panel.
type serverView struct {
	shown
	server *udpkit.Server
	File   string // the state file
	Sent   udpkit.SentEvent

	// As of the last picture.
	Next    time.Duration // until the next message
	Sum     udpkit.ServerSummary
	Clients []udpkit.ClientInfo
	Loss    float64
	Now     time.Time
}

func (v *serverView) event(e udpkit.Event) {
	if e, ok := e.(udpkit.SentEvent); ok {
		v.Sent, v.Elapsed = e, 0
	}
	v.shown.event(e)
}

func (v *serverView) picture() any {
	v.Next, v.Sum, v.Clients, v.Now = max(0, v.Start.Interval-v.Elapsed), v.server.Stats(), v.server.Clients(), time.Now()
	v.Loss = loss(v.Clients)
	return v
}

// loss is the part of all expected acknowledgements that has not come.
func loss(clients []udpkit.ClientInfo) float64 {
	var all udpkit.ClientInfo
	for _, c := range clients {
		all.Acks += c.Acks
		all.Expected += c.Expected
	}
	return all.Loss()
}

// clientView is a client's panel.
type clientView struct {
	shown
	client *udpkit.Client
	Rows   []clientRow // newest first
	State  udpkit.State
	Silent bool

	// As of the last picture.
	Sum   udpkit.ClientSummary
	Frame string
}

// clientRow is a message or a gap.
type clientRow struct {
	Message *udpkit.MessageEvent
	Gap     *udpkit.GapEvent
}

func (v *clientView) event(e udpkit.Event) {
	switch e := e.(type) {
	case udpkit.MessageEvent:
		e.Datagram = nil // the receiver's
		if !e.Late {
			v.State = e.State
		}
		v.Elapsed, v.Silent = 0, false
		v.row(clientRow{Message: &e})
	case udpkit.GapEvent:
		v.row(clientRow{Gap: &e})
	case udpkit.TimeoutEvent:
		v.Elapsed, v.Silent = e.Elapsed, true
	default:
		v.shown.event(e)
	}
}

func (v *clientView) row(r clientRow) {
	v.Rows = append([]clientRow{r}, v.Rows[:min(len(v.Rows), maxMessageRows-1)]...)
}

func (v *clientView) picture() any {
	v.Sum, v.Frame = v.client.Stats(), format.Frame()
	return v
}

// failures are those that go on, one for each address and interface, the newest last.
type failures []udpkit.ErrorEvent

func (f *failures) take(e udpkit.ErrorEvent) {
	*f = format.Newest(format.Ongoing(*f, e, e.Ended, func(was udpkit.ErrorEvent) bool {
		return was.Peer == e.Peer && was.Interface == e.Interface
	}), maxErrorRows)
}
