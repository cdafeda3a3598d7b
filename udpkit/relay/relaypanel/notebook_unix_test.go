//go:build unix

package relaypanel_test

import (
	"flag"
	"fmt"
	"html/template"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/relaypanel"
)

func init() { cell = runCell }

// runCell is the program of the cell.
func runCell() error {
	ctx, stop := panel.Interrupt()
	defer stop()
	run := flag.String("run", "", "server, reader, writer or join")
	server := flag.String("server", "127.0.0.1:0", "where to listen, or the server")
	headless := flag.Bool("headless", false, "ask for no input")
	say := flag.String("say", "", "what to write")
	flag.Parse()
	if err := panel.FlagsFromEnv(); err != nil {
		return err
	}
	addr, opt := netip.MustParseAddrPort(*server), relaypanel.Options{Headless: *headless}
	if *say != "" {
		opt.Say = strings.Split(*say, "\n")
	}
	switch *run {
	case "server":
		opt.Place = "memory"
		return relaypanel.Server(ctx, relay.ServerConfig{Listen: addr}, opt)
	case "reader":
		return relaypanel.Reader(ctx, relay.ReaderConfig{Servers: []string{addr.String()}, Username: "ann"}, opt)
	case "nothing": // to say, and nobody is to be asked
		return relaypanel.Writer(ctx, relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, relaypanel.Options{Say: relaypanel.Numbered(0)})
	case "writer":
		return relaypanel.Writer(ctx, relay.WriterConfig{Servers: []string{addr.String()}, Username: "ann"}, opt)
	}
	return relaypanel.Join(ctx, relaypanel.JoinConfig{Servers: []string{addr.String()}, Username: "ann"}, opt)
}

// write writes lines as somebody, and returns when they are stored.
func write(t *testing.T, server netip.AddrPort, username string, lines ...string) {
	t.Helper()
	require.NoError(t, relaypanel.Writer(t.Context(), relay.WriterConfig{Servers: []string{server.String()}, Username: username}, relaypanel.Options{Out: new(paneltest.Buffer), Say: lines}))
}

func TestNotebookServer(t *testing.T) {
	k := paneltest.StartCell(t, "UDPKIT_RUN=server")
	open := k.Until(t, "open on 127.0.0.1:", "Nobody has registered yet")
	open = open[strings.Index(open, "127.0.0.1:"):]
	addr := netip.MustParseAddrPort(open[:strings.Index(open, "<")])
	write(t, addr, "ann", "one", "two")
	k.Until(t, "writer ann at 127.0.0.1:", "the log in memory: #1 to #2", ">2</span><br>stored<")
	bob := startReader(t, relay.ReaderConfig{Servers: []string{addr.String()}, Username: "bob"}, relaypanel.Options{})
	k.Until(t, "reader <b>bob</b>", ">2</span><br>delivered<")
	k.Interrupt(t)
	bob.out.Shows(t, "has ended; waiting for it to come back")
	require.Empty(t, k.Asked)
}

// TestNotebookReader: what others write can be anything.
func TestNotebookReader(t *testing.T) {
	_, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	k := paneltest.StartCell(t, "UDPKIT_RUN=reader", "UDPKIT_SERVER="+addr.String())
	k.Until(t, "served by 127.0.0.1:", "Reader: ann")
	for i, text := range paneltest.Hostile {
		write(t, addr, "bob", text)
		k.Until(t, fmt.Sprintf(">#%d<", i+1), ">bob</b>"+template.HTMLEscapeString(text))
	}
	write(t, addr, "bob", "\x1b[2J\u202egnp.exe")
	k.Until(t, `\x1b[2J\u202egnp.exe`)
	k.Interrupt(t)
}

func TestNotebookWriter(t *testing.T) {
	server, addr := startServer(t, relay.ServerConfig{Log: relay.NewMemory(0)}, relaypanel.Options{})
	k := paneltest.StartCell(t, "UDPKIT_RUN=writer", "UDPKIT_SERVER="+addr.String())
	k.Types(t, "hello <b>")
	k.Until(t, ">#1</span>hello &lt;b&gt;<", "stored after ", ">1</span><br>stored")
	k.Types(t, "") // pressed by mistake
	k.Types(t, strings.Repeat("x", relay.MaxText+1))
	k.Until(t, "⚠ line 3 is not sent: text too long: 1001 bytes")
	server.stop()
	server.ends(t)
	k.Until(t, "has ended; waiting for it to come back")
	k.Types(t, "<i>early")
	pending := k.Until(t, "&lt;i&gt;early", ">1</span><br>not stored yet")
	require.Equal(t, 2, strings.Count(pending, "not stored yet"), "the number, and the line")
	startServer(t, relay.ServerConfig{Listen: addr}, relaypanel.Options{})
	k.Until(t, ">#1</span>&lt;i&gt;early<", ">0</span><br>not stored yet")
	k.Interrupt(t)
}

// TestNotebookNotStored: the cell fails if something is not stored, and says so.
func TestNotebookNotStored(t *testing.T) {
	t.Parallel()
	k := paneltest.StartCell(t, "UDPKIT_RUN=writer", "UDPKIT_SERVER=127.0.0.1:9")
	k.Types(t, "hello")
	k.Until(t, "not stored yet", "waiting for the server", "is the server running")
	require.NoError(t, k.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	require.ErrorAs(t, k.Wait(), &exit)
	assert.Equal(t, "not everything is stored: 1 of 1 line not known to be stored\n", k.Errors.String())
	k.Until(t, "ended: interrupted")
}

func TestNotebookJoin(t *testing.T) {
	_, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	k := paneltest.StartCell(t, "UDPKIT_RUN=join", "UDPKIT_SERVER="+addr.String())
	write(t, addr, "bob", "hello ann")
	k.Until(t, "8px\">bob</b>hello ann")
	k.Types(t, "hello bob")
	k.Until(t, ">#2</span>", "#0969da\">ann</b>hello bob")
	k.Interrupt(t)
}

// TestHeadless: nobody is asked where nobody can answer.
func TestHeadless(t *testing.T) {
	_, addr := startServer(t, relay.ServerConfig{}, relaypanel.Options{})
	k := paneltest.StartCell(t, "UDPKIT_HEADLESS=1", "UDPKIT_RUN=writer", "UDPKIT_SERVER="+addr.String(), "UDPKIT_SAY=one\ntwo")
	require.NoError(t, k.Wait(), k.Errors.String())
	k.Until(t, "ended: all is written", ">2</span><br>stored")
	require.Empty(t, k.Asked)
	k = paneltest.StartCell(t, "UDPKIT_RUN=nothing", "UDPKIT_SERVER="+addr.String())
	require.NoError(t, k.Wait(), k.Errors.String())
	require.Empty(t, k.Asked)
	k = paneltest.StartCell(t, "UDPKIT_HEADLESS=1", "UDPKIT_RUN=join", "UDPKIT_SERVER="+addr.String())
	k.Until(t, "</b>two<")
	k.Interrupt(t)
	require.Empty(t, k.Asked)
}
