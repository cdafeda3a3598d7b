package sequence

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"html/template"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"time"

	_ "embed"

	"github.com/gonb-labs/udp-notebooks/udpkit/dissect"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

const (
	maxSteps = 60
	maxLines = 8    // of addresses
	maxShown = 1024 // bytes of a datagram
)

// Sizes in the unit of SVG, which is a pixel here.
const (
	clockWidth  = 84
	margin      = 80 // beside the outer lines: half a name
	nameHeight  = 34
	stepHeight  = 34
	columnWidth = 7  // at most, of a letter in a label
	loopWidth   = 34 // of an arrow that leads back to where it begins
	gap         = 8
	minWidth    = 640
)

//go:embed page.html
var pageHTML string

var page = panel.Templates(pageHTML, template.FuncMap{
	"plural": format.Plural[int], "millis": format.Millis,
	"opened": func(s step) opened { return opened{clockWidth, s} },
})

// picture is what the template shows.
type picture struct {
	Began         time.Time
	Lines         []line
	Steps         []step
	Left          int // datagrams that are left out
	Width, Height int
	StepHeight    int
	Group         string // of the details, of which one is open at a time
	Fates         []string
}

// line is an address.
type line struct {
	X                   int
	Name, Address       string
	Short, ShortAddress string // as far as there is room
}

// opened is the step whose bytes are shown.
type opened struct {
	Margin int
	Step   step
}

// step is an arrow and what there is to say about it.
type step struct {
	of               arrow
	Number           int
	After            string // since the first
	From, To         line
	Addresses        [2]netip.AddrPort
	Middle, End      int // of the arrow
	LabelX, LabelY   int
	Anchor           string
	Right, Self      bool
	Label            string
	Fate, Words      string
	Is, Gap          string
	Took             string
	Protection       string
	Fields           []span
	Dump             string
	Length, NotShown int
	Truncated        bool
}

// Show draws recordings in a notebook, as --record and record.Create make them, or captures of
// other programs. Those of several roles are put together: bytes that one sent and another received
// are one arrow, and what did not arrive is a broken one. For this their clocks have to agree.
// Drawn are at most 60 datagrams of at most 8 addresses, the first ones, out of the first 500 of
// each file; how many are left out is said.
func Show(files ...string) error {
	p, err := draw(files)
	if err != nil {
		return err
	}
	live := panel.NewLive(page.Lookup("sequence"), func() any { return p })
	return live.End("")
}

// Write writes what Show shows, as a page of its own.
func Write(w io.Writer, files ...string) error {
	p, err := draw(files)
	if err != nil {
		return err
	}
	return page.ExecuteTemplate(w, "page", p)
}

func draw(files []string) (picture, error) {
	recordings, err := openAll(files)
	if err != nil {
		return picture{}, err
	}
	p := picture{StepHeight: stepHeight}
	for _, r := range recordings {
		p.Left += r.more
	}
	all := arrows(recordings)
	names := namesOf(all)
	lines := make(map[end]int)
	hash := fnv.New64a()
	for _, a := range all {
		var unknown []end
		for _, e := range []end{a.from, a.to} {
			if _, ok := lines[e]; !ok && !slices.Contains(unknown, e) {
				unknown = append(unknown, e)
			}
		}
		if len(p.Steps) == maxSteps || len(lines)+len(unknown) > maxLines {
			p.Left++
			continue
		}
		for _, e := range unknown {
			address := e.address
			if e.role > 0 {
				address = recordings[e.role-1].own[0]
			}
			lines[e] = len(p.Lines)
			p.Lines = append(p.Lines, line{Name: names[e], Address: address.String()})
		}
		if len(p.Steps) == 0 {
			p.Began = a.at
		}
		fmt.Fprint(hash, a.at.UnixNano())
		p.Steps = append(p.Steps, newStep(a, len(p.Steps)+1, a.at.Sub(p.Began)))
		if fate := a.fate(); fate != plain && !slices.Contains(p.Fates, fate) {
			p.Fates = append(p.Fates, fate)
		}
	}
	p.Group = strconv.FormatUint(hash.Sum64(), 36)
	p.place(lines)
	return p, nil
}

// place says where all is.
func (p *picture) place(lines map[end]int) {
	between := min(480, max(180, 540/max(1, len(p.Lines)-1)))
	for i := range p.Lines {
		l := &p.Lines[i]
		l.X = clockWidth + margin + i*between
		l.ShortAddress = console.Cut(l.Address, 2*margin/columnWidth)
		if l.Short = l.ShortAddress; l.Name != "" {
			l.Short = console.Cut(panel.Printable(l.Name), 2*margin/columnWidth)
		}
	}
	p.Width, p.Height = max(minWidth, clockWidth+2*margin+(len(p.Lines)-1)*between), nameHeight
	for i := range p.Steps {
		s := &p.Steps[i]
		from, to := lines[s.of.from], lines[s.of.to]
		s.From, s.To = p.Lines[from], p.Lines[to]
		s.Self, s.Right = from == to, s.From.X < s.To.X
		s.Middle, s.End = (s.From.X+s.To.X)/2, s.To.X
		if s.Fate == lost { // on the way
			s.End = s.From.X + (s.To.X-s.From.X)*3/5
		}
		s.placeLabel(p.Width)
	}
}

// placeLabel puts the label above the middle of the arrow, or beside one that leads back to where
// it begins, on the side that has more room.
func (s *step) placeLabel(width int) {
	s.LabelX, s.LabelY, s.Anchor = s.Middle, 14, "middle"
	room := 2 * min(s.Middle-clockWidth, width-s.Middle)
	if left, right := s.From.X-clockWidth-gap, width-s.From.X-loopWidth-gap; s.Self && left > right {
		s.LabelX, s.LabelY, s.Anchor, room = s.From.X-gap, 27, "end", left
	} else if s.Self {
		s.LabelX, s.LabelY, s.Anchor, room = s.From.X+loopWidth+gap, 27, "start", right
	}
	room /= columnWidth
	words := ""
	if s.Words != "" {
		words = " · " + console.Cut(s.Words, 24)
	}
	s.Label = console.Cut(console.Cut(s.Label, max(12, room-console.Width(words)))+words, room)
}

func newStep(a arrow, number int, after time.Duration) step {
	s := step{of: a, Number: number, After: sinceFirst(after), Addresses: a.addresses, Fate: a.fate(), Words: panel.Printable(a.words())}
	if a.gap != "" {
		s.Gap, s.Label = a.gap, "missing: "+a.gap
		return s
	}
	d := dissect.Of(a.packet.Payload)
	s.Is, s.Protection, s.Label = d.Kind, string(d.Protection), panel.Printable(meaning(d))
	if a.took > 0 {
		s.Took = format.Short(a.took)
	}
	s.Length, s.Truncated = len(a.packet.Payload), a.packet.Truncated
	s.NotShown = max(0, s.Length-maxShown)
	s.Dump = hex.Dump(a.packet.Payload[:s.Length-s.NotShown])
	s.Fields = spans(a.packet.Payload, d)
	return s
}

// sinceFirst writes a time as what clockWidth has room for.
func sinceFirst(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.3f s", d.Seconds())
}
