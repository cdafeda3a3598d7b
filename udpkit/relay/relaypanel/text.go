package relaypanel

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// lines writes lines. Those of messages, gaps and new logs wait for flush: many come at once, and
// what was not written whole is not delivered.
type lines struct {
	out io.Writer

	mu      sync.Mutex
	waiting []byte
	ends    []int // in waiting, where each line ends that flush has to account for
	safe    int   // lines that are written since the last flush
	err     error // the first failure; nothing is written after it
}

// add takes the lines of an event, each with its newline.
func (l *lines) add(e relay.Event, lines string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, lines...)
	if delivered(e) {
		l.ends = append(l.ends, len(l.waiting))
		return nil
	}
	return l.write()
}

// delivered reports whether a reader has to be told what has become of an event.
func delivered(e relay.Event) bool {
	switch e := e.(type) {
	case relay.MessageEvent, relay.GapEvent:
		return true
	case relay.LogEvent:
		return e.Role == relay.RoleReader
	}
	return false
}

func (l *lines) write() error {
	if l.err != nil || len(l.waiting) == 0 {
		return l.err
	}
	n, err := l.out.Write(l.waiting)
	if err != nil {
		l.err = fmt.Errorf("cannot show what happens: %w", err)
	}
	for _, end := range l.ends {
		if end <= n {
			l.safe++
		}
	}
	l.waiting, l.ends = l.waiting[:0], l.ends[:0]
	return l.err
}

// flush is what relay.ReaderConfig.Flush wants.
func (l *lines) flush() (safe int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err = l.write()
	safe, l.safe = l.safe, 0
	return safe, err
}

// text shows a line an event. What comes at once is shown at once.
type text struct {
	lines
	show   console.Display // that the lines are written to
	view   *view
	person bool // somebody types, and wants to know what has become of it
}

func newText(v *view, show console.Display) *text {
	_, person := show.(*console.Editor)
	return &text{lines: lines{out: show}, show: show, view: v, person: person}
}

func (t *text) event(e relay.Event) error {
	line := t.describe(e)
	if line == "" {
		return nil
	}
	return t.add(e, line+"\n")
}

func (t *text) wrote(uint64, string) {}

// sample draws a server's status.
func (t *text) sample(s Sample, f flow) error {
	if t.view.server == nil || !t.show.HasStatus() {
		return nil
	}
	stats := t.view.server.Stats()
	status := fmt.Sprintf("%s, %s; %s stored/s, %s delivered/s; log %s", format.Plural(uint64(stats.Readers), "reader"), format.Plural(uint64(stats.Writers), "writer"),
		rate(f.stored), rate(f.delivered), kept(stats.First, stats.Last))
	if size := t.view.logSize(); size != "" {
		status += ", " + size
	}
	if len(s.Lags) > 0 && s.Lags[0].Messages > 0 {
		status += fmt.Sprintf("; %s is %s behind", s.Lags[0].Username, format.Number(s.Lags[0].Messages))
	}
	t.show.Status("*", status)
	return nil
}

func (t *text) End(why string) error {
	_ = t.show.Clear() // if it fails, so does the next line, which tells
	return t.show.Print(fmt.Sprintf("\nEnded: %s, after %s%s", why, format.Short(time.Since(t.view.begun)), t.summary()))
}

// summary is the end of the text that a role leaves behind.
func (t *text) summary() string {
	var pairs []string
	if v := t.view.server; v != nil {
		s, size := v.Stats(), t.view.logSize()
		if size != "" {
			size = ", " + size
		}
		pairs = append(pairs,
			"clients", fmt.Sprintf("%d registered%s", s.Registered, format.Reasons(s.Left, "; ")+format.Reasons(s.Refused, "; refused: ")),
			"stored", fmt.Sprintf("%s, %d came twice", format.Plural(s.Stored, "message"), s.Duplicates),
			"delivered", fmt.Sprintf("%s, %s sent again", format.Plural(s.Delivered, "message"), format.Plural(s.Resent, "datagram")),
			"log", kept(s.First, s.Last)+size)
	}
	if r := t.view.reader; r != nil {
		s := r.Stats()
		pairs = append(pairs,
			"delivered", format.Plural(s.Delivered, "message"),
			"missing", format.NotZero(s.Missing, format.Plural(s.Missing, "message")),
			"next", format.NotZero(s.Next, fmt.Sprintf("#%d", s.Next)))
	}
	if w := t.view.writer; w != nil {
		s := w.Stats()
		pairs = append(pairs,
			"stored", fmt.Sprintf("%s of %s", format.Number(s.Stored), format.Plural(s.Written, "message")),
			"sent again", format.NotZero(s.Resent, format.Plural(s.Resent, "message")))
	}
	return format.Summary(13, append(pairs, "untrusted", t.view.untrusted(""))...)
}

