package plot_test

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/broadcastpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot"
	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
)

// TestTheme: what has a colour can be read in it on a light page and on a dark one, and two colours
// stay two.
func TestTheme(t *testing.T) {
	const white = "#ffffff"
	require.Equal(t, plot.Paper, fmt.Sprintf("#%x", []byte{0x1a, 0x1a, 0x1a}))
	texts := []string{chart.Ink, chart.Grey, chart.Accent, chart.Alarm, chart.Good, "#8250df", "#bc4c00", "#bf3989", "#9a6700", "#1b7c83", "#5c3d2e"}
	for _, s := range []udpkit.State{udpkit.StateActive, udpkit.StateStandby, udpkit.StateMaintenance, udpkit.StateError, "another"} {
		texts = append(texts, broadcastpanel.Color(s))
		require.GreaterOrEqual(t, contrast(t, broadcastpanel.Color(s), white), 4.5, "white text on the badge of %s", s)
	}
	slices.Sort(texts)
	seen := make(map[string]bool)
	for _, css := range slices.Compact(texts) {
		dark := plot.Darkened(css)
		require.GreaterOrEqual(t, contrast(t, css, white), 4.5, css)
		require.GreaterOrEqual(t, contrast(t, dark, plot.Paper), 4.5, "%s, which is %s", css, dark)
		require.False(t, seen[dark], "%s stands for two", dark)
		seen[dark] = true
	}
	require.Equal(t, "#1A1A1A", plot.Darkened(white))
	require.Less(t, contrast(t, plot.Darkened(chart.Pale), plot.Paper), 3.0, "a line that is not to be seen first")

	svg, err := plot.SVG(broadcastpanel.ClientPicture(journal(t, clientEvents("ACTIVE", "STANDBY")...)))
	require.NoError(t, err)
	themed := string(plot.Themed(svg))
	require.NoError(t, xml.Unmarshal([]byte(themed), new(struct{})))
	require.Len(t, regexp.MustCompile(`<style>`).FindAllString(themed, -1), 1)
	style := regexp.MustCompile(`<style>[^<]*</style>`).FindString(themed)
	for _, name := range regexp.MustCompile(`var\((--c[0-9A-F]{6})\)`).FindAllStringSubmatch(themed, -1) {
		require.Len(t, regexp.MustCompile(name[1]+`:#[0-9A-F]{6};`).FindAllString(style, -1), 2, "light and dark")
	}
	require.NotRegexp(t, `(fill|stroke):#`, themed)
	for _, size := range regexp.MustCompile(`font-size:([0-9.]+)px`).FindAllStringSubmatch(themed, -1) {
		require.Contains(t, []string{"11", "12"}, size[1], "legible in half a pane")
	}
	require.Equal(t, themed, string(plot.Themed(svg)))
}
