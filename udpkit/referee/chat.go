package referee

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

var chatScripts = []script{
	{
		system: "chat", side: Server, port: chat.DefaultPort, tcp: true, play: chatServer,
		shows: "nothing is looked for",
		rules: []Rule{
			{"passes_on", "What a client says comes to each other client, whole and once."},
			{"silent", "It does not come back to the one who has said it."},
			{"order", "What one client says comes in the order in which it was said."},
			{"restart", "A client that comes when another has gone is served."},
			{"forged", "It goes on after what is no text, and after a connection that is reset."},
			{"slow", "A client that does not read keeps nothing from the others; it may be disconnected."},
		},
	},
	{
		system: "chat", side: Client, port: chat.DefaultPort, tcp: true, play: chatClient,
		shows: "a line shows what was said if it has the word",
		rules: []Rule{
			{"says", "It sends each line that it reads to the server."},
			{"shows", "It shows what the server sends, also if a letter of it comes in two pieces."},
			{"restart", "When the server ends the connection it says so, ends, or connects again; it does not go on in silence."},
		},
	},
}

// talker is a connection of the referee's.
type talker struct {
	t    *trial
	name string
	conn *service.RecordedConn
	mu   sync.Mutex
	came []byte
}

// Record implements service.Recorder: the log has what went through the connections.
func (t *trial) Record(r service.Recorded) {
	t.add(datagram{from: r.From, to: r.To, sent: r.Sent, payload: bytes.Clone(r.Payload), tcp: r.TCP})
}

// talk keeps what comes over a connection.
func (t *trial) talk(name string, conn *net.TCPConn, dialed bool) *talker {
	k := &talker{t: t, name: name, conn: service.RecordConn(t, conn, dialed)}
	t.note(func() { t.conns = append(t.conns, conn) })
	t.running.Go(func() {
		b := make([]byte, 64<<10)
		for {
			n, err := k.conn.Read(b)
			k.mu.Lock()
			k.came = append(k.came, b[:n]...)
			tooMuch := len(k.came) > 64<<20
			k.mu.Unlock()
			t.changed()
			if err != nil || tooMuch {
				return
			}
		}
	})
	return k
}

// dial connects to the program.
func (t *trial) dial(name string, dialer net.Dialer) (*talker, error) {
	conn, err := dialer.DialContext(t.ctx, "tcp4", t.place.String())
	if err != nil {
		return nil, err
	}
	return t.talk(name, conn.(*net.TCPConn), true), nil
}

// say sends text, after the delay of the network.
func (k *talker) say(text string) error {
	if d := k.t.cfg.Weather.Delay; d > 0 {
		if err := k.t.pause(d); err != nil {
			return err
		}
	}
	// An error is found by what does not arrive.
	_ = k.conn.SetWriteDeadline(time.Now().Add(k.t.cfg.Patience))
	_, _ = k.conn.Write([]byte(text))
	return nil
}

// heard returns how often something has come, and where first.
func (k *talker) heard(word string) (n, at int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return bytes.Count(k.came, []byte(word)), bytes.Index(k.came, []byte(word))
}

// word returns one that occurs nowhere else.
func (t *trial) word(of string) string {
	t.words++
	return fmt.Sprintf("%s-%d-%d-end", of, t.words, 1000+t.dice.IntN(9000))
}

