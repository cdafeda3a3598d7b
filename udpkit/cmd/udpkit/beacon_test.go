package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// TestBeacons lets two commands find each other.
func TestBeacons(t *testing.T) {
	port := freePort(t)
	args := []string{"beacon", "--port", port, "--target", "127.255.255.255", "--interval", "20ms"}
	ann := command(t, append(args, "--name", "ann", "--json")...)
	assert.Equal(t, "ann", ann.event("start")["name"])
	bob := command(t, append(args, "--name", "bob")...)
	appeared := ann.event("appeared")
	assert.Equal(t, "bob", appeared["name"])
	assert.NotEmpty(t, appeared["addr"])
	if runtime.GOOS == "windows" {
		return // no signals to a single process there
	}
	for bob.lines.Scan() && !strings.Contains(bob.lines.Text(), "appeared  ann") {
	}
	begun := time.Now()
	require.NoError(t, bob.Process.Signal(os.Interrupt))
	assert.Contains(t, bob.rest(), "Ended: interrupted")
	assert.NoError(t, bob.Wait(), "exit code 0")
	assert.Equal(t, "bob", ann.event("left")["name"])
	require.NoError(t, ann.Process.Signal(syscall.SIGTERM))
	assert.Positive(t, ann.event("summary")["heard"])
	assert.NoError(t, ann.Wait(), "exit code 0")
	assert.Less(t, time.Since(begun), 3*time.Second)
}

// TestBeaconsWithAKey: those with the same file find each other, one without it finds nobody and is
// told why.
func TestBeaconsWithAKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "class.key")
	require.NoError(t, key.Create(file))
	port := freePort(t)
	args := []string{"beacon", "--port", port, "--target", "127.255.255.255", "--interval", "20ms"}
	ann := command(t, append(args, "--name", "ann", "--key-file", file, "--json")...)
	assert.Equal(t, "signed", ann.event("start")["key"])
	eve := command(t, append(args, "--name", "eve", "--json")...)
	assert.Equal(t, "it is signed with a key: give --key-file", eve.event("refused")["reason"])
	assert.Contains(t, ann.event("refused")["reason"], "it is not signed")
	bob := command(t, append(args, "--name", "bob", "--key-file", file, "--seal", "--json")...)
	assert.Equal(t, "bob", ann.event("appeared")["name"])
	assert.Equal(t, "ann", bob.event("appeared")["name"])

	alone := command(t, "beacon", "--seal")
	assert.Empty(t, alone.rest())
	var exit *exec.ExitError
	require.ErrorAs(t, alone.Wait(), &exit)
	assert.Equal(t, 2, exit.ExitCode())
	assert.Contains(t, alone.stderr.String(), "--seal needs --key-file")
}
