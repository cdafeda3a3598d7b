package echo_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// python runs a program of the original documents as it stands there but for its port. It ends with
// the test.
func python(t *testing.T, program string, port, ourPort uint16, stdin io.Reader) *bufio.Scanner {
	t.Helper()
	interpreter, err := exec.LookPath("python3")
	if err != nil {
		testenv.Skip(t, "python3 is not installed: %v", err)
	}
	text, err := os.ReadFile(filepath.Join("testdata", program))
	require.NoError(t, err)
	changed := strings.Replace(string(text), fmt.Sprint(port), fmt.Sprint(ourPort), 1)
	require.NotEqual(t, string(text), changed)
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, interpreter, "-u", "-c", changed)
	cmd.Stdin = stdin
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(stderr.String())
		}
	})
	return bufio.NewScanner(out)
}

// pythonServer runs a server on a port that was free a moment ago.
func pythonServer(t *testing.T, program string, port uint16) (ourPort uint16, out *bufio.Scanner) {
	t.Helper()
	conn := listen(t, "127.0.0.1:0")
	ourPort = addr(conn).Port()
	require.NoError(t, conn.Close())
	out = python(t, program, port, ourPort, nil)
	require.True(t, out.Scan(), "it did not start")
	require.Contains(t, out.Text(), "listening on")
	return ourPort, out
}

func TestPythonEchoServer(t *testing.T) {
	port, out := pythonServer(t, "echo_server.py", echo.DefaultPort)
	c := newClient(t, local(port), patience)
	for _, text := range []string{"Hello", "", "grüß dich", strings.Repeat("x", 1024), "Hello"} {
		r, err := c.Send(t.Context(), []byte(text))
		require.NoError(t, err)
		assert.Equal(t, text, string(r.Payload))
		require.True(t, out.Scan())
		assert.Contains(t, out.Text(), "Received message from ('127.0.0.1', ")
	}
	assert.Zero(t, c.Stats().Altered)
	// It reads 1,024 bytes. That is not hidden.
	r, err := c.Send(t.Context(), []byte(strings.Repeat("x", 1025)))
	require.NoError(t, err)
	assert.Len(t, r.Payload, 1024)
	assert.EqualValues(t, 1, c.Stats().Altered)
}

func TestPythonEchoClient(t *testing.T) {
	s, _ := newServer(t, echo.ServerConfig{})
	out := python(t, "echo_client.py", echo.DefaultPort, s.Addr().Port(), strings.NewReader("Hello\n\ngrüß dich\nEXIT\n"))
	const prompt = "Enter message to send to server (type 'exit' to quit): "
	for _, text := range []string{"Hello", "", "grüß dich"} {
		require.True(t, out.Scan())
		assert.Equal(t, prompt+"Received echoed message: "+text, out.Text())
	}
	require.True(t, out.Scan())
	assert.Equal(t, prompt, out.Text())
	assert.False(t, out.Scan(), "it has ended")
}

func TestPythonResponders(t *testing.T) {
	for _, program := range []string{"threaded_server.py", "sequential_server.py"} {
		t.Run(program, func(t *testing.T) {
			port, out := pythonServer(t, program, echo.DefaultResponderPort)
			exchanges, err := echo.Load(t.Context(), local(port), 20, patience)
			require.NoError(t, err)
			for _, e := range exchanges {
				require.NoError(t, e.Err)
				assert.Equal(t, echo.Acknowledgement, string(e.Payload))
				if program == "sequential_server.py" { // the other's threads print into each other's lines
					require.True(t, out.Scan())
					assert.Contains(t, out.Text(), "Received data from ('127.0.0.1', ")
				}
			}
			assert.Equal(t, echo.Acknowledgement, send(t, local(port), "Hello, Server!"))
		})
	}
}

func TestPythonClients(t *testing.T) {
	for _, mode := range echo.Modes() {
		t.Run(string(mode), func(t *testing.T) {
			r, _ := newResponder(t, echo.ResponderConfig{Mode: mode})
			var clients []*bufio.Scanner
			for range 3 {
				clients = append(clients, python(t, "hello_client.py", echo.DefaultResponderPort, r.Addr().Port(), nil))
			}
			for _, out := range clients {
				require.True(t, out.Scan())
				assert.Equal(t, fmt.Sprintf("Sent message to localhost:%d", r.Addr().Port()), out.Text())
				require.True(t, out.Scan())
				assert.Equal(t, fmt.Sprintf("Received response from ('127.0.0.1', %d): Message received", r.Addr().Port()), out.Text())
				assert.False(t, out.Scan(), "it has ended")
			}
		})
	}
}