// chatServer plays the clients.
func chatServer(t *trial) error {
	if err := t.start(); err != nil {
		return err
	}
	var first *talker
	for t.now() < StartUp && first == nil {
		var err error
		if first, err = t.dial("ann", net.Dialer{}); err != nil {
			if err := t.pause(pace); err != nil {
				return err
			}
		}
		if err := t.stays(""); err != nil {
			return err
		}
	}
	if first == nil {
		t.find(ruleStarts, "it takes no connection at %s, for %v", t.place, StartUp)
		return nil
	}
	clients := []*talker{first}
	join := func(name string, dialer net.Dialer) error {
		k, err := t.dial(name, dialer)
		if err != nil {
			t.find("restart", "it takes no connection of %s: %v", name, err)
			return errOver
		}
		// Until what another says comes, it may not be on the server's list yet.
		for began := t.now(); t.program.running(); {
			word := t.word("hello")
			if err := clients[0].say(word + "\n"); err != nil {
				return err
			}
			in, err := t.wait(pace, func() bool { n, _ := k.heard(word); return n > 0 })
			if err != nil {
				return err
			}
			if in {
				break
			}
			if t.now()-began > t.cfg.Patience+t.cfg.Weather.Delay {
				t.find("passes_on", "what ann has said again and again for %v, such as %q, does not come to %s", t.cfg.Patience, word, name)
				return errOver
			}
		}
		clients = append(clients, k)
		return t.stays("")
	}
	for _, name := range []string{"bob", "eve"} {
		if err := join(name, net.Dialer{}); err != nil {
			return err
		}
	}
	if err := t.converse("passes_on", clients); err != nil {
		return err
	}
	if t.cfg.Forge {
		if err := clients[2].say("\xff\xfe\x00no text\n"); err != nil {
			return err
		}
		if conn, err := net.DialTCP("tcp4", nil, net.TCPAddrFromAddrPort(t.place)); err == nil {
			_ = errors.Join(conn.SetLinger(0), conn.Close()) // a reset
		}
		if err := t.pause(pace); err != nil {
			return err
		}
		if err := t.stays("it was sent what is no text"); err != nil {
			return err
		}
		if err := t.converse("forged", clients); err != nil {
			return err
		}
	}
	if t.cfg.Restart || t.cfg.Second {
		if err := clients[2].conn.Close(); err != nil {
			return err
		}
		clients = clients[:2]
		if err := join("joe", net.Dialer{}); err != nil {
			return err
		}
		if err := t.converse("restart", clients); err != nil {
			return err
		}
	}
	if t.cfg.Second {
		if err := join("max", net.Dialer{Control: little}); err != nil {
			return err
		}
		if err := t.talkOn(clients[0], clients[1], clients[len(clients)-1]); err != nil {
			return err
		}
	}
	return t.finish()
}

// talkOn has two clients speak in turns, each when it has heard the other, while a third one reads
// no more.
func (t *trial) talkOn(ann, bob, silent *talker) error {
	if err := silent.conn.SetReadDeadline(time.Now()); err != nil { // ends the reading
		return err
	}
	// More than a connection keeps (see little), in lines that fit into what the documents' server
	// reads at once. A server may read few lines a second: each has its own patience.
	const lines, long = 80, 1000
	for i := range lines {
		word := t.word(ann.name)
		if err := ann.say(fmt.Sprintf("%-*s\n", long, word)); err != nil {
			return err
		}
		came, err := t.await(t.cfg.Patience, silent.name+" had stopped reading", func() bool { n, _ := bob.heard(word); return n > 0 })
		if err != nil {
			return err
		}
		if !came {
			t.find("slow", "%q, said by %s, did not come to %s, %v later; %s had stopped reading %d lines of %d bytes before",
				word, ann.name, bob.name, t.cfg.Patience, silent.name, i, long)
			return errOver
		}
		ann, bob = bob, ann
	}
	return nil
}

