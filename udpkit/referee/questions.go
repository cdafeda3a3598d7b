package referee

import (
	"bytes"
	"fmt"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
)

var serverRules = []Rule{
	{"answers", "It answers each question that reaches it, also when who asked before has fallen silent. Whether it answers several at once is not judged: the documents have both."},
	{"once", "It answers each once, and as often again as the network has doubled it."},
	{"place", "It answers from the address that was asked."},
	{"forged", "It goes on answering after what is no text, and after what is empty."},
}

// question is one of a client of the referee's.
type question struct {
	of      *socket
	payload []byte
}

// askServer plays three clients, and their network.
func askServer(t *trial, same bool) error {
	if err := t.start(); err != nil {
		return err
	}
	var clients []*socket
	for _, name := range []string{"client ann", "client bob", "client eve"} {
		s, err := t.loopback(name)
		if err != nil {
			return err
		}
		clients = append(clients, s)
	}
	// A client of its own asks until the server is there, so that nothing late is taken for an
	// answer.
	first, err := t.loopback("client")
	if err != nil {
		return err
	}
	there := false
	for t.now() < StartUp && !there {
		first.plain([]byte("are you there?"), t.place)
		there, err = t.await(pace, "", func() bool { return t.received(first) > 0 })
		if err != nil {
			return err
		}
	}
	if !there {
		t.find(ruleStarts, "it answers nothing of what is sent to %s, for %v", t.place, StartUp)
		return nil
	}
	var asked []question
	ask := func(s *socket, payload []byte) error {
		q := question{s, payload}
		asked = append(asked, q)
		delivered, late := s.send(payload, t.place)
		if !delivered || late {
			return nil
		}
		t.mu.Lock()
		before := t.received(s)
		t.mu.Unlock()
		_, err := t.wait(pace, func() bool { return t.received(s) > before })
		return err
	}
	for i := range statuses {
		if i == statuses/2 {
			if err := t.partition(); err != nil {
				return err
			}
		}
		if err := ask(clients[i%3], fmt.Appendf(nil, "question %d, seed %d", i+1, t.seed)); err != nil {
			return err
		}
	}
	if err := t.judgeAnswers(asked, same, "answers"); err != nil {
		return err
	}
	if t.cfg.Forge {
		for i, payload := range [][]byte{[]byte("\xff\xfe\x00 no text"), {}, []byte("\x1b[2J"), bytes.Repeat([]byte("long"), 256), []byte("and a text")} {
			asked = nil
			if err := ask(clients[i%3], payload); err != nil {
				return err
			}
			if err := t.judgeAnswers(asked, same, "forged"); err != nil {
				return err
			}
		}
	}
	return t.finish()
}

// judgeAnswers waits until each question has its answers, and judges.
func (t *trial) judgeAnswers(asked []question, same bool, rule string) error {
	// count returns how often a client's questions were delivered, and what came back: of one
	// question, or of all that the client has asked, if answers do not tell which one they are to.
	count := func(q question) (delivered, answers, other int, asked, last datagram) { // for t.mu held
		for _, d := range t.log {
			if d.socket != q.of {
				continue
			}
			switch is := !same || bytes.Equal(d.payload, q.payload); {
			case d.sent && !d.lost && is:
				delivered++
				asked = d
			case !d.sent && is:
				answers++
			case !d.sent:
				other++
				last = d
			}
		}
		return delivered, answers, other, asked, last
	}
	err := t.settle(func() (missing int) {
		missing = t.pending
		for _, q := range asked {
			delivered, answers, _, _, _ := count(q)
			missing += max(0, delivered-answers)
		}
		return missing
	})
	if err != nil {
		return err
	}
	if err := t.pause(pace); err != nil { // for one answer too many
		return err
	}
	for _, q := range asked {
		t.mu.Lock()
		delivered, answers, other, asked, last := count(q)
		t.mu.Unlock()
		came := fmt.Sprintf("what %s asked, %.60q, came to it %s (datagram %d)", q.of.name, q.payload, times(delivered), asked.number)
		if !same { // answers are all alike
			came = fmt.Sprintf("%s came to it from %s (the last is datagram %d, %.60q)", format.Plural(delivered, "datagram"), q.of.name, asked.number, asked.payload)
		}
		if other > 0 && !t.askedBy(last.payload, q.of) {
			t.find("same", "datagram %d is no answer to what %s asked: %.60q", last.number, q.of.name, last.payload)
		}
		switch {
		case answers < delivered:
			if err := t.stays("it was asked " + fmt.Sprintf("%.60q", q.payload)); err != nil {
				return err
			}
			t.find(rule, "%s, and %s, %v later", came, answered(answers), t.cfg.Patience)
		case answers > delivered:
			t.find("once", "%s, and %s", came, answered(answers))
		}
	}
	t.mu.Lock()
	for _, d := range t.log {
		if !d.sent && d.from != t.place {
			t.findings = append(t.findings, Finding{"place", fmt.Sprintf("datagram %d comes from %s: %s was asked", d.number, d.from, t.place)})
			break
		}
		if !d.sent && !same && len(d.payload) == 0 {
			t.findings = append(t.findings, Finding{"same", fmt.Sprintf("datagram %d is an empty answer", d.number)})
			break
		}
	}
	t.mu.Unlock()
	if err := t.stays(""); err != nil {
		return err
	}
	if t.found() {
		return errOver
	}
	return nil
}

func answered(n int) string {
	if n == 0 {
		return "there was no answer"
	}
	return "it answered " + times(n)
}

// askedBy reports whether a client has ever sent that.
func (t *trial) askedBy(payload []byte, s *socket) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range t.log {
		if d.sent && d.socket == s && bytes.Equal(d.payload, payload) {
			return true
		}
	}
	return false
}
