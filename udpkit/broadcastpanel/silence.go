package broadcastpanel

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/doctor"
)

// silences tells when nothing comes to a client any more. Events come one after the other.
type silences struct {
	listen netip.AddrPort
	last   time.Time     // when a message has come of any server
	count  atomic.Uint64 // of messages, by which it is known that a silence has ended
	asking atomic.Bool
}

// begins reports whether an event is the beginning of a silence of all servers: one of them that
// ends among others is no fault of the network.
func (s *silences) begins(e udpkit.Event) bool {
	switch e := e.(type) {
	case udpkit.StartEvent:
		s.listen = e.Listen
	case udpkit.MessageEvent:
		s.last = e.ReceivedAt
		s.count.Add(1)
	case udpkit.TimeoutEvent:
		return !e.At.Add(-e.Elapsed).Before(s.last)
	}
	return false
}

// ask has the doctor look at this machine, which sends nothing, and shows the sentence unless a
// message comes before. Only one looks at a time, as it starts programs of the system.
func (s *session) ask(e udpkit.TimeoutEvent) {
	d, listen := s.doctor, s.doctor.listen
	if !d.asking.CompareAndSwap(false, true) {
		return
	}
	count := d.count.Load()
	s.Go(func(ctx context.Context) {
		defer d.asking.Store(false)
		found, err := doctor.Silence(ctx, listen, e.Server.Addr())
		if err == nil && d.count.Load() == count {
			s.Show(func() error { return s.show.note(found.Text + " Next: " + found.Next) })
		}
	})
}
