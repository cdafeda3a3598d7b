package sequence

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	_ "embed"

	"github.com/janpfeifer/gonb/gonbui"

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
	"opened": func(p picture, s step) opened {
		o := opened{Margin: clockWidth, Step: s, Group: p.Group, Previous: s.Number - 1}
		if s.Number < len(p.Steps) {
			o.Next = s.Number + 1
		}
		return o
	},
})

// picture is what the template shows.
type picture struct {
	Began         time.Time
	Lines         []line
	Steps         []step
	Left          int // datagrams that are left out, before the ones that are drawn or after them
	Last          bool
	Streams       bool // something goes over TCP
	Width, Height int
	StepHeight    int
	Group         string // of the buttons, of which one is pressed at a time
	Fates         []string
	Growing       bool
}

// line is an address.
type line struct {
	X                   int
	Name, Address       string
	Short, ShortAddress string // as far as there is room
}

// opened is the step whose bytes are shown.
type opened struct {
	Margin         int
	Step           step
	Group          string
	Previous, Next int // 0: none
}

// step is an arrow and what there is to say about it.
type step struct {
	of             arrow
	Number         int
	Open           bool
	After          string // since the first
	From, To       line
	Addresses      [2]netip.AddrPort
	Middle, End    int // of the arrow
	LabelX, LabelY int
	Anchor         string
	Right, Self    bool
	Label          string
	Fate, Words    string
	Is, Gap        string
	Took           string
	Protection     string
	Fields         []span
	Dump           string
	Size           string
	NotShown       int
	Truncated      bool
}

// Show draws recordings in a notebook, as --record and record.Create make them, or captures of
// other programs. Those of several roles are put together: bytes that one sent and another received
// are one arrow, and what did not arrive is a broken one. For this their clocks have to agree.
// Drawn are at most 60 datagrams of at most 8 addresses, the first ones, out of the first 500 of
// each file; how many are left out is said. Of TCP, each arrow is what was written at once. Where
// there is no notebook it prints a line for each.
func Show(files ...string) error {
	p, err := drawAll(files)
	if err != nil {
		return err
	}
	return newView(func() picture { return p }).end()
}

// Write writes what Show shows, as a page of its own.
func Write(w io.Writer, files ...string) error {
	p, err := drawAll(files)
	if err != nil {
		return err
	}
	return page.ExecuteTemplate(w, "page", p)
}

// view shows pictures: in a notebook as they are, elsewhere the last one as text.
type view struct {
	now  func() picture
	live *panel.Live // nil elsewhere
}

func newView(now func() picture) view {
	v := view{now: now}
	if gonbui.IsNotebook {
		v.live = panel.NewLive(page.Lookup("sequence"), func() any { return now() })
	}
	return v
}

// news asks for a new picture.
func (v view) news() {
	if v.live != nil {
		v.live.News()
	}
}

// end shows the last picture.
func (v view) end() error {
	if v.live != nil {
		return v.live.End("")
	}
	_, err := io.WriteString(os.Stdout, v.now().text())
	return err
}

// text has a line for each step.
func (p picture) text() string {
	var b strings.Builder
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "%10s  %s → %s: %s\n", s.After, s.From.Short, s.To.Short, s.Label)
	}
	if p.Left > 0 {
		fmt.Fprintf(&b, "%s left out\n", p.Many(p.Left))
	}
	return b.String()
}

func drawAll(files []string) (picture, error) {
	recordings, err := openAll(files)
	if err != nil {
		return picture{}, err
	}
	p := draw(recordings, nil, never, maxSteps)
	p.open(1)
	return p, nil
}

// open has one step be open.
func (p *picture) open(number int) {
	for i := range p.Steps {
		p.Steps[i].Open = p.Steps[i].Number == number
	}
}

