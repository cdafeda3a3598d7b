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
	Next    time.Duration // until the next message
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
		if e, ok := e.(udpkit.SentEvent); ok {
			v.Sent, v.Elapsed = e, 0
		}
		v.take(e)
	})
	return nil
}

// picture is what the template shows.
func (v *serverView) picture() any {
	v.Next, v.Sum, v.Clients, v.Now = max(0, v.Start.Interval-v.Elapsed), v.server.Stats(), v.server.Clients(), time.Now()
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
