package sequence

import (
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
)

// Lost is the verdict that has a datagram be lost on its way, where who records knows it: one that
// pretends to be a bad network.
const Lost = lost

// end is one that sends and receives: who made a recording, or an address.
type end struct {
	role    int // the number of the recording, from 1; 0: nobody's
	address netip.AddrPort
}

// arrow is one datagram on its way.
type arrow struct {
	at        time.Time // sent, or received where nobody recorded the sending
	from, to  end
	addresses [2]netip.AddrPort
	packet    record.Packet
	took      time.Duration // by the clocks of both, 0 if not both are recorded
	lost      bool
	gap       string // the numbers that are missing: there is no packet
	verdicts  []string
}

// sending is a place in the recordings, and hearing what one recording has of it.
type (
	sending struct{ of, i int }
	hearing struct {
		sending
		by int
	}
)

// way is where a role sends to. More than one may hear it, and what lies in between may send it on
// under another address.
type way struct {
	of int
	to netip.AddrPort
}

var gapVerdict = regexp.MustCompile(`\bgap (\d+)(?:-(\d+))?`)

// ladder puts recordings together.
type ladder struct {
	recordings []*recording
	settled    time.Time // what was sent later may still come
	came       map[hearing]record.Packet
	leads      map[way]map[int]bool            // to which recordings' roles
	behind     map[netip.AddrPort]map[int]bool // whose datagrams come from there
	rest       []record.Packet                 // nobody recorded the sending
}

// arrows puts the recordings of several roles together. The same bytes, sent by one and received by
// another, are one arrow. What was sent a way that led to a role before or after, and is not among
// what that role received, is lost, unless it was sent after settled.
//
// What was written to a connection of TCP has come: it is one arrow, as who wrote it has recorded
// it, whatever pieces it was read in.
func arrows(recordings []*recording, settled time.Time) []arrow {
	l := ladder{recordings, settled, make(map[hearing]record.Packet), make(map[way]map[int]bool), make(map[netip.AddrPort]map[int]bool), nil}
	l.match()
	var all []arrow
	for of, r := range recordings {
		for i, p := range r.packets {
			if p.Sent && p.TCP != nil {
				all = append(all, l.segment(p, end{role: of + 1}, l.whose(p.To))...)
			} else if p.Sent {
				all = append(all, l.sent(sending{of, i})...)
			}
		}
	}
	for _, p := range l.rest {
		if p.TCP == nil {
			all = append(all, l.received(p)...)
		} else if from := l.whose(p.From); from.role == 0 {
			all = append(all, l.segment(p, from, l.whose(p.To))...)
		}
	}
	slices.SortStableFunc(all, func(a, b arrow) int { return a.at.Compare(b.at) })
	return all
}

// match finds the sending of all that was received: the last one before it, of the same bytes, that
// is not yet found.
func (l *ladder) match() {
	sent := make(map[string][]sending)
	for of, r := range l.recordings {
		for i, p := range r.packets {
			if p.Sent && p.TCP == nil {
				sent[string(p.Payload)] = append(sent[string(p.Payload)], sending{of, i})
			}
		}
	}
	for by, r := range l.recordings {
		for _, p := range r.packets {
			if p.Sent {
				continue
			}
			var found *sending
			for _, s := range sent[string(p.Payload)] {
				if _, taken := l.came[hearing{s, by}]; p.Received && s.of != by && !taken && !l.another(l.packet(s).To, by) {
					if at := l.packet(s).At; found == nil || !at.After(p.At) && at.After(l.packet(*found).At) {
						found = &s
					}
				}
			}
			if found == nil {
				l.rest = append(l.rest, p)
				continue
			}
			l.came[hearing{*found, by}] = p
			note(l.leads, way{found.of, l.packet(*found).To}, by)
			note(l.behind, p.From, found.of)
		}
	}
}

// another reports whether an address is another role's, and not that of the one with this number.
func (l *ladder) another(a netip.AddrPort, by int) bool {
	return !l.recordings[by].owns(a) && slices.ContainsFunc(l.recordings, func(r *recording) bool { return r.owns(a) })
}

