package plot

import (
	"image/color"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// LetterBoxes shows in the notebook what an address, a port and a socket are.
func LetterBoxes() error { return show(letterBoxesPicture(), nil) }

// LetterBoxesSVG draws a machine as a house with one address and many letter boxes.
func LetterBoxesSVG() ([]byte, error) { return letterBoxesPicture().svg() }

func letterBoxesPicture() picture {
	return picture{
		title: "A machine is a house: its address is the street and number, a port is the number of a letter box, and a socket is the box that a program has put there",
		width: 680, height: 316,
		draw: func(c draw.Canvas) error {
			sequence{Canvas: c}.letterBoxes()
			return nil
		},
	}
}

// letterBoxes draws the picture. Places are in points from the left and from the
// top.
func (s sequence) letterBoxes() {
	const left, wide, top = 236, 424, 50
	// the house
	s.FillPolygon(color.RGBA{0xf6, 0xf8, 0xfa, 0xff}, []vg.Point{s.at(left, top), s.at(left+wide, top), s.at(left+wide, 300), s.at(left, 300)})
	roof := []vg.Point{s.at(left-12, top), s.at(left+wide/2, 4), s.at(left+wide+4, top)}
	s.FillPolygon(color.RGBA{0xea, 0xee, 0xf2, 0xff}, roof)
	s.StrokeLines(draw.LineStyle{Color: ink, Width: 1}, append(roof, roof[0]))
	s.StrokeLines(draw.LineStyle{Color: ink, Width: 1}, []vg.Point{s.at(left, top), s.at(left, 300), s.at(left+wide, 300), s.at(left+wide, top)})
	s.say(left+wide/2, 40, text.XCenter, ink, "the machine 192.168.1.7")
	s.say(left+wide/2, 68, text.XCenter, grey, "which calls itself 127.0.0.1: loopback, “this machine”")

	// its letter boxes
	type box struct {
		port, program, note string
		full, taken         bool
	}
	for i, b := range []box{
		{"53", "name server", "a server: its port is known to all", false, true},
		{"3400", "nobody", "no socket: what comes here is thrown away", false, false},
		{"37020", "our client", "two datagrams wait until the program reads", true, true},
		{"51734", "browser", "a client: any free port will do", false, true},
	} {
		y := vg.Length(84 + 54*i)
		fill, border := color.Color(color.White), color.Color(ink)
		if !b.taken {
			fill, border = color.RGBA{0xf6, 0xf8, 0xfa, 0xff}, pale
		}
		corners := []vg.Point{s.at(left+20, y), s.at(left+80, y), s.at(left+80, y+38), s.at(left+20, y+38)}
		s.FillPolygon(fill, corners)
		s.StrokeLines(draw.LineStyle{Color: border, Width: 1.5}, append(corners, corners[0]))
		if b.taken {
			s.StrokeLine2(draw.LineStyle{Color: ink, Width: 2}, s.at(left+30, y+9).X, s.at(left+30, y+9).Y, s.at(left+70, y+9).X, s.at(left+70, y+9).Y)
		}
		s.say(left+50, y+30, text.XCenter, border, b.port)
		if b.full {
			s.envelope(left+88, y+3, payloadColor)
			s.envelope(left+95, y+11, payloadColor)
		}
		of := stateColor("ACTIVE")
		if !b.taken {
			of = alarm
		}
		s.say(left+140, y+16, text.XLeft, of, b.program)
		s.say(left+140, y+31, text.XLeft, grey, b.note)
	}

	// what comes
	s.envelope(20, 196, payloadColor)
	s.say(20, 176, text.XLeft, ink, "a datagram, from 192.168.1.9:40222")
	s.say(62, 214, text.XLeft, accent, "to 192.168.1.7:37020")
	s.arrow(58, 222, left+14, 213, accent)
	s.say(62, 246, text.XLeft, grey, "192.168.1.7: the address,")
	s.say(62, 260, text.XLeft, grey, "which house")
	s.say(62, 276, text.XLeft, grey, "37020: the port,")
	s.say(62, 290, text.XLeft, grey, "which letter box in it")
}

// envelope draws a letter.
func (s sequence) envelope(x, y vg.Length, fill color.Color) {
	const wide, high = 32, 21
	corners := []vg.Point{s.at(x, y), s.at(x+wide, y), s.at(x+wide, y+high), s.at(x, y+high)}
	s.FillPolygon(fill, corners)
	s.StrokeLines(draw.LineStyle{Color: ink, Width: 1}, append(corners, corners[0]))
	s.StrokeLines(draw.LineStyle{Color: ink, Width: 1}, []vg.Point{s.at(x, y), s.at(x+wide/2, y+high/2+1), s.at(x+wide, y)})
}
