package broadcastpanel

import (
	"net/netip"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// maxMessageRows is how many of the last messages and gaps are shown.
const maxMessageRows = 8

// clientView is a client's panel.
type clientView struct {
	page
	client *udpkit.Client
	Rows   []clientRow // newest first
	State  udpkit.State
	Silent bool
	Clocks string // how the newest message's server's and this one differ

	// As of the last picture.
	Sum   udpkit.ClientSummary
	Frame string
}

// clientRow is a message, or a remark on what has not come.
type clientRow struct {
	Message *udpkit.MessageEvent
	Remark  string
	Said    bool           // the server has said it, so that it is no fault
	Server  netip.AddrPort // of the remark; not valid if it is on several
}

func newClientView(client *udpkit.Client) *clientView {
	v := &clientView{client: client}
	v.Live = panel.NewLive(pageTemplate.Lookup("client"), v.picture)
	return v
}

func (v *clientView) event(e udpkit.Event) error {
	v.Change(func() { v.take(e) })
	return nil
}

func (v *clientView) take(e udpkit.Event) {
	switch e := e.(type) {
	case udpkit.MessageEvent:
		e.Datagram = nil // the receiver's
		if !e.Late && !e.Repaired {
			v.State = e.State
		}
		v.Elapsed, v.Silent, v.Remark, v.Clocks = 0, false, "", clocks(e)
		v.row(clientRow{Message: &e})
	case udpkit.GapEvent:
		v.row(clientRow{Remark: missing(e), Server: e.Server})
	case udpkit.TimeoutEvent:
		v.Elapsed, v.Silent = e.Elapsed, true
		if e.Server.IsValid() {
			v.row(clientRow{Remark: silence(e), Server: e.Server})
		}
	case udpkit.EndEvent:
		v.row(clientRow{Remark: ended(e), Said: e.Said, Server: e.Server})
	case udpkit.ForgottenEvent:
		v.row(clientRow{Remark: forgotten(e)})
	default:
		v.page.take(e)
	}
}

func (v *clientView) row(r clientRow) {
	v.Rows = append([]clientRow{r}, v.Rows[:min(len(v.Rows), maxMessageRows-1)]...)
}

// picture is what the template shows.
func (v *clientView) picture() any {
	v.Sum, v.Frame = v.client.Stats(), format.Frame()
	return v
}
