package plot_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/broadcastpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// place is where a text of a picture is, in points.
type place struct {
	left, right, baseline float64
	words                 string
}

// places returns the texts of a picture that are not turned. Each says how wide it is in any font.
func places(t *testing.T, svg []byte) (places []place, wide float64) {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(svg))
	turned, depth := 0, 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return places, wide
		}
		require.NoError(t, err)
		if _, ok := token.(xml.EndElement); ok {
			if depth--; turned > depth {
				turned = 0
			}
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		depth++
		has := make(map[string]string)
		for _, a := range e.Attr {
			has[a.Name.Local] = a.Value
		}
		number := func(name string) (f float64) {
			_, err := fmt.Sscan(has[name], &f)
			require.NoError(t, err, "%s of %v", name, has)
			return f
		}
		switch e.Name.Local {
		case "svg":
			_, err := fmt.Sscanf(has["viewBox"], "0 0 %f", &wide)
			require.NoError(t, err)
		case "g":
			if turned == 0 && strings.Contains(has["transform"], "rotate") {
				turned = depth
			}
		case "text":
			require.Equal(t, "spacingAndGlyphs", has["lengthAdjust"])
			p := place{left: number("x"), baseline: number("y")}
			p.right = p.left + number("textLength")
			require.NoError(t, decoder.DecodeElement(&p.words, &e))
			depth--
			if turned == 0 {
				places = append(places, p)
			}
		}
	}
}

// TestFit: no text is cut off or lies on another one, in whatever font the page has.
func TestFit(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("many words of a title ", 7))
	rows := chart.Rows{Title: long, Axis: long, End: 2 * time.Second, Rows: []chart.Row{{Name: "a name of eighteen"}, {Name: "nonblocking"}}}
	totals := chart.Totals{Title: long, Axis: long, Totals: []chart.Total{{Name: "channel, 1200", Text: "64 + 564", Parts: []chart.Part{{Value: 628, Color: chart.Good}}}}}
	pictures := map[string]chart.Picture{
		"long": {
			Legend: []chart.Word{{Text: long[:60], Color: chart.Ink}, {Text: long[:60], Color: chart.Good}},
			Bands:  []chart.Band{{Height: 200, Charts: []chart.Chart{rows, totals}}},
		},
		"talk": {Bands: []chart.Band{{Height: 300, Charts: []chart.Chart{chart.Dialogue{
			Left: chart.Party{Name: "client", Note: "any free port"}, Right: chart.Party{Name: "server", Note: "waits at its port"},
			Notes: []chart.Note{{Text: "ACK + question, 64 bytes", At: 20}, {Text: "ACK + answer, 62 bytes", At: 20, Right: true}},
		}}}}},
	}
	client, err := broadcastpanel.ClientPicture(journal(t, clientEvents("ACTIVE", "STANDBY", "a state of eighteen", "ERROR", "another state here")...))
	require.NoError(t, err)
	server, err := broadcastpanel.ServerPicture(journal(t, serverEvents(12, "ACTIVE", "MAINTENANCE", "ERROR")...))
	require.NoError(t, err)
	pictures["client"], pictures["server"] = client, server
	for name, picture := range pictures {
		svg, err := plot.SVG(picture, nil)
		require.NoError(t, err)
		found, wide := places(t, svg)
		require.Greater(t, len(found), 3)
		for i, p := range found {
			require.GreaterOrEqual(t, p.left, 0.0, "%s: %q", name, p.words)
			require.LessOrEqual(t, p.right, wide, "%s: %q", name, p.words)
			for _, q := range found[:i] {
				above := p.baseline - q.baseline
				require.False(t, p.left < q.right && q.left < p.right && above > -8 && above < 8, "%s: %q and %q", name, p.words, q.words)
			}
		}
	}
}

// TestTicks: what stands at an axis is what it stands for, and as far apart as it looks.
func TestTicks(t *testing.T) {
	for _, one := range []struct {
		low, high float64
		want      string
	}{
		{0.9, 1.13, "0.9 1.0 1.1"}, {0.917, 1.1, "0.95 1.00 1.05 1.10"}, {0, 8, "0 2 4 6 8"}, {0, 600, "0 200 400 600"}, {0, 1.02, "0.0 0.5 1.0"},
		{-0.3, 0.3, "-0.2 0.0 0.2"}, {3, 14, "5 10"}, {0, 0.004, "0.000 0.002 0.004"},
	} {
		labels := plot.Few(one.low, one.high)
		require.Equal(t, one.want, strings.Join(labels, " "), "%v to %v", one.low, one.high)
	}
}

// TestStrip: what has no value is drawn below what has one, and the axis begins at 0.
func TestStrip(t *testing.T) {
	dots := chart.Dots{Y: "delay", MinY: 100, Without: []float64{1, 2}}
	for x := range 4 {
		dots.Dots = append(dots.Dots, chart.Dot{X: float64(x), Color: chart.Good})
	}
	svg, err := plot.SVG(chart.Picture{Bands: []chart.Band{{Height: 165, Charts: []chart.Chart{dots}}}}, nil)
	require.NoError(t, err)
	height := func(pattern string) (all []float64) {
		for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(svg), -1) {
			var y float64
			_, err := fmt.Sscan(found[1], &y)
			require.NoError(t, err)
			all = append(all, y)
		}
		return all
	}
	marks := height(`d="M[0-9.]+,[0-9.]+L[0-9.]+,([0-9.]+)"[^>]*stroke:#CF222E`) // their upper ends
	feet := height(`d="M[0-9.]+,([0-9.]+)L[0-9.]+,[0-9.]+"[^>]*stroke:#CF222E`)
	points := height(`d="M[0-9.]+,([0-9.]+)A[^>]*fill:#1A7F37`)
	require.Len(t, marks, 2)
	require.Len(t, points, 4)
	require.Less(t, slices.Max(marks), slices.Min(points)-1.6, "Y goes up")
	require.Less(t, slices.Max(feet), slices.Min(marks)-6, "they can be seen")
	found, _ := places(t, svg)
	for _, p := range found {
		require.NotContains(t, p.words, "-")
	}
}
