package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWeather: a broadcast through bad weather arrives whole, since what is lost is asked for.
func TestWeather(t *testing.T) {
	port := freePort(t)
	sky := command(t, "weather", "--listen", "0", "--to", "127.0.0.1:"+port, "--loss", "20%", "--duplicate", "10%", "--seed", "7", "--json")
	at := sky.event("report")["listen"].(string)
	client := command(t, "client", "--port", port, "--max-messages", "30", "--json")
	client.event("start")
	server := command(t, "server", "--target", at, "--interval", "20ms", "--max-messages", "100", "--json")
	sum := client.event("summary")
	assert.EqualValues(t, 30, sum["received"])
	require.NoError(t, client.Wait())
	require.NoError(t, server.Wait())
	report := sky.event("report")
	there := report["there"].(map[string]any)
	for there["received"].(float64) < 100 {
		there = sky.event("report")["there"].(map[string]any)
	}
	assert.Positive(t, there["lost"])
	assert.EqualValues(t, 7, report["seed"])
	assert.Equal(t, "0.2", report["settings"].(map[string]any)["loss"])
}

// TestWeatherUsage: what cannot be is told before anything begins.
func TestWeatherUsage(t *testing.T) {
	for _, args := range [][]string{
		{"weather", "--listen", "0"},
		{"weather", "--to", "127.0.0.1:9"},
		{"weather", "--listen", "0", "--to", "127.0.0.1:9", "--loss", "120%"},
		{"weather", "--listen", "0", "--to", "127.0.0.1:9", "--partition", "soon"},
		{"weather", "--listen", "0", "--to", "127.0.0.1"},
	} {
		assert.Equal(t, exitUsage, run(t.Context(), args), "%v", args)
	}
}
