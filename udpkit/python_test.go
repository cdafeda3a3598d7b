package udpkit_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// python starts a peer that speaks the wire format and returns its output.
func python(t *testing.T, script string, args ...any) *bufio.Scanner {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		testenv.Skip(t, "python3 is not installed: %v", err)
	}
	words := []string{"testdata/" + script}
	for _, a := range args {
		words = append(words, fmt.Sprint(a))
	}
	cmd := exec.CommandContext(t.Context(), path, words...)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(stderr.String())
		}
	})
	return bufio.NewScanner(out)
}

// TestPythonClients lets our server broadcast to Python clients and one of ours.
func TestPythonClients(t *testing.T) {
	ours, ourLog, _ := newClient(t, 0, udpkit.ClientConfig{ID: "ours"})
	port := ours.Addr().Port()
	var peers []*bufio.Scanner
	for i := range 2 {
		peer := python(t, "client.py", port, 3, fmt.Sprint("python ", i))
		require.True(t, peer.Scan())
		require.Equal(t, fmt.Sprint("listening on port ", port), peer.Text())
		peers = append(peers, peer)
	}
	server, serverLog, stop := newServer(t, port, udpkit.ServerConfig{Interval: 100 * time.Millisecond})
	longest := json.RawMessage(`"` + strings.Repeat("x", udpkit.MaxDataLen-2) + `"`) // they ignore it
	require.NoError(t, server.SetData(longest))
	for _, peer := range peers {
		for n, state := range []string{"ACTIVE", "STANDBY", "MAINTENANCE"} {
			require.True(t, peer.Scan(), "the Python client ended")
			assert.Regexp(t, fmt.Sprintf(`^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d\] %s %d$`, state, n+1), peer.Text())
		}
	}
	for _, id := range []string{"python 0", "python 1", "ours"} {
		wait(t, serverLog, func(e udpkit.AckEvent) bool { return e.ClientID == id && e.MessageID == 3 })
	}
	third := wait(t, ourLog, func(e udpkit.MessageEvent) bool { return e.MessageID == 3 })
	assert.Equal(t, string(longest), string(third.Data))
	require.NoError(t, stop())
	require.Len(t, server.Clients(), 3)
	assert.Zero(t, server.Stats().RefusedAcks+server.Stats().Malformed)
}

// TestPythonServer lets our clients receive from a Python server, and a second run of it whose ids
// begin again at 0.
func TestPythonServer(t *testing.T) {
	client, clientLog, stop := newClient(t, 0, udpkit.ClientConfig{ID: "ours"})
	for run := range 2 {
		server := python(t, "server.py", "127.255.255.255", client.Addr().Port(), 4)
		for n := range 4 {
			require.True(t, server.Scan(), "the Python server ended")
			assert.Equal(t, fmt.Sprint("Client ours received message ", n), server.Text())
		}
		require.False(t, server.Scan())
		messages := all[udpkit.MessageEvent](clientLog)
		require.Len(t, messages, 4*(run+1))
		for n, m := range messages[4*run:] {
			assert.EqualValues(t, n, m.MessageID)
			assert.Equal(t, udpkit.DefaultStates()[n], m.State)
			assert.Positive(t, m.Latency, "its timestamp is local time")
			assert.Less(t, m.Latency, time.Minute)
		}
	}
	require.NoError(t, stop())
	sum := wait(t, clientLog, any1[udpkit.ClientSummary])
	assert.EqualValues(t, 2, sum.Servers)
	assert.Zero(t, sum.Missed+sum.Duplicates+sum.Malformed)
}

// TestClockID: a client that takes rising ids only, as the course's does, hears a server again
// after it has begun anew, if its ids go on rising.
func TestClockID(t *testing.T) {
	ours, ourLog, _ := newClient(t, 0, udpkit.ClientConfig{})
	peer := python(t, "client.py", ours.Addr().Port(), 6, "python")
	require.True(t, peer.Scan())
	var ids []string
	for range 2 {
		_, _, stop := newServer(t, ours.Addr().Port(), udpkit.ServerConfig{FirstID: udpkit.ClockID(), MaxMessages: 3})
		for range 3 {
			require.True(t, peer.Scan(), "the Python client ended")
			words := strings.Fields(peer.Text())
			ids = append(ids, words[len(words)-1])
		}
		require.NoError(t, stop())
	}
	assert.IsIncreasing(t, ids)
	wait(t, ourLog, func(e udpkit.MessageEvent) bool { return fmt.Sprint(e.MessageID) == ids[5] })
	assert.Zero(t, ours.Stats().Missed)
}

// TestPythonAndKey: the documents' client reads what a server with a key signs, and its answers do
// not count; a client with a key takes nothing of the documents' server.
func TestPythonAndKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, key.Create(path))
	ring, err := key.Load(path)
	require.NoError(t, err)
	ours, ourLog, stop := newClient(t, 0, udpkit.ClientConfig{ID: "ours", Key: ring})
	port := ours.Addr().Port()
	peer := python(t, "client.py", port, 3, "python")
	require.True(t, peer.Scan())
	server, serverLog, stopServer := newServer(t, port, udpkit.ServerConfig{Interval: 100 * time.Millisecond, Key: ring})
	for n := range 3 {
		require.True(t, peer.Scan(), "the Python client ended")
		assert.Regexp(t, fmt.Sprintf(` %d$`, n+1), peer.Text())
	}
	wait(t, serverLog, func(e udpkit.AckEvent) bool { return e.ClientID == "ours" && e.MessageID == 3 })
	refused := wait(t, serverLog, any1[udpkit.RefusedEvent])
	assert.ErrorIs(t, refused.Err, key.ErrUnsigned)
	require.Eventually(t, func() bool { return server.Stats().Untrusted.Unsigned == 3 }, 30*time.Second, time.Millisecond) // it prints first
	require.NoError(t, stopServer())
	assert.EqualValues(t, 3, server.Stats().Untrusted.Unsigned)
	require.Len(t, server.Clients(), 1)
	assert.Equal(t, "ours", server.Clients()[0].ID)

	wait(t, ourLog, any1[udpkit.EndEvent])
	before := ours.Stats()
	script := python(t, "server.py", "127.255.255.255", port, 4)
	wait(t, ourLog, func(e udpkit.RefusedEvent) bool { return errors.Is(e.Err, key.ErrUnsigned) })
	require.NoError(t, stop())
	for script.Scan() { // which gets no answers, and waits for none
	}
	assert.Equal(t, before.Received, ours.Stats().Received)
	assert.Equal(t, before.Acknowledged, ours.Stats().Acknowledged)
}
