package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTop: it sees a server, which sees nobody.
func TestTop(t *testing.T) {
	port := freePort(t)
	top := command(t, "top", "--port", port, "--every", "50ms", "--sort", "rate", "--json")
	top.event("report")
	server := command(t, "server", "--port", port, "--target", "127.255.255.255", "--interval", "20ms", "--max-messages", "20", "--json")
	runs := func(e map[string]any) []any { return e["runs"].([]any) }
	report := top.event("report")
	for len(runs(report)) == 0 || runs(report)[0].(map[string]any)["status"] != "ended" {
		report = top.event("report")
	}
	run := runs(report)[0].(map[string]any)
	assert.EqualValues(t, 20, run["received"])
	assert.Zero(t, run["missed"])
	assert.EqualValues(t, 0, server.event("summary")["clients"])
	require.NoError(t, server.Wait())
}