// segment returns the arrow of a segment of TCP; none for one that only acknowledges.
func (l *ladder) segment(p record.Packet, from, to end) []arrow {
	if len(p.Payload) == 0 && p.TCP.Flags&(service.FlagFIN|service.FlagRST) == 0 && p.TCP.Flags != service.FlagSYN {
		return nil
	}
	return []arrow{{at: p.At, from: from, to: to, addresses: [2]netip.AddrPort{p.From, p.To}, packet: p, verdicts: []string{p.Verdict}}}
}

func note[K comparable](sets map[K]map[int]bool, key K, n int) {
	if sets[key] == nil {
		sets[key] = make(map[int]bool)
	}
	sets[key][n] = true
}

func (l *ladder) packet(s sending) record.Packet { return l.recordings[s.of].packets[s.i] }

// sent returns the arrows of a datagram, to all that it leads to.
func (l *ladder) sent(s sending) (all []arrow) {
	p := l.packet(s)
	plain := arrow{lost: p.Verdict == Lost, at: p.At, from: end{role: s.of + 1}, to: end{address: p.To}, addresses: [2]netip.AddrPort{p.From, p.To}, packet: p, verdicts: []string{p.Verdict}}
	known := false
	for by, other := range l.recordings {
		a := plain
		a.to = end{role: by + 1}
		if received, ok := l.came[hearing{s, by}]; ok {
			a.took, a.addresses[1] = received.At.Sub(p.At), received.To
			a.verdicts = []string{p.Verdict, received.Verdict}
		} else if by == s.of || other.leavesOut(p.At) || !l.leads[way{s.of, p.To}][by] && !other.owns(p.To) {
			continue
		} else {
			a.lost = plain.lost || p.At.Before(l.settled)
		}
		known = true
		all = append(all, a)
	}
	if !known {
		return []arrow{plain}
	}
	return all
}

// received returns the arrow of a datagram of which only the receiving is recorded, after what it
// shows to be missing.
func (l *ladder) received(p record.Packet) (all []arrow) {
	a := arrow{at: p.At, from: l.whose(p.From), to: l.whose(p.To), addresses: [2]netip.AddrPort{p.From, p.To}, packet: p, lost: p.Verdict == Lost, verdicts: []string{p.Verdict}}
	if gap := gapVerdict.FindStringSubmatch(p.Verdict); gap != nil && a.from.role == 0 {
		missing := arrow{at: p.At, from: a.from, to: a.to, addresses: a.addresses, lost: true, gap: gap[1]}
		if gap[2] != "" {
			missing.gap += " to " + gap[2]
		}
		all = append(all, missing)
	}
	return append(all, a)
}

// whose returns the role at an address, if that is known.
func (l *ladder) whose(a netip.AddrPort) end {
	roles := maps.Clone(l.behind[a])
	if roles == nil {
		roles = make(map[int]bool)
	}
	for i, r := range l.recordings {
		if r.owns(a) {
			roles[i] = true
		}
	}
	for role := range roles {
		if len(roles) == 1 {
			return end{role: role + 1}
		}
	}
	return end{address: a}
}

// What the strokes of arrows tell apart. Each has a word beside the arrow as well.
const (
	plain     = ""
	lost      = "lost"
	again     = "sent again"
	duplicate = "duplicate"
	late      = "late"
	refused   = "refused"
)

// fate is what became of the datagram.
func (a arrow) fate() string {
	said := strings.Join(a.verdicts, ", ")
	switch {
	case a.lost:
		return lost
	case strings.Contains(said, refused):
		return refused
	case strings.Contains(said, duplicate):
		return duplicate
	case strings.Contains(said, again), strings.Contains(said, "repaired"):
		return again
	case strings.Contains(said, late):
		return late
	}
	return plain
}

// words are what the roles said of it, and whether it is lost.
func (a arrow) words() string {
	var words []string
	if a.lost {
		words = append(words, lost)
	}
	for _, v := range a.verdicts {
		if v != "" && !slices.Contains(words, v) {
			words = append(words, v)
		}
	}
	return strings.Join(words, ", ")
}
