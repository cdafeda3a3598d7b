package broadcastpanel

import (
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// serverView is a server's panel.
type serverView struct {
	page
	server *udpkit.Server
	File   string // the state file
	Sent   udpkit.SentEvent

	// As of the last picture.
	Every   time.Duration // between two messages
	Next    time.Duration // until the next one
	Sum     udpkit.ServerSummary
	Clients []udpkit.ClientInfo
	Loss    float64
	Now     time.Time
}

func newServerView(server *udpkit.Server, file string) *serverView {
	v := &serverView{server: server, File: file}
	v.Live = panel.NewLive(pageTemplate.Lookup("server"), v.picture)
	return v
}

func (v *serverView) event(e udpkit.Event) error {
	v.Change(func() {
		switch e := e.(type) {
		case udpkit.SentEvent:
			v.Sent, v.Elapsed = e, 0
		case udpkit.CommandEvent:
			v.Remark = "command " + commanded(e)
		}
		v.take(e)
	})
	return nil
}

// picture is what the template shows.
func (v *serverView) picture() any {
	v.Every, v.Sum, v.Clients, v.Now = v.server.Interval(), v.server.Stats(), v.server.Clients(), time.Now()
	v.Next = max(0, v.Every-v.Elapsed)
	v.Loss = loss(v.Clients)
	return v
}

// loss is the part of all expected acknowledgements that has not come.
func loss(clients []udpkit.ClientInfo) float64 {
	all := udpkit.ClientInfo{Proved: true}
	for _, c := range clients {
		if c.Proved {
			all.Acks += c.Acks
			all.Expected += c.Expected
		}
	}
	return all.Loss()
}
