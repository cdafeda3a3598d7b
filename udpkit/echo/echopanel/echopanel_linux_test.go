package echopanel_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/echo/echopanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
)

func TestMain(m *testing.M) { paneltest.Main(m, nil) }

// TestClientOnTerminal: wide characters can be taken away again, and what stands there is what is
// sent. The terminal is as it was in the end.
func TestClientOnTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	server, err := echo.NewServer(echo.ServerConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Run(t.Context()) }()
	for _, leave := range []string{"\x03", "exit\r"} {
		term := paneltest.OpenTerminal(t)
		before, err := unix.IoctlGetTermios(int(term.Program.Fd()), unix.TCGETS)
		require.NoError(t, err)
		ended := make(chan error, 1)
		go func() {
			ended <- echopanel.Client(t.Context(), echo.ClientConfig{Server: server.Addr()}, echopanel.Options{In: term.Program, Out: term.Program})
		}()
		term.Screen.Until(t, "(type 'exit' to quit):")
		term.Types(t, "日本語\x7f👍\r")
		term.Screen.Until(t, "Received echoed message: 日本👍")
		term.Types(t, leave)
		require.NoError(t, <-ended)
		term.Screen.Until(t, "Ended: 1 sent, 1 answered")
		after, err := unix.IoctlGetTermios(int(term.Program.Fd()), unix.TCGETS)
		require.NoError(t, err)
		require.Equal(t, before, after)
	}
	require.NoError(t, server.Close())
	require.ErrorIs(t, <-served, net.ErrClosed)
}