// draw makes a picture of recordings: of so many steps the first ones, or the last ones if these
// are what the recordings keep. The names are of those that do not record.
func draw(recordings []*recording, known map[netip.AddrPort]string, settled time.Time, most int) picture {
	p := picture{StepHeight: stepHeight, Group: "sequence-" + rand.Text()} // no other on the page has the name
	for _, r := range recordings {
		p.Left += r.more
		p.Last = p.Last || r.last
	}
	all := arrows(recordings, settled)
	names := namesOf(all)
	for i, r := range recordings {
		if r.name != "" {
			names[end{role: i + 1}] = r.name
		}
	}
	for a, name := range known {
		names[end{address: a}] = name
	}
	if beyond := len(all) - most; p.Last && beyond > 0 {
		p.Left += beyond
		all = all[beyond:]
	}
	lines := make(map[end]int)
	var ends []end
	for _, a := range all {
		var unknown []end
		for _, e := range []end{a.from, a.to} {
			if _, ok := lines[e]; !ok && !slices.Contains(unknown, e) {
				unknown = append(unknown, e)
			}
		}
		if len(p.Steps) == most || len(lines)+len(unknown) > maxLines {
			p.Left++
			continue
		}
		for _, e := range unknown {
			lines[e] = len(lines)
			ends = append(ends, e)
		}
		if len(p.Steps) == 0 {
			p.Began = a.at
		}
		p.Steps = append(p.Steps, newStep(a, len(p.Steps)+1, a.at.Sub(p.Began)))
		p.Streams = p.Streams || a.packet.TCP != nil
		if fate := a.fate(); fate != plain && !slices.Contains(p.Fates, fate) {
			p.Fates = append(p.Fates, fate)
		}
	}
	for i, e := range inOrder(ends) {
		address := e.address
		if e.role > 0 {
			address = recordings[e.role-1].own[0]
		}
		lines[e] = i
		p.Lines = append(p.Lines, line{Name: names[e], Address: address.String()})
	}
	p.place(lines)
	return p
}

// inOrder has the roles that record be in the order of their recordings, and all others stay in
// their places.
func inOrder(ends []end) []end {
	var roles []end
	for _, e := range ends {
		if e.role > 0 {
			roles = append(roles, e)
		}
	}
	slices.SortFunc(roles, func(a, b end) int { return a.role - b.role })
	for i, e := range ends {
		if e.role > 0 {
			ends[i], roles = roles[0], roles[1:]
		}
	}
	return ends
}

// Many says how many steps there are.
func (p picture) Many(n int) string {
	if p.Streams { // not all are datagrams
		return format.Plural(n, "step")
	}
	return format.Plural(n, "datagram")
}

// place says where all is.
func (p *picture) place(lines map[end]int) {
	between := min(480, max(110, 540/max(1, len(p.Lines)-1)))
	letters := min(2*margin, between) / columnWidth
	for i := range p.Lines {
		l := &p.Lines[i]
		l.X = clockWidth + margin + i*between
		l.ShortAddress = console.Cut(l.Address, letters)
		if l.Short = l.ShortAddress; l.Name != "" {
			l.Short = console.Cut(panel.Printable(l.Name), letters)
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
	if s.of.took >= time.Millisecond { // else nobody cares
		words += " · " + s.Took
	}
	s.Label = console.Cut(console.Cut(s.Label, max(12, room-console.Width(words)))+words, room)
}

func newStep(a arrow, number int, after time.Duration) step {
	s := step{of: a, Number: number, After: sinceFirst(after), Addresses: a.addresses, Fate: a.fate(), Words: panel.Printable(a.words())}
	if a.gap != "" {
		s.Gap, s.Label = a.gap, "missing: "+a.gap
		return s
	}
	d := describe(a.packet)
	s.Is, s.Protection, s.Label = d.Kind, string(d.Protection), panel.Printable(meaning(d))
	if a.took > 0 {
		s.Took = format.Short(a.took)
	}
	length := len(a.packet.Payload)
	if s.Truncated = a.packet.Truncated; length > 0 || a.packet.TCP == nil {
		s.Size = format.Plural(length, "byte")
	}
	s.NotShown = max(0, length-maxShown)
	s.Dump = hex.Dump(a.packet.Payload[:length-s.NotShown])
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
