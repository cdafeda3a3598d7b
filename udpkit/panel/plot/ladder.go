package plot

import (
	"fmt"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel/experiment"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ConversationSVG draws what [experiment.Conversation] captured: the packets of one
// question and its answer over TCP, and over UDP. The error wraps
// experiment.ErrNoWire if none could be captured.
func ConversationSVG(file string) ([]byte, error) {
	p, err := conversationPicture(file)
	if err != nil {
		return nil, err
	}
	return p.svg()
}

// ladderTop is where time begins, in points from the top.
const ladderTop = 62

func conversationPicture(file string) (picture, error) {
	all, err := experiment.Load(file)
	if err != nil {
		return picture{}, err
	}
	r := all.Conversation
	if r == nil {
		return picture{}, experiment.ErrNothing
	}
	if r.TCP == nil || r.UDP == nil {
		return picture{}, fmt.Errorf("no packets were captured, so there is nothing to draw: %w", experiment.ErrNoWire)
	}
	var longest time.Duration
	for _, e := range r.Exchanges() {
		for _, p := range e.Packets {
			longest = max(longest, p.Arrived)
		}
	}
	const scale = 2.3 // points for a millisecond
	return picture{
		title: fmt.Sprintf("The packets of one question and its answer: %d with TCP, %d with UDP", len(r.TCP.Packets), len(r.UDP.Packets)),
		width: 680, height: vg.Length(scale*milliseconds(longest)) + ladderTop + 40,
		draw: func(c draw.Canvas) error {
			s := sequence{Canvas: c}
			s.ladder(120, "TCP", r.TCP, scale)
			s.ladder(460, "UDP", r.UDP, scale)
			return nil
		},
	}, nil
}

// ladder draws an exchange: client left, server right, time going down.
func (s sequence) ladder(client vg.Length, name string, e *experiment.Exchange, scale float64) {
	server := client + 110
	of := cssColor(experiment.Color(name))
	y := func(at time.Duration) vg.Length { return ladderTop + vg.Length(scale*milliseconds(at)) }
	s.say(client+55, 12, text.XCenter, ink, fmt.Sprintf("%s: answered after %.0f ms", name, milliseconds(e.Answered)))
	s.box(client, 42, 30, "client")
	s.box(server, 42, 30, "server")
	bottom := s.Min.Y + 4
	for _, x := range []vg.Length{client, server} {
		s.StrokeLine2(draw.LineStyle{Color: pale, Width: 1.5}, s.at(x, 0).X, s.at(0, 42).Y, s.at(x, 0).X, bottom)
	}
	var lastLeft, lastRight vg.Length
	for _, p := range e.Packets {
		from, to, align, beside, last := client, server, text.XRight, vg.Length(-6), &lastLeft
		if p.Answer {
			from, to, align, beside, last = server, client, text.XLeft, 6, &lastRight
		}
		s.arrow(from, y(p.Sent), to, y(p.Arrived), of)
		*last = max(y(p.Sent)+4, *last+11) // so that no two texts lie on each other
		s.say(from+beside, *last, align, ink, packetText(p))
	}
	answered := stateColor(udpkit.StateActive)
	s.dot(client, y(e.Answered), answered)
}

// packetText says what a packet is.
func packetText(p experiment.Packet) string {
	var words []string
	if p.Flags != "" {
		words = append(words, p.Flags)
	}
	switch {
	case p.Data > 0 && p.Answer:
		words = append(words, "answer")
	case p.Data > 0:
		words = append(words, "question")
	}
	return fmt.Sprintf("%s, %d bytes", strings.Join(words, " + "), p.Size())
}
