package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// shell is an interactive shell on a terminal of its own.
type shell struct {
	t        *testing.T
	person   *os.File // types, and looks on
	terminal *os.File

	mu     sync.Mutex
	screen bytes.Buffer
	seen   int // what was waited for ends here
}

func openShell(t *testing.T) *shell {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		testenv.Skip(t, "no pseudo terminals here: %v", err)
	}
	raw, err := person.SyscallConn()
	require.NoError(t, err)
	var number int
	require.NoError(t, raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	require.NoError(t, err)
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 200}))
	s := &shell{t: t, person: person, terminal: terminal}
	cmd := exec.Command("sh", "-i")
	cmd.Env = append(os.Environ(), asCommand+"=1", "TERM=xterm", "NO_COLOR=1", "PS1=$ ", "ENV=", "CMD="+os.Args[0])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			n, err := person.Read(b)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.screen.Write(b[:n])
			s.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = terminal.Close()
		_ = person.Close() // which hangs up on whoever is left
		_ = cmd.Wait()
		<-done
	})
	s.until(`\$ `)
	return s
}

// until waits for what matches a pattern after what was waited for last, and returns it.
func (s *shell) until(pattern string) string {
	s.t.Helper()
	expression, found := regexp.MustCompile(pattern), ""
	if !assert.Eventually(s.t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		at := expression.FindIndex(s.screen.Bytes()[s.seen:])
		if at == nil {
			return false
		}
		found = string(s.screen.Bytes()[s.seen:][at[0]:at[1]])
		s.seen += at[1]
		return true
	}, 30*time.Second, 5*time.Millisecond) {
		s.mu.Lock()
		defer s.mu.Unlock()
		require.FailNow(s.t, "never on the screen", "%s in\n%s", pattern, &s.screen)
	}
	return found
}

func (s *shell) types(keys string) {
	s.t.Helper()
	_, err := s.person.WriteString(keys)
	require.NoError(s.t, err)
}

const (
	ctrlC = "\x03"
	ctrlZ = "\x1a"
)

// TestServerInBackground: a server goes on without the keyboard, and has it again in the
// foreground.
func TestServerInBackground(t *testing.T) {
	s := openShell(t)
	goesOn := func() {
		t.Helper()
		for range 3 {
			s.until(`#\d+ sent`)
		}
	}
	s.types("$CMD server --target 127.255.255.255 --port " + freePort(t) + " --interval 50ms &\n")
	goesOn()
	s.types("echo typed in the sh''ell\n")
	s.until("typed in the shell")
	goesOn()
	s.types("jobs\n")
	s.until("Running")
	s.types("fg\n")
	s.until("next message in") // which is for the foreground
	s.types("ERROR\n")
	s.until("state by hand: ERROR")
	s.types(ctrlZ)
	s.until("Stopped")
	s.types("bg\n")
	goesOn()
	s.types("echo typed in the sh''ell\n")
	s.until("typed in the shell")
	s.mu.Lock()
	shown := s.screen.Len()
	s.mu.Unlock()
	goesOn()
	s.mu.Lock()
	assert.NotContains(t, string(s.screen.Bytes()[shown:]), "next message in", "nothing is drawn over the shell")
	s.mu.Unlock()
	s.types("fg\n")
	s.until("next message in")
	s.types("STANDBY\n")
	s.until("state by hand: STANDBY")
	s.types(ctrlC)
	s.until("Ended: interrupted")
}

