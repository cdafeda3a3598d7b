package plot

import (
	"fmt"
	"image/color"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// SequenceSVG draws how one message reaches all clients by a broadcast, and how
// each of them acknowledges it.
func SequenceSVG() ([]byte, error) { return sequencePicture().svg() }

func sequencePicture() picture {
	return picture{
		title: "Sequence: the server broadcasts one datagram to port 37020, every client receives it and sends an acknowledgement back",
		width: 680, height: 300,
		draw: func(c draw.Canvas) error {
			s := sequence{Canvas: c}
			s.all()
			return nil
		},
	}
}

// sequence is a sequence chart: a vertical line for each participant, time going
// down.
type sequence struct{ draw.Canvas }

// all draws the chart. Places are in points from the left and from the top.
func (s sequence) all() {
	const server, one, two, three = 100, 370, 480, 590
	ports := fmt.Sprintf("port %d", udpkit.DefaultPort)
	s.participant(server, "server", "any port")
	s.participant(one, "client 1", ports)
	s.participant(two, "client 2", ports)
	s.participant(three, "client 3", ports)

	s.say(server+10, 66, text.XLeft, ink, "one datagram to the broadcast address:")
	s.say(server+10, 80, text.XLeft, accent, `{"timestamp": …, "state": "ACTIVE", "message_id": 7}`)
	s.arrow(server, 98, three, 98, accent)
	for _, x := range []vg.Length{one, two, three} {
		s.dot(x, 98, accent)
	}
	green := stateColor(udpkit.StateActive)
	for i, x := range []vg.Length{one, two, three} {
		y := vg.Length(136 + 34*i)
		s.arrow(x, y, server, y+14, green)
		s.say(server+30, y+1, text.XLeft, green, fmt.Sprintf("Client %d received message 7", i+1))
	}
	s.brace(server-14, 98, 150)
	s.say(server-28, 118, text.XRight, ink, "round trip")
	s.say(server-28, 132, text.XRight, ink, "of client 1")
	s.say(server+10, 262, text.XLeft, ink, "after the interval: message 8")
	s.arrow(server, 270, three, 270, accent)
	for _, x := range []vg.Length{one, two, three} {
		s.dot(x, 270, accent)
	}
}

// at converts a place.
func (s sequence) at(x, y vg.Length) vg.Point { return vg.Point{X: s.Min.X + x, Y: s.Max.Y - y} }

// participant draws the head and the life line of one participant.
func (s sequence) participant(x vg.Length, name, port string) {
	const wide, high = 46, 36
	box := []vg.Point{s.at(x-wide, 0), s.at(x+wide, 0), s.at(x+wide, high), s.at(x-wide, high)}
	s.StrokeLine2(draw.LineStyle{Color: pale, Width: 1.5}, s.at(x, high).X, s.at(x, high).Y, s.at(x, 0).X, s.Min.Y)
	s.FillPolygon(color.RGBA{0xf6, 0xf8, 0xfa, 0xff}, box)
	s.StrokeLines(draw.LineStyle{Color: ink, Width: 1}, append(box, box[0]))
	s.say(x, 15, text.XCenter, ink, name)
	s.say(x, 29, text.XCenter, color.RGBA{0x57, 0x60, 0x6a, 0xff}, port)
}

// arrow draws a datagram on its way.
func (s sequence) arrow(x1, y1, x2, y2 vg.Length, c color.Color) {
	from, to := s.at(x1, y1), s.at(x2, y2)
	s.StrokeLine2(draw.LineStyle{Color: c, Width: 1.5}, from.X, from.Y, to.X, to.Y)
	back := vg.Length(-9)
	if x2 < x1 {
		back = 9
	}
	slope := (to.Y - from.Y) / (to.X - from.X)
	s.FillPolygon(c, []vg.Point{to, {X: to.X + back, Y: to.Y + slope*back + 4}, {X: to.X + back, Y: to.Y + slope*back - 4}})
}

func (s sequence) dot(x, y vg.Length, c color.Color) {
	s.DrawGlyph(draw.GlyphStyle{Color: c, Radius: 4, Shape: draw.CircleGlyph{}}, s.at(x, y))
}

// brace marks a span of time.
func (s sequence) brace(x, from, to vg.Length) {
	s.StrokeLines(draw.LineStyle{Color: ink, Width: 1}, []vg.Point{s.at(x+6, from), s.at(x, from), s.at(x, to), s.at(x+6, to)})
}

func (s sequence) say(x, y vg.Length, align text.XAlignment, c color.Color, words string) {
	style := text.Style{Color: c, Font: sized(10), XAlign: align, YAlign: text.YBottom, Handler: plot.DefaultTextHandler}
	s.FillText(style, s.at(x, y), words)
}