// describe returns an event as a line, "" for one that is not shown.
func (t *text) describe(e relay.Event) string {
	now := format.Clock(time.Now())
	switch e := e.(type) {
	case relay.MessageEvent:
		return fmt.Sprintf("%s  #%d  %s: %s", format.Clock(e.At), e.Seq, t.view.name(e.Username), printable(e.Text))
	case relay.StoredEvent:
		if !t.person || t.view.reader != nil { // then it comes back
			return ""
		}
		return fmt.Sprintf("%s  stored%s after %s", now, format.NotZero(e.Seq, fmt.Sprintf(" as #%d", e.Seq)), format.Short(e.Took))
	case relay.StartEvent:
		return t.begin(e)
	case refusedEvent:
		return now + "  ! " + e.String()
	}
	if notice := notice(e); notice != "" {
		return now + "  * " + notice
	}
	return ""
}

// begin says what has begun. Of a Join the reader's start says it.
func (t *text) begin(e relay.StartEvent) string {
	at := "the relay server" + several(e.Server) + " " + printable(e.Server)
	switch {
	case t.view.server != nil:
		return fmt.Sprintf("Relay server on %v; %s. Ctrl-C ends it.", e.Local, t.view.logText(t.view.log.Bounds()))
	case e.Role == relay.RoleWriter && t.view.reader != nil:
		return ""
	case e.Role == relay.RoleReader && t.view.writer == nil:
		return fmt.Sprintf("Reader %s of %s. Ctrl-C ends it.", e.Username, at)
	case e.Role == relay.RoleReader:
		return fmt.Sprintf("%s reads and writes at %s. Each line that you type is a message; Ctrl-C leaves.", e.Username, at)
	}
	return fmt.Sprintf("Writer %s of %s. Each line is a message; Ctrl-C leaves.", e.Username, at)
}

// notice says what has happened in a few words, "" for what is no notice.
func notice(e relay.Event) string {
	switch e := e.(type) {
	case linkEvent:
		return e.Role.String() + ": " + notice(e.LinkEvent)
	case relay.LinkEvent:
		switch {
		case !e.Up:
			return printable(e.Text)
		case e.Next > 0:
			return fmt.Sprintf("served%s; #%d comes next", by(e.Server), e.Next)
		}
		return "served" + by(e.Server)
	case relay.GapEvent:
		return fmt.Sprintf("%s missing: %s no longer kept", ranged(e.From, e.To), format.Plural(e.Messages(), "message"))
	case relay.LogEvent:
		if e.Role == relay.RoleWriter {
			return "the server has another log than before: what is stored so far is in the old one, and what was on its way may be in both"
		}
		return "the server has another log than before: numbers begin anew, and what was not read of the old one is lost"
	case relay.JoinEvent:
		what := "registered"
		if e.Moved {
			what = "has another address now"
		}
		if e.Next > 0 {
			what += fmt.Sprintf(", #%d comes next", e.Next)
		}
		return fmt.Sprintf("%v %s at %v %s", e.Role, printable(e.Username), e.Client, what)
	case relay.LeaveEvent:
		if e.Reason == relay.ReasonExpired {
			return fmt.Sprintf("%v %s at %v is not heard any more", e.Role, printable(e.Username), e.Client)
		}
		return fmt.Sprintf("%v %s at %v %s", e.Role, printable(e.Username), e.Client, e.Reason)
	case relay.RefusedEvent:
		return format.RefusedLine(e.From, e.Reason, e.Count)
	case relay.ErrorEvent:
		return printable(e.Text)
	}
	return ""
}

// by says which server serves, if there is a choice.
func by(server netip.AddrPort) string {
	if !server.IsValid() {
		return ""
	}
	return " by " + server.String()
}

// name returns a username, and whether it is this session's.
func (v *view) name(username string) string {
	if v.own(username) {
		return printable(username) + " (you)"
	}
	return printable(username)
}

// jsonLines shows events as JSON lines.
type jsonLines struct{ lines }

func (j *jsonLines) event(e relay.Event) error {
	var line strings.Builder
	if err := console.NewJSON(&line).Event(e); err != nil {
		return err
	}
	return j.add(e, line.String())
}

func (*jsonLines) wrote(uint64, string)      {}
func (*jsonLines) sample(Sample, flow) error { return nil }
func (*jsonLines) End(string) error          { return nil }
