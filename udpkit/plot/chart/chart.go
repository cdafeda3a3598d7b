// Package chart says what is in a picture, as plain data: numbers, times, names and colours.
// Package plot draws it. The packages that know a system fill in the data, so a cell that does not
// plot does not pay for the drawing code.
package chart

import "time"

// Nothing says why there is nothing to draw. That is no failure: one would keep Run All from the
// cells below.
type Nothing string

// NotRun is for a look back at a run whose history is not there.
const NotRun Nothing = "nothing recorded yet: the program has not run, or has kept no history"

// Error returns the reason.
func (n Nothing) Error() string { return string(n) }

// The colours that have one meaning in all pictures. A colour is "#" and six hexadecimal digits, as
// in CSS.
const (
	Ink    = "#1f2328"
	Grey   = "#57606a"
	Pale   = "#d0d7de"
	Accent = "#0969da"
	Alarm  = "#cf222e"
	Good   = "#1a7f37"
)

// Picture is a picture, 440 points wide.
type Picture struct {
	Title  string // what is in it, for those who cannot see it
	Legend []Word // a line above the charts
	Bands  []Band // from the top
}

// Word is a text in a colour.
type Word struct{ Text, Color string }

// Band has charts below each other, equally high.
type Band struct {
	Height float64 // of each, in points
	Charts []Chart
}

// Chart is one of the types below.
type Chart interface{ chart() }

func (Rows) chart()         {}
func (Distribution) chart() {}
func (Counts) chart()       {}
func (Totals) chart()       {}
func (Ranges) chart()       {}
func (Curves) chart()       {}
func (Dots) chart()         {}
func (Dialogue) chart()     {}

// Rows has a row for each of some names, and time goes to the right.
type Rows struct {
	Title, Axis string
	Unit        time.Duration // of the axis; 0: a second
	End         time.Duration // of the axis
	Rows        []Row         // from the top
	Moments     []Mark        // in all rows
	Dense       bool          // there are many rows, and no names
}

// Row is what happened to one of them.
type Row struct {
	Name  string
	Bars  []Bar
	Lines []time.Duration // moments, where there are many
	Color string          // of the lines
	Dots  []time.Duration
	Faint bool // the dots lie on top of each other
	Marks []Mark
}

// Bar is a stretch of time. A dashed one is a thin line.
type Bar struct {
	From, To time.Duration
	Color    string
	Dashed   bool
}

// Mark is a line at a moment, with words beside it.
type Mark struct {
	At          time.Duration
	Text, Color string
}

// Distribution shows for each time which share of the values is no longer.
type Distribution struct {
	Title, Axis string
	Values      []time.Duration
}

// Counts has an upright bar for each of some numbered things.
type Counts struct {
	Title, X, Y string
	Counts      []Count
}

// Count is one of them.
type Count struct {
	Number uint64
	Count  int
	Color  string
}

// Totals has a level bar for each of some names. Without any, it says that nothing was measured.
type Totals struct {
	Title, Axis string
	Totals      []Total
}

// Total is a bar of several parts, with a text behind it.
type Total struct {
	Name, Text string
	Parts      []Part
}

// Part is a part of a bar.
type Part struct {
	Value float64
	Color string
}

// Ranges has a dot at the low and a line to the high value of each of some names, on a logarithmic
// scale. What is not above 0 is left out.
type Ranges struct {
	Title, Axis string
	Ranges      []Range
}

// Range is one of them.
type Range struct {
	Name, Color string
	Low, High   float64
}

// Curves are values over time that stay for a while.
type Curves struct {
	Title, X, Y string
	End         time.Duration
	Curves      []Curve
	Away        []Step // grey: times without values
	Why         string // they are without
}

// Curve is one of them. Where it is not there, there is no step.
type Curve struct {
	Name, Color string
	Dashed      bool // so that one below it is seen where they are equal
	Steps       []Step
}

// Step is a value from one time to another.
type Step struct {
	From, To time.Duration
	Value    float64
}

// Dots are pairs of numbers, none below 0.
type Dots struct {
	Title, X, Y string
	Dots        []Dot
	Without     []float64 // those that have no Y: a short line, in the colour Alarm
	MinY        float64   // the Y axis goes at least this far
}

// Dot is one of them.
type Dot struct {
	X, Y  float64
	Color string
}

// Dialogue is a sequence chart of two, with time going down. Places are in points below the first
// moment.
type Dialogue struct {
	Title       string
	Left, Right Party
	Arrows      []Arrow
	Notes       []Note
}

// Party is one of the two.
type Party struct{ Name, Note string }

// Arrow is something that one sends to the other.
type Arrow struct {
	FromRight   bool
	From, To    float64
	Text, Color string
	Never       string // why it does not arrive, in a word; empty: it does
	Crossed     bool   // it ends with a cross
}

// Note says something beside one of them.
type Note struct {
	Right       bool
	At          float64
	Text, Color string
	Inside      bool // between the two
	Sign        Sign
}

// Sign is a sign on the line of one of them.
type Sign int

// The signs.
const (
	NoSign Sign = iota
	DotSign
	CrossSign
)

// UnitOf returns the unit in which the largest of some durations reads well, and its name.
func UnitOf(ds []time.Duration) (time.Duration, string) {
	var largest time.Duration
	for _, d := range ds {
		largest = max(largest, d.Abs())
	}
	switch {
	case largest >= time.Second:
		return time.Second, "s"
	case largest >= time.Millisecond:
		return time.Millisecond, "ms"
	}
	return time.Microsecond, "µs"
}
