package main

import (
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
