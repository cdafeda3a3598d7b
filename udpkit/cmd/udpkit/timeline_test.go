package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTimeline: what a server and a client have recorded is put together.
func TestTimeline(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	atClient, atServer := filepath.Join(dir, "client.pcapng"), filepath.Join(dir, "server.pcapng")
	client := command(t, "client", "--port", port, "--name", "ann", "--max-messages", "2", "--json", "--record", atClient)
	client.event("start")
	server := command(t, "server", "--port", port, "--target", "127.255.255.255", "--interval", "20ms", "--max-messages", "2", "--json", "--record", atServer)
	client.event("summary")
	server.event("summary")
	require.NoError(t, client.Wait())
	require.NoError(t, server.Wait())

	timeline := command(t, "timeline", atServer, atClient)
	page := timeline.rest()
	require.NoError(t, timeline.Wait())
	for _, want := range []string{"<!DOCTYPE html>", "server to client ann: status 1 ", "client ann to server: acknowledgement 2", "</html>"} {
		assert.Contains(t, page, want)
	}

	none := command(t, "timeline")
	none.rest()
	_ = none.Wait()
	assert.Equal(t, exitUsage, none.ProcessState.ExitCode())
}
