package plot

import (
	"image/color"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

const (
	beyond     = 132 // the room at the outer sides, at least
	gap        = 8   // between a note and its line
	maxLetters = 40  // of a text
	first      = 78  // the place of the first moment below the top
)

// sequence draws a chart.Dialogue. Places are in points from the left and from the top.
type sequence struct {
	draw.Canvas
	left, right vg.Length
}

func drawDialogue(c draw.Canvas, d chart.Dialogue) {
	wide := c.Max.X - c.Min.X
	room, style := vg.Length(beyond), styled(ink)
	for _, n := range d.Notes {
		if !n.Inside {
			room = max(room, style.Width(short(n.Text, maxLetters))+gap)
		}
	}
	room = min(room, wide/3)
	s := sequence{Canvas: c, left: room, right: wide - room}
	s.say(wide/2, 10, text.XCenter, ink, d.Title)
	s.party(s.left, d.Left)
	s.party(s.right, d.Right)
	for _, a := range d.Arrows {
		s.draw(a)
	}
	for _, n := range d.Notes {
		s.note(n)
	}
}

func (s sequence) draw(a chart.Arrow) {
	x1, x2, of := s.left, s.right, colorOf(a.Color)
	if a.FromRight {
		x1, x2 = x2, x1
	}
	from, to := first+vg.Length(a.From), first+vg.Length(a.To)
	if a.Never == "" {
		s.arrow(x1, from, x2, to, of)
	} else {
		middle, align, away := (x1+x2)/2, text.XLeft, vg.Length(14)
		if a.FromRight {
			align, away = text.XRight, -away
		}
		to = from + 8
		s.arrow(x1, from, middle, to, of)
		if a.Crossed {
			s.cross(middle, to, alarm)
		}
		s.say(middle+away, to+4, align, alarm, a.Never)
	}
	if a.Text != "" {
		s.say((x1+x2)/2, (from+to)/2-5, text.XCenter, of, short(a.Text, maxLetters))
	}
}

func (s sequence) note(n chart.Note) {
	x, align, away, of := s.left, text.XRight, vg.Length(-gap), colorOf(n.Color)
	if n.Right {
		x = s.right
	}
	if n.Right != n.Inside {
		align, away = text.XLeft, -away
	}
	y := first + vg.Length(n.At)
	switch n.Sign {
	case chart.DotSign:
		s.DrawGlyph(draw.GlyphStyle{Color: of, Radius: 4, Shape: draw.CircleGlyph{}}, s.at(x, y))
	case chart.CrossSign:
		s.cross(x, y, of)
	}
	if n.Text != "" {
		s.say(x+away, y+4, align, of, short(n.Text, maxLetters))
	}
}

// at converts a place.
func (s sequence) at(x, y vg.Length) vg.Point { return vg.Point{X: s.Min.X + x, Y: s.Max.Y - y} }

func (s sequence) say(x, y vg.Length, align text.XAlignment, c color.Color, words string) {
	say(s.Canvas, s.at(x, y), align, c, words)
}

// party draws the head and the life line of one of the two.
func (s sequence) party(x vg.Length, p chart.Party) {
	const top = 18
	half, bottom := min(54, (s.right-s.left)/2-6), vg.Length(54)
	if p.Note == "" {
		bottom -= 14
	}
	box := []vg.Point{s.at(x-half, top), s.at(x+half, top), s.at(x+half, bottom), s.at(x-half, bottom)}
	s.StrokeLine2(draw.LineStyle{Color: pale, Width: 1.5}, s.at(x, 0).X, s.at(0, bottom).Y, s.at(x, 0).X, s.Min.Y)
	s.FillPolygon(color.RGBA{0xf6, 0xf8, 0xfa, 0xff}, box)
	s.StrokeLines(draw.LineStyle{Color: ink, Width: 1}, append(box, box[0]))
	s.say(x, top+15, text.XCenter, ink, p.Name)
	s.say(x, top+29, text.XCenter, grey, p.Note)
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

// cross marks an end.
func (s sequence) cross(x, y vg.Length, of color.Color) {
	for _, slope := range []vg.Length{5, -5} {
		from, to := s.at(x-5, y-slope), s.at(x+5, y+slope)
		s.StrokeLine2(draw.LineStyle{Color: of, Width: 2}, from.X, from.Y, to.X, to.Y)
	}
}
