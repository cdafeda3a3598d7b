//go:build unix

package main

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHangup: SIGHUP, however often it comes, ends a command as SIGTERM does.
func TestHangup(t *testing.T) {
	_, relayPort := relayServer(t, "0", t.TempDir())
	for _, args := range []string{
		"server --target 127.255.255.255 --port PORT",
		"client --port PORT",
		"beacon --target 127.255.255.255 --port PORT",
		"chat server --address 127.0.0.1 --port 0",
		"relay server --address 127.0.0.1 --port 0 --data " + t.TempDir(),
		"relay reader --username ann --port " + relayPort,
		"relay join --username bob --port " + relayPort,
		"echo server --port 0",
		"responder --port 0",
	} {
		p, in := talking(t, append(strings.Fields(strings.ReplaceAll(args, "PORT", freePort(t))), "--json")...)
		p.until(`"event":"start"`)
		for range 3 {
			require.NoError(t, p.Process.Signal(syscall.SIGHUP))
		}
		p.until(`"event":"summary"`)
		_ = p.rest()
		assert.NoError(t, p.Wait(), "%s: %s", args, &p.stderr)
		_ = in.Close() // it was open to the end
	}
}

// TestNohup: a command that was started by nohup goes on.
func TestNohup(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip(err)
	}
	p := prepare(t, "server", "--target", "127.255.255.255", "--port", freePort(t), "--interval", "20ms", "--json")
	p.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`, p.Path}, p.Args[1:]...)
	var err error
	p.Path, err = exec.LookPath("sh")
	require.NoError(t, err)
	require.NoError(t, p.Start())
	p.event("sent")
	require.NoError(t, p.Process.Signal(syscall.SIGHUP))
	for range 5 {
		p.event("sent")
	}
	p.interrupted(syscall.SIGTERM)
}
