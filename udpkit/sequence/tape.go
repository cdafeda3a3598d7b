package sequence

import (
	"bytes"
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

// Tape is a recording of several roles in memory, of a program that draws itself. Of each role the
// last 500 datagrams and segments are kept. The zero value is empty. Its methods may be called by
// any goroutine.
type Tape struct {
	mu    sync.Mutex
	roles []*recording
	names map[netip.AddrPort]string // of those that do not record
	news  func()                    // somebody watches
}

// Role begins to record a role, that is drawn with this name. It is a Recorder for the
// configuration of a server, a client and the like.
func (t *Tape) Role(name string) *Role {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &Role{t, &recording{name: name, last: true}}
	t.roles = append(t.roles, r.recording)
	return r
}

// Call gives a name to an address at which nobody records.
func (t *Tape) Call(a netip.AddrPort, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		t.names = make(map[netip.AddrPort]string)
	}
	t.names[a] = name
}

// Empty reports whether nothing is recorded.
func (t *Tape) Empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !slices.ContainsFunc(t.roles, func(r *recording) bool { return len(r.packets) > 0 })
}

// Clear forgets what is recorded so far. Roles and names stay.
func (t *Tape) Clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.roles {
		r.packets, r.more = nil, 0
	}
}

// Role is one of a Tape.
type Role struct {
	tape      *Tape
	recording *recording
}

// Record implements service.Recorder.
func (r *Role) Record(a service.Recorded) {
	r.tape.mu.Lock()
	r.recording.add(record.Packet{
		At: a.At, From: a.From, To: a.To, Payload: bytes.Clone(a.Payload), Sent: a.Sent, Received: !a.Sent, Verdict: a.Verdict, TCP: a.TCP,
	})
	news := r.tape.news
	r.tape.mu.Unlock()
	if news != nil {
		news()
	}
}

// Show draws in a notebook what is recorded: the last 60 datagrams, the first of these opened.
// Elsewhere it prints a line for each.
func (t *Tape) Show() error {
	p := t.draw(never, maxSteps)
	p.open(1)
	return newView(func() picture { return p }).end()
}

// ShowEnd is Show with so many datagrams at most, 1 to 60, of which the last one is opened.
func (t *Tape) ShowEnd(most int) error {
	p := t.draw(never, most)
	p.open(len(p.Steps))
	return newView(func() picture { return p }).end()
}

// Follow draws in a notebook what is recorded, while it is, until the context ends: the last 60
// datagrams, the newest of them opened, at most ten times a second. Elsewhere it prints a line
// for each in the end.
func (t *Tape) Follow(ctx context.Context) error {
	return follow(ctx, func(settled time.Time) picture { return t.draw(settled, maxSteps) }, func(ctx context.Context, news func()) error {
		t.watch(news)
		<-ctx.Done()
		t.watch(nil)
		return nil
	})
}

func (t *Tape) watch(news func()) {
	t.mu.Lock()
	t.news = news
	t.mu.Unlock()
}

// draw returns a picture of what is recorded so far.
func (t *Tape) draw(settled time.Time, most int) picture {
	t.mu.Lock()
	roles, names := copies(t.roles), maps.Clone(t.names)
	t.mu.Unlock()
	return draw(roles, names, settled, most)
}

// copies are recordings that do not change.
func copies(all []*recording) (list []*recording) {
	for _, r := range all {
		c := *r
		beyond := max(0, len(r.packets)-maxRead)
		c.more += beyond
		c.packets, c.own = slices.Clone(r.packets[beyond:]), slices.Clone(r.own)
		list = append(list, &c)
	}
	return list
}
