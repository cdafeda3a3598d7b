//go:build unix

package room_test

import (
	"encoding/gob"
	"flag"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/janpfeifer/gonb/gonbui/protocol"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
	"golang.org/x/sys/unix"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel/room"
)

// kernel stands for GoNB: it starts this test's program as a cell, takes what the
// cell shows, and types what it asks for.
type kernel struct {
	cell   *exec.Cmd
	types  io.Writer
	panels chan string
	asked  chan struct{} // an input box was asked for
	stderr buffer
}

func startCell(t *testing.T, env ...string) *kernel {
	t.Helper()
	dir := t.TempDir()
	k := &kernel{panels: make(chan string, 10_000), asked: make(chan struct{}, 100)}
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
	k.types, err = k.cell.StdinPipe()
	require.NoError(t, err)
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
			if _, ok := data.Data[protocol.MIMEJupyterInput]; ok {
				k.asked <- struct{}{}
			}
			if sync, ok := data.Data[protocol.MIMECommValue].(protocol.CommValue); ok {
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
	server := flag.String("server", "", "the server to connect to; none: be one")
	headless := flag.Bool("headless", false, "ask for no input")
	flag.Parse()
	if err := panel.FlagsFromEnv(); err != nil {
		return err
	}
	opt := room.Options{Headless: *headless}
	if *server == "" {
		return room.Server(ctx, chat.ServerConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0")}, opt)
	}
	return room.Client(ctx, chat.ClientConfig{Server: netip.MustParseAddrPort(*server)}, opt)
}

// until returns the first panel that has all the parts.
func (k *kernel) until(t *testing.T, parts ...string) (last string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
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

// interrupt does what the notebook's button does.
func (k *kernel) interrupt(t *testing.T) {
	t.Helper()
	at := time.Now()
	require.NoError(t, k.cell.Process.Signal(syscall.SIGINT))
	require.NoError(t, k.cell.Wait(), k.stderr.String())
	require.Less(t, time.Since(at), 3*time.Second)
	requireInert(t, k.until(t, "ended: interrupted"))
}

// hostile is what somebody may say who wants to run a program in the notebook.
var hostile = []string{
	`<script>alert(1)</script>`,
	`"><img src=x onerror=alert(1)>`,
	`' onmouseover='alert(1)`,
	`{{.Server}}{{template "server"}}`,
	`<!-- `,
	`]]><svg onload=alert(1)>: x`,
	`javascript:alert(1)`,
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
			require.Contains(t, []string{"div", "span", "b", "br"}, token.Data)
			for _, a := range token.Attr {
				require.Equal(t, "style", a.Key)
				require.NotContains(t, a.Val, "ZgotmplZ", "a value that html/template refused")
				require.NotContains(t, a.Val, "url(")
			}
		}
	}
}

func TestNotebookServer(t *testing.T) {
	k := startCell(t)
	open := k.until(t, "open on 127.0.0.1:")
	address := open[strings.Index(open, "127.0.0.1:"):]
	conn, err := net.Dial("tcp4", address[:strings.Index(address, "<")])
	require.NoError(t, err)
	defer conn.Close()
	for _, text := range hostile {
		_, err := fmt.Fprintln(conn, text)
		require.NoError(t, err)
		requireInert(t, k.until(t, template.HTMLEscapeString(strings.TrimSpace(text))))
	}
	<-k.asked
	_, err = fmt.Fprintln(k.types, "hello <b>")
	require.NoError(t, err)
	requireInert(t, k.until(t, ">server</b>hello &lt;b&gt;"))
	<-k.asked // again
	_, err = fmt.Fprintln(k.types, strings.Repeat("x", chat.MaxLine+1))
	require.NoError(t, err)
	k.until(t, "⚠ the message has 4097 bytes")
	k.interrupt(t)
}

// TestNotebookClient: a server that is not ours may send anything.
func TestNotebookClient(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	k := startCell(t, "UDPKIT_SERVER="+listener.Addr().String())
	conn, err := listener.Accept()
	require.NoError(t, err)
	defer conn.Close()
	for _, text := range hostile {
		_, err := fmt.Fprintln(conn, text)
		require.NoError(t, err)
		_, said := splitSender(text)
		requireInert(t, k.until(t, template.HTMLEscapeString(strings.TrimSpace(said))))
	}
	<-k.asked
	_, err = fmt.Fprintln(k.types, "hello <b>")
	require.NoError(t, err)
	requireInert(t, k.until(t, ">you</b>hello &lt;b&gt;"))
	k.interrupt(t)
}

func splitSender(line string) (who, text string) {
	if who, text, ok := strings.Cut(line, ": "); ok && !strings.Contains(who, " ") {
		return who, text
	}
	return "", line
}

// TestHeadless: nobody is asked where nobody can answer, and exit ends.
func TestHeadless(t *testing.T) {
	server := startRole(t, netip.AddrPort{}, room.Options{})
	k := startCell(t, "UDPKIT_HEADLESS=1", "UDPKIT_SERVER="+server.addr.String())
	k.until(t, "you are 127.0.0.1:")
	server.says(t, "exit")
	server.end(t)
	require.NoError(t, k.cell.Wait(), k.stderr.String())
	k.until(t, "ended: the server closed the connection")
	require.Empty(t, k.asked)

	k = startCell(t)
	k.until(t, "open on")
	<-k.asked
	_, err := fmt.Fprintln(k.types, "exit")
	require.NoError(t, err)
	require.NoError(t, k.cell.Wait(), k.stderr.String())
	k.until(t, "ended: by exit")
}
