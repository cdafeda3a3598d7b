//go:build unix

package panel_test

import (
	"encoding/gob"
	"encoding/json"
	"flag"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/janpfeifer/gonb/gonbui/protocol"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
	"golang.org/x/sys/unix"
)

// kernel stands for GoNB: it starts this test's program as a cell and takes what
// the cell shows.
type kernel struct {
	cell    *exec.Cmd
	panels  chan string
	stderr  buffer
	answers bool // to gonbui.Sync
}

func startCell(t *testing.T, answers bool, env ...string) *kernel {
	t.Helper()
	dir := t.TempDir()
	k := &kernel{panels: make(chan string, 10_000), answers: answers}
	out, back := filepath.Join(dir, "out"), filepath.Join(dir, "back")
	require.NoError(t, unix.Mkfifo(out, 0o600))
	require.NoError(t, unix.Mkfifo(back, 0o600))
	// Opened for both directions, so that nobody waits for the other end.
	reader, err := os.OpenFile(out, os.O_RDWR, 0)
	require.NoError(t, err)
	writer, err := os.OpenFile(back, os.O_RDWR, 0)
	require.NoError(t, err)
	k.cell = exec.CommandContext(t.Context(), os.Args[0])
	k.cell.Env = append(os.Environ(), protocol.GONB_PIPE_ENV+"="+out, protocol.GONB_PIPE_BACK_ENV+"="+back)
	k.cell.Env = append(k.cell.Env, env...)
	k.cell.Stderr = &k.stderr
	done := make(chan struct{})
	go func() {
		defer close(done)
		decoder, encoder := gob.NewDecoder(reader), gob.NewEncoder(writer)
		for {
			var data protocol.DisplayData
			if err := decoder.Decode(&data); err != nil {
				return
			}
			if html, ok := data.Data[protocol.MIMETextHTML].(string); ok {
				k.panels <- html
			}
			if sync, ok := data.Data[protocol.MIMECommValue].(protocol.CommValue); ok && k.answers {
				_ = encoder.Encode(&protocol.CommValue{Address: protocol.GonbuiSyncAckAddress, Value: sync.Value})
			}
		}
	}()
	require.NoError(t, k.cell.Start())
	t.Cleanup(func() {
		_ = k.cell.Process.Kill()
		_ = reader.Close()
		_ = writer.Close()
		<-done
	})
	return k
}

func init() { cell = runCell }

// runCell is the program of the cell.
func runCell() error {
	ctx, stop := panel.Interrupt()
	defer stop()
	role := flag.String("role", "", "server or client")
	id := flag.String("id", "", "the client's id")
	targets := panel.Flag("target", "127.0.0.1:9", "where to send", udpkit.ParseTargets)
	states := panel.Flag("states", "ACTIVE", "what to say", udpkit.ParseStates)
	interval := flag.Duration("interval", 150*time.Millisecond, "time between two messages")
	listen := flag.String("listen", "", "where to listen")
	flag.Parse()
	if err := panel.FlagsFromEnv(); err != nil {
		return err
	}
	if *role == "server" {
		return panel.Server(ctx, udpkit.ServerConfig{Targets: *targets, States: *states, Interval: *interval}, panel.Options{})
	}
	return panel.Client(ctx, udpkit.ClientConfig{ID: *id, Listen: mustAddr(*listen), MaxRuntime: time.Minute}, panel.Options{})
}

// until returns the first panel that has all the parts.
func (k *kernel) until(t *testing.T, parts ...string) string {
	t.Helper()
	timeout := time.After(20 * time.Second)
	last := ""
	for {
		select {
		case last = <-k.panels:
			missing := 0
			for _, part := range parts {
				if !strings.Contains(last, part) {
					missing++
				}
			}
			if missing == 0 {
				return last
			}
		case <-timeout:
			require.FailNowf(t, "never", "%q in\n%s\n%s", parts, last, k.stderr.String())
		}
	}
}

// interrupt does what the notebook's button does, and returns the last panel.
func (k *kernel) interrupt(t *testing.T) (last string, took time.Duration, err error) {
	t.Helper()
	at := time.Now()
	require.NoError(t, k.cell.Process.Signal(syscall.SIGINT))
	err = k.cell.Wait()
	took = time.Since(at)
	for {
		select {
		case last = <-k.panels:
		default:
			return last, took, err
		}
	}
}

func mustAddr(s string) netip.AddrPort {
	addr, err := netip.ParseAddrPort(s)
	if err != nil {
		panic(err)
	}
	return addr
}

