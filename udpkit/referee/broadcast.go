package referee

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
)

var broadcastScripts = []script{
	{
		system: "broadcast", side: Client, port: udpkit.DefaultPort, play: broadcastClient,
		shows: "a line shows a status if it has the status's message_id and its state, or its timestamp as it was sent; " +
			"it is shown twice if each kind of line that shows it comes twice, where lines of a kind have the same words, but for numbers",
		rules: []Rule{
			{"shows", "It shows each status that reaches it, and was not overtaken."},
			{"once", "It shows no status more than once."},
			{"acknowledges", `It answers each of these with "Client <id> received message <message_id>", where it came from.`},
			{"honest", "It acknowledges no status that did not reach it, and none more often than it did."},
			{"restart", "After a restart of the server, which counts from its first message_id again, and has another port, it shows and acknowledges what that sends."},
			{"second", "It shows and acknowledges what two servers send at the same time, with the same message_ids."},
			{"forged", "What a stranger sends does not keep it from showing and acknowledging what the server sends."},
		},
	},
	{
		system: "broadcast", side: Server, port: udpkit.DefaultPort, play: broadcastServer,
		shows: "a line shows an acknowledgement if it has the id of the client",
		rules: []Rule{
			{"format", "Each status is a JSON object with a timestamp in ISO 8601, a state and a whole number as message_id."},
			{"counts", "From one status to the next, the message_id grows by one."},
			{"shows", "It shows each client that has acknowledged, if that has reached it."},
			{"forged", "It goes on sending after what strangers send."},
		},
	},
}

// statuses is how many a server sends in each part of a round.
const statuses = 20

// pace is the time between two statuses, if the first is not acknowledged sooner.
const pace = 100 * time.Millisecond

// status is what a server has sent.
type status struct {
	id        uint64
	state     string
	timestamp string
	delivered bool
	late      bool
}

// caster is a server of the referee's.
type caster struct {
	t      *trial
	socket *socket
	states []string // no other server has them
	first  uint64
	next   uint64
	sent   []*status
}

// caster opens a server whose first status has that id.
func (t *trial) caster(name string, first uint64, states ...string) (*caster, error) {
	s, err := t.loopback(name)
	return &caster{t: t, socket: s, states: states, first: first, next: first}, err
}

func (c *caster) payload() (*status, []byte) {
	s := &status{id: c.next, state: c.states[int(c.next)%len(c.states)], timestamp: time.Now().Format("2006-01-02T15:04:05.000000")}
	c.next++
	// As the course's server writes it, with the spaces of Python's json.dumps.
	return s, fmt.Appendf(nil, `{"timestamp": %q, "state": %q, "message_id": %d}`, s.timestamp, s.state, s.id)
}

// cast sends a status, and waits until it is acknowledged, or for the time between two.
func (c *caster) cast() error {
	s, payload := c.payload()
	s.delivered, s.late = c.socket.send(payload, c.t.place)
	c.sent = append(c.sent, s)
	_, err := c.t.wait(pace, func() bool { return s.late || c.t.acknowledged(c, s) > 0 })
	return err
}

// acknowledged returns how often a status was. It is for t.mu held.
func (t *trial) acknowledged(c *caster, s *status) (n int) {
	for _, d := range t.log {
		if !d.sent && d.socket == c.socket {
			if a, err := udpkit.DecodeAck(d.payload); err == nil && a.MessageID == s.id {
				n++
			}
		}
	}
	return n
}

// shown returns the lines that show a status. It is for t.mu held.
func (t *trial) shown(s *status) (all []line) {
	id := strconv.FormatUint(s.id, 10)
	for _, l := range t.lines() {
		if strings.Contains(l.text, s.timestamp) || has(l.text, id) && strings.Contains(l.text, s.state) {
			all = append(all, l)
		}
	}
	return all
}

// again returns the lines that show a status in the same words, and of several such kinds the
// rarest. A program may show a status in one line, dump each datagram in another, and say in a
// third that a copy was not shown.
func again(lines []line) (rarest []line) {
	kinds := make(map[string][]line)
	for _, l := range lines {
		text := l.text[strings.LastIndexByte(l.text, '\r')+1:] // behind what turns while it waits
		words := strings.Join(strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) }), " ")
		kinds[words] = append(kinds[words], l)
	}
	for _, kind := range kinds {
		if rarest == nil || len(kind) < len(rarest) {
			rarest = kind
		}
	}
	return rarest
}

