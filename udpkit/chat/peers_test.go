package chat_test

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// program is somebody else's program in a terminal without a screen.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	mu    sync.Mutex
	out   bytes.Buffer
	ended chan struct{}
}

func startProgram(t *testing.T, name string, args ...any) *program {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		testenv.Skip(t, "%s is not installed: %v", name, err)
	}
	var words []string
	for _, a := range args {
		words = append(words, fmt.Sprint(a))
	}
	p := &program{t: t, cmd: exec.Command(path, words...), ended: make(chan struct{})}
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("%s: %.1000s", name, p.text())
		}
	})
	return p
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *program) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

func (p *program) types(text string) {
	p.t.Helper()
	_, err := io.WriteString(p.stdin, text)
	require.NoError(p.t, err)
}

func (p *program) shows(text string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return strings.Contains(p.text(), text) }, patience, 5*time.Millisecond, "never shown: %q", text)
}

// ends waits for the program to end, after the end of its input.
func (p *program) ends() {
	p.t.Helper()
	_ = p.stdin.Close() // netcat waits for that too
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.Fail(p.t, "the program does not end")
	}
}

// TestNetcat: three netcats and one of ours.
func TestNetcat(t *testing.T) {
	s := newServer(t, chat.ServerConfig{})
	ours, l, _ := client(t, chat.ClientConfig{Server: s.Addr(), Name: "ours"})
	wait(t, l, says("is now ours"))
	var peers []*program
	for range 3 {
		p := startProgram(t, "nc", s.Addr().Addr(), s.Addr().Port())
		p.shows("* you are ")
		peers = append(peers, p)
	}
	peers[0].types("/name ann\nhello\n")
	for _, p := range peers[1:] {
		p.shows("ann: hello\n")
	}
	wait(t, l, says("ann: hello"))
	require.NoError(t, ours.Send("hello netcat"))
	for _, p := range peers {
		p.shows("ours: hello netcat\n")
	}
	assert.NotContains(t, peers[0].text(), "ann: hello")
	peers[1].types("exit\n")
	peers[1].ends()
	peers[0].shows(" left\n")
	require.NoError(t, s.stop())
	for _, p := range peers {
		p.ends()
	}
	assert.Contains(t, peers[0].text(), "* the server has ended\n")
}

// TestPythonClients lets the seed's clients chat with netcat and ours.
func TestPythonClients(t *testing.T) {
	s := newServer(t, chat.ServerConfig{})
	ours, l, _ := client(t, chat.ClientConfig{Server: s.Addr(), Name: "ours"})
	wait(t, l, says("is now ours"))
	first := startProgram(t, "python3", "-u", "testdata/client.py", s.Addr().Addr(), s.Addr().Port())
	first.shows("* you are 127.0.0.1:")
	second := startProgram(t, "python3", "-u", "testdata/client.py", s.Addr().Addr(), s.Addr().Port())
	second.shows("* you are 127.0.0.1:")
	first.types("hello from Python\n") // goes out without the newline
	m := wait(t, l, says("hello from Python"))
	assert.Regexp(t, `^127\.0\.0\.1:\d+: hello from Python$`, m.Text)
	second.shows(m.Text)
	first.types("and again\n")
	wait(t, l, says("and again"))
	require.NoError(t, ours.Send("hello Python"))
	require.NoError(t, s.Say("hello all"))
	for _, p := range []*program{first, second} {
		p.shows("ours: hello Python")
		p.shows("server: hello all")
	}
	first.types("/name ann\n")
	second.shows("is now ann")
	first.types("exit\n")
	first.shows("Closing connection...")
	// Its own receiving thread holds its connection open until the next message.
	require.NoError(t, s.Say("next"))
	first.ends()
	second.shows("* ann (")
	wait(t, l, says("* ann (", ") left"))
}

// TestPythonServer lets our client chat through a server as the seed describes it, with one of the
// seed's clients: messages without newlines, in both directions.
func TestPythonServer(t *testing.T) {
	s := startProgram(t, "python3", "-u", "testdata/server2.py", "127.0.0.1", 0)
	s.shows("listening on port ")
	var port uint16
	_, err := fmt.Sscanf(s.text()[strings.Index(s.text(), "listening"):], "listening on port %d", &port)
	require.NoError(t, err)
	addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
	ann, annLog, annEnded := client(t, chat.ClientConfig{Server: addr, Pause: 50 * time.Millisecond})
	s.shows("connected 1")
	_, bobLog, bobEnded := client(t, chat.ClientConfig{Server: addr, Pause: 50 * time.Millisecond})
	s.shows("connected 2")
	python := startProgram(t, "python3", "-u", "testdata/client.py", addr.Addr(), addr.Port())
	s.shows("connected 3")
	python.shows("You: ") // else the prompt comes between two words of what it prints next
	require.NoError(t, ann.Send("hello from Go"))
	python.shows("Message received: hello from Go")
	assert.Equal(t, "hello from Go", wait(t, bobLog, says("hello from Go")).Text)
	python.types("hello from Python\n")
	wait(t, annLog, says("hello from Python"))
	assert.Equal(t, "hello from Python", wait(t, bobLog, says("hello from Python")).Text)
	s.types("hello from the server\n")
	wait(t, annLog, says("hello from the server"))

	require.NoError(t, ann.Leave())
	require.NoError(t, annEnded())
	s.shows("disconnected")
	s.types("exit\n")
	assert.ErrorIs(t, bobEnded(), chat.ErrServerClosed)
}
