package broadcastpanel

import (
	"net/netip"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
)

// maxMessageRows is how many of the last messages and gaps are shown.
const maxMessageRows = 8

// clientView is a client's panel.
type clientView struct {
	client *udpkit.Client
	ended  func() string

	start    udpkit.StartEvent
	rows     []clientRow // newest first
	state    udpkit.State
	elapsed  time.Duration // since the last message
	frame    int
	silent   bool
	failures failures
	refused  format.Refused
}

// clientRow is a message, or a remark on what has not come.
type clientRow struct {
	Message *udpkit.MessageEvent
	Remark  string
	Server  netip.AddrPort // of the remark; not valid if it is on several
}

func (v *clientView) event(e udpkit.Event) {
	switch e := e.(type) {
	case udpkit.StartEvent:
		v.start = e
	case udpkit.MessageEvent:
		e.Datagram = nil // the receiver's
		if !e.Late {
			v.state = e.State
		}
		v.elapsed, v.silent = 0, false
		v.row(clientRow{Message: &e})
	case udpkit.GapEvent:
		v.row(clientRow{Remark: missing(e), Server: e.Server})
	case udpkit.TimeoutEvent:
		v.elapsed, v.silent = e.Elapsed, true
		if e.Server.IsValid() {
			v.row(clientRow{Remark: silence(e), Server: e.Server})
		}
	case udpkit.EndEvent:
		v.row(clientRow{Remark: ended(e), Server: e.Server})
	case udpkit.ForgottenEvent:
		v.row(clientRow{Remark: forgotten(e)})
	case udpkit.RefusedEvent:
		v.refused.Take(e.From, e.Reason, e.Count)
	case udpkit.ErrorEvent:
		v.failures.take(e)
	}
}

func (v *clientView) row(r clientRow) {
	v.rows = append([]clientRow{r}, v.rows[:min(len(v.rows), maxMessageRows-1)]...)
}

func (v *clientView) idle(elapsed time.Duration) {
	v.elapsed = elapsed
	v.frame = (v.frame + 1) % len(format.Frames)
}

// note is for remarks about states by hand, which a client has not.
func (v *clientView) note(string) {}

// clientData is what the template shows of a client.
type clientData struct {
	Start    udpkit.StartEvent
	State    udpkit.State
	Rows     []clientRow
	Sum      udpkit.ClientSummary
	Elapsed  time.Duration
	Frame    string
	Silent   bool
	Failures []udpkit.ErrorEvent
	Refused  format.Refused
	Ended    string
}

func (v *clientView) data(final bool) (string, any) {
	d := clientData{
		Start:    v.start,
		State:    v.state,
		Rows:     v.rows,
		Sum:      v.client.Stats(),
		Elapsed:  v.elapsed,
		Frame:    format.Frames[v.frame],
		Silent:   v.silent,
		Failures: v.failures.list,
		Refused:  v.refused,
	}
	if final {
		d.Ended = v.ended()
	}
	return "client", d
}