// has reports whether a status was delivered in a datagram.
func (d datagram) has(c *caster, s *status) bool {
	return d.sent && !d.lost && d.socket == c.socket && strings.Contains(string(d.payload), fmt.Sprintf(`"message_id": %d}`, s.id))
}

// reached returns the datagrams in which a status was delivered. It is for t.mu held.
func (t *trial) reached(c *caster, s *status) (all []string) {
	for _, d := range t.log {
		if d.has(c, s) {
			all = append(all, fmt.Sprint("datagram ", d.number))
		}
	}
	return all
}

// broadcastClient plays the server, and its network.
func broadcastClient(t *trial) error {
	// Ids that stand nowhere else in a line, such as in a time of day.
	server, err := t.caster("server", 4_000_001, "ACTIVE", "STANDBY")
	if err != nil {
		return err
	}
	if port, err := t.open("", t.place, nil); err != nil { // nobody else may take what is sent to it
		return err
	} else if err := port.close(); err != nil {
		return err
	}
	if err := t.start(); err != nil {
		return err
	}
	heard := false
	for t.now() < StartUp && !heard { // what is sent before it listens is not judged
		s, payload := server.payload()
		server.socket.plain(payload, t.place)
		heard, err = t.wait(pace, func() bool { return t.acknowledged(server, s) > 0 || len(t.shown(s)) > 0 })
		if err != nil {
			return err
		}
		if err := t.stays(""); err != nil {
			return err
		}
	}
	if !heard {
		t.find(ruleStarts, "it shows and acknowledges nothing of what is sent to %s, for %v", t.place, StartUp)
		return nil
	}
	for i := range statuses {
		if i == statuses/2 {
			if err := t.partition(); err != nil {
				return err
			}
		}
		if err := server.cast(); err != nil {
			return err
		}
	}
	if err := t.judgeStatuses(server, ""); err != nil {
		return err
	}
	parts := []struct {
		name string
		has  bool
		play func(*caster) ([]*caster, error)
	}{{"forged", t.cfg.Forge, t.forgeStatuses}, {"second", t.cfg.Second, t.secondServer}, {"restart", t.cfg.Restart, t.restartServer}}
	for _, p := range parts {
		if !p.has {
			continue
		}
		casters, err := p.play(server)
		if err != nil {
			return err
		}
		for _, c := range casters {
			if err := t.judgeStatuses(c, p.name); err != nil {
				return err
			}
		}
	}
	return t.finish()
}

// forgeStatuses lets a stranger send, and the server go on.
func (t *trial) forgeStatuses(server *caster) ([]*caster, error) {
	stranger, err := t.loopback("stranger")
	if err != nil {
		return nil, err
	}
	stranger.plain([]byte(`{"timestamp": "2038-01-19T03:14:07", "state": "FORGED", "message_id": 9007199254740991}`), t.place)
	if servers, err := t.castAll(statuses/4, server); err != nil {
		return nil, err
	} else if err := t.judgeStatuses(servers[0], "forged"); err != nil {
		return nil, err
	}
	err = t.litter(t.place, `{"timestamp": "2038-01-19T03:14:07", "state": "FORGED", "message_id": -1}`,
		`{"timestamp": 5, "state": null, "message_id": "seven"}`, `{"message_id": 4100000}`,
		`[]`, `5`, `{`, "\xff\xfe\x00", "", strings.Repeat("[", 900), strings.Repeat("x", 9000))
	if err != nil {
		return nil, err
	}
	return t.castAll(statuses/2, server)
}

// secondServer has another server begin, with the ids of the first.
func (t *trial) secondServer(server *caster) ([]*caster, error) {
	second, err := t.caster("second server", server.next, "ERROR")
	if err != nil {
		return nil, err
	}
	return t.castAll(statuses/2, server, second)
}

// restartServer has the server end, and begin anew with its first id, at another port as the
// documents' server does.
func (t *trial) restartServer(server *caster) ([]*caster, error) {
	if err := server.socket.close(); err != nil {
		return nil, err
	}
	anew, err := t.caster("server, begun anew", server.first, "MAINTENANCE")
	if err != nil {
		return nil, err
	}
	return t.castAll(statuses/2, anew)
}

// castAll has several servers send in turns, and returns what they have sent then.
func (t *trial) castAll(n int, servers ...*caster) (all []*caster, err error) {
	for _, s := range servers {
		s.sent = nil
	}
	for range n {
		for _, s := range servers {
			if err := s.cast(); err != nil {
				return nil, err
			}
		}
	}
	return servers, nil
}

