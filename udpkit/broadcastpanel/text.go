package broadcastpanel

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// text shows one line an event, and on a terminal a status below. A server's messages and
// acknowledgements are counts in the status instead, unless it is verbose.
type text struct {
	console.Display
	ended   func() string
	server  *udpkit.Server // nil for a client
	verbose bool

	mu      sync.Mutex
	sent    udpkit.SentEvent
	acks    uint64
	present map[client]heard // the clients that answer
	looked  time.Time        // when those were last looked for that do so no more
	lost    float64          // the share of acknowledgements, as of then
	alone   uint64           // how many messages went out before the first acknowledgement
	begun   time.Time        // when the first of them did
	told    bool             // that there was none
}

// client names one: another host's of the same name is another client.
type client struct {
	id   string
	host netip.Addr
}

// heard is the newest acknowledgement of a client.
type heard struct {
	id uint64
	at time.Time
}

// state is a state in its colour, padded to the longest of the default ones.
func (t *text) state(s udpkit.State) string {
	color := map[udpkit.State]string{
		udpkit.StateActive: console.Green, udpkit.StateStandby: console.Blue, udpkit.StateMaintenance: console.Yellow, udpkit.StateError: console.Red,
	}[s]
	return t.Paint(color, console.Pad(panel.Printable(string(s)), 11))
}

func (t *text) event(e udpkit.Event) error {
	var line string
	switch e := e.(type) {
	case udpkit.StartEvent:
		line = t.start(e)
	case udpkit.SentEvent:
		line = t.message(e)
	case udpkit.AckEvent:
		line = t.ack(e)
	case udpkit.CommandEvent:
		line = t.remark(e.At, console.Yellow, "command", commanded(e), netip.AddrPort{})
	case udpkit.MessageEvent:
		line = fmt.Sprintf("%s  %s  #%d sent %s by %v", format.Millis(e.ReceivedAt), t.state(e.State), e.MessageID, timestamp(e), e.Server)
		if under := latency(e); under != "" {
			line += ", latency " + under
		}
		if apart(e) {
			line += ", " + clocks(e)
		}
		if e.Late {
			line += t.Paint(console.Yellow, ", late")
		} else if e.Repaired {
			line += t.Paint(console.Green, ", repaired")
		}
		if len(e.Data) > 0 {
			line += ", data " + data(e)
		}
	case udpkit.GapEvent:
		line = t.remark(e.At, console.Red, "gap", missing(e), e.Server)
	case udpkit.TimeoutEvent:
		line = t.remark(e.At, console.Yellow, "silence", silence(e), e.Server)
	case udpkit.EndEvent:
		line = t.remark(e.At, console.Yellow, "end", ended(e), e.Server)
	case udpkit.ForgottenEvent:
		line = t.remark(e.At, console.Red, "forgotten", forgotten(e), netip.AddrPort{})
	case udpkit.RefusedEvent:
		line = format.Millis(e.At) + "  " + t.Paint(console.Yellow, format.RefusedLine(e.From, e.Reason, e.Count))
	case udpkit.ErrorEvent:
		label, color := "error", console.Red
		if e.Ended {
			label, color = "recovered", console.Green
		}
		line = fmt.Sprintf("%s  %s  %s", format.Millis(e.At), t.Paint(color, fmt.Sprintf("%-11s", label)), failureText(e))
	case udpkit.ServerSummary:
		line = t.serverSummary(e)
	case udpkit.ClientSummary:
		line = t.clientSummary(e)
	default:
		return nil
	}
	if line == "" {
		return nil
	}
	return t.Print(line)
}

// remark is a line of what is to be said of a server, if it is of one.
func (t *text) remark(at time.Time, color, label, what string, server netip.AddrPort) string {
	line := fmt.Sprintf("%s  %s  %s", format.Millis(at), t.Paint(color, fmt.Sprintf("%-11s", label)), what)
	if server.IsValid() {
		line += fmt.Sprintf(" by %v", server)
	}
	return line
}

// message returns what is to be said when a server has sent one: of the clients that have vanished,
// and of the message unless the status has it.
func (t *text) message(e udpkit.SentEvent) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent = e
	lines := t.gone(e)
	if t.unanswered(e) {
		lines = append(lines, t.remark(e.At, console.Yellow, "note", nobodyAnswers, netip.AddrPort{}))
	}
	if !t.verbose && t.HasStatus() {
		return strings.Join(lines, "\n")
	}
	line := fmt.Sprintf("%s  %s  #%d sent to %s", format.Millis(e.At), t.state(e.State), e.MessageID, format.Plural(e.Targets, "target"))
	if e.Failed > 0 {
		line += t.Paint(console.Red, fmt.Sprintf(", %d failed", e.Failed))
	}
	if !t.verbose {
		line += fmt.Sprintf("; %s, %s so far", format.Plural(len(t.present), "client"), format.Plural(t.acks, "acknowledgement"))
	}
	return strings.Join(append(lines, line), "\n")
}

