package plot

import (
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Connection shows in the notebook how TCP begins and ends, beside UDP.
func Connection() error { return show(connectionPicture(), nil) }

// ConnectionSVG draws the packets of one question and its answer, over TCP and over
// UDP.
func ConnectionSVG() ([]byte, error) { return connectionPicture().svg() }

func connectionPicture() picture {
	return picture{
		title: "One question and one answer: TCP first establishes a connection with SYN, SYN-ACK and ACK, and closes it with FIN; UDP sends two datagrams",
		width: 680, height: 356,
		draw: func(c draw.Canvas) error {
			s := sequence{Canvas: c}
			s.overTCP()
			s.overUDP()
			return nil
		},
	}
}

// overTCP draws the left half: RFC 9293, sections 3.5 and 3.6. Places are in points
// from the left and from the top.
func (s sequence) overTCP() {
	const client, server = 130, 300
	green := stateColor("ACTIVE")
	s.participant(client, "client", "TCP")
	s.participant(server, "server", "TCP")
	step := func(y vg.Length, call, words string, toServer bool) {
		x1, x2, of := vg.Length(server), vg.Length(client), green
		if toServer {
			x1, x2, of = client, server, accent
		}
		s.arrow(x1, y, x2, y+12, of)
		s.say((client+server)/2, y+2, text.XCenter, of, words)
		switch {
		case call == "":
		case toServer:
			s.say(client-24, y+4, text.XRight, ink, call)
		default:
			s.say(server+14, y+4, text.XLeft, ink, call)
		}
	}
	s.say(server+14, 52, text.XLeft, ink, "Listen")
	step(62, "Dial", "SYN", true)
	step(90, "", "SYN-ACK", false)
	step(118, "", "ACK", true)
	s.say(server+14, 138, text.XLeft, ink, "Accept")
	s.brace(client-14, 62, 128)
	s.say(client-24, 92, text.XRight, grey, "connection")
	s.say(client-24, 106, text.XRight, grey, "establishment")
	step(158, "Write", "“hello”", true)
	step(186, "Write", "ACK, “HELLO”", false)
	step(214, "", "ACK", true)
	s.brace(client-14, 178, 224)
	s.say(client-24, 204, text.XRight, grey, "the system")
	s.say(client-24, 218, text.XRight, grey, "acknowledges")
	step(254, "Close", "FIN", true)
	step(282, "Close", "ACK, FIN", false)
	step(310, "", "ACK", true)
}

// overUDP draws the right half.
func (s sequence) overUDP() {
	const client, server = 440, 590
	s.participant(client, "client", "UDP")
	s.participant(server, "server", "UDP")
	s.say((client+server)/2, 96, text.XCenter, grey, "nothing is agreed on")
	s.arrow(client, 158, server, 170, accent)
	s.say((client+server)/2, 160, text.XCenter, accent, "“hello”")
	s.arrow(server, 186, client, 198, stateColor("ACTIVE"))
	s.say((client+server)/2, 188, text.XCenter, stateColor("ACTIVE"), "“HELLO”")
	s.say((client+server)/2, 226, text.XCenter, grey, "nobody acknowledges")
	s.say((client+server)/2, 290, text.XCenter, grey, "nobody is told of the end")
}
