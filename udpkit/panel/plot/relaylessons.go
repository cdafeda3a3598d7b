package plot

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Registration shows in the notebook how a client registers with a relay, and why
// in two rounds.
func Registration() error { return show(registrationPicture(), nil) }

// RegistrationSVG draws the registration of a client, and what becomes of one with
// a forged address.
func RegistrationSVG() ([]byte, error) { return registrationPicture().svg() }

// Numbers shows in the notebook how a reader gets every message in order.
func Numbers() error { return show(numbersPicture(), nil) }

// NumbersSVG draws how sequence numbers, acknowledgements and ranges of what is
// missing repair a loss.
func NumbersSVG() ([]byte, error) { return numbersPicture().svg() }

// Stored shows in the notebook what it means that a message is stored.
func Stored() error { return show(storedPicture(), nil) }

// StoredSVG draws how a message is stored once, though the answer is lost.
func StoredSVG() ([]byte, error) { return storedPicture().svg() }

// Killed shows in the notebook what happens when a relay's server is killed.
func Killed() error { return show(killedPicture(), nil) }

// KilledSVG draws a relay whose server is killed and started again.
func KilledSVG() ([]byte, error) { return killedPicture().svg() }

func registrationPicture() picture {
	return picture{
		title: "Left, a client registers: hello, the server's challenge with a cookie, hello with the cookie, welcome. Right, somebody says hello with a forged address: the challenge goes to its owner, and the server keeps nothing",
		width: 680, height: 300,
		draw: func(c draw.Canvas) error {
			s := sequence{Canvas: c}
			s.registration()
			s.forgery()
			return nil
		},
	}
}

// registration draws the left half. Places are in points from the left and from the
// top.
func (s sequence) registration() {
	const client, server = 60, 270
	green := stateColor("ACTIVE")
	s.participant(client, "ann", "127.0.0.1:40001")
	s.participant(server, "server", "port 12345")
	step := func(y vg.Length, toServer bool, words, note string) {
		x1, x2, of := vg.Length(server), vg.Length(client), green
		if toServer {
			x1, x2, of = client, server, accent
		}
		s.arrow(x1, y, x2, y+12, of)
		s.say((client+server)/2, y-1, text.XCenter, of, words)
		s.say((client+server)/2, y+24, text.XCenter, grey, note)
	}
	step(66, true, "hello, I am ann", "96 bytes")
	step(116, false, "prove it: here is a cookie", "32 bytes; the server keeps nothing")
	step(166, true, "hello, I am ann, and here it is", "so it is her address")
	step(216, false, "welcome; #13 comes next", "now she is registered")
	s.caption(0, 330, "The cookie fits one address, and", "one minute at most.")
}

// forgery draws the right half.
func (s sequence) forgery() {
	const mallory, server, ann = 390, 502, 614
	green := stateColor("ACTIVE")
	s.StrokeLine2(draw.LineStyle{Color: pale, Width: 1, Dashes: []vg.Length{3, 3}}, s.at(334, 0).X, s.at(334, 0).Y, s.at(334, 0).X, s.Min.Y)
	s.participant(mallory, "mallory", "somewhere else")
	s.participant(server, "server", "port 12345")
	s.participant(ann, "ann", "127.0.0.1:40001")
	s.arrow(mallory, 66, server, 78, alarm)
	s.say((mallory+server)/2, 65, text.XCenter, alarm, "“hello from")
	s.say((mallory+server)/2, 94, text.XCenter, alarm, "ann's address”")
	s.arrow(server, 116, ann, 128, green)
	s.say((server+ann)/2, 115, text.XCenter, green, "challenge")
	s.say((server+ann)/2, 144, text.XCenter, grey, "32 bytes")
	s.say(ann-8, 176, text.XRight, grey, "did not ask,")
	s.say(ann-8, 190, text.XRight, grey, "so she ignores it")
	s.say(mallory+8, 176, text.XLeft, alarm, "never sees")
	s.say(mallory+8, 190, text.XLeft, alarm, "the cookie")
	s.caption(340, 664, "Nobody is registered by somebody else. Nobody can make", "the server flood a stranger: it sends less than it got.")
}