// ack returns what is to be said of an acknowledgement.
func (t *text) ack(e udpkit.AckEvent) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acks++
	who := client{e.ClientID, e.Client.Addr()}
	last, here := t.present[who]
	t.present[who] = heard{max(last.id, e.MessageID), e.At}
	switch {
	case t.verbose:
		return fmt.Sprintf("%s  %-11s  #%d by %s at %v, round trip %s", format.Millis(e.At), "ack", e.MessageID, panel.Printable(e.ClientID), e.Client, format.Short(e.RTT))
	case here:
		return ""
	}
	return fmt.Sprintf("%s  %s  %s at %v has come", format.Millis(e.At), t.Paint(console.Green, "client     "), panel.Printable(e.ClientID), e.Client)
}

// A client has vanished that has not acknowledged the last messages, for some time.
const (
	unanswered   = 3
	leastSilence = time.Second
)

// vanished reports whether a client has, given its last acknowledgement and the last message.
func vanished(last uint64, at time.Time, sent uint64, now time.Time) bool {
	return last+unanswered < sent && now.Sub(at) >= leastSilence
}

// nobodyAnswers is what to look at if nobody acknowledges as many messages, for as long.
const nobodyAnswers = "nobody has acknowledged anything. If a client runs, a firewall, a guest Wi-Fi or a VPN may drop the broadcasts in " +
	"silence, and a Docker network with internal: true those to 255.255.255.255: try the client's address as the target"

// unanswered reports, once, that nobody has acknowledged.
func (t *text) unanswered(e udpkit.SentEvent) bool {
	if t.acks > 0 || t.told || e.Targets == 0 {
		return false
	}
	if t.alone++; t.alone == 1 {
		t.begun = e.At
	}
	t.told = t.alone >= unanswered && e.At.Sub(t.begun) >= leastSilence
	return t.told
}

// gone takes the clients away that have not acknowledged the last messages, for a second at
// least, and returns a line for each; none if the server is verbose.
func (t *text) gone(e udpkit.SentEvent) (lines []string) {
	if e.At.Sub(t.looked) < leastSilence {
		return nil
	}
	t.looked = e.At
	t.lost = loss(t.server.Clients()) // not at each drawing: there may be 10,000
	for who, last := range t.present {
		if !vanished(last.id, last.at, e.MessageID, e.At) {
			continue
		}
		delete(t.present, who)
		if !t.verbose {
			lines = append(lines, fmt.Sprintf("%s  %s  %s at %v has vanished: the last %d messages are not acknowledged", format.Millis(e.At),
				t.Paint(console.Yellow, "client     "), panel.Printable(who.id), who.host, unanswered))
		}
	}
	slices.Sort(lines)
	return lines
}

func (t *text) start(e udpkit.StartEvent) string {
	line := fmt.Sprintf("Server at %v, every %v, epoch %v. Ctrl-C ends it.", e.Listen, e.Interval, e.Epoch)
	if e.ClientID != "" {
		line = fmt.Sprintf("Client %s listens on %v, receiver %s. Ctrl-C ends it.", t.Paint(console.Bold, panel.Printable(e.ClientID)), e.Listen, e.Receiver)
	}
	if e.Key != "" {
		line += "\n  " + t.Paint(console.Green, string(e.Key)+" with the key") + ": nothing else is believed"
		if e.ClientID == "" {
			line += "; udpkit control tells the server what to do"
		}
	}
	if smallBuffer(e.ReadBuffer) {
		line += "\n  " + t.Paint(console.Yellow, "receive buffer "+buffer(e.ReadBuffer))
	}
	for _, to := range e.Targets {
		line += fmt.Sprintf("\n  to %v", to)
	}
	return line
}

func (t *text) serverSummary(s udpkit.ServerSummary) string {
	return t.summary(s.Runtime,
		"sent", fmt.Sprintf("%s, %d failed to go out", format.Plural(s.Sent, "message"), s.SendErrors),
		"times told", format.NotZero(s.Times+s.NotTold, fmt.Sprintf("%d, and %d were not", s.Times, s.NotTold)),
		"sent again", format.NotZero(s.Repairs, format.Plural(s.Repairs, "message")),
		"not again", format.NotZero(s.NotRepaired, format.Plural(s.NotRepaired, "message")),
		"clients", fmt.Sprint(s.Clients),
		"acks", fmt.Sprintf("%d, and %d without epoch, %d duplicate, %d refused, %d malformed", s.Acks, s.UnprovedAcks, s.DuplicateAcks, s.RefusedAcks, s.Malformed),
		"untrusted", s.Untrusted.String(),
		"commands", format.NotZero(s.Commands, fmt.Sprint(s.Commands)),
		"round trip", distribution(s.RTT),
		"dropped", format.NotZero(s.KernelDropped, format.Plural(s.KernelDropped, "datagram")),
		"buffer", buffer(s.ReadBuffer),
		"not shown", format.NotZero(s.EventsDropped, format.Plural(s.EventsDropped, "event")),
	)
}

