package referee

import (
	"fmt"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
)

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
			return t.shows(number, 0) || t.received(server) > before
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
	shown := t.shows(number, 0)
	t.mu.Unlock()
	t.strangers()
	ended := !t.program.running()
	switch {
	case is && !shown:
		t.find("shows", "the reply %q, datagram %d at %s, was not shown", reply, d.number, seconds(d.at))
	case !shown && !ended:
		t.find("gives_up", "its reply was lost, and it has neither ended nor asked again, %v later%s", t.cfg.Patience, t.lastLoss())
	case !ended:
		// It has shown the reply: it ends by itself, or when it is interrupted.
		if ended, err = t.wait(pace, func() bool { return false }); err != nil {
			return err
		}
		if t.program.running() && !ended {
			t.interrupt()
		}
	}
	return nil
}
