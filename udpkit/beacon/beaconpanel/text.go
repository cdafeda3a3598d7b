package beaconpanel

import (
	"fmt"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// nameColumns is how much of a name the table shows.
const nameColumns = 32

type text struct {
	console.Display
	block console.Block
}

func (t *text) event(e beacon.Event, p picture) error {
	if _, last := e.(beacon.Stats); last {
		return nil // end shows it
	}
	var line string
	switch e := e.(type) {
	case beacon.StartEvent:
		if e.Silent {
			line = fmt.Sprintf("Listening for beacons on port %d; nothing is sent. Ctrl-C ends it.", e.Port)
			break
		}
		line = fmt.Sprintf("Beacon %s, id %v, on port %d, every %v to %s%s. Ctrl-C ends it.", panel.Printable(e.Name), e.ID, e.Port, e.Interval, p.Where(), p.Key())
	case beacon.PeerEvent:
		line = format.Millis(e.At) + "  " + changeText(e)
	case beacon.RefusedEvent:
		line = format.Millis(e.At) + "  " + format.RefusedLine(e.From, e.Reason, e.Count)
	case beacon.ErrorEvent:
		label := "error"
		if e.Ended {
			label = "recovered"
		}
		line = fmt.Sprintf("%s  %-9s %s", format.Millis(e.At), label, failureText(e))
	}
	_, first := e.(beacon.StartEvent)
	if _, height := t.Window(); height == 0 || first {
		if err := t.Print(line); err != nil {
			return err
		}
	}
	return t.tick(p)
}

// tick draws the table over the last one.
func (t *text) tick(p picture) error {
	return t.block.Draw(t, 0, func(most int) []string { return tableLines(p, most) })
}

// tableLines returns the peers and the last changes in at most that many lines. What matters most
// stands where a narrow terminal shows it.
func tableLines(p picture, most int) []string {
	peers := [][]string{{"NAME", "ADDRESS", "LAST HEARD", "RATE/S", "JITTER", "RESTARTS", "HEARD", "HERE FOR", "ID"}}
	for _, peer := range p.Peers {
		peers = append(peers, []string{console.Cut(name(peer), nameColumns), peer.Addr.Addr().String(), format.Ago(p.Now, peer.LastSeen) + " ago",
			format.Rate(peer.Rate), format.Jitter(peer.Jitter), fmt.Sprint(peer.Restarts), fmt.Sprint(peer.Heard), format.Ago(p.Now, peer.FirstSeen), id(peer)})
	}
	if len(p.Peers) == 0 {
		peers = append(peers, []string{"Nobody yet."})
	}
	var tail []string
	for _, f := range p.Failures {
		tail = append(tail, "error: "+failureText(f))
	}
	tail = append(tail, p.Refused.Lines()...)
	for _, c := range p.Changes {
		tail = append(tail, format.Millis(c.At)+"  "+changeText(c))
	}
	rows := append([]string{""}, strings.Split(strings.TrimSuffix(console.Table(peers), "\n"), "\n")...)
	tail = tail[max(0, len(tail)-max(0, most-len(rows)-1)):] // the peers come first
	if len(tail) > 0 {
		return append(append(rows, ""), tail...)
	}
	if over := len(rows) - most; over > 0 && most > 0 {
		rows = append(rows[:most-1], fmt.Sprintf("and %d more", over+1))
	}
	return rows
}

func (t *text) end(p picture) error {
	if err := t.tick(p); err != nil {
		return err
	}
	s := p.Stats
	return t.Print(fmt.Sprintf("\nEnded: %s, %s", p.Ended, format.Short(s.Runtime)) + format.Summary(13,
		"sent", fmt.Sprintf("%d, %d failed to go out", s.Sent, s.SendErrors),
		"failed", format.NotZero(s.ReadErrors, fmt.Sprintf("%d reads", s.ReadErrors)),
		"peers", fmt.Sprintf("%d there, %d came, %d left, %d expired, %d refused", s.Peers, s.Appeared, s.Left, s.Expired, s.Refused),
		"heard", fmt.Sprintf("%d, and %d of its own, %d malformed, %d ignored", s.Heard, s.Own, s.Malformed, s.Ignored),
		"untrusted", s.Untrusted.String(),
		"dropped", format.NotZero(s.KernelDropped+s.EventsDropped, fmt.Sprintf("%d datagrams, %d events", s.KernelDropped, s.EventsDropped))))
}

func name(p beacon.Peer) string {
	if p.Name == "" {
		return "(no name)"
	}
	return panel.Printable(p.Name)
}

func id(p beacon.Peer) string {
	if p.ID == 0 {
		return "–"
	}
	return p.ID.String()
}

func changeText(e beacon.PeerEvent) string {
	text := fmt.Sprintf("%-9s %s at %v", e.Change, name(e.Peer), e.Addr.Addr())
	if e.Change == beacon.Renamed {
		text += ", was " + panel.Printable(e.Was)
	}
	return text
}

func failureText(e beacon.ErrorEvent) string {
	text := panel.Printable(e.Text)
	if e.Interface != "" && !strings.Contains(text, e.Interface) {
		text = e.Interface + ": " + text
	}
	return text
}
