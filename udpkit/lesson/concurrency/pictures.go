package concurrency

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// ServersPicture is what [Servers] measured: for each server a row for each client, which waits, is
// served, or gets no answer, in the order in which they were served. The error wraps
// [exercise.ErrNothing] if it has not run.
func ServersPicture(file string) (chart.Picture, error) {
	all, err := Load(file)
	if err != nil {
		return chart.Picture{}, err
	}
	if all.Servers == nil || len(all.Servers.Runs) == 0 {
		return chart.Picture{}, exercise.ErrNothing
	}
	runs := all.Servers.Runs
	var longest time.Duration
	for _, r := range runs {
		longest = max(longest, r.Took)
	}
	end := longest + longest/50
	p := chart.Picture{
		Title: fmt.Sprintf("When each client is served, by %d servers", len(runs)),
		Legend: []chart.Word{
			{Text: "grey: it waits", Color: chart.Grey}, {Text: "■ it is served", Color: chart.Good}, {Text: "┄ it gets no answer", Color: chart.Alarm},
		},
	}
	for i, r := range runs {
		rows := chart.Rows{
			Title: fmt.Sprintf("%s: %d of %d answered, the last after %.2f s", r.Name, r.Answered(), len(r.Clients), r.Took.Seconds()),
			End:   end, Dense: true,
		}
		order := func(c ServerClient) time.Duration {
			if c.Answered == 0 {
				return math.MaxInt64
			}
			return c.Began
		}
		for _, c := range slices.SortedStableFunc(slices.Values(r.Clients), func(a, b ServerClient) int { return cmp.Compare(order(a), order(b)) }) {
			bars := []chart.Bar{{From: c.Sent, To: c.Began, Color: chart.Pale}, {From: c.Began, To: c.Answered, Color: chart.Good}}
			if c.Answered == 0 {
				bars = []chart.Bar{{From: c.Sent, To: end, Color: chart.Alarm, Dashed: true}}
			}
			rows.Rows = append(rows.Rows, chart.Row{Bars: bars})
		}
		band := chart.Band{Height: 158}
		if i == len(runs)-1 {
			band.Height, rows.Axis = 174, "time since all clients asked (s)"
		}
		band.Charts = []chart.Chart{rows}
		p.Bands = append(p.Bands, band)
	}
	return p, nil
}

// ConversationPicture is what [Conversation] captured: the packets of one question and its answer
// over TCP, and over UDP. The error wraps [exercise.ErrNothing] if it has not run, and a
// chart.Nothing and ErrNoWire if no packet could be captured.
func ConversationPicture(file string) (chart.Picture, error) {
	all, err := Load(file)
	if err != nil {
		return chart.Picture{}, err
	}
	r := all.Conversation
	if r == nil {
		return chart.Picture{}, exercise.ErrNothing
	}
	if r.TCP == nil || r.UDP == nil {
		return chart.Picture{}, fmt.Errorf("%w: %w", chart.Nothing("no packets were captured, so there is nothing to draw"), ErrNoWire)
	}
	return chart.Picture{
		Title: fmt.Sprintf("The packets of one question and its answer: %d with TCP, %d with UDP", len(r.TCP.Packets), len(r.UDP.Packets)),
		Bands: []chart.Band{ladder("TCP", r.TCP), ladder("UDP", r.UDP)},
	}, nil
}

// pointsOf returns how far down a time is.
func pointsOf(d time.Duration) float64 { return 2.3 * milliseconds(d) }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// ladder is an exchange, as high as it is long: client left, server right.
func ladder(name string, e *Exchange) chart.Band {
	d := chart.Dialogue{
		Title: fmt.Sprintf("%s: answered after %.0f ms", name, milliseconds(e.Answered)),
		Left:  chart.Party{Name: "client"}, Right: chart.Party{Name: "server"},
	}
	last := map[bool]float64{false: math.Inf(-1), true: math.Inf(-1)}
	end := e.Answered
	for _, p := range e.Packets {
		end = max(end, p.Arrived)
		d.Arrows = append(d.Arrows, chart.Arrow{FromRight: p.Answer, From: pointsOf(p.Sent), To: pointsOf(p.Arrived), Color: Color(name)})
		at := max(pointsOf(p.Sent), last[p.Answer]+11) // so that no two texts lie on each other
		last[p.Answer] = at
		d.Notes = append(d.Notes, chart.Note{Right: p.Answer, At: at, Text: packetText(p), Color: chart.Ink})
	}
	d.Notes = append(d.Notes, chart.Note{At: pointsOf(e.Answered), Color: chart.Good, Sign: chart.DotSign})
	return chart.Band{Height: pointsOf(end) + 94, Charts: []chart.Chart{d}}
}

// packetText says what a packet is.
func packetText(p Packet) string {
	var words []string
	if p.Flags != "" {
		words = append(words, p.Flags)
	}
	switch {
	case p.Data > 0 && p.Answer:
		words = append(words, "answer")
	case p.Data > 0:
		words = append(words, "question")
	}
	return fmt.Sprintf("%s, %d bytes", strings.Join(words, " + "), p.Size())
}

// WeatherPicture is what [Weather] measured: for each network how long each message took, over TCP
// and over UDP, and which never arrived. The error wraps [exercise.ErrNothing] if it has not run.
func WeatherPicture(file string) (chart.Picture, error) {
	all, err := Load(file)
	if err != nil {
		return chart.Picture{}, err
	}
	if all.Weather == nil || len(all.Weather.Cases) == 0 {
		return chart.Picture{}, exercise.ErrNothing
	}
	p := chart.Picture{
		Title: "How long each message takes over TCP (blue) and UDP (orange) on several networks; red: never arrived",
		Legend: []chart.Word{
			{Text: "● TCP", Color: Color("tcp")}, {Text: "● UDP", Color: Color("udp")}, {Text: "| a UDP message that never arrived", Color: chart.Alarm},
		},
	}
	for cases := range slices.Chunk(all.Weather.Cases, 2) {
		band := chart.Band{Height: 165}
		for _, c := range cases {
			band.Charts = append(band.Charts, delays(c))
		}
		p.Bands = append(p.Bands, band)
	}
	return p, nil
}

func delays(c WeatherCase) chart.Dots {
	d := chart.Dots{Title: c.Title(), X: "sent after (s)", Y: "delay (ms)", MinY: 60}
	for _, t := range c.Transfers() {
		for i, sent := range t.Sent {
			if t.Arrived[i] == 0 {
				d.Without = append(d.Without, sent.Seconds())
				continue
			}
			d.Dots = append(d.Dots, chart.Dot{X: sent.Seconds(), Y: milliseconds(t.Arrived[i] - sent), Color: Color(t.Protocol)})
		}
	}
	return d
}
