package plot

import (
	"cmp"
	"fmt"
	"image/color"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel/basics"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Exchange shows in the notebook what basics.Record recorded. See [ExchangeSVG].
func Exchange(file string) error { return show(exchangePicture(file)) }

// ExchangeSVG draws a conversation that [basics.Record] recorded as a sequence
// chart: everything that happened has a row of its own and the time beside it.
func ExchangeSVG(file string) ([]byte, error) {
	p, err := exchangePicture(file)
	if err != nil {
		return nil, err
	}
	return p.svg()
}

// moment is a row of the chart.
type moment struct {
	at  time.Duration
	who string
}

// maxMoments bounds the height of the picture.
const maxMoments = 60

func exchangePicture(file string) (picture, error) {
	tape, err := basics.ReadTape(file)
	if err != nil {
		return picture{}, err
	}
	var moments []moment
	for _, d := range tape.Datagrams {
		moments = append(moments, moment{d.At, d.From})
		if d.Arrived != 0 {
			moments = append(moments, moment{d.Arrived, other(d.From)})
		}
	}
	for _, m := range tape.Events {
		moments = append(moments, moment{m.At, m.Who})
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	moments = moments[:min(len(moments), maxMoments)]
	if len(moments) == 0 {
		return picture{}, basics.ErrNothing
	}
	return picture{
		title: fmt.Sprintf("A conversation of a client and a server: %d datagrams, with the times at which they were sent and read", len(tape.Datagrams)),
		width: 680, height: vg.Length(86 + rowHeight*len(moments)),
		draw: func(c draw.Canvas) error {
			sequence{Canvas: c}.exchange(tape, moments)
			return nil
		},
	}, nil
}

const rowHeight = 22

func other(who string) string {
	if who == basics.Client {
		return basics.Server
	}
	return basics.Client
}

// exchange draws the chart. Places are in points from the left and from the top.
func (s sequence) exchange(tape basics.Tape, moments []moment) {
	const client, server, top = 170, 510, 62
	x := map[string]vg.Length{basics.Client: client, basics.Server: server}
	row := func(at time.Duration, who string) (vg.Length, bool) {
		i := slices.Index(moments, moment{at, who})
		return top + rowHeight*vg.Length(i), i >= 0
	}
	s.participant(client, basics.Client, "any free port")
	s.participant(server, basics.Server, "waits at its port")
	for i, m := range moments {
		y := top + rowHeight*vg.Length(i) + 4
		words := clockTime(m.at - moments[0].at)
		if m.who == basics.Client {
			s.say(client-14, y, text.XRight, grey, words)
		} else {
			s.say(server+14, y, text.XLeft, grey, words)
		}
	}
	for _, d := range tape.Datagrams {
		from, ok := row(d.At, d.From)
		if !ok {
			continue
		}
		x1, x2, of := x[d.From], x[other(d.From)], accent
		if d.From == basics.Server {
			of = stateColor("ACTIVE")
		}
		to, arrived := row(d.Arrived, other(d.From))
		switch {
		case d.Arrived != 0 && arrived:
			s.arrow(x1, from, x2, to, of)
		default: // lost, or never read
			middle := (x1 + x2) / 2
			to = from + 8
			s.arrow(x1, from, middle, to, of)
			words := "never read"
			if d.Lost {
				words = "lost"
				s.cross(middle, to, alarm)
			}
			if x2 < x1 {
				s.say(middle-14, to+4, text.XRight, alarm, words)
			} else {
				s.say(middle+14, to+4, text.XLeft, alarm, words)
			}
		}
		s.dot(x1, from, of)
		s.say((x1+x2)/2, (from+to)/2-5, text.XCenter, of, "“"+label(d.Text)+"”")
	}
	for _, m := range tape.Events {
		y, ok := row(m.At, m.Who)
		if !ok {
			continue
		}
		of := ink
		if m.Text != basics.Closed {
			of = alarm
		}
		s.cross(x[m.Who], y, of)
		if m.Who == basics.Client {
			s.say(client+14, y+4, text.XLeft, of, label(m.Text))
		} else {
			s.say(server-14, y+4, text.XRight, of, label(m.Text))
		}
	}
}

// cross marks an end.
func (s sequence) cross(x, y vg.Length, of color.Color) {
	for _, slope := range []vg.Length{5, -5} {
		from, to := s.at(x-5, y-slope), s.at(x+5, y+slope)
		s.StrokeLine2(draw.LineStyle{Color: of, Width: 2}, from.X, from.Y, to.X, to.Y)
	}
}

// clockTime returns a time in milliseconds, with as many digits as it deserves.
func clockTime(d time.Duration) string {
	if d >= 10*time.Millisecond {
		return fmt.Sprintf("%.0f ms", milliseconds(d))
	}
	return fmt.Sprintf("%.2f ms", milliseconds(d))
}
