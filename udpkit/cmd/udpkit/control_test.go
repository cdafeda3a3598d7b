package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestControl tells a server what to do from another terminal.
func TestControl(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	file, other := filepath.Join(dir, "a.key"), filepath.Join(dir, "b.key")
	for _, name := range []string{file, other} {
		p := command(t, "key", "new", name)
		p.rest()
		require.NoError(t, p.Wait())
	}
	control := func(code int, args ...string) (stdout, stderr string) {
		t.Helper()
		p := command(t, append([]string{"control", "--port", port}, args...)...)
		out := p.rest()
		_ = p.Wait()
		require.Equal(t, code, p.ProcessState.ExitCode(), "%s: %s", args, &p.stderr)
		return out, p.stderr.String()
	}
	server := command(t, "server", "--port", port, "--target", "127.255.255.255", "--interval", "100ms", "--key-file", file)
	require.True(t, server.lines.Scan())
	_, at, _ := strings.Cut(server.lines.Text(), "0.0.0.0")
	at, _, _ = strings.Cut(at, ",")
	at = "127.0.0.1" + at
	client := command(t, "client", "--port", port, "--id", "ann", "--key-file", file, "--json")
	client.event("message")

	out, _ := control(0, "--key-file", file)
	assert.Contains(t, out, "Server at "+at+"\n")
	assert.NotContains(t, out, "set by hand")
	out, _ = control(0, "state", "ERROR", "--key-file", file, "--seal")
	assert.Contains(t, out, "Server at "+at+": state ERROR\n")
	assert.Contains(t, out, "ERROR, set by hand")
	out, _ = control(0, "localhost", "interval", "0.2", "--key-file", file, "--json")
	assert.Contains(t, out, `"interval_ns":200000000`)
	out, _ = control(0, at, "clients", "--key-file", file)
	assert.Contains(t, out, "ann")
	out, _ = control(0, at, "clients", "--key-file", file, "--json")
	assert.Contains(t, out, `{"event":"client","id":"ann","addr":"127.0.0.1:`)

	_, says := control(1, "--key-file", other, "--timeout", "1")
	assert.Contains(t, says, "no answer: the server at "+at+" is heard, but not believed: it is signed with another key")
	for args, why := range map[string]string{
		"":                         "give --key-file FILE, or set UDPKIT_KEY_FILE",
		at + " stopp":              `unknown verb "stopp": choose one of state, interval, clients and stop`,
		"state":                    "name the state, or auto",
		"interval":                 "name the interval",
		"interval 0.00001":         "shorter than 1ms",
		"interval soon":            `"soon" is not a number of seconds`,
		"stop now":                 `unexpected argument "now"`,
		"stopp --key-file " + file: "is no verb",
	} {
		out, says := control(2, strings.Fields(args)...)
		assert.Empty(t, out)
		assert.Contains(t, says, why)
		assert.Equal(t, 1, strings.Count(says, "\n"))
	}

	out, _ = control(0, "127.0.0.1", "stop", "--key-file", file)
	assert.Contains(t, out, "it ends")
	text := server.rest()
	require.NoError(t, server.Wait())
	assert.Regexp(t, `command      state ERROR by 127\.0\.0\.1:\d+\n`, text)
	assert.Regexp(t, `command      interval 200ms by 127\.0\.0\.1:\d+\n`, text)
	assert.Regexp(t, `Ended: by a command of 127\.0\.0\.1:\d+, `, text)
	assert.Equal(t, true, client.event("end")["said"])
	require.NoError(t, client.Process.Kill())
	_ = client.Wait()
	_, says = control(1, "--key-file", file, "--timeout", "0.3")
	assert.Contains(t, says, "no server is heard on port "+port)

	for args, is := range map[string]string{"": "interval", "192.0.2.7 ": "clients", "state ": "MAINTENANCE", "192.0.2.7 state ": "auto"} {
		p := command(t, append([]string{"__complete", "control"}, strings.Split(args, " ")...)...)
		assert.Contains(t, p.rest(), is)
		assert.NoError(t, p.Wait())
	}
}
