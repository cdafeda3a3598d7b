package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHealth: a server that serves is healthy, one that has been ended or has another key is not.
func TestHealth(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals to a single process there")
	}
	secret := filepath.Join(t.TempDir(), "a.key")
	p := command(t, "key", "new", secret)
	p.rest()
	require.NoError(t, p.Wait())
	health := func(code int, args ...string) string {
		t.Helper()
		p := command(t, append([]string{"health"}, args...)...)
		assert.Empty(t, p.rest())
		_ = p.Wait()
		require.Equal(t, code, p.ProcessState.ExitCode(), "%s: %s", args, &p.stderr)
		return p.stderr.String()
	}
	for _, keyed := range []bool{false, true} {
		var key []string
		if keyed {
			key = []string{"--key-file", secret}
		}
		for _, one := range []struct {
			system string
			server []string
			key    bool
			says   string // when the server has ended
		}{
			{"broadcast", []string{"server", "--target", "127.255.255.255", "--interval", "50ms"}, true, "is heard on port"},
			{"relay", []string{"relay", "server", "--address", "127.0.0.1", "--data", filepath.Join(t.TempDir(), "log")}, true, "takes no client within 500ms: nothing listens at"},
			{"echo", []string{"echo", "server"}, false, "nobody listens"},
			{"chat", []string{"chat", "server", "--address", "127.0.0.1"}, true, "connection refused"},
		} {
			if keyed && !one.key {
				continue
			}
			args, port := append(one.server, "--json"), freePort(t)
			server := command(t, append(append(args, "--port", port), key...)...)
			server.event("start")
			check := []string{one.system, "--port", port}
			if one.system != "chat" {
				check = append(check, key...)
			}
			health(0, check...)
			if keyed && one.system != "chat" {
				check = check[:3]
				if one.system == "relay" {
					assert.Contains(t, health(1, append(check, "--timeout", "0.5")...), "does not answer")
				}
			}
			require.NoError(t, server.Process.Signal(os.Interrupt))
			_ = server.rest()
			require.NoError(t, server.Wait())
			says := health(1, append(check, "--timeout", "0.5")...)
			assert.Contains(t, says, one.says)
		}
	}
	assert.Contains(t, health(2, "relay", "now"), `"now"`)
}