// TestEditorInBackground: the same for those that edit the line which is typed. The terminal is the
// shell's whenever that is in the foreground.
func TestEditorInBackground(t *testing.T) {
	_, port := relayServer(t, "0", t.TempDir())
	for _, test := range []struct{ command, begins, end, ended string }{
		{"chat server --address 127.0.0.1 --port 0", "Chat server on ", "exit\r", "Ended: by exit"},
		{"relay join --username bob --port " + port, "served; #", ctrlC, "Ended: interrupted"},
		{"relay writer --username ann --port " + port, "served", "\x04", "Ended: at the end of the input"},
	} {
		s := openShell(t)
		modes := func() unix.Termios {
			t.Helper()
			modes, err := unix.IoctlGetTermios(int(s.terminal.Fd()), unix.TCGETS)
			require.NoError(t, err)
			return *modes
		}
		before := modes()
		answer := func(text string) string {
			if strings.HasPrefix(test.command, "relay writer") {
				return "stored as #"
			}
			return "(server|bob \\(you\\)): " + text
		}
		s.types("$CMD " + test.command + " &\n")
		s.until(regexp.QuoteMeta(test.begins))
		s.types("echo typed in the sh''ell; jobs\n")
		s.until("typed in the shell")
		s.until("Running")
		assert.Equal(t, before, modes())
		s.types("fg\n")
		s.until("> ")
		s.types("hello\r")
		s.until(answer("hello"))
		s.types("half a ")
		s.until("half a ")
		s.types(ctrlZ)
		s.until("Stopped")
		assert.Equal(t, before, modes())
		s.types("fg\n")
		s.until("> half a ")
		s.types("line\r")
		s.until(answer("half a line"))
		s.types(ctrlZ)
		s.until("Stopped")
		s.types("bg\necho typed in the sh''ell; jobs\n")
		s.until("typed in the shell")
		s.until("Running")
		assert.Equal(t, before, modes())
		s.types("fg\n")
		s.until("> ")
		s.types("again\r")
		s.until(answer("again"))
		s.types(test.end)
		s.until(test.ended)
		s.types("echo typed in the sh''ell\n")
		s.until("typed in the shell")
		assert.Equal(t, before, modes(), test.command)
	}
}

// TestReaderInBackground: who can do nothing but read the keyboard is stopped in the background, as
// any such program is.
func TestReaderInBackground(t *testing.T) {
	server := command(t, "echo", "server", "--port", "0", "--json")
	s := openShell(t)
	s.types("$CMD echo client --address " + server.event("start")["listen"].(string) + " &\n")
	for state := ""; state != "Stopped"; {
		s.types("jobs\n")
		state = s.until("Running|Stopped")
	}
	s.types("fg\n")
	s.until("Enter message to send to server")
	s.types("hello\r")
	s.until("Received echoed message: hello")
	s.types(ctrlC)
	s.until("Ended: 1 sent, 1 answered")
	interrupt(t, server)
}

// TestTerminalCloses: whoever runs on a terminal that is closed takes leave.
func TestTerminalCloses(t *testing.T) {
	server, port := relayServer(t, "0", t.TempDir())
	for _, command := range []string{"relay reader", "relay writer", "relay join"} {
		s := openShell(t)
		s.types("$CMD " + command + " --username bob --port " + port + "\n")
		roles := 1
		if command == "relay join" {
			roles = 2
		}
		for range roles { // each of them: who has not joined yet does not leave
			server.event("join")
		}
		s.until("served")
		require.NoError(t, s.person.Close())
		for range roles {
			assert.Equal(t, "left", server.event("leave")["reason"], command)
		}
	}
	server.interrupted(os.Interrupt)
}

// TestEndsInBackground: what ends in the background leaves the terminal to the shell.
func TestEndsInBackground(t *testing.T) {
	s := openShell(t)
	s.types("$CMD chat server --address 127.0.0.1 --port 0 &\necho pid=$!\n")
	pid, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(s.until(`pid=\d+\s`)), "pid="))
	require.NoError(t, err)
	s.until("Chat server on ")
	s.types("fg\n")
	s.until("> ")
	s.types(ctrlZ)
	s.until("Stopped")
	s.types("bg\n")
	require.NoError(t, syscall.Kill(pid, syscall.SIGTERM))
	s.until("Ended: interrupted")
	s.types("echo typed in the sh''ell\n")
	s.until("typed in the shell")
	modes, err := unix.IoctlGetTermios(int(s.terminal.Fd()), unix.TCGETS)
	require.NoError(t, err)
	assert.NotZero(t, modes.Lflag&unix.ICANON)
	assert.NotZero(t, modes.Lflag&unix.ECHO)
}
