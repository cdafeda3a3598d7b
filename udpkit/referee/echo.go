package referee

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
)

var echoScripts = []script{
	{
		system: "echo", side: Client, port: echo.DefaultPort, play: echoClient,
		shows: "a line shows a reply if it has the word that was typed, and came after the reply",
		rules: []Rule{
			{"asks", "It sends each line that it reads, as it is, to the server, also after a reply was lost."},
			{"shows", "It shows each reply that reaches it, and was not overtaken."},
			{"honest", "It shows no reply that has not come. What was typed it does not show again by itself."},
			{"strangers", "It shows nothing that another than the server has sent."},
			{"restart", "It goes on when the server has begun anew, at the same port."},
		},
	},
	{
		system: "echo", side: Server, port: echo.DefaultPort, play: func(t *trial) error { return askServer(t, true) },
		shows: "nothing is looked for",
		rules: append([]Rule{{"same", "It answers with the bytes of the question, also with such as are no text."}}, serverRules...),
	},
}

var responderScripts = []script{
	{
		system: "responder", side: Client, port: echo.DefaultResponderPort, play: askOnce,
		shows: "a line shows the reply if it has the number in it",
		rules: []Rule{
			{"asks", "It sends a question."},
			{"shows", "It shows the reply, if that reaches it."},
			{"strangers", "It shows nothing that another than the server has sent."},
			{"gives_up", "It does not wait for ever for a reply that is lost: it ends, or asks again."},
		},
	},
	{
		system: "responder", side: Server, port: echo.DefaultResponderPort, play: func(t *trial) error { return askServer(t, false) },
		shows: "nothing is looked for",
		rules: append([]Rule{{"same", "It answers with something: an answer is not empty."}}, serverRules...),
	},
}

