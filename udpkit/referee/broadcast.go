package referee

import (
	"fmt"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit"
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
			{"counts", "From one status to the next, the message_id grows by one. How much time is between them is not judged."},
			{"cycles", "After ACTIVE comes no other of the documents' states than STANDBY, then MAINTENANCE, then ERROR, and then ACTIVE again. States of the program's own are not judged."},
			{"shows", "It shows each client that has acknowledged, if that has reached it."},
			{"forged", "It goes on sending after what strangers send."},
		},
	},
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
		heard, err = t.await(pace, "", func() bool { return t.acknowledged(server, s) > 0 || len(t.shown(s)) > 0 })
		if err != nil {
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

// judgeStatuses waits for what must come of what a server has sent, and judges. In a part with a
// name, that is the rule that is broken.
func (t *trial) judgeStatuses(c *caster, part string) error {
	missed := func(s *status) bool {
		return s.delivered && !s.late && (len(t.shown(s)) == 0 || t.acknowledged(c, s) == 0)
	}
	err := t.settle(func() (n int) {
		for _, s := range c.sent {
			if missed(s) {
				n++
			}
		}
		return n
	})
	if err != nil {
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
