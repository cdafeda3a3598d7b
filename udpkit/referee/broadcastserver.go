package referee

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
)

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
	if err := t.starts(fmt.Sprintf("it sends nothing to %s", t.place), "", func() bool { return count() > 0 }); err != nil {
		return err
	}
	const some = 5
	more := func(rule, after string) error { // after: what has happened before
		t.mu.Lock()
		n := count()
		t.mu.Unlock()
		for i := range some {
			// The interval is the server's own affair: an announced one of the course is 5 s.
			came, err := t.await(4*t.cfg.Patience, after, func() bool { return count() > n+i })
			if err != nil {
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
	_, err := t.await(t.cfg.Patience, "", func() bool {
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
		} else if last != nil && !follows(last.state, s.state) {
			t.find("cycles", "state %s, in datagram %d, follows %s, in datagram %d", s.state, d.number, last.state, lastNumber)
		}
		last, lastNumber = &s, d.number
	}
	return nil
}

// follows reports whether a state may come after another one.
func follows(before, after string) bool {
	cycle := udpkit.DefaultStates()
	i, j := slices.Index(cycle, udpkit.State(before)), slices.Index(cycle, udpkit.State(after))
	return i < 0 || j < 0 || j == (i+1)%len(cycle)
}
