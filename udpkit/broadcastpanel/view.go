package broadcastpanel

import (
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
)

const maxErrorRows = 5

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

// failures are those that go on, one for each address and interface, the newest last.
type failures []udpkit.ErrorEvent

func (f *failures) take(e udpkit.ErrorEvent) {
	*f = format.Newest(format.Ongoing(*f, e, e.Ended, func(was udpkit.ErrorEvent) bool {
		return was.Peer == e.Peer && was.Interface == e.Interface
	}), maxErrorRows)
}
