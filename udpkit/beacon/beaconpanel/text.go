package beaconpanel

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// nameColumns is how much of a name the table shows.
const nameColumns = 32

type text struct {
	out   io.Writer
	size  func() (width, height int) // of the terminal; 0 if there is none to draw on
	drawn int                        // lines of the table that stand there
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
	if _, height := t.size(); height == 0 || first {
		if err := console.Print(t.out, line); err != nil {
			return err
		}
	}
	return t.tick(p)
}

// tick draws the table over the last one.
func (t *text) tick(p picture) error {
	width, height := t.size()
	if height == 0 {
		t.drawn = 0 // what stands above is not ours
		return nil
	}
	table := t.table(p, height-1)
	var screen strings.Builder
	if t.drawn > 0 {
		fmt.Fprintf(&screen, "\r\x1b[%dA", t.drawn)
	}
	// Each line is cleared on its own, since some terminals keep what is cleared at once. A line
	// that went on in the next would upset the count: it is cut, and where the terminal has wider
	// characters than we know, turning DECAWM off holds it.
	screen.WriteString("\x1b[?7l")
	for line := range strings.Lines(table) {
		screen.WriteString("\x1b[2K" + console.Cut(strings.TrimSuffix(line, "\n"), width) + "\n")
	}
	screen.WriteString("\x1b[J\x1b[?7h")
	t.drawn = strings.Count(table, "\n")
	return console.Write(t.out, screen.String())
}

// table returns the peers and the last changes in at most that many lines.
func (t *text) table(p picture, lines int) string {
	peers := [][]string{{"NAME", "ADDRESS", "ID", "HERE FOR", "HEARD", "LAST HEARD"}}
	for _, peer := range p.Peers {
		peers = append(peers, []string{console.Cut(name(peer), nameColumns), peer.Addr.Addr().String(), id(peer),
			format.Ago(p.Now, peer.FirstSeen), fmt.Sprint(peer.Heard), format.Ago(p.Now, peer.LastSeen) + " ago"})
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
	rows := slices.Collect(strings.Lines("\n" + console.Table(peers)))
	tail = tail[max(0, len(tail)-max(0, lines-len(rows)-1)):] // the peers come first
	if len(tail) > 0 {
		rows = append(rows, "\n"+strings.Join(tail, "\n")+"\n")
	} else if over := len(rows) - lines; over > 0 && lines > 0 {
		rows = append(rows[:lines-1], fmt.Sprintf("and %d more\n", over+1))
	}
	return strings.Join(rows, "")
}

func (t *text) end(p picture) error {
	if err := t.tick(p); err != nil {
		return err
	}
	s := p.Stats
	return console.Print(t.out, fmt.Sprintf("\nEnded: %s, %s", p.Ended, format.Short(s.Runtime))+format.Summary(13,
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
