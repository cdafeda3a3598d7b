package broadcastpanel

import (
	"cmp"
	"maps"
	"slices"
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
	Present int     // of the clients, see Left
	Loss    float64 // of them
	Now     time.Time

	// Of the large one. The newest are the first.
	joined     map[client]uint64 // when each came, as a count
	joins      uint64
	Here, Gone []string // the names of clients
}

func newServerView(server *udpkit.Server, opt Options) *serverView {
	v := &serverView{server: server, File: opt.StateFile}
	if opt.Large {
		v.joined = make(map[client]uint64)
		v.Live = panel.NewLive(pageTemplate.Lookup("large"), v.picture)
		return v
	}
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
	here := slices.DeleteFunc(slices.Clone(v.Clients), v.Left)
	v.Present, v.Loss = len(here), loss(here)
	if v.joined != nil {
		v.present()
	}
	return v
}

// Left reports whether a client is gone. What it did not acknowledge then was not lost.
func (v *serverView) Left(c udpkit.ClientInfo) bool {
	return vanished(c.LastID, c.LastAck, v.Sent.MessageID, v.Now)
}

// present finds out who is here and who is gone.
func (v *serverView) present() {
	newest := make(map[client]udpkit.ClientInfo, len(v.Clients))
	for _, c := range v.Clients {
		who := client{c.ID, c.Addr.Addr()}
		if had, ok := newest[who]; !ok || c.LastID > had.LastID {
			newest[who] = c
		}
		if _, known := v.joined[who]; !known {
			v.joins++
			v.joined[who] = v.joins
		}
	}
	maps.DeleteFunc(v.joined, func(who client, _ uint64) bool { _, ok := newest[who]; return !ok })
	all := slices.SortedFunc(maps.Keys(newest), func(a, b client) int { return cmp.Compare(v.joined[b], v.joined[a]) })
	v.Here, v.Gone = nil, nil
	for _, who := range all {
		if v.Left(newest[who]) {
			v.Gone = append(v.Gone, who.id)
		} else {
			v.Here = append(v.Here, who.id)
		}
	}
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
