//go:build unix

package chatpanel_test

import (
	"flag"
	"fmt"
	"html/template"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/chat/chatpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

func init() { cell = runCell }

// runCell is the program of the cell.
func runCell() error {
	ctx, stop := panel.Interrupt()
	defer stop()
	server := flag.String("server", "", "the server to connect to; none: be one")
	headless := flag.Bool("headless", false, "ask for no input")
	flag.Parse()
	if err := panel.FlagsFromEnv(); err != nil {
		return err
	}
	opt := chatpanel.Options{Headless: *headless}
	if *server == "" {
		return chatpanel.Server(ctx, chat.ServerConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0")}, opt)
	}
	prints := func(e chat.Event) { fmt.Printf("it prints a %T\n", e) }
	return chatpanel.Client(ctx, chat.ClientConfig{Server: netip.MustParseAddrPort(*server), OnEvent: prints}, opt)
}

func TestNotebookServer(t *testing.T) {
	k := paneltest.StartCell(t)
	open := k.Until(t, "open on 127.0.0.1:")
	address := open[strings.Index(open, "127.0.0.1:"):]
	conn, err := net.Dial("tcp4", address[:strings.Index(address, "<")])
	require.NoError(t, err)
	defer conn.Close()
	for _, text := range paneltest.Hostile {
		_, err := fmt.Fprintln(conn, text)
		require.NoError(t, err)
		k.Until(t, template.HTMLEscapeString(strings.TrimSpace(text)))
	}
	k.Types(t, "hello <b>")
	k.Until(t, ">server</b>hello &lt;b&gt;")
	k.Types(t, strings.Repeat("x", chat.MaxLine+1))
	k.Until(t, "⚠ the message has 4097 bytes")
	k.Interrupt(t)
}

// TestNotebookClient: a server that is not ours may send anything.
func TestNotebookClient(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	k := paneltest.StartCell(t, "UDPKIT_SERVER="+listener.Addr().String())
	conn, err := listener.Accept()
	require.NoError(t, err)
	defer conn.Close()
	for _, text := range paneltest.Hostile {
		_, err := fmt.Fprintln(conn, text)
		require.NoError(t, err)
		_, said := splitSender(text)
		k.Until(t, template.HTMLEscapeString(strings.TrimSpace(said)))
	}
	k.Types(t, "hello <b>")
	k.Until(t, ">you</b>hello &lt;b&gt;")
	k.Errors.Shows(t, "it prints a chat.MessageEvent") // the page hides what else would be listed with what is typed
	k.Interrupt(t)
}

func splitSender(line string) (who, text string) {
	if who, text, ok := strings.Cut(line, ": "); ok && !strings.Contains(who, " ") {
		return who, text
	}
	return "", line
}

// TestHeadless: nobody is asked where nobody can answer, and exit ends.
func TestHeadless(t *testing.T) {
	server := startRole(t, netip.AddrPort{}, chatpanel.Options{})
	k := paneltest.StartCell(t, "UDPKIT_HEADLESS=1", "UDPKIT_SERVER="+server.addr.String())
	k.Until(t, "you are 127.0.0.1:")
	server.says(t, "exit")
	server.end(t)
	require.NoError(t, k.Wait(), k.Errors.String())
	k.Until(t, "ended: the server closed the connection")
	require.Empty(t, k.Asked)

	k = paneltest.StartCell(t)
	k.Until(t, "open on")
	k.Types(t, "exit")
	require.NoError(t, k.Wait(), k.Errors.String())
	k.Until(t, "ended: by exit")
}
