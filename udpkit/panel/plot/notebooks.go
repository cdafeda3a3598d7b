package plot

import (
	"image/color"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Notebooks shows in the notebook which notebooks there are and who talks to whom.
func Notebooks() error { return show(notebooksPicture(), nil) }

// NotebooksSVG draws the map of the notebooks.
func NotebooksSVG() ([]byte, error) { return notebooksPicture().svg() }

func notebooksPicture() picture {
	return picture{
		title: "The notebooks: three to read, one after the other; a server that broadcasts to its clients; a chat server that its clients connect to; a relay that stores what writers write and delivers it to readers",
		width: 680, height: 426,
		draw: func(c draw.Canvas) error {
			sequence{Canvas: c}.notebooks()
			return nil
		},
	}
}

// notebooks draws the map. Places are in points from the left and from the top.
func (s sequence) notebooks() {
	s.say(12, 18, text.XLeft, grey, "To read, each on its own:")
	s.notebook(110, 34, "sockets", "1. from zero", ipColor)
	s.arrow(190, 56, 258, 56, ink)
	s.notebook(340, 34, "nonblocking", "3. waiting", ipColor)
	s.arrow(420, 56, 488, 56, ink)
	s.notebook(570, 34, "concurrency", "4. many at once", ipColor)

	s.say(12, 112, text.XLeft, grey, "To run side by side, 2. with UDP: the server broadcasts, every client hears it and acknowledges")
	s.notebook(110, 136, "server", "sends to everybody", udpColor)
	for i, name := range []string{"client", "client, a copy"} {
		y := vg.Length(126 + 50*i)
		s.notebook(570, y, name, "as many as you like", udpColor)
		s.arrow(190, 152, 488, y+16, accent)
		s.arrow(490, y+28, 192, 164, stateColor("ACTIVE"))
	}

	s.say(12, 252, text.XLeft, grey, "5. with TCP: each client has a connection, the server passes on what it says")
	s.notebook(110, 270, "chat_server", "passes on", payloadColor)
	s.notebook(570, 270, "chat_client", "as many as you like", payloadColor)
	s.both(192, 292, 488)

	s.say(12, 346, text.XLeft, grey, "6. with UDP, and nothing lost: what writers write is stored, and every reader gets it once")
	s.notebook(110, 364, "relay_writer", "as many as you like", udpColor)
	s.notebook(340, 364, "relay_server", "stores, and delivers", udpColor)
	s.notebook(570, 364, "relay_reader", "as many as you like", udpColor)
	s.arrow(190, 386, 258, 386, accent)
	s.arrow(420, 386, 488, 386, stateColor("ACTIVE"))
}

// notebook draws the box of a notebook; x is its middle.
func (s sequence) notebook(x, y vg.Length, name, note string, fill color.Color) {
	const wide, high = 160, 44
	s.cell(x-wide/2, y, wide, high, fill)
	s.say(x, y+18, text.XCenter, ink, name)
	s.say(x, y+34, text.XCenter, grey, note)
}

// both draws a connection.
func (s sequence) both(x1, y, x2 vg.Length) {
	s.arrow(x1+20, y, x2, y, ink)
	s.arrow(x2-20, y, x1, y, ink)
	from, to := s.at(x1+10, y), s.at(x2-10, y)
	s.StrokeLine2(draw.LineStyle{Color: ink, Width: 3}, from.X, from.Y, to.X, to.Y)
}
