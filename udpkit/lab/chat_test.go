package lab

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

const (
	chatServerNotebook = "chat_server.ipynb"
	chatClientNotebook = "chat_client.ipynb"
)

// TestChatWithNetcat executes the server's notebook while netcat and the client's notebook talk
// with it: the notebooks answer one line for each that comes.
func TestChatWithNetcat(t *testing.T) {
	env := realSetup(t)
	server, client := executeChat(t, env, t.TempDir())
	assert.Contains(t, server, "hello from netcat")
	assert.Contains(t, server, "hello netcat, this is a notebook")
	assert.Contains(t, server, "ended: by exit")
	assert.Contains(t, client, "hello netcat, this is a notebook")
	assert.Contains(t, client, "the server has ended")
	assert.Contains(t, client, "ended: the server closed the connection")
}

// executeChat returns the notebooks with their outputs, which it also writes into the directory.
func executeChat(t *testing.T, env *Env, dir string) (server, client string) {
	t.Helper()
	nc, err := exec.LookPath("nc")
	if err != nil {
		testenv.Skip(t, "netcat is not installed: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	port := freeTCPPort(t)
	execute := func(notebook, say string) (ended chan error) {
		ended = make(chan error, 1)
		go func() {
			ended <- env.Execute(ctx, filepath.Join(env.Notebooks, notebook), filepath.Join(dir, notebook),
				"UDPKIT_HEADLESS=1", "UDPKIT_ADDRESS=127.0.0.1", "UDPKIT_PORT="+strconv.Itoa(port), "UDPKIT_NAME=ann",
				"UDPKIT_MAX_RUNTIME=2m", "UDPKIT_SAY="+say)
		}()
		return ended
	}
	serverEnded := execute(chatServerNotebook, "hello ann\nhello netcat, this is a notebook\nexit")
	types, shown, netcatEnded := startNetcat(ctx, t, nc, port, serverEnded)
	until := func(part string) {
		t.Helper()
		for shown.Scan() {
			if strings.Contains(shown.Text(), part) {
				return
			}
		}
		require.Fail(t, "netcat never showed it", part)
	}
	clientEnded := execute(chatClientNotebook, "hello from a notebook")
	until("is now ann")
	until("ann: hello from a notebook")
	until("server: hello ann")
	for _, line := range []string{"/name netcat", "hello from netcat"} {
		_, err := io.WriteString(types, line+"\n")
		require.NoError(t, err)
	}
	until("server: hello netcat, this is a notebook")
	_, err = io.WriteString(types, "goodbye\n")
	require.NoError(t, err)
	until("the server has ended")
	require.NoError(t, types.Close())
	require.NoError(t, netcatEnded())
	require.NoError(t, <-serverEnded)
	require.NoError(t, <-clientEnded)
	return readExecuted(t, env, filepath.Join(dir, chatServerNotebook)), readExecuted(t, env, filepath.Join(dir, chatClientNotebook))
}

func readExecuted(t *testing.T, env *Env, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.NotContains(t, string(data), env.Repository, "a path of this machine")
	assert.NotContains(t, string(data), `"output_type": "error"`)
	assert.NotContains(t, string(data), `"name": "stderr"`)
	return string(data)
}

func freeTCPPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// startNetcat connects as soon as the server listens.
func startNetcat(ctx context.Context, t *testing.T, nc string, port int, failed <-chan error) (types io.WriteCloser, shown *bufio.Scanner, wait func() error) {
	t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		netcat := exec.CommandContext(ctx, nc, "127.0.0.1", strconv.Itoa(port))
		types, err := netcat.StdinPipe()
		require.NoError(t, err)
		out, err := netcat.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, netcat.Start())
		shown := bufio.NewScanner(out)
		if shown.Scan() {
			assert.Contains(t, shown.Text(), "you are 127.0.0.1:")
			return types, shown, netcat.Wait
		}
		_ = netcat.Wait() // nobody listens yet
		select {
		case err := <-failed:
			require.NoError(t, err, "the notebook ended")
		case <-again.C:
		}
	}
}

// TestUpdateChat writes the chat's notebooks with the outputs of a chat, with -update only.
func TestUpdateChat(t *testing.T) {
	if !*update {
		t.Skip("writes into the checkout: go test ./udpkit/lab -run TestUpdate -update")
	}
	env, dir := realSetup(t), t.TempDir()
	executeChat(t, env, dir)
	for _, name := range []string{chatServerNotebook, chatClientNotebook} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(env.Notebooks, name), data, 0o644))
	}
}
