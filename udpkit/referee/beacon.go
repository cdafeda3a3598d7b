package referee

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
)

var beaconScripts = []script{{
	system: "beacon", side: Peer, port: beacon.DefaultPort, play: beaconPeer,
	shows: "a line shows a peer if it has its name",
	rules: []Rule{
		{"format", "What it sends begins with HELLO|, or BYE| when it ends, and is text."},
		{"repeats", "It says HELLO again and again."},
		{"shows", "It shows the name of each peer that it has heard."},
		{"second", "It shows two peers."},
		{"restart", "It shows a peer that comes in the place of one that has gone."},
		{"forged", "It goes on after what is no HELLO."},
	},
}}

// beaconPeer plays the other peers, and the network.
func beaconPeer(t *trial) error {
	peer := func(name string) (*socket, error) { return t.loopback(name) }
	hear, err := t.open("who listens", t.place, nil)
	if err != nil {
		return err
	}
	if err := t.start(); err != nil {
		return err
	}
	if err := t.starts(fmt.Sprintf("it says nothing to %s", t.place), "", func() bool { return t.received(hear) > 0 }); err != nil {
		return err
	}
	to := netip.AddrPortFrom(t.place.Addr(), t.listen)
	// say has peers say HELLO until all are shown.
	say := func(rule string, names ...string) error {
		var peers []*socket
		for _, name := range names {
			s, err := peer(name)
			if err != nil {
				return err
			}
			peers = append(peers, s)
		}
		all := func() bool {
			for _, name := range names {
				if !t.shows(name, 0) {
					return false
				}
			}
			return true
		}
		began := t.now()
		for t.now()-began < max(t.cfg.Patience, time.Second) {
			for i, s := range peers {
				s.send(fmt.Appendf(nil, "HELLO|%s|%016x", names[i], i+1), to)
			}
			shown, err := t.wait(pace, all)
			if err != nil {
				return err
			}
			if err := t.stays(""); err != nil {
				return err
			}
			if shown {
				return nil
			}
		}
		t.find(rule, "it does not show %s, whose HELLO was sent to %s again and again for %v", strings.Join(names, " or "), to, t.cfg.Patience)
		return errOver
	}
	name := func(of string) string { return fmt.Sprintf("%s-%d", of, 1000+t.dice.IntN(9000)) }
	if err := say("shows", name("ann")); err != nil {
		return err
	}
	if err := t.partition(); err != nil {
		return err
	}
	if t.cfg.Forge {
		if err := t.litter(to, "\xff\xfe\x00", "", "HELLO", "HELLO|\xff|", "HELLO|"+strings.Repeat("x", 9000), "BYE|"); err != nil {
			return err
		}
		if err := say("forged", name("bob")); err != nil {
			return err
		}
	}
	if t.cfg.Second {
		if err := say("second", name("carl"), name("dora")); err != nil {
			return err
		}
	}
	if t.cfg.Restart {
		if err := say("restart", name("ann")); err != nil {
			return err
		}
	}
	again, err := t.await(4*t.cfg.Patience, "", func() bool { return t.received(hear) >= 3 })
	if err != nil {
		return err
	}
	if !again {
		t.find("repeats", "it has said HELLO once or twice in %s", seconds(t.now()))
	}
	t.mu.Lock()
	log := t.log
	t.mu.Unlock()
	for _, d := range log {
		text := string(d.payload)
		if d.socket == hear && !d.sent && (!strings.HasPrefix(text, "HELLO|") && !strings.HasPrefix(text, "BYE|") || !utf8.ValidString(text)) {
			t.find("format", "datagram %d is no HELLO: %.60q", d.number, text)
		}
	}
	if t.found() {
		return nil
	}
	return t.finish()
}