// converse has each client speak, and judges what comes to the others.
func (t *trial) converse(rule string, clients []*talker) error {
	const each = 5
	said := make(map[*talker][]string)
	for range each {
		for _, k := range clients {
			word := t.word(k.name)
			said[k] = append(said[k], word)
			if err := k.say(word + "\n"); err != nil {
				return err
			}
			// The course's server takes what it reads at once for one message.
			if _, err := t.wait(pace, func() bool {
				for _, other := range clients {
					if n, _ := other.heard(word); other != k && n == 0 {
						return false
					}
				}
				return true
			}); err != nil {
				return err
			}
		}
	}
	_, err := t.await(t.cfg.Patience, "", func() bool {
		for k, words := range said {
			for _, other := range clients {
				if n, _ := other.heard(words[each-1]); other != k && n == 0 {
					return false
				}
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	for k, words := range said {
		for _, other := range clients {
			last := -1
			for _, word := range words {
				n, at := other.heard(word)
				switch {
				case other == k && n > 0:
					t.find("silent", "%q came back to %s, who had said it", word, k.name)
				case other == k:
				case n == 0:
					t.find(rule, "%q, said by %s, did not come to %s, %v later", word, k.name, other.name, t.cfg.Patience)
				case n > 1:
					t.find(rule, "%q, said by %s, came to %s %s", word, k.name, other.name, times(n))
				case at < last:
					t.find("order", "%q, said by %s, came to %s before what was said earlier", word, k.name, other.name)
				}
				last = max(last, at)
			}
		}
	}
	if t.found() {
		return errOver
	}
	return nil
}

// chatClient plays the server, and types.
func chatClient(t *trial) error {
	listener, err := bind(t.place, func() (*net.TCPListener, error) { return net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(t.place)) })
	if err != nil {
		return err
	}
	arrivals := make(chan *talker, 16)
	t.running.Go(func() {
		for {
			conn, err := listener.AcceptTCP()
			if err != nil {
				return
			}
			select {
			case arrivals <- t.talk("client", conn, false):
			default:
				_ = conn.Close()
			}
			t.changed()
		}
	})
	defer listener.Close()
	if err := t.start(); err != nil {
		return err
	}
	if err := t.starts(fmt.Sprintf("it does not connect to %s", t.place), "", func() bool { return len(arrivals) > 0 }); err != nil {
		return err
	}
	k := <-arrivals
	if err := t.dialogue(k); err != nil {
		return err
	}
	if !t.cfg.Restart {
		return t.finish()
	}
	t.mu.Lock()
	lines := len(t.lines())
	t.mu.Unlock()
	if err := k.conn.Close(); err != nil {
		return err
	}
	noticed, err := t.wait(t.cfg.Patience, func() bool { return len(t.lines()) > lines || len(arrivals) > 0 || !t.program.running() })
	switch {
	case err != nil:
		return err
	case !t.program.running():
		return nil
	case !noticed:
		t.find("restart", "the server has ended the connection, and it says nothing, does not end and does not connect again, %v later", t.cfg.Patience)
		return nil
	}
	if again, err := t.wait(pace, func() bool { return len(arrivals) > 0 }); err != nil {
		return err
	} else if again {
		if err := t.dialogue(<-arrivals); err != nil {
			return err
		}
	}
	t.interrupt() // it may end now, at its own pace
	return nil
}

// dialogue has both sides speak in turns.
func (t *trial) dialogue(k *talker) error {
	for i := range 5 {
		word := t.word("typed")
		t.program.say(word)
		came, err := t.await(t.cfg.Patience, fmt.Sprintf("it was given the line %q", word), func() bool { n, _ := k.heard(word); return n > 0 })
		if err != nil {
			return err
		}
		if !came {
			t.find("says", "%q, which was typed, did not come, %v later", word, t.cfg.Patience)
			return errOver
		}
		word = t.word("grüße")
		text := word + "\n"
		if i%2 == 1 { // within the ü
			cut := strings.IndexByte(text, 0xc3) + 1
			if err := k.say(text[:cut]); err != nil {
				return err
			}
			if err := t.pause(20 * time.Millisecond); err != nil {
				return err
			}
			text = text[cut:]
		}
		if err := k.say(text); err != nil {
			return err
		}
		shown, err := t.await(t.cfg.Patience, fmt.Sprintf("it was sent %q", word), func() bool { return t.shows(word, 0) })
		if err != nil {
			return err
		}
		if !shown {
			how := ""
			if i%2 == 1 {
				how = ", whose ü came in two pieces,"
			}
			t.find("shows", "%q%s was not shown, %v later", word, how, t.cfg.Patience)
			return errOver
		}
	}
	return nil
}
