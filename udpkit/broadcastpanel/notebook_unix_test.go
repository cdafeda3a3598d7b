//go:build unix

package broadcastpanel_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"html/template"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/broadcastpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

func init() { cell = runCell }

// runCell is the program of the cell.
func runCell() error {
	ctx, stop := panel.Interrupt()
	defer stop()
	role := flag.String("role", "", "server, client or monitor")
	port := panel.Flag("port", "37020", "what a monitor listens to", panel.ParsePort)
	id := flag.String("id", "", "the client's id")
	targets := panel.Flag("target", "127.0.0.1:9", "where to send", udpkit.ParseTargets)
	states := panel.Flag("states", "ACTIVE", "what to say", udpkit.ParseStates)
	interval := flag.Duration("interval", 150*time.Millisecond, "time between two messages")
	listen := flag.String("listen", "", "where to listen")
	large := flag.Bool("large", false, "for a projector")
	flag.Parse()
	if err := panel.FlagsFromEnv(); err != nil {
		return err
	}
	switch *role {
	case "monitor":
		return broadcastpanel.Monitor(ctx, udpkit.MonitorConfig{Port: *port}, broadcastpanel.MonitorOptions{Every: 50 * time.Millisecond, Large: *large})
	case "server":
		return broadcastpanel.Server(ctx, udpkit.ServerConfig{Targets: *targets, States: *states, Interval: *interval}, broadcastpanel.Options{Large: *large})
	}
	return broadcastpanel.Client(ctx, udpkit.ClientConfig{ID: *id, Listen: mustAddr(*listen), MaxRuntime: time.Minute}, broadcastpanel.Options{})
}

func mustAddr(s string) netip.AddrPort {
	addr, err := netip.ParseAddrPort(s)
	if err != nil {
		panic(err)
	}
	return addr
}

func TestNotebookClient(t *testing.T) {
	k := paneltest.StartCell(t, "UDPKIT_ROLE=client", "UDPKIT_LISTEN=127.0.0.1:0", "UDPKIT_ID=<script>id</script>")
	waiting := k.Until(t, "waiting for the first message", "No message yet", "&lt;script&gt;id")
	address := regexp.MustCompile(`127\.0\.0\.1:[1-9][0-9]*`).FindString(waiting)
	conn, err := net.Dial("udp", address)
	require.NoError(t, err)
	defer conn.Close()
	send := func(id int, timestamp, state string) {
		quoted := make([]string, 2)
		for i, s := range []string{timestamp, state} {
			b, err := json.Marshal(s)
			require.NoError(t, err)
			// JSON's escapes of < and > are for HTML; the wire has them plain.
			quoted[i] = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(b))
		}
		_, err := fmt.Fprintf(conn, `{"timestamp":%s,"state":%s,"message_id":%d}`, quoted[0], quoted[1], id)
		require.NoError(t, err)
	}
	for i, text := range paneltest.Hostile {
		send(i+1, text, text)
		k.Until(t, fmt.Sprintf("#%d<", i+1), template.HTMLEscapeString(text))
	}
	send(20, "now", "ACTIVE")
	k.Until(t, "#13 to #19 missing", ">ACTIVE<")
	k.Until(t, ">silence<", "if it does: udpkit doctor")
	send(21, "now", "ACTIVE")
	require.NotContains(t, k.Until(t, "#21<"), "udpkit doctor")
	last := k.Interrupt(t)
	require.NotContains(t, last, "waiting")
	require.Contains(t, last, "1 gap ")
}

func TestNotebookServer(t *testing.T) {
	client, targets := startClient(t, udpkit.ClientConfig{ID: `<b title="x">`}, broadcastpanel.Options{})
	k := paneltest.StartCell(t, "UDPKIT_ROLE=server", "UDPKIT_TARGET="+targets.String(), "UDPKIT_STATES="+strings.Join(paneltest.Hostile, ","))
	for _, text := range paneltest.Hostile {
		k.Until(t, template.HTMLEscapeString(text), "&lt;b title=&#34;x&#34;&gt;")
	}
	client.end(t)
	gone := k.Until(t, ">gone</td>")
	require.Contains(t, gone, ">–</span><br>lost", "what somebody did not hear who has left is no loss")
	require.NotContains(t, k.Interrupt(t), "next message")
}

