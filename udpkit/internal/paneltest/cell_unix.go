//go:build unix

package paneltest

import (
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/janpfeifer/gonb/gonbui/protocol"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
	"golang.org/x/sys/unix"
)

// Cell is this test's program, which runs as a notebook's cell.
type Cell struct {
	*exec.Cmd
	Asked  chan struct{} // an input box was asked for
	Errors Buffer        // standard error
	types  io.Writer
	panels chan string
}

// StartCell stands for GoNB: it starts this test's program as a cell, takes what the cell shows,
// and lets it ask for input.
func StartCell(t *testing.T, env ...string) *Cell {
	t.Helper()
	return start(t, true, env)
}

// StartDeafCell is StartCell with a kernel that never says that it has taken something.
func StartDeafCell(t *testing.T, env ...string) *Cell {
	t.Helper()
	return start(t, false, env)
}

func start(t *testing.T, answers bool, env []string) *Cell {
	t.Helper()
	dir := t.TempDir()
	c := &Cell{panels: make(chan string, 10_000), Asked: make(chan struct{}, 100)}
	out, back := filepath.Join(dir, "out"), filepath.Join(dir, "back")
	require.NoError(t, unix.Mkfifo(out, 0o600))
	require.NoError(t, unix.Mkfifo(back, 0o600))
	// Opened for both directions, so that nobody waits for the other end.
	reader, err := os.OpenFile(out, os.O_RDWR, 0)
	require.NoError(t, err)
	writer, err := os.OpenFile(back, os.O_RDWR, 0)
	require.NoError(t, err)
	c.Cmd = exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), protocol.GONB_PIPE_ENV+"="+out, protocol.GONB_PIPE_BACK_ENV+"="+back)
	c.Env = append(c.Env, env...)
	c.Stderr = &c.Errors
	c.types, err = c.StdinPipe()
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
				c.panels <- html
			}
			if _, ok := data.Data[protocol.MIMEJupyterInput]; ok {
				c.Asked <- struct{}{}
			}
			if sync, ok := data.Data[protocol.MIMECommValue].(protocol.CommValue); ok && answers {
				_ = encoder.Encode(&protocol.CommValue{Address: protocol.GonbuiSyncAckAddress, Value: sync.Value})
			}
		}
	}()
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = reader.Close()
		_ = writer.Close()
		<-done
	})
	return c
}

// Types types a line into the input box, once it is there.
func (c *Cell) Types(t *testing.T, line string) {
	t.Helper()
	select {
	case <-c.Asked:
	case <-time.After(Patience):
		require.FailNow(t, "no input box", c.Errors.String())
	}
	_, err := fmt.Fprintln(c.types, line)
	require.NoError(t, err)
}

// Until returns the first panel that has all the parts. Panels are inert.
func (c *Cell) Until(t *testing.T, parts ...string) (last string) {
	t.Helper()
	timeout := time.After(Patience)
	for {
		select {
		case last = <-c.panels:
			requireInert(t, last)
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
			require.FailNowf(t, "never", "%q in\n%s\n%s", parts, last, c.Errors.String())
		}
	}
}

// Panel returns the next panel.
func (c *Cell) Panel(t *testing.T) string { return c.Until(t) }

// End does what the notebook's button does, and returns why the program failed.
func (c *Cell) End(t *testing.T) error {
	t.Helper()
	at := time.Now()
	require.NoError(t, c.Process.Signal(syscall.SIGINT))
	err := c.Wait()
	require.Less(t, time.Since(at), 3*time.Second)
	return err
}

// Interrupt ends a role, which leaves its last panel behind and returns it.
func (c *Cell) Interrupt(t *testing.T) string {
	t.Helper()
	require.NoError(t, c.End(t), c.Errors.String())
	return c.Until(t, "ended: interrupted")
}

// Hostile is what somebody may say who wants to run a program in the notebook.
var Hostile = []string{
	`<script>alert(1)</script>`,
	`</style><script>alert(1)</script>`,
	`"><img src=x onerror=alert(1)>`,
	`' onmouseover='alert(1)`,
	`</div></table><iframe src=//x>`,
	`{{.Sum}}{{template "server"}}`,
	`{{.Server}}{{template "server"}}`,
	`<!--`,
	`]]><svg onload=alert(1)>: x`,
	`javascript:alert(1)`,
	`red;background:url(//x)`,
	`&lt;script&gt;&#60;b&#62;`,
}

// The elements and the attributes that a panel may have, and those of drawings and of the buttons
// that step through one.
var (
	elements = []string{
		"div", "span", "b", "br", "table", "tr", "th", "td",
		"svg", "title", "text", "line", "path", "pre", "style", "input", "label",
	}
	attributes = []string{
		"style", "colspan",
		"class", "role", "aria-hidden", "width", "height", "viewbox", "x", "y", "x1", "y1", "x2", "y2", "d", "transform", "text-anchor",
		"id", "for", "type", "name", "checked", "hidden", "data-lm-suppress-shortcuts",
	}
)

// styles is what a panel may begin with: one that has an input box hides what is listed below it,
// and one that is not the last shows its age.
var styles = regexp.MustCompile(`^(<style class="udpkit-typed">\n(\.jp-OutputArea-child:has\(\.udpkit-typed\) ~ [^<{]+ \{ [a-z0-9 ;:-]+ \}\n)+</style>\n)?` +
	`(<style>\n(@keyframes udpkit-[a-z]+ \{ [a-z, ]+ \{ [a-z]+: [a-z0-9.]+ \} \}\n)+</style>\n)?`)

// requireInert checks that a panel holds nothing but our own elements, each with no attribute but
// our own.
func requireInert(t *testing.T, panel string) {
	t.Helper()
	decoder := html.NewTokenizer(strings.NewReader(styles.ReplaceAllString(panel, "")))
	for {
		switch decoder.Next() {
		case html.ErrorToken:
			require.ErrorIs(t, decoder.Err(), io.EOF)
			return
		case html.CommentToken, html.DoctypeToken:
			require.FailNowf(t, "not ours", "%s", decoder.Raw())
		case html.StartTagToken, html.SelfClosingTagToken:
			token := decoder.Token()
			require.Contains(t, elements, token.Data)
			for _, a := range token.Attr {
				require.Contains(t, attributes, a.Key)
				require.NotContains(t, a.Val, "ZgotmplZ", "a value that html/template refused")
				require.NotContains(t, a.Val, "url(")
			}
		}
	}
}
