package main

import (
	"bytes"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestDissector: of a session, tshark with the dissector shows what the client and the server have
// told of it.
func TestDissector(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		testenv.Skip(t, "there is no tshark here")
	}
	dir, port := t.TempDir(), freePort(t)
	script := filepath.Join(dir, "udpkit.lua")
	dissector := command(t, "dissector")
	require.NoError(t, os.WriteFile(script, []byte(dissector.rest()), 0o600))
	require.NoError(t, dissector.Wait())

	atClient, atServer := filepath.Join(dir, "client.pcapng"), filepath.Join(dir, "server.pcapng")
	client := command(t, "client", "--port", port, "--name", "ann", "--max-messages", "5", "--json", "--record", atClient)
	client.event("start")
	server := command(t, "server", "--port", port, "--target", "127.255.255.255", "--interval", "20ms", "--max-messages", "5", "--json", "--record", atServer)
	var heard, answered [][]string
	for range 5 {
		e := client.event("message")
		heard = append(heard, []string{number(e["message_id"]), e["state"].(string), e["timestamp"].(string), e["epoch"].(string)})
		e = server.event("ack")
		answered = append(answered, []string{number(e["message_id"]), e["client_id"].(string)})
	}
	require.NoError(t, client.Wait())
	server.event("summary")
	require.NoError(t, server.Wait())

	shown := func(file, kind string, fields ...string) [][]string {
		filter := "udpkit.kind == " + kind + " && !udpkit.expert.again && !udpkit.expert.duplicate" // as on a busy machine
		args := []string{"-X", "lua_script:" + script, "-d", "udp.port==" + port + ",udpkit", "-r", file, "-T", "fields", "-E", "separator=,", "-E", "quote=d", "-Y", filter}
		for _, f := range fields {
			args = append(args, "-e", "udpkit."+f)
		}
		out, err := exec.CommandContext(t.Context(), tshark, args...).Output()
		require.NoError(t, err)
		rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
		require.NoError(t, err)
		return rows
	}
	assert.Equal(t, heard, shown(atClient, "status", "message_id", "state", "timestamp", "epoch"))
	assert.Equal(t, heard, shown(atServer, "status", "message_id", "state", "timestamp", "epoch"))
	for i, row := range shown(atServer, "acknowledgement", "message_id", "client_id", "acknowledges", "rtt") {
		assert.Equal(t, answered[i], row[:2])
		assert.NotEmpty(t, row[2])
		assert.NotEmpty(t, row[3])
	}
}

// number returns a number of JSON as it was written.
func number(v any) string { return strconv.FormatFloat(v.(float64), 'f', -1, 64) }
