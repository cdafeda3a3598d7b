package plot

import (
	"image/color"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// WaitingSVG draws what a program does while it waits for a datagram: in a blocking
// read, and in the two ways out of it.
func WaitingSVG() ([]byte, error) { return waitingPicture().svg() }

func waitingPicture() picture {
	return picture{
		title: "Three ways to wait: a blocking read stands still inside the system call, a non-blocking one asks again and again, and a goroutine waits while the program goes on",
		width: 680, height: 330,
		draw: func(c draw.Canvas) error {
			s := sequence{Canvas: c}
			s.waiting(104, "blocking", "“Give me the next datagram.” Then nothing.")
			s.waiting(328, "non-blocking", "“Is there one? No? I'll ask again.”")
			s.waiting(552, "goroutine", "“You wait for it. I go on.”")
			return nil
		},
	}
}

// waiting draws one column: the program left, the system's socket right. Places are
// in points from the left and from the top.
func (s sequence) waiting(middle vg.Length, name, motto string) {
	const top, bottom, arrives = 74, 296, 232
	program, socket := middle-58, middle+70
	busy, asleep := stateColor(udpkit.StateActive), pale
	s.say(middle, 14, text.XCenter, ink, name)
	s.say(middle, 30, text.XCenter, color.RGBA{0x57, 0x60, 0x6a, 0xff}, motto)
	s.box(program, 60, 40, "program")
	s.box(socket, 60, 40, "socket")
	s.StrokeLine2(draw.LineStyle{Color: pale, Width: 1.5}, s.at(socket, top).X, s.at(socket, top).Y, s.at(socket, bottom).X, s.at(socket, bottom).Y)
	s.arrow(socket+40, arrives-7, socket+2, arrives, accent)
	s.say(socket+44, arrives-12, text.XRight, accent, "datagram")
	switch name {
	case "blocking":
		s.bar(program, top, 92, busy)
		s.bar(program, 92, arrives+10, asleep)
		s.bar(program, arrives+10, bottom, busy)
		s.arrow(program+6, 92, socket, 96, ink)
		s.say(middle+6, 88, text.XCenter, ink, "read")
		s.say(program-10, 160, text.XRight, ink, "stands")
		s.say(program-10, 174, text.XRight, ink, "still")
		s.arrow(socket, arrives+4, program+6, arrives+10, ink)
	case "non-blocking":
		s.bar(program, top, bottom, busy)
		for y := vg.Length(92); y < arrives-40; y += 46 {
			s.arrow(program+6, y, socket, y+4, ink)
			s.say(middle+6, y-3, text.XCenter, ink, "read?")
			s.arrow(socket, y+14, program+6, y+18, alarm)
			s.say(middle+8, y+30, text.XCenter, alarm, "EAGAIN")
		}
		s.arrow(program+6, 244, socket, 248, ink)
		s.say(middle+6, 241, text.XCenter, ink, "read?")
		s.arrow(socket, 260, program+6, 264, ink)
		s.say(program-10, 150, text.XRight, ink, "rests")
		s.say(program-10, 164, text.XRight, ink, "and")
		s.say(program-10, 178, text.XRight, ink, "asks")
	case "goroutine":
		worker := middle + 4
		s.bar(program, top, bottom, busy)
		s.arrow(program+6, 84, worker-5, 88, ink)
		s.say((program+worker)/2, 80, text.XCenter, ink, "go")
		s.bar(worker, 88, arrives+10, asleep)
		s.bar(worker, arrives+10, bottom, busy)
		s.arrow(worker+6, 100, socket, 104, ink)
		s.say((worker+socket)/2+2, 96, text.XCenter, ink, "read")
		s.arrow(socket, arrives+4, worker+6, arrives+10, ink)
		s.arrow(worker-6, 262, program+6, 266, accent)
		s.say(program-10, 160, text.XRight, ink, "free")
	}
}

// box draws the head of a life line.
func (s sequence) box(x, y, wide vg.Length, name string) {
	corners := []vg.Point{s.at(x-wide, y-20), s.at(x+wide, y-20), s.at(x+wide, y), s.at(x-wide, y)}
	s.FillPolygon(color.RGBA{0xf6, 0xf8, 0xfa, 0xff}, corners)
	s.StrokeLines(draw.LineStyle{Color: ink, Width: 1}, append(corners, corners[0]))
	s.say(x, y-6, text.XCenter, ink, name)
}

// bar draws a stretch of a life line.
func (s sequence) bar(x, from, to vg.Length, c color.Color) {
	s.FillPolygon(c, []vg.Point{s.at(x-5, from), s.at(x+5, from), s.at(x+5, to), s.at(x-5, to)})
}