// caption writes lines at the bottom, where the life lines end.
func (s sequence) caption(left, right vg.Length, lines ...string) {
	top := s.Max.Y - s.Min.Y - vg.Length(14*len(lines)) - 8
	s.FillPolygon(color.White, []vg.Point{s.at(left, top), s.at(right, top), {X: s.Min.X + right, Y: s.Min.Y}, {X: s.Min.X + left, Y: s.Min.Y}})
	for i, line := range lines {
		s.say((left+right)/2, top+vg.Length(14*i)+18, text.XCenter, ink, line)
	}
}

func numbersPicture() picture {
	return picture{
		title: "A reader gets messages 1, 2, 4 and 5; its acknowledgement names the one that is missing; the server sends 3 again, and the reader delivers 3, 4 and 5 in order",
		width: 680, height: 330,
		draw: func(c draw.Canvas) error {
			sequence{Canvas: c}.numbers()
			return nil
		},
	}
}

// numbers draws the picture.
func (s sequence) numbers() {
	const server, reader = 60, 330
	green := stateColor("ACTIVE")
	s.participant(server, "server", "has #1 to #5")
	s.participant(reader, "reader", "wants all, in order")
	data := func(y vg.Length, words string, lost bool) {
		if lost {
			s.arrow(server, y, 180, y+8, accent)
			s.cross(180, y+8, alarm)
			s.say(192, y+14, text.XLeft, alarm, "lost")
		} else {
			s.arrow(server, y, reader, y+14, accent)
		}
		s.say(server+12, y-1, text.XLeft, accent, words)
	}
	ack := func(y vg.Length, words string) {
		s.arrow(reader, y, server, y+14, green)
		s.say((server+reader)/2, y+1, text.XCenter, green, words)
	}
	data(62, "#1 #2", false)
	data(90, "#3", true)
	data(118, "#4 #5", false)
	ack(168, "ack: next #3, up to #5, missing #3")
	data(218, "#3 again", false)
	ack(266, "ack: next #6")
	boxes := func(y vg.Length, states, note string) {
		s.say(388, y-6, text.XLeft, grey, note)
		for i, state := range states {
			fill, border := color.Color(color.White), color.Color(ink)
			switch state {
			case 'd':
				fill = udpColor
			case 'h':
				fill = payloadColor
			default:
				border = pale
			}
			s.cell(388+38*vg.Length(i), y, 34, 24, fill)
			if border == pale {
				s.say(388+38*vg.Length(i)+17, y+16, text.XCenter, alarm, "?")
			} else {
				s.say(388+38*vg.Length(i)+17, y+16, text.XCenter, ink, fmt.Sprintf("#%d", i+1))
			}
		}
	}
	boxes(68, "dd", "delivered: what is next is delivered at once")
	boxes(140, "dd?hh", "#4 and #5 came before their turn: they are kept, and wait")
	boxes(240, "ddddd", "#3 has come: #3, #4, #5 are delivered, in order")
	s.say(388, 296, text.XLeft, grey, "One acknowledgement speaks for all before it:")
	s.say(388, 310, text.XLeft, grey, "if it is lost, the next one says the same and more.")
}

func storedPicture() picture {
	return picture{
		title: "A writer's message goes to the server, which gives it to the log and answers with its sequence number; the answer is lost, the message comes again, and the log knows that it has it: it is stored once",
		width: 680, height: 316,
		draw: func(c draw.Canvas) error {
			sequence{Canvas: c}.stored()
			return nil
		},
	}
}

