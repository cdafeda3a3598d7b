package panel_test

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a pseudo terminal.
func openTerminal(t *testing.T) (screen, program *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, screen.Close()) })
	raw, err := screen.SyscallConn()
	require.NoError(t, err)
	var number int
	var failed error
	require.NoError(t, raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	require.NoError(t, failed)
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return screen, program
}

// onTerminal runs a client on a terminal until the screen has shown all parts,
// and returns what it showed.
func onTerminal(t *testing.T, parts ...string) string {
	t.Helper()
	screen, program := openTerminal(t)
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	shown, done := new(buffer), make(chan struct{})
	enough := make(chan struct{})
	go func() {
		defer close(done)
		var once bool
		b := make([]byte, 4096)
		for {
			n, err := screen.Read(b)
			if err != nil {
				return // the program's end is closed
			}
			_, _ = shown.Write(b[:n])
			missing := 0
			for _, part := range parts {
				if !strings.Contains(shown.String(), part) {
					missing++
				}
			}
			if missing == 0 && !once {
				once = true
				close(enough)
			}
		}
	}()
	ended := make(chan error, 1)
	go func() {
		ended <- panel.Client(ctx, udpkit.ClientConfig{
			Listen: netip.AddrPortFrom(loopback, 0), Timeout: 100 * time.Millisecond,
		}, panel.Options{Out: program})
	}()
	select {
	case <-enough:
	case <-ctx.Done():
		require.FailNowf(t, "never", "%q in %q", parts, shown)
	}
	stop()
	require.NoError(t, <-ended)
	_, err := io.WriteString(program, "next prompt")
	require.NoError(t, err)
	require.NoError(t, program.Close())
	<-done
	return shown.String()
}

func TestTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	text := onTerminal(t, "\r⠹ ", "silence")
	require.Contains(t, text, "\x1b[33msilence", "a colour")
	require.Contains(t, text, "\r⠹ ", "drawn in place")
	// What is left of the screen's lines has no indicator in it.
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		visible := line[strings.LastIndex(line, "\r")+1:]
		require.NotContains(t, visible, "waiting")
	}
	require.True(t, strings.HasSuffix(text, "next prompt"))
}

func TestNoColor(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	text := onTerminal(t, "waiting for a message", "silence")
	require.NotContains(t, text, "\x1b")
}

func TestDumbTerminal(t *testing.T) {
	t.Setenv("TERM", "dumb")
	text := onTerminal(t, "silence")
	require.NotContains(t, text, "waiting")
	require.NotContains(t, text, "\x1b")
}
