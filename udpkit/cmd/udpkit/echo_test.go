package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEcho is the conversation of the two programs in two terminals.
func TestEcho(t *testing.T) {
	port := freePort(t)
	server := command(t, "echo", "server", "--port", port)
	require.True(t, server.lines.Scan())
	assert.Contains(t, server.lines.Text(), "Server listening on 127.0.0.1:"+port)
	client := commandWithInput(t, "Hello\n\n\x1b[31mred\nEXIT\n", "echo", "client", "--port", port)
	out := client.rest()
	assert.NoError(t, client.Wait(), &client.stderr)
	assert.Equal(t, `Received echoed message: Hello
Received echoed message: 
Received echoed message: \x1b[31mred
Ended: 3 sent, 3 answered (0 of them altered), 0 without a reply in time, 0 failed
`, out)
	require.True(t, server.lines.Scan())
	assert.Regexp(t, `^Received message from 127\.0\.0\.1:\d+: Hello$`, server.lines.Text())

	client = commandWithInput(t, "Hello\n\xff\n", "echo", "client", "--address", "localhost", "--port", port, "--json")
	reply := client.event("reply")
	assert.Equal(t, map[string]any{"text": "Hello"}, reply["reply"])
	assert.Positive(t, reply["rtt_ns"])
	assert.Equal(t, map[string]any{"base64": "/w=="}, client.event("reply")["reply"])
	assert.EqualValues(t, 2, client.event("summary")["answered"])
	assert.NoError(t, client.Wait())
	assert.Contains(t, interrupt(t, server), "Ended: 5 received, 5 answered")

	client = commandWithInput(t, "Hello\nHello\n", "echo", "client", "--port", port)
	out = client.rest()
	_ = client.Wait()
	assert.Equal(t, 1, client.ProcessState.ExitCode())
	assert.Equal(t, "udpkit echo client: not a single line was answered\n", client.stderr.String())
	assert.Equal(t, 2, strings.Count(out, "Failed: "), "it goes on: %s", out)
}

func TestResponder(t *testing.T) {
	for _, mode := range []string{"sequential", "concurrent"} {
		port := freePort(t)
		server := command(t, "responder", "--mode", mode, "--work", "1ms", "--port", port, "--json")
		assert.Equal(t, mode, server.event("start")["mode"])
		send := command(t, "send", "localhost:"+port, "Hello, Server!")
		assert.Equal(t, "Message received\n", send.rest())
		assert.NoError(t, send.Wait(), &send.stderr)
		assert.Equal(t, "Hello, Server!", server.event("received")["text"])
		assert.Positive(t, server.event("answered")["took_ns"])
		assert.Contains(t, interrupt(t, server), `{"event":"summary","received":1,"answered":1,`)
	}
}

// TestEchoJSONIsInert: nothing that somebody sends steers the terminal, and it means the same.
func TestEchoJSONIsInert(t *testing.T) {
	const hostile, escaped = "\u009b31m \u202egnp\x7f", `"\u009b31m \u202egnp\u007f"`
	server, responder := freePort(t), freePort(t)
	servers := []*process{
		command(t, "echo", "server", "--port", server, "--json"),
		command(t, "responder", "--port", responder, "--json"),
	}
	for _, s := range servers {
		s.event("start")
	}
	client := commandWithInput(t, hostile+"\n", "echo", "client", "--port", server, "--json")
	assert.Contains(t, client.rest(), `"sent":{"text":`+escaped+`}`)
	assert.NoError(t, client.Wait(), &client.stderr)
	for _, to := range []string{server, responder} {
		send := command(t, "send", "127.0.0.1:"+to, hostile, "--json")
		assert.Contains(t, send.rest(), `"sent":{"text":`+escaped+`}`)
		assert.NoError(t, send.Wait(), &send.stderr)
	}
	for _, s := range servers {
		assert.Equal(t, hostile, s.event("received")["text"])
		assert.Contains(t, s.lines.Text(), escaped)
		interrupt(t, s)
	}
}

func TestSendFails(t *testing.T) {
	silent, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer silent.Close()
	send := command(t, "send", silent.LocalAddr().String(), "Hello", "--timeout", "50ms")
	assert.Empty(t, send.rest())
	_ = send.Wait()
	assert.Equal(t, 1, send.ProcessState.ExitCode())
	assert.Contains(t, send.stderr.String(), fmt.Sprintf("no reply in time: nothing from %v for 50ms", silent.LocalAddr()))
	assert.Equal(t, 1, strings.Count(send.stderr.String(), "\n"))
}

func TestEchoBadArguments(t *testing.T) {
	for _, test := range []struct{ args, says string }{
		{"echo parrot", `unexpected argument "parrot"`},
		{"echo server extra", `unexpected argument "extra"`},
		{"echo client --port 0", "--port 0: it cannot be 0"},
		{"echo client --timeout -1s", "negative"},
		{"responder --mode quantum", "choose sequential or concurrent"},
		{"responder --workers 1000000", "1 to 1024 workers"},
		{"responder --work -1s", "negative"},
		{"send 127.0.0.1:5", "two arguments"},
		{"send 127.0.0.1 x", "not HOST:PORT"},
		{"send 127.0.0.1:http x", "not a port"},
		{"send :5 x", "the host is missing"},
		{"send 224.0.0.1:5 x", "not the address and port of a server"},
	} {
		p := command(t, strings.Fields(test.args)...)
		assert.Empty(t, p.rest(), test.args)
		_ = p.Wait()
		assert.Equal(t, 2, p.ProcessState.ExitCode(), test.args)
		assert.Contains(t, p.stderr.String(), test.says)
		assert.Equal(t, 1, strings.Count(p.stderr.String(), "\n"), "one line: %s", &p.stderr)
	}
}

// A client that waits for a line ends at once too.
func TestEchoClientInterrupted(t *testing.T) {
	keyboard, hand, err := os.Pipe()
	require.NoError(t, err)
	defer hand.Close()
	server := command(t, "echo", "server", "--port", "0", "--json")
	p := prepare(t, "echo", "client", "--address", server.event("start")["listen"].(string))
	p.Stdin = keyboard
	require.NoError(t, p.Start())
	keyboard.Close()
	_, err = io.WriteString(hand, "x\n")
	require.NoError(t, err)
	require.True(t, p.lines.Scan(), "it has begun")
	assert.Contains(t, interrupt(t, p), "Ended: 1 sent")
	interrupt(t, server)
}

func commandWithInput(t *testing.T, input string, args ...string) *process {
	t.Helper()
	p := prepare(t, args...)
	p.Stdin = strings.NewReader(input)
	require.NoError(t, p.Start())
	return p
}

// interrupt ends a command as Ctrl-C does, which may take 3 s, and returns the rest of its output.
func interrupt(t *testing.T, p *process) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no signals to a single process there")
	}
	begun := time.Now()
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	out := p.rest()
	assert.NoError(t, p.Wait(), &p.stderr)
	assert.Less(t, time.Since(begun), 3*time.Second)
	return out
}
