package relaypanel

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// view is what is known of a role.
type view struct {
	role     Role
	username string // a client's
	begun    time.Time
	server   *relay.Server
	log      relay.Log // a server's
	place    string    // of the log, for a person
	reader   *relay.Reader
	writer   *relay.Writer
	keyed    bool

	mu    sync.Mutex
	start relay.StartEvent
	links map[relay.Role]relay.LinkEvent // the newest of a client; 0 if it has one role
	met   bool                           // a server has answered a client
}

// event keeps what an event says about the role itself.
func (v *view) event(e relay.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := e.(type) {
	case relay.StartEvent:
		v.start = e
	case relay.LinkEvent:
		v.link(0, e)
	case linkEvent:
		v.link(e.Role, e.LinkEvent)
	}
}

func (v *view) link(role relay.Role, e relay.LinkEvent) {
	if v.links == nil {
		v.links = make(map[relay.Role]relay.LinkEvent)
	}
	v.links[role] = e
	v.met = v.met || e.Up
}

// missed returns an error if a client has never had an answer.
func (v *view) missed() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.server != nil || v.met {
		return nil
	}
	right := "address and port"
	if v.keyed {
		right = "address, port and key"
	}
	if several(v.start.Server) != "" {
		return fmt.Errorf("none of the servers %s has answered: are they running, and are %s right?", v.start.Server, right)
	}
	return fmt.Errorf("the server %s has not answered: is it running, and are %s right?", v.start.Server, right)
}

// served reports whether everything has a server.
func (v *view) served() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, l := range v.links {
		if !l.Up {
			return false
		}
	}
	return v.server != nil || len(v.links) > 0
}

// state says how a client gets on with its server. Why it has none is told by a notice.
func (v *view) state() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	server := printable(v.start.Server)
	if server == "" {
		return "starting"
	}
	the := "the server" + several(server)
	var by []string
	for _, l := range v.links {
		if !l.Up {
			return fmt.Sprintf("waiting for %s %s", the, server)
		}
		if l.Server.IsValid() && !slices.Contains(by, l.Server.String()) {
			by = append(by, l.Server.String())
		}
	}
	if len(v.links) == 0 {
		return fmt.Sprintf("looking for %s %s", the, server)
	}
	if len(by) > 0 {
		slices.Sort(by)
		server = strings.Join(by, " and ")
	}
	return fmt.Sprintf("served by %s", server)
}

// several returns the ending of "server" for what a relay.StartEvent tells of them.
func several(servers string) string {
	if strings.Contains(servers, ",") {
		return "s"
	}
	return ""
}

// own reports whether a name is this session's.
func (v *view) own(username string) bool { return v.role == RoleJoin && username == v.username }

// logSize returns what is known of the log's size in bytes, "" if nothing is.
func (v *view) logSize() string {
	if log, ok := v.log.(interface {
		Size() (messages, bytes uint64)
	}); ok {
		_, size := log.Size()
		return format.Bytes(size)
	}
	return ""
}

// logText says where the log is and which messages it has.
func (v *view) logText(first, last uint64) string {
	if v.place == "" {
		return "the log: " + kept(first, last)
	}
	return "the log in " + printable(v.place) + ": " + kept(first, last)
}

// untrusted says what a key has refused, by reason.
func (v *view) untrusted(label string) string {
	counts := make(map[string]uint64)
	add := func(r key.Refused) {
		counts["unsigned"] += r.Unsigned
		counts["with another key"] += r.Forged
		counts["too old or ahead"] += r.Expired
		counts["came twice"] += r.Repeated
	}
	if v.server != nil {
		add(v.server.Stats().Untrusted)
	}
	if v.reader != nil {
		add(v.reader.Stats().Untrusted)
	}
	if v.writer != nil {
		add(v.writer.Stats().Untrusted)
	}
	maps.DeleteFunc(counts, func(_ string, n uint64) bool { return n == 0 })
	return format.Reasons(counts, label)
}

// printable returns a text fit to be shown in one line: a tab is a space, and what emoji are joined
// with is left out.
func printable(text string) string {
	return panel.Printable(console.Unjoined(strings.ReplaceAll(text, "\t", " ")))
}

// rate returns a number a second.
func rate(r float64) string {
	if r > 0 && r < 10 {
		return fmt.Sprintf("%.1f", r)
	}
	return format.Number(uint64(r + 0.5))
}

// ranged returns the numbers of messages: #1 to #7.
func ranged(from, to uint64) string {
	if from == to {
		return fmt.Sprintf("#%d", from)
	}
	return fmt.Sprintf("#%d to #%d", from, to)
}

// kept says which messages a log has.
func kept(first, last uint64) string {
	if last < first {
		return "empty"
	}
	return ranged(first, last)
}