var serverRules = []Rule{
	{"answers", "It answers each question that reaches it."},
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
		there, err = t.wait(pace, func() bool { return t.received(first) > 0 })
		if err != nil {
			return err
		}
		if err := t.stays(""); err != nil {
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

// received returns how many datagrams a socket has received. It is for t.mu held.
func (t *trial) received(s *socket) (n int) {
	for _, d := range t.log {
		if !d.sent && d.socket == s {
			n++
		}
	}
	return n
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
	_, err := t.wait(t.cfg.Patience, func() bool {
		for _, q := range asked {
			if delivered, answers, _, _, _ := count(q); answers < delivered {
				return false
			}
		}
		return t.pending == 0
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
			came = fmt.Sprintf("%s came to it from %s (the last is datagram %d, %.60q)", format.Plural(delivered, "datagram"), q.of.name, asked.number, q.payload)
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
	return "was answered " + times(n)
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

// replier opens a server that replies, behind a stranger if strangers are to send. A reply of nil
// is none.
func (t *trial) replier(reply func(question []byte) []byte) (*socket, error) {
	var stranger *socket
	if t.cfg.Forge {
		var err error
		if stranger, err = t.loopback("stranger"); err != nil {
			return nil, err
		}
	}
	return t.open("server", t.place, func(s *socket, payload []byte, from netip.AddrPort) {
		if stranger != nil {
			stranger.plain([]byte(forgedWord), from)
			time.Sleep(5 * time.Millisecond) // it comes first
		}
		if answer := reply(payload); answer != nil {
			s.send(answer, from)
		}
	})
}

// forgedWord is what strangers reply.
const forgedWord = "forged-reply-of-a-stranger"

// shows returns the first line that has a word and was printed later than a time. It is for t.mu
// held.
func (t *trial) shows(word string, after time.Duration) bool {
	for _, l := range t.lines() {
		if l.at >= after && has(l.text, word) {
			return true
		}
	}
	return false
}

// replied returns the datagram in which a reply was delivered for the first time, if it was, and
// was not overtaken. It is for t.mu held.
func (t *trial) replied(payload []byte) (first datagram, is bool) {
	for _, d := range t.log {
		if d.sent && !d.lost && !d.late && bytes.Equal(d.payload, payload) {
			return d, true
		}
	}
	return first, false
}

// asked returns how often a question has come, lost ones too. It is for t.mu held.
func (t *trial) asked(payload []byte) (n int) {
	for _, d := range t.log {
		if !d.sent && bytes.Equal(bytes.TrimRight(d.payload, "\r\n"), payload) {
			n++
		}
	}
	return n
}

// strangers judges whether the program shows what a stranger has sent.
func (t *trial) strangers() {
	t.mu.Lock()
	shown := t.shows(forgedWord, 0)
	t.mu.Unlock()
	if shown {
		t.find("strangers", "it shows %q, which came from another port than the server's", forgedWord)
	}
}

// echoClient plays the server, and its network, and types.
func echoClient(t *trial) error {
	var held string // guarded by t.mu: the word that is not answered
	reply := func(question []byte) []byte {
		t.mu.Lock()
		defer t.mu.Unlock()
		if held != "" && strings.Contains(string(question), held) {
			return nil
		}
		return question
	}
	server, err := t.replier(reply)
	if err != nil {
		return err
	}
	if err := t.start(); err != nil {
		return err
	}
	const last = 9
	for i := range last + 1 {
		rule := "asks"
		switch i {
		case 3:
			if err := t.partition(); err != nil {
				return err
			}
		case 6:
			if !t.cfg.Restart {
				break
			}
			if err := server.close(); err != nil {
				return err
			}
			if server, err = t.replier(reply); err != nil {
				return err
			}
		}
		if i >= 6 && t.cfg.Restart {
			rule = "restart"
		}
		word := fmt.Sprintf("word-%d-%d", i+1, 1000+t.dice.IntN(9000))
		if i == last {
			t.note(func() { held = word })
		}
		patience := t.cfg.Patience
		if i == 0 {
			patience = StartUp
		}
		t.program.say(word)
		came, err := t.wait(patience, func() bool { return t.asked([]byte(word)) > 0 })
		if err != nil {
			return err
		}
		if err := t.stays(fmt.Sprintf("it was given the line %q", word)); err != nil {
			return err
		}
		switch {
		case !came && i == 0:
			t.find(ruleStarts, "it was given the line %q, and has sent nothing to %s, for %v", word, t.place, patience)
			return nil
		case !came:
			t.find(rule, "line %d, %q, was not sent, %v after it was typed%s", i+1, word, patience, t.lastLoss())
			return nil
		}
		if i == last { // the reply to the last one does not come
			if shown, err := t.wait(10*pace, func() bool { return t.shows(word, 0) }); err != nil {
				return err
			} else if shown {
				t.find("honest", "it shows %q, and there was no reply to that", word)
				return nil
			}
			break
		}
		if err := t.judgeReply(word); err != nil {
			return err
		}
	}
	t.strangers()
	if t.found() {
		return nil
	}
	return t.finish()
}

// lastLoss says which reply was the last that was lost.
func (t *trial) lastLoss() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := len(t.log) - 1; i >= 0; i-- {
		if d := t.log[i]; d.lost {
			what := "the question"
			if d.sent {
				what = "the reply"
			}
			return fmt.Sprintf("; %s in datagram %d was lost at %s", what, d.number, seconds(d.at))
		}
	}
	return ""
}

// judgeReply waits until a reply that was delivered is shown.
func (t *trial) judgeReply(word string) error {
	// What was delivered is decided a moment after the question came.
	if _, err := t.wait(pace, func() bool { _, is := t.replied([]byte(word)); return is }); err != nil {
		return err
	}
	shown, err := t.wait(t.cfg.Patience, func() bool {
		_, is := t.replied([]byte(word))
		return !is || t.shows(word, 0)
	})
	if err != nil {
		return err
	}
	if err := t.stays(""); err != nil {
		return err
	}
	if !shown {
		t.mu.Lock()
		d, _ := t.replied([]byte(word))
		t.mu.Unlock()
		t.strangers()
		t.find("shows", "the reply to %q, datagram %d at %s, was not shown, %v later", word, d.number, seconds(d.at), t.cfg.Patience)
		return errOver
	}
	return nil
}

// askOnce plays the server of a program that asks once, and ends.
func askOnce(t *trial) error {
	number := fmt.Sprint(100_000_000 + t.dice.IntN(900_000_000))
	reply := []byte("Message received " + number)
	server, err := t.replier(func([]byte) []byte { return reply })
	if err != nil {
		return err
	}
	if err := t.start(); err != nil {
		return err
	}
	came, err := t.wait(StartUp, func() bool { return t.received(server) > 0 })
	if err != nil {
		return err
	}
	if !came {
		how := "it runs on"
		if !t.program.running() {
			how = t.program.how()
		}
		t.find("asks", "it has sent nothing to %s; %s", t.place, how)
		return nil
	}
	// It may ask again and again, until it shows a reply or ends.
	const most = 100
	for range most {
		t.mu.Lock()
		before := t.received(server)
		t.mu.Unlock()
		moved, err := t.wait(t.cfg.Patience, func() bool {
			d, is := t.replied(reply)
			return is && t.shows(number, d.at) || t.received(server) > before
		})
		if err != nil {
			return err
		}
		t.mu.Lock()
		again := t.received(server) > before
		t.mu.Unlock()
		if !moved || !again {
			break
		}
	}
	t.mu.Lock()
	d, is := t.replied(reply)
	shown := t.shows(number, d.at)
	t.mu.Unlock()
	t.strangers()
	ended := !t.program.running()
	switch {
	case is && !shown:
		t.find("shows", "the reply %q, datagram %d at %s, was not shown", reply, d.number, seconds(d.at))
	case !is && !ended:
		t.find("gives_up", "its reply was lost, and it has neither ended nor asked again, %v later%s", t.cfg.Patience, t.lastLoss())
	case !ended:
		// It has shown the reply: it ends by itself, or when it is interrupted.
		if ended, err = t.wait(pace, func() bool { return false }); err != nil {
			return err
		}
		if t.program.running() && !ended {
			return t.finish()
		}
	}
	return nil
}
