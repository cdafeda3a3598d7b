package referee

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

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

// replied returns the datagram in which a reply was delivered for the first time, if it was, was
// not overtaken, and did not go out soon after this process had been kept from running: the program
// may have given up by then. It is for t.mu held.
func (t *trial) replied(payload []byte) (first datagram, is bool) {
	for _, d := range t.log {
		if d.sent && !d.lost && !d.late && !t.heldUp(d) && bytes.Equal(d.payload, payload) {
			return d, true
		}
	}
	return first, false
}

// heldUp reports whether this process had just been kept from running when it sent a datagram, or
// was so then. It is for t.mu held.
func (t *trial) heldUp(d datagram) bool {
	return slices.ContainsFunc(t.held, func(at time.Duration) bool { return (at - d.at).Abs() < hold })
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