func (t *text) clientSummary(s udpkit.ClientSummary) string {
	dropped := s.Dropped + s.KernelDropped
	return t.summary(s.Runtime,
		"received", fmt.Sprintf("%s, %d repaired, %d late, %d duplicate, %d malformed", format.Plural(s.Received, "message"), s.Repaired, s.Late, s.Duplicates, s.Malformed+s.Truncated),
		"untrusted", s.Untrusted.String(),
		"missed", fmt.Sprintf("%d, %s", s.Missed, format.Plural(s.Gaps, "gap")),
		"silences", fmt.Sprint(s.Timeouts),
		"acknowledged", fmt.Sprintf("%d, %d failed", s.Acknowledged, s.AckErrors),
		"interval", distribution(s.Interval),
		"latency", distribution(s.Latency),
		"dropped", format.NotZero(dropped, format.Plural(dropped, "datagram")),
		"buffer", buffer(s.ReadBuffer),
	)
}

// summary is a block of labels and values; an empty value is left out.
func (t *text) summary(runtime time.Duration, lines ...string) string {
	return "\n" + t.Paint(console.Bold, "Ended: "+t.ended()) + ", " + format.Short(runtime) + format.Summary(16, lines...)
}

func (t *text) note(remark string) error {
	return t.Print(fmt.Sprintf("%s  %-11s  %s", format.Millis(time.Now()), "note", panel.Printable(remark)))
}

func (t *text) idle(elapsed time.Duration) {
	if !t.HasStatus() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	wait := "waiting for a message, " + format.Tenths(elapsed)
	if t.server != nil {
		wait = fmt.Sprintf("next message in %s; #%d %s, %s, %d acknowledged", format.Tenths(max(0, t.server.Interval()-elapsed)), t.sent.MessageID,
			panel.Printable(string(t.sent.State)), format.Plural(len(t.present), "client"), t.acks)
		if t.acks > 0 {
			wait += ", " + percent(t.lost) + " lost"
		}
	}
	t.Status(format.Frame(), wait)
}

func (t *text) End(string) error { return t.Clear() }

// commanded says what a holder of the key has told the server, and from where.
func commanded(e udpkit.CommandEvent) string {
	text := e.Verb
	if e.Argument != "" {
		text += " " + e.Argument
	}
	return fmt.Sprintf("%s by %v", panel.Printable(text), e.From)
}

// missing says which ids a gap left out.
func missing(e udpkit.GapEvent) string {
	if e.From == e.To {
		return fmt.Sprintf("#%d missing", e.From)
	}
	return fmt.Sprintf("#%d to #%d missing, %d messages", e.From, e.To, e.To-e.From+1)
}

// silence says how long nothing has come.
func silence(e udpkit.TimeoutEvent) string {
	if !e.Server.IsValid() {
		return "no message for " + format.Short(e.Elapsed)
	}
	return fmt.Sprintf("no message for %s after #%d", format.Short(e.Elapsed), e.LastID)
}

// ended says how a server's run has ended.
func ended(e udpkit.EndEvent) string {
	if e.Said {
		return fmt.Sprintf("#%d was the last message", e.LastID)
	}
	return fmt.Sprintf("started anew; what was sent after #%d is lost", e.LastID)
}

// forgotten says that there are too many servers.
func forgotten(e udpkit.ForgottenEvent) string {
	return fmt.Sprintf("too many servers at once: losses of %s are not reported", format.Plural(e.Runs, "server run"))
}

// failureText says what failed, by which interface, and to whom unless the text names it already.
func failureText(e udpkit.ErrorEvent) string {
	text := panel.Printable(e.Text)
	if e.Peer.IsValid() && !strings.Contains(text, e.Peer.String()) {
		text = fmt.Sprintf("%v: %s", e.Peer, text)
	}
	if e.Interface != "" {
		text = panel.Printable(e.Interface) + ": " + text
	}
	return text
}

func distribution(d udpkit.Distribution) string {
	if d.Count == 0 {
		return ""
	}
	return fmt.Sprintf("median %s, p99 %s, %s to %s", format.Short(d.P50), format.Short(d.P99), format.Short(d.Min), format.Short(d.Max))
}
