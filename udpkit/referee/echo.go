package referee

import (
	"fmt"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
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