// hostile is what somebody may send who wants to run a program in the notebook.
var hostile = []string{
	`<script>alert(1)</script>`,
	`</style><script>alert(1)</script>`,
	`"><img src=x onerror=alert(1)>`,
	`' onmouseover='alert(1)`,
	`</div></table><iframe src=//x>`,
	`{{.Sum}}{{template "server"}}`,
	`<!--`,
	`]]><svg onload=alert(1)>`,
	`red;background:url(//x)`,
	`&lt;script&gt;&#60;b&#62;`,
}

// requireInert checks that a panel holds nothing but our own elements, each with
// no attribute but our own.
func requireInert(t *testing.T, panel string) {
	t.Helper()
	decoder := html.NewTokenizer(strings.NewReader(panel))
	for {
		switch decoder.Next() {
		case html.ErrorToken:
			require.ErrorIs(t, decoder.Err(), io.EOF)
			return
		case html.CommentToken, html.DoctypeToken:
			require.Failf(t, "not ours", "%s", decoder.Raw())
		case html.StartTagToken, html.SelfClosingTagToken:
			token := decoder.Token()
			require.Contains(t, []string{"div", "span", "b", "br", "table", "tr", "th", "td"}, token.Data)
			for _, a := range token.Attr {
				require.Contains(t, []string{"style", "colspan"}, a.Key)
				require.NotContains(t, a.Val, "ZgotmplZ", "a value that html/template refused")
				require.NotContains(t, a.Val, "url(")
			}
		}
	}
}

func TestNotebookClient(t *testing.T) {
	k := startCell(t, true, "UDPKIT_ROLE=client", "UDPKIT_LISTEN=127.0.0.1:0", "UDPKIT_ID=<script>id</script>")
	waiting := k.until(t, "waiting for the first message", "No message yet", "&lt;script&gt;id")
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
	for i, text := range hostile {
		send(i+1, text, text)
		panel := k.until(t, fmt.Sprintf("#%d<", i+1), template.HTMLEscapeString(text))
		requireInert(t, panel)
	}
	send(20, "now", "ACTIVE")
	k.until(t, "#11 to #19 missing", ">ACTIVE<")
	last, took, err := k.interrupt(t)
	require.NoError(t, err, k.stderr.String())
	require.Less(t, took, 3*time.Second)
	require.Contains(t, last, "ended: interrupted")
	require.NotContains(t, last, "waiting")
	require.Contains(t, last, "1 gap ")
	requireInert(t, last)
}

func TestNotebookServer(t *testing.T) {
	client, targets := startClient(t, udpkit.ClientConfig{ID: `<b title="x">`}, panel.Options{})
	k := startCell(t, true, "UDPKIT_ROLE=server", "UDPKIT_TARGET="+targets.String(), "UDPKIT_STATES="+strings.Join(hostile, ","))
	for _, text := range hostile {
		requireInert(t, k.until(t, template.HTMLEscapeString(text), "&lt;b title=&#34;x&#34;&gt;"))
	}
	last, took, err := k.interrupt(t)
	require.NoError(t, err, k.stderr.String())
	require.Less(t, took, 3*time.Second)
	require.Contains(t, last, "ended: interrupted")
	require.NotContains(t, last, "next message")
	client.end(t)
}

func TestNotebookRate(t *testing.T) {
	k := startCell(t, true, "UDPKIT_ROLE=server", "UDPKIT_INTERVAL=1ms")
	<-k.panels
	began := time.Now()
	for range 15 {
		<-k.panels
	}
	require.Greater(t, time.Since(began), time.Second, "more than ten updates a second")
	last, _, err := k.interrupt(t)
	require.NoError(t, err, k.stderr.String())
	require.Contains(t, last, "ended: interrupted", "the last panel is never left out")
}

// TestNotebookGone: a kernel that answers nothing any more holds nobody up.
func TestNotebookGone(t *testing.T) {
	k := startCell(t, false, "UDPKIT_ROLE=server")
	k.until(t, "next message")
	_, took, err := k.interrupt(t)
	require.Error(t, err)
	require.Less(t, took, 3*time.Second)
	require.Contains(t, k.stderr.String(), "did not take the last panel")
}

func TestFlagsFromEnv(t *testing.T) {
	k := startCell(t, true, "UDPKIT_ROLE=server", "UDPKIT_TARGET=nowhere")
	var exit *exec.ExitError
	require.ErrorAs(t, k.cell.Wait(), &exit)
	require.Contains(t, k.stderr.String(), `UDPKIT_TARGET has the value "nowhere"`)
}
