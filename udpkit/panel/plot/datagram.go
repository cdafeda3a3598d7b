package plot

import (
	"fmt"
	"image/color"
	"strings"
	"unicode/utf8"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel/basics"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// maxPayload is how many bytes of a payload have room in the picture.
const maxPayload = 24

// Datagram sends a datagram over the loopback interface and shows all of its bytes
// in the notebook. See [DatagramSVG].
func Datagram(payload string) error { return show(datagramPicture(payload)) }

// DatagramSVG draws the bytes of a datagram, see [basics.Send]: four in a row, as
// the standards draw them. The payload may have 24 bytes.
func DatagramSVG(payload string) ([]byte, error) {
	p, err := datagramPicture(payload)
	if err != nil {
		return nil, err
	}
	return p.svg()
}

// The colours of the parts of a datagram.
var (
	ipColor      = color.RGBA{0xdd, 0xf4, 0xff, 0xff}
	udpColor     = color.RGBA{0xda, 0xfb, 0xe1, 0xff}
	payloadColor = color.RGBA{0xff, 0xf8, 0xc5, 0xff}
	grey         = color.RGBA{0x57, 0x60, 0x6a, 0xff}
)

func datagramPicture(payload string) (picture, error) {
	if len(payload) > maxPayload {
		return picture{}, fmt.Errorf("the picture has room for %d bytes, and the text has %d", maxPayload, len(payload))
	}
	a, err := basics.Send(payload)
	if err != nil {
		return picture{}, fmt.Errorf("cannot send a datagram: %w", err)
	}
	rows := (len(a.Bytes) + 3) / 4
	return picture{
		title: fmt.Sprintf("The %d bytes of a datagram: %d of IP header, %d of UDP header, %d of payload",
			len(a.Bytes), basics.IPHeaderLen, basics.UDPHeaderLen, len(payload)),
		width: 680, height: vg.Length(46 + 24*rows),
		draw: func(c draw.Canvas) error {
			sequence{Canvas: c}.datagram(a, payload)
			return nil
		},
	}, nil
}

// datagram draws the bytes left and what they mean right. Places are in points from
// the left and from the top.
func (s sequence) datagram(a basics.Anatomy, payload string) {
	const left, cell, high, top = 112, 44, 24, 22
	for i := range 4 {
		s.say(left+cell*vg.Length(i)+cell/2, 14, text.XCenter, grey, fmt.Sprintf("byte %d", i+1))
	}
	for i, b := range a.Bytes {
		x, y := left+cell*vg.Length(i%4), top+high*vg.Length(i/4)
		s.cell(x, y, cell, high, partColor(i))
		s.say(x+cell/2, y+high-8, text.XCenter, ink, fmt.Sprintf("%02x", b))
	}
	meanings := []string{
		fmt.Sprintf("version 4, %d × 4 bytes of header, no wishes; %d bytes in all", a.Bytes[0]&0xf, len(a.Bytes)),
		"its number, and: do not cut me into fragments",
		fmt.Sprintf("may pass %d routers; %d means UDP; checksum of this header", a.Bytes[8], a.Bytes[9]),
		"from " + a.From.Addr().String(),
		"to " + a.To.Addr().String(),
		fmt.Sprintf("from port %d to port %d", a.From.Port(), a.To.Port()),
		fmt.Sprintf("%d bytes of header and payload; checksum", basics.UDPHeaderLen+len(payload)),
	}
	const headers = (basics.IPHeaderLen + basics.UDPHeaderLen) / 4
	for i := 0; 4*i < len(payload); i++ {
		meanings = append(meanings, letters(payload, 4*i))
	}
	for i, words := range meanings {
		of := ink
		if i >= headers {
			of = accent
		}
		s.say(left+4*cell+14, top+high*vg.Length(i)+high-8, text.XLeft, of, words)
	}
	s.part(top, top+high*basics.IPHeaderLen/4, "IP header", fmt.Sprintf("%d bytes", basics.IPHeaderLen))
	s.part(top+high*basics.IPHeaderLen/4, top+high*headers, "UDP header", fmt.Sprintf("%d bytes", basics.UDPHeaderLen))
	if payload != "" {
		s.part(top+high*headers, top+high*vg.Length((len(a.Bytes)+3)/4), "payload", fmt.Sprintf("%d bytes", len(payload)))
	}
}

// part names the rows from one height to another.
func (s sequence) part(from, to vg.Length, name, size string) {
	middle := (from + to) / 2
	s.brace(100, from+2, to-2)
	s.say(92, middle-1, text.XRight, ink, name)
	s.say(92, middle+12, text.XRight, grey, size)
}

// cell draws a rectangle with a border.
func (s sequence) cell(x, y, wide, high vg.Length, fill color.Color) {
	corners := []vg.Point{s.at(x, y), s.at(x+wide, y), s.at(x+wide, y+high), s.at(x, y+high)}
	s.FillPolygon(fill, corners)
	s.StrokeLines(draw.LineStyle{Color: grey, Width: 0.5}, append(corners, corners[0]))
}

// partColor is the colour of the byte at i.
func partColor(i int) color.Color {
	switch {
	case i < basics.IPHeaderLen:
		return ipColor
	case i < basics.IPHeaderLen+basics.UDPHeaderLen:
		return udpColor
	}
	return payloadColor
}

// letters shows the four bytes of a text from i on: the letters that begin there.
func letters(payload string, i int) string {
	var all []string
	for at, r := range payload {
		if at >= i && at < i+4 {
			one := string(r)
			if r == utf8.RuneError {
				one = payload[at : at+1]
			}
			all = append(all, "“"+panel.Printable(one)+"”")
		}
	}
	return strings.Join(all, " ")
}
