package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRecording: what a server and a client have recorded is what they have told, and a client that
// it is played to hears the same.
func TestRecording(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	atClient, atServer := filepath.Join(dir, "client.pcapng"), filepath.Join(dir, "server.pcapng")
	hear := func(args ...string) *process {
		c := command(t, append([]string{"client", "--port", port, "--name", "ann", "--max-messages", "3", "--json"}, args...)...)
		c.event("start")
		return c
	}
	messages := func(c *process) (all []map[string]any) {
		for range 3 {
			e := c.event("message")
			all = append(all, map[string]any{"message_id": e["message_id"], "state": e["state"], "timestamp": e["timestamp"], "epoch": e["epoch"]})
		}
		c.event("summary")
		require.NoError(t, c.Wait())
		return all
	}
	client := hear("--record", atClient)
	server := command(t, "server", "--port", port, "--target", "127.255.255.255", "--interval", "20ms", "--max-messages", "3", "--json", "--record", atServer)
	heard := messages(client)
	server.event("summary")
	require.NoError(t, server.Wait())

	for file, way := range map[string]string{atClient: "received", atServer: "sent"} {
		decode := command(t, "decode", file, "--json", "--port", port)
		for _, want := range heard {
			e := decode.event("datagram")
			assert.Equal(t, "status", e["is"])
			assert.Equal(t, way, e["way"])
			fields := e["fields"].(map[string]any)
			for name, value := range want {
				assert.Equal(t, value, fields[name], name)
			}
		}
		decode.rest() // on a busy machine, what was sent again
		require.NoError(t, decode.Wait())

		again := hear()
		replay := command(t, "replay", file, "--port", port, "--speed", "0")
		assert.Equal(t, heard, messages(again))
		assert.Regexp(t, `^\d+ datagrams of 1 sender played to 127\.255\.255\.255:`+port, replay.rest())
		require.NoError(t, replay.Wait())
	}
	text := command(t, "decode", atClient)
	assert.Regexp(t, `(?m)^ +2  .*  sent +\S+ > \S+  acknowledgement  client_id="ann" message_id=1 epoch=`, text.rest())
	require.NoError(t, text.Wait())
}

func TestRecordingRefused(t *testing.T) {
	dir := t.TempDir()
	nonsense := filepath.Join(dir, "nonsense")
	require.NoError(t, os.WriteFile(nonsense, []byte("This is no recording, but text."), 0o600))
	for _, refused := range []struct {
		code int
		says string
		args []string
	}{
		{exitUsage, "name the file", []string{"replay"}},
		{exitUsage, `unexpected argument "b"`, []string{"decode", "a", "b"}},
		{exitUsage, "neither 0 nor a number", []string{"replay", nonsense, "--speed", "1e9"}},
		{exitFailed, "no pcap or pcapng file", []string{"decode", nonsense}},
		{exitFailed, "no pcap or pcapng file", []string{"replay", nonsense}},
		{exitFailed, "cannot record", []string{"client", "--port", freePort(t), "--record", filepath.Join(dir, "none", "file")}},
	} {
		p := command(t, refused.args...)
		p.rest()
		_ = p.Wait()
		assert.Equal(t, refused.code, p.ProcessState.ExitCode(), refused.args)
		assert.Contains(t, p.stderr.String(), refused.says)
	}
}
