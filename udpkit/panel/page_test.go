package panel_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

// TestCells: in a narrow pane a number stays in one line, and a name that somebody has made long
// does not widen the table.
func TestCells(t *testing.T) {
	page := panel.Templates(`{{define "cells"}}<td style="{{template "num"}}">1.55m/s</td>|<td style="{{template "name"}}">{{text .}}</td>|<td style="{{template "td"}}"></td>{{end}}`, nil)
	var html strings.Builder
	require.NoError(t, page.ExecuteTemplate(&html, "cells", strings.Repeat("x", 64)))
	cells := strings.Split(html.String(), "|")
	require.Contains(t, cells[0], ";white-space:nowrap")
	require.NotContains(t, cells[0], "anywhere")
	require.Contains(t, cells[1], ";overflow-wrap:anywhere;min-width:")
	require.NotContains(t, cells[2], "anywhere")
}