// stored draws the picture.
func (s sequence) stored() {
	const writer, server, log = 190, 410, 600
	green := stateColor("ACTIVE")
	s.participant(writer, "writer", "run 7f3a")
	s.participant(server, "server", "port 12345")
	s.participant(log, "log", "on disk")
	say := func(y vg.Length, of color.Color, words string) { s.say(writer-16, y, text.XRight, of, words) }
	s.arrow(writer, 66, server, 78, accent)
	s.say((writer+server)/2, 66, text.XCenter, accent, "message 1: “hello”")
	s.arrow(server, 86, log, 98, ink)
	s.say((server+log)/2, 86, text.XCenter, ink, "append 7f3a/1")
	s.arrow(log, 116, server, 128, ink)
	s.say((server+log)/2, 116, text.XCenter, ink, "it is #12")
	s.arrow(server, 136, 300, 142, green)
	s.cross(300, 142, alarm)
	s.say(346, 132, text.XCenter, green, "1 is stored as #12")
	s.say(288, 148, text.XRight, alarm, "lost")
	s.brace(writer-8, 66, 186)
	say(112, grey, "“not stored yet”:")
	say(126, grey, "perhaps it is, but")
	say(140, grey, "she cannot know")
	s.arrow(writer, 186, server, 198, accent)
	s.say((writer+server)/2, 186, text.XCenter, accent, "message 1: “hello”, again")
	s.arrow(server, 206, log, 218, ink)
	s.say((server+log)/2, 206, text.XCenter, ink, "append 7f3a/1")
	s.arrow(log, 232, server, 244, ink)
	s.say((server+log)/2, 232, text.XCenter, ink, "I have it: #12")
	s.arrow(server, 252, writer, 264, green)
	s.say((writer+server)/2, 252, text.XCenter, green, "1 is stored as #12")
	say(262, green, "“stored as #12”")
	s.dot(writer, 264, green)
	s.caption(0, 664, "Stored means: the log has it, once, and it will be there when the server is not.")
}

func killedPicture() picture {
	return picture{
		title: "The server is killed while a writer writes and a reader reads: the writer keeps what is not stored, a new server finds the log, both register again where they were, and everything arrives once",
		width: 680, height: 372,
		draw: func(c draw.Canvas) error {
			sequence{Canvas: c}.killed()
			return nil
		},
	}
}

// killed draws the picture.
func (s sequence) killed() {
	const writer, server, log, reader = 120, 300, 430, 580
	const dead, alive = 124, 226
	green := stateColor("ACTIVE")
	s.participant(writer, "writer", "ann")
	s.participant(server, "server", "port 12345")
	s.participant(log, "log", "on disk")
	s.participant(reader, "reader", "bob")
	s.bar(server, 37, dead, green)
	s.bar(server, alive, 352, green)
	s.cross(server, dead, alarm)
	s.say(server+12, dead+14, text.XLeft, alarm, "killed")
	s.say(server+12, alive-4, text.XLeft, green, "started again")

	s.arrow(writer, 56, server-6, 66, accent)
	s.say((writer+server)/2, 56, text.XCenter, accent, "“one”")
	s.arrow(server+6, 70, log, 78, ink)
	s.arrow(server-6, 88, writer, 98, green)
	s.say((writer+server)/2, 88, text.XCenter, green, "stored as #1")
	s.arrow(server+6, 88, reader, 100, accent)
	s.say((log+reader)/2+10, 88, text.XCenter, accent, "#1")

	for _, y := range []vg.Length{140, 172} {
		s.arrow(writer, y, server-14, y+8, accent)
		s.cross(server-14, y+8, alarm)
	}
	s.say((writer+server)/2-6, 139, text.XCenter, accent, "“two”")
	s.say((writer+server)/2-6, 171, text.XCenter, accent, "“two”, again")
	s.say(writer-12, 158, text.XRight, grey, "“not stored yet”")
	s.say(reader+12, 158, text.XLeft, grey, "“nothing")
	s.say(reader+12, 172, text.XLeft, grey, "listens”")
	s.say(log+10, 172, text.XLeft, grey, "#1 is still here")

	s.arrow(writer, alive+8, server-6, alive+18, accent)
	s.say((writer+server)/2, alive+8, text.XCenter, accent, "hello, again")
	s.arrow(reader, alive+8, server+6, alive+24, green)
	s.say((log+reader)/2+10, alive+8, text.XCenter, green, "hello, #2 is next")
	s.arrow(writer, alive+44, server-6, alive+54, accent)
	s.say((writer+server)/2, alive+44, text.XCenter, accent, "“two”")
	s.arrow(server+6, alive+58, log, alive+66, ink)
	s.arrow(server-6, alive+76, writer, alive+86, green)
	s.say((writer+server)/2, alive+76, text.XCenter, green, "stored as #2")
	s.arrow(server+6, alive+76, reader, alive+90, accent)
	s.say((log+reader)/2+10, alive+76, text.XCenter, accent, "#2")
	s.caption(0, 664, "Nothing is lost, and nothing comes twice: the log and the numbers outlive the server.")
}
