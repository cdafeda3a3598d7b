package broadcastpanel

import (
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
)

const (
	maxClientRows = 20
	maxErrorRows  = 5
)

// serverView is a server's panel.
type serverView struct {
	server *udpkit.Server
	file   string        // the state file
	ended  func() string // why the server has ended

	start    udpkit.StartEvent
	sent     udpkit.SentEvent
	elapsed  time.Duration // since the last message
	failures failures
	refused  format.Refused
	remark   string
}

func (v *serverView) event(e udpkit.Event) {
	switch e := e.(type) {
	case udpkit.StartEvent:
		v.start = e
	case udpkit.SentEvent:
		v.sent, v.elapsed = e, 0
	case udpkit.RefusedEvent:
		v.refused.Take(e.From, e.Reason, e.Count)
	case udpkit.ErrorEvent:
		v.failures.take(e)
	}
}

func (v *serverView) idle(elapsed time.Duration) { v.elapsed = elapsed }
func (v *serverView) note(text string)           { v.remark = text }

// serverData is what the template shows of a server.
type serverData struct {
	Start    udpkit.StartEvent
	Sent     udpkit.SentEvent
	Next     time.Duration // until the next message
	Sum      udpkit.ServerSummary
	Clients  []udpkit.ClientInfo
	More     int // clients that are not in Clients
	Loss     float64
	Failures []udpkit.ErrorEvent
	Refused  format.Refused
	Remark   string
	File     string
	Now      time.Time
	Ended    string // "" while it runs
}

func (v *serverView) data(final bool) (string, any) {
	clients := v.server.Clients()
	d := serverData{
		Start:    v.start,
		Sent:     v.sent,
		Next:     max(0, v.start.Interval-v.elapsed),
		Sum:      v.server.Stats(),
		Clients:  clients[:min(len(clients), maxClientRows)],
		Loss:     loss(clients),
		Failures: v.failures.list,
		Refused:  v.refused,
		Remark:   v.remark,
		File:     v.file,
		Now:      time.Now(),
	}
	d.More = len(clients) - len(d.Clients)
	if final {
		d.Ended = v.ended()
	}
	return "server", d
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

// failures are those that go on, one for each address and interface, the newest last.
type failures struct{ list []udpkit.ErrorEvent }

func (f *failures) take(e udpkit.ErrorEvent) {
	f.list = slices.DeleteFunc(slices.Clone(f.list), func(was udpkit.ErrorEvent) bool {
		return was.Peer == e.Peer && was.Interface == e.Interface
	})
	if e.Ended {
		return
	}
	f.list = append(f.list, e)
	f.list = f.list[max(0, len(f.list)-maxErrorRows):]
}
