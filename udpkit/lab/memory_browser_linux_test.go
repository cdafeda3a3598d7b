package lab_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/lab"
)

// complete asks every kernel for a completion, as Tab does, again until it has it: gopls starts
// beside the kernel.
const complete = `
for (const k of await (await fetch('/api/kernels')).json()) {
	const session = crypto.randomUUID()
	const socket = new WebSocket('ws://' + location.host + '/api/kernels/' + k.id + '/channels?session_id=' + session)
	const ask = () => socket.send(JSON.stringify({
		channel: 'shell', buffers: [], parent_header: {}, metadata: {},
		header: {msg_id: crypto.randomUUID(), session, username: '', date: new Date().toISOString(), msg_type: 'complete_request', version: '5.3'},
		content: {code: '%%\nstrings.HasPre', cursor_pos: 17},
	}))
	const began = Date.now()
	socket.onopen = ask
	socket.onmessage = e => {
		const m = JSON.parse(e.data)
		if (m.msg_type !== 'complete_reply') return
		if (m.content.matches?.some(x => x.startsWith('HasPrefix'))) window.completed[k.id] = (Date.now() - began) / 1000
		else setTimeout(ask, 200)
	}
}`

// labItself is what the program that runs the lab takes, in kB: here that is the test.
const labItself = 20 << 10

// TestBrowserMemory: a student with one notebook needs 300 MB as measured, and the index, a
// server and three clients, each of which has completed something and runs, 540 MB. How much of it
// Go's collectors leave differs from run to run.
func TestBrowserMemory(t *testing.T) {
	page := openLab(t, func(c *lab.Config) { c.Clients = 3 })
	page.completeAll(1)
	one := page.memory()
	t.Logf("one notebook, kB: %v", one)
	assert.Less(t, one["all"]+labItself, 340<<10)

	page.openRoles()
	notebooks := []string{"server.ipynb", "client.ipynb", "client-2.ipynb", "client-3.ipynb"}
	for _, name := range notebooks {
		page.until(name+" is open", tabOf(name))
	}
	page.completeAll(5)
	for _, name := range []string{"client.ipynb", "client-2.ipynb", "client-3.ipynb", "server.ipynb"} {
		page.runWithoutRestart(name)
	}
	for _, name := range notebooks {
		page.until(name+" shows a state", panelOf(name)+`.innerText.includes("STANDBY")`)
	}
	used := page.memory()
	t.Logf("all, kB: %v", used)
	assert.Less(t, used["all"]+labItself, 700<<10)
}

// completeAll waits until there are that many kernels, and each has completed something.
func (p *labPage) completeAll(kernels int) {
	p.t.Helper()
	p.until("all have kernels", fmt.Sprintf(
		`(window.kernels = window.kernels ?? 0, fetch('/api/kernels').then(r => r.json()).then(k => window.kernels = k.length), window.kernels >= %d)`, kernels))
	p.do("ask each for a completion", chromedp.Evaluate[chromedp.Void](`window.completed = {}; (async () => {`+complete+`})(); undefined`))
	p.until("all have completed", fmt.Sprintf(`Object.keys(window.completed).length >= %d`, kernels))
	seconds, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`Object.values(window.completed).join(' s, ') + ' s'`))
	require.NoError(p.t, err)
	p.t.Logf("completion after %s", seconds)
}

// runWithoutRestart runs all cells in the kernel that is there.
func (p *labPage) runWithoutRestart(notebook string) {
	p.t.Helper()
	p.do("click the first cell of "+notebook, chromedp.Click(chromedp.JSPath(panelOf(notebook)+`.querySelector('.jp-MarkdownOutput h1')`)))
	cells, err := chromedp.Run(p.ctx, chromedp.Evaluate[int](panelOf(notebook)+`.querySelectorAll('.jp-Cell').length`))
	require.NoError(p.t, err)
	for range cells {
		p.do("run a cell of "+notebook, chromedp.KeyEvent(kb.Enter, chromedp.KeyModifiers(kb.ModifierShift)))
	}
}

// memory returns the kB that the lab's processes share out among themselves, by what they are.
func (p *labPage) memory() map[string]int {
	p.t.Helper()
	at, err := url.Parse(p.url)
	require.NoError(p.t, err)
	mark := "\x00JUPYTER_TOKEN=" + at.Query().Get("token") + "\x00"
	used := map[string]int{}
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(p.t, err)
	gopls := 0
	for _, file := range files {
		dir := filepath.Dir(file)
		environ, err := os.ReadFile(file)
		arguments, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		status, _ := os.ReadFile(filepath.Join(dir, "status"))
		// The lab starts gopls, and JupyterLab all else.
		shared := bytes.Contains(status, fmt.Appendf(nil, "\nPPid:\t%d\n", os.Getpid())) && bytes.HasPrefix(status, []byte("Name:\tgopls\n"))
		if err != nil || !shared && !bytes.Contains(append([]byte{0}, environ...), []byte(mark)) {
			continue
		}
		rollup, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
		if err != nil || len(arguments) == 0 {
			continue // it has ended
		}
		program, _, _ := bytes.Cut(arguments, []byte{0})
		name := filepath.Base(string(program))
		for line := range strings.Lines(string(rollup)) {
			if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Pss:" {
				kB, err := strconv.Atoi(fields[1])
				require.NoError(p.t, err)
				used[name] += kB
			}
		}
		if name == "gopls" {
			gopls++
			assert.True(p.t, bytes.Contains(environ, []byte("\x00GOMEMLIMIT=")), "gopls has a limit")
			assert.NotContains(p.t, string(arguments), "telemetry")
		} else if strings.HasPrefix(name, "gonb") { // a kernel or its cell
			assert.False(p.t, bytes.Contains(environ, []byte("\x00GOMEMLIMIT=")), "%s has none", name)
		}
	}
	assert.Equal(p.t, 1, gopls, "all share one gopls")
	for _, name := range slices.Collect(maps.Keys(used)) {
		used["all"] += used[name]
	}
	return used
}