// TestNotebookLarge: the large panel names those who have joined, the newest first and a bounded
// number of them, and those who are gone.
func TestNotebookLarge(t *testing.T) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	require.NoError(t, err)
	defer conn.Close()
	var mu sync.Mutex
	clients := map[string]bool{}
	answers := func(ids ...string) {
		mu.Lock()
		defer mu.Unlock()
		clear(clients)
		for _, id := range ids {
			clients[id] = true
		}
	}
	go func() {
		b := make([]byte, 2000)
		for {
			n, server, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			m, err := udpkit.DecodeMessage(b[:n])
			if err != nil {
				continue
			}
			mu.Lock()
			for id := range clients {
				if ack, err := udpkit.AppendAck(nil, udpkit.Ack{ClientID: id, MessageID: m.ID, Epoch: m.Epoch}); err == nil {
					_, _ = conn.WriteToUDPAddrPort(ack, server)
				}
			}
			mu.Unlock()
		}
	}()
	k := paneltest.StartCell(t, "UDPKIT_ROLE=server", "UDPKIT_LARGE=true", "UDPKIT_INTERVAL=100ms", "UDPKIT_TARGET="+conn.LocalAddr().String())
	k.Until(t, "Nobody has answered yet.")
	answers("ann", `<b title="x">`)
	k.Until(t, ">2</b> here<", ">ann<", "&lt;b title=&#34;x&#34;&gt;")
	answers("ann", "bob")
	k.Until(t, ">2</b> here · 1 gone<", ">ann<", ">bob<", `line-through">&lt;b title=&#34;x&#34;&gt;<`)
	last := k.Until(t, ">bob<")
	require.Less(t, strings.Index(last, ">bob<"), strings.Index(last, ">ann<"), "the newest first")
	many := []string{"ann", "bob"}
	for i := range 30 {
		many = append(many, fmt.Sprint("pupil-", i))
	}
	answers(many...)
	last = k.Until(t, ">32</b> here · 1 gone<", "and 8 more")
	require.NotContains(t, last, ">ann<")
	require.Equal(t, 24, strings.Count(last, ">pupil-"))
	answers()
	last = k.Until(t, ">0</b> here · 33 gone<", "and 29 more")
	require.Equal(t, 4, strings.Count(last, "line-through"))
	k.Interrupt(t)
}

func TestNotebookRate(t *testing.T) {
	k := paneltest.StartCell(t, "UDPKIT_ROLE=server", "UDPKIT_INTERVAL=1ms")
	k.Panel(t)
	began := time.Now()
	for range 15 {
		k.Panel(t)
	}
	require.Greater(t, time.Since(began), time.Second, "more than ten updates a second")
	k.Interrupt(t) // the last panel is never left out
}

// TestNotebookGone: a kernel that answers nothing any more holds nobody up.
func TestNotebookGone(t *testing.T) {
	k := paneltest.StartDeafCell(t, "UDPKIT_ROLE=server")
	k.Until(t, "next message")
	require.Error(t, k.End(t))
	require.Contains(t, k.Errors.String(), "did not take the last panel")
}

func TestFlagsFromEnv(t *testing.T) {
	k := paneltest.StartCell(t, "UDPKIT_ROLE=server", "UDPKIT_TARGET=nowhere")
	var exit *exec.ExitError
	require.ErrorAs(t, k.Wait(), &exit)
	require.Contains(t, k.Errors.String(), `UDPKIT_TARGET has the value "nowhere"`)
}

func TestNotebookMonitor(t *testing.T) {
	port := testenv.FreePort(t)
	k := paneltest.StartCell(t, "UDPKIT_ROLE=monitor", fmt.Sprintf("UDPKIT_PORT=%d", port))
	k.Until(t, "0 servers up", "No server is heard yet")
	conn, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
	require.NoError(t, err)
	defer conn.Close()
	for _, datagram := range []string{`{"timestamp":"now","state":"<b>\u202eup","message_id":7}`, `{"<script>`} {
		_, err = conn.Write([]byte(datagram))
		require.NoError(t, err)
	}
	html := k.Until(t, "1 server up", "&lt;b&gt;", "#7", "refused 1 datagram from 127.0.0.1")
	require.NotContains(t, html, "<b>up")
	require.NotContains(t, html, "\u202e")
	require.NotContains(t, html, "<script>")
	require.Contains(t, k.Interrupt(t), "ended: interrupted")
}

// TestNotebookMonitorLarge: it shows as many runs as a projector has room for.
func TestNotebookMonitorLarge(t *testing.T) {
	port := testenv.FreePort(t)
	k := paneltest.StartCell(t, "UDPKIT_ROLE=monitor", "UDPKIT_LARGE=true", fmt.Sprintf("UDPKIT_PORT=%d", port))
	k.Until(t, "No server is heard yet")
	conn, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
	require.NoError(t, err)
	defer conn.Close()
	for i := range 12 {
		_, err = conn.Write([]byte(message(1, i+1, "")))
		require.NoError(t, err)
	}
	html := k.Until(t, "12 servers up", "and 4 more")
	require.Equal(t, 8, strings.Count(html, ">UP<"))
	require.Contains(t, html, ">missed<")
	require.NotContains(t, html, "jitter")
	k.Interrupt(t)
}
