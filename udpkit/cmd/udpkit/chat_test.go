package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// talking starts a command that is typed at through a pipe.
func talking(t *testing.T, args ...string) (*process, io.WriteCloser) {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(t.Context(), os.Args[0], args...), t: t}
	p.Env = append(os.Environ(), asCommand+"=1")
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	in, err := p.StdinPipe()
	require.NoError(t, err)
	p.lines = bufio.NewScanner(out)
	p.Stderr = &p.stderr
	require.NoError(t, p.Start())
	return p, in
}

// until returns the first line that has the part.
func (p *process) until(part string) string {
	p.t.Helper()
	for p.lines.Scan() {
		if strings.Contains(p.lines.Text(), part) {
			return p.lines.Text()
		}
	}
	require.Fail(p.t, "the command ended", "without %q: %s", part, &p.stderr)
	return ""
}

func types(t *testing.T, in io.Writer, line string) {
	t.Helper()
	_, err := fmt.Fprintln(in, line)
	require.NoError(t, err)
}

func chatServer(t *testing.T, args ...string) (s *process, in io.WriteCloser, port string) {
	t.Helper()
	s, in = talking(t, append([]string{"chat", "server", "--address", "127.0.0.1", "--port", "0"}, args...)...)
	line := s.until("Chat server on 127.0.0.1:")
	_, port, _ = strings.Cut(line, "Chat server on 127.0.0.1:")
	return s, in, port[:strings.IndexAny(port, ",. ")]
}

// TestChat is a chat in three terminals.
func TestChat(t *testing.T) {
	server, operator, port := chatServer(t)
	ann, annTypes := talking(t, "chat", "client", "--port", port, "--name", "ann")
	ann.until("is now ann")
	bob, bobTypes := talking(t, "chat", "client", "--address", "localhost", "--port", port, "--name", "bob")
	bob.until("is now bob")
	types(t, annTypes, "hello bob")
	bob.until("  ann: hello bob")
	types(t, bobTypes, "hello ann")
	ann.until("  bob: hello ann")
	server.until("  ann: hello bob")
	types(t, operator, "/who")
	server.until("here: ann 127.0.0.1:")
	types(t, operator, "/kick ann")
	server.until("there is no such command here")
	types(t, operator, "hello all")
	ann.until("  server: hello all")

	types(t, annTypes, "exit")
	ann.until("Ended: by exit")
	assert.NoError(t, ann.Wait())
	bob.until(") left")
	types(t, bobTypes, "the last word")
	require.NoError(t, bobTypes.Close(), "the end of the input leaves too, and loses nothing")
	bob.until("Ended: at the end of the input")
	assert.NoError(t, bob.Wait())
	server.until("  bob: the last word")
	types(t, operator, "EXIT")
	server.until("Ended: by exit")
	server.until("3, and 1 of the operator")
	assert.NoError(t, server.Wait())
}

func TestChatEnds(t *testing.T) {
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		server, operator, port := chatServer(t)
		require.NoError(t, operator.Close(), "a server runs without a keyboard")
		leaves, _ := talking(t, "chat", "client", "--port", port, "--json")
		leaves.event("message")
		stays, _ := talking(t, "chat", "client", "--port", port)
		stays.until("you are")
		begun := time.Now()
		require.NoError(t, leaves.Process.Signal(signal))
		assert.NotNil(t, leaves.event("summary")["received"])
		assert.NoError(t, leaves.Wait())
		require.NoError(t, server.Process.Signal(signal))
		server.until("Ended: interrupted")
		assert.NoError(t, server.Wait())
		stays.until("the server has ended")
		stays.until("Ended: the server closed the connection")
		assert.NoError(t, stays.Wait())
		assert.Less(t, time.Since(begun), 3*time.Second)
	}
}

func TestChatFailures(t *testing.T) {
	for _, test := range []struct {
		args, says string
		code       int
	}{
		{"chat server extra", `unexpected argument "extra"`, 2},
		{"chat server --address nowhere", `"nowhere" is not an IP address`, 2},
		{"chat server --max-clients -1", "cannot be negative", 2},
		{"chat client --port 0", "port 0", 2},
		{"chat client --name server", "is reserved, or looks like", 2},
		{"chat client --max-runtime -1s", "negative", 2},
		{"chat frobnicate", `unexpected argument "frobnicate"`, 2},
		{"chat client --port 1", "is the server running", 1},
	} {
		p := command(t, strings.Fields(test.args)...)
		assert.Empty(t, p.rest(), test.args)
		_ = p.Wait()
		assert.Equal(t, test.code, p.ProcessState.ExitCode(), test.args)
		assert.Contains(t, p.stderr.String(), test.says)
		assert.Equal(t, 1, strings.Count(p.stderr.String(), "\n"), "one line")
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	p := command(t, "chat", "server", "--address", "127.0.0.1", "--port", fmt.Sprint(listener.Addr().(*net.TCPAddr).Port))
	p.rest()
	_ = p.Wait()
	assert.Equal(t, 1, p.ProcessState.ExitCode())
	assert.Contains(t, p.stderr.String(), "choose another port")
}

// TestChatWithAKey: those with the key talk, and one side without it is told in a sentence.
func TestChatWithAKey(t *testing.T) {
	dir := t.TempDir()
	file, other := filepath.Join(dir, "class.key"), filepath.Join(dir, "other.key")
	require.NoError(t, key.Create(file))
	require.NoError(t, key.Create(other))
	keyed, _, port := chatServer(t, "--key-file", file)
	plain, _, plainPort := chatServer(t)
	ann, annTypes := talking(t, "chat", "client", "--port", port, "--name", "ann", "--key-file", file)
	ann.until("encrypted with the key")
	bob, _ := talking(t, "chat", "client", "--port", port, "--name", "bob", "--key-file", file)
	bob.until("is now bob")
	types(t, annTypes, "hello bob")
	bob.until("  ann: hello bob")
	for _, test := range []struct {
		args []string
		told string
	}{
		{[]string{"--port", port, "--key-file", other}, "it has another key"},
		{[]string{"--port", plainPort, "--key-file", file}, "it speaks no TLS: was it started without --key-file?"},
		{[]string{"--port", port, "--name", "eve"}, "before it said anything: does it want a key? Then give --key-file"},
	} {
		eve, _ := talking(t, append([]string{"chat", "client"}, test.args...)...)
		said := eve.rest()
		_ = eve.Wait()
		assert.Contains(t, said+eve.stderr.String(), test.told)
	}
	keyed.until("refused: has another key")
	keyed.until("refused: has no key")
	plain.until("left: speaks TLS, and no key is set here: give --key-file")
}