// judgeStatuses waits for what must come of what a server has sent, and judges. In a part with a
// name, that is the rule that is broken.
func (t *trial) judgeStatuses(c *caster, part string) error {
	missed := func(s *status) bool {
		return s.delivered && !s.late && (len(t.shown(s)) == 0 || t.acknowledged(c, s) == 0)
	}
	_, err := t.wait(t.cfg.Patience, func() bool {
		for _, s := range c.sent {
			if missed(s) {
				return false
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	if err := t.stays(""); err != nil {
		return err
	}
	if err := t.pause(pace); err != nil { // for one too many
		return err
	}
	rule := func(name string) string {
		if part != "" {
			return part
		}
		return name
	}
	t.mu.Lock()
	for _, d := range t.log {
		if a, err := udpkit.DecodeAck(d.payload); err == nil && !d.sent && d.socket == c.socket && (a.MessageID < c.first || a.MessageID >= c.next) {
			t.findings = append(t.findings, Finding{"honest", fmt.Sprintf("datagram %d acknowledges status %d of the %s, which has sent %d to %d", d.number, a.MessageID, c.socket.name, c.first, c.next-1)})
			break
		}
	}
	all, none := 0, 0
	for _, s := range c.sent {
		if s.delivered && !s.late {
			all++
		}
		if missed(s) {
			none++
		}
	}
	t.mu.Unlock()
	for _, s := range c.sent {
		t.mu.Lock()
		shown, acknowledged, reached := t.shown(s), t.acknowledged(c, s), t.reached(c, s)
		t.mu.Unlock()
		where := fmt.Sprintf("status %d of the %s (%s)", s.id, c.socket.name, s.state)
		if len(reached) > 0 {
			where += ", " + reached[0] + ","
		}
		switch {
		case len(again(shown)) > 1:
			all := again(shown)
			t.find("once", "%s was shown %s: at %s and again at %s; it came %s (%s)", where, times(len(all)), seconds(all[0].at), seconds(all[1].at), times(len(reached)), strings.Join(reached, ", "))
		case !s.delivered && acknowledged > 0:
			t.find("honest", "%s was acknowledged, and the network had lost it", where)
		case acknowledged > len(reached):
			t.find("honest", "%s reached it %s, and was acknowledged %s", where, times(len(reached)), times(acknowledged))
		case s.delivered && !s.late && len(shown) == 0:
			t.find(rule("shows"), "%s was not shown, %v after it was sent (%d of %d of this part were not shown or not acknowledged)", where, t.cfg.Patience, none, all)
		case s.delivered && !s.late && acknowledged == 0:
			t.find(rule("acknowledges"), "%s was not acknowledged, %v after it was sent (%d of %d of this part were not)", where, t.cfg.Patience, none, all)
		}
	}
	if t.found() {
		return errOver
	}
	return nil
}

func times(n int) string {
	if n == 1 || n == 2 {
		return [...]string{"once", "twice"}[n-1]
	}
	return strconv.Itoa(n) + " times"
}

// partition has the network lose all for a while.
func (t *trial) partition() error {
	if t.cfg.Weather.Partition == 0 {
		return nil
	}
	t.note(func() { t.parted = true })
	err := t.pause(t.cfg.Weather.Partition)
	t.note(func() { t.parted = false })
	return err
}

// broadcastServer plays the clients, and their network.
func broadcastServer(t *trial) error {
	at := t.place
	if t.cfg.Port == 0 && at.Port() == udpkit.DefaultPort { // it may broadcast
		at = netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port())
	}
	names := []string{fmt.Sprintf("ann-%d", 1000+t.dice.IntN(9000)), fmt.Sprintf("bob-%d", 1000+t.dice.IntN(9000))}
	var server netip.AddrPort // guarded by t.mu
	client, err := t.open("client", at, func(s *socket, payload []byte, from netip.AddrPort) {
		if status, err := readStatus(payload); err == nil {
			var all []string
			s.t.note(func() { server, all = from, slices.Clone(names) })
			for _, name := range all {
				s.send(fmt.Appendf(nil, "Client %s received message %d", name, status.id), from)
			}
		}
	})
	if err != nil {
		return err
	}
	if err := t.start(); err != nil {
		return err
	}
	count := func() (n int) { // for t.mu held
		for _, d := range t.log {
			if !d.sent && d.socket == client {
				n++
			}
		}
		return n
	}
	came, err := t.wait(StartUp, func() bool { return count() > 0 })
	if err != nil {
		return err
	}
	if err := t.stays(""); err != nil {
		return err
	}
	if !came {
		t.find(ruleStarts, "it sends nothing to %s, for %v", t.place, StartUp)
		return nil
	}
	const some = 5
	more := func(rule, after string) error { // after: what has happened before
		t.mu.Lock()
		n := count()
		t.mu.Unlock()
		for i := range some {
			// The interval is the server's own affair: an announced one of the course is 5 s.
			came, err := t.wait(4*t.cfg.Patience, func() bool { return count() > n+i })
			if err != nil {
				return err
			}
			if err := t.stays(after); err != nil {
				return err
			}
			if !came {
				t.find(rule, "%s, and then nothing for %v, after %s", format.Plural(i, "datagram"), 4*t.cfg.Patience, after)
				return errOver
			}
		}
		return nil
	}
	if err := more("counts", "the first ones"); err != nil {
		return err
	}
	if err := t.partition(); err != nil {
		return err
	}
	if t.cfg.Forge {
		t.mu.Lock()
		to := server
		t.mu.Unlock()
		err := t.litter(to, "Client nobody received message 9007199254740991", "Client nobody received message -1",
			"Client x received message seven", "Client", "\xff\xfe\x00", "", "{}", strings.Repeat("x", 9000))
		if err != nil {
			return err
		}
		if err := more("forged", "what strangers had sent"); err != nil {
			return err
		}
	}
	if t.cfg.Restart || t.cfg.Second {
		t.note(func() { names = append(names, "eve-"+strconv.Itoa(1000+t.dice.IntN(9000))) })
		if err := more("counts", "the first ones"); err != nil {
			return err
		}
	}
	if err := t.judgeServer(client, names); err != nil {
		return err
	}
	return t.finish()
}

// iso8601 is a date and a time of day, as most languages write it.
var iso8601 = regexp.MustCompile(`^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?$`)

// readStatus reads a status as the documents have it. What else is in it does not matter.
func readStatus(payload []byte) (s status, err error) {
	var m struct {
		Timestamp *string `json:"timestamp"`
		State     *string `json:"state"`
		ID        *uint64 `json:"message_id"`
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return s, err
	}
	if m.Timestamp == nil || m.State == nil || m.ID == nil || *m.State == "" {
		return s, fmt.Errorf("timestamp, state or message_id is missing")
	}
	if !iso8601.MatchString(*m.Timestamp) {
		return s, fmt.Errorf("its timestamp is none of ISO 8601")
	}
	if _, err := udpkit.DecodeMessage(payload); err != nil {
		return s, err
	}
	return status{id: *m.ID, state: *m.State, timestamp: *m.Timestamp}, nil
}

// judgeServer waits until all clients have been shown, and judges.
func (t *trial) judgeServer(client *socket, names []string) error {
	reached := func(name string) (n int) { // for t.mu held
		for _, d := range t.log {
			if d.sent && !d.lost && strings.HasPrefix(string(d.payload), "Client "+name+" received") {
				n++
			}
		}
		return n
	}
	shown := func(name string) bool {
		for _, l := range t.lines() {
			if has(l.text, name) {
				return true
			}
		}
		return false
	}
	_, err := t.wait(t.cfg.Patience, func() bool {
		for _, name := range names {
			if reached(name) > 0 && !shown(name) {
				return false
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	if err := t.stays(""); err != nil {
		return err
	}
	t.mu.Lock()
	var unseen string
	for _, name := range names {
		if reached(name) > 0 && !shown(name) {
			unseen = fmt.Sprintf("client %s has sent %d acknowledgements that were not lost, and is not shown", name, reached(name))
		}
	}
	log := t.log
	t.mu.Unlock()
	if unseen != "" {
		t.find("shows", "%s", unseen)
	}
	var last *status
	lastNumber := 0
	for _, d := range log {
		if d.sent || d.socket != client {
			continue
		}
		s, err := readStatus(d.payload)
		if err != nil {
			t.find("format", "datagram %d is no status: %v: %.80q", d.number, err, d.payload)
			return errOver
		}
		if last != nil && s.id != last.id+1 {
			t.find("counts", "message_id %d, in datagram %d, follows %d, in datagram %d", s.id, d.number, last.id, lastNumber)
		}
		last, lastNumber = &s, d.number
	}
	return nil
}
