//go:build unix

package main

import (
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHangup: SIGHUP, however often it comes, ends a command as SIGTERM does.
func TestHangup(t *testing.T) {
	// Commands heed what they inherit: started by nohup, the tests have them ignore SIGHUP.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
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

// TestOneKeyPress: what the terminal sends, and who started the command sends on, is one interrupt.
func TestOneKeyPress(t *testing.T) {
	for range 5 {
		p := command(t, "server", "--target", "127.255.255.255", "--port", freePort(t), "--json")
		p.event("sent")
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGINT} {
			require.NoError(t, p.Process.Signal(s))
			time.Sleep(10 * time.Millisecond)
		}
		p.event("summary")
		assert.NoError(t, p.Wait())
	}
}

// TestSecondInterrupt: half a second later it ends a command that still waits for somebody to read
// its output.
func TestSecondInterrupt(t *testing.T) {
	r, w, fill := unread(t)
	p := prepare(t, "client", "--port", freePort(t))
	p.Stdout = w
	require.NoError(t, p.Start())
	_, err := r.Read(make([]byte, 1))
	require.NoError(t, err)
	fill()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.Wait()
	}()
	begun := time.Now()
	for open := true; open; {
		_ = p.Process.Signal(syscall.SIGINT)
		select {
		case <-ended:
			open = false
		case <-time.After(20 * time.Millisecond):
		}
	}
	assert.GreaterOrEqual(t, time.Since(begun), 450*time.Millisecond)
	status, ok := p.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	assert.True(t, status.Signaled(), "by the signal: %v", p.ProcessState)
}

// TestLabRefusesAtOnce what JupyterLab would not take, and says which variable it is.
func TestLabRefusesAtOnce(t *testing.T) {
	p := prepare(t, "lab", "--port", "0")
	p.Env = append(p.Env, "JUPYTER_TOKEN=p\u00e4ssw\u00f6rd")
	require.NoError(t, p.Start())
	assert.Empty(t, p.rest())
	_ = p.Wait()
	assert.Equal(t, 2, p.ProcessState.ExitCode())
	assert.Contains(t, p.stderr.String(), "JUPYTER_TOKEN) has the character 'ä'")
}
