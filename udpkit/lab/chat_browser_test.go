package lab_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/lab"
)

// TestChatBrowser lets two people chat, each in a notebook of their own: they type into the input
// box, read in the panel, one is interrupted while the box is open, and works on in the same
// notebook.
func TestChatBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	browser := chromium(t)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	t.Setenv("UDPKIT_PORT", fmt.Sprint(port))
	t.Setenv("UDPKIT_ADDRESS", "127.0.0.1") // nothing leaves this machine

	dir := copyOfRepository(t)
	notebooks := []string{"chat_server.ipynb", "chat_client.ipynb"}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	ready, done := make(chan string, 1), make(chan error, 1)
	labContext, endLab := context.WithCancel(ctx)
	go func() {
		done <- lab.Run(labContext, lab.Config{Dir: dir, Port: lab.AnyPort, NoBrowser: true, Stdout: t.Output(), Ready: func(url string) { ready <- url }})
	}()
	var address *url.URL
	select {
	case at := <-ready:
		address, err = url.Parse(at)
		require.NoError(t, err)
	case err := <-done:
		require.NoError(t, err, "the lab ended")
	}
	defer func() {
		endLab()
		require.NoError(t, <-done)
	}()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.WindowSize(1100, 1000),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	defer cancel()

	open := func(parent context.Context, name string) (*labPage, context.CancelFunc) {
		ctx, cancel := chromedp.NewContext(parent)
		require.NoError(t, chromedp.Do(ctx), "open a tab")
		page := &labPage{t: t, ctx: ctx}
		at := *address
		at.Path = "/lab/workspaces/" + strings.TrimSuffix(name, ".ipynb") + "/tree/my-notebooks/" + name
		page.do("open JupyterLab", chromedp.Navigate(at.String()))
		page.until(name+" is open with its kernel", panelOf(name)+`?.querySelector('.jp-Cell') && `+panelOf(name)+`.querySelector('.jp-Toolbar-kernelName')?.textContent.includes('Go (gonb)')`)
		return page, cancel
	}
	server, closeServer := open(ctx, notebooks[0])
	defer closeServer()
	client, closeClient := open(server.ctx, notebooks[1])
	defer closeClient()

	defer func() {
		if t.Failed() {
			server.screenshot("chat-server-failed")
			client.screenshot("chat-client-failed")
		}
	}()
	server.runAllCells(notebooks[0])
	server.panelInView(notebooks[0])
	server.until("the server is open", panelOf(notebooks[0])+`.innerText.includes('open on 127.0.0.1')`)
	client.runAllCells(notebooks[1])
	client.panelInView(notebooks[1])
	client.until("the client is connected", panelOf(notebooks[1])+`.innerText.includes('you are 127.0.0.1')`)
	client.types(notebooks[1], "/name ann")
	server.until("the server knows the name", panelOf(notebooks[0])+`.innerText.includes('is now ann')`)
	for i := range 3 {
		client.types(notebooks[1], fmt.Sprintf("question %d", i))
		server.until("the question comes", panelOf(notebooks[0])+fmt.Sprintf(`.innerText.includes('question %d')`, i))
		server.types(notebooks[0], fmt.Sprintf("answer %d", i))
		client.until("the answer comes", panelOf(notebooks[1])+fmt.Sprintf(`.innerText.includes('answer %d')`, i))
	}
	server.talksInView(notebooks[0], "answer 0", "answer 1", "answer 2")
	client.talksInView(notebooks[1], "question 0", "question 1", "question 2")
	// What comes while a line is being typed does not disturb it.
	box := client.begins(notebooks[1], "half a line")
	server.types(notebooks[0], "an interruption")
	client.until("the interruption comes", panelOf(notebooks[1])+`.innerText.includes('an interruption')`)
	client.until("the line is still there", box+`.value === 'half a line'`)
	server.screenshot("chat-server")
	client.screenshot("chat-client")

	client.interrupt(notebooks[1])
	client.until("the client keeps its last panel", panelOf(notebooks[1])+`.innerText.includes('ended: interrupted')`)
	server.until("the server knows that it left", panelOf(notebooks[0])+`.innerText.includes('left')`)
	client.screenshot("chat-client-ended")
	client.click(notebooks[1], "notebook:run-cell-and-select-next") // the box that is left does not forbid it
	client.until("the client is connected again", panelOf(notebooks[1])+`.innerText.includes('you are 127.0.0.1') && !`+panelOf(notebooks[1])+`.innerText.includes('ended: ')`)
	client.types(notebooks[1], "back again")
	server.until("it talks again", panelOf(notebooks[0])+`.innerText.includes('back again')`)
	client.types(notebooks[1], "exit")
	client.until("the client has left", panelOf(notebooks[1])+`.innerText.includes('ended: by exit')`)
	server.interrupt(notebooks[0])
	server.until("the server keeps its last panel", panelOf(notebooks[0])+`.innerText.includes('ended: interrupted')`)
	server.screenshot("chat-server-ended")
}

// box waits for the input box of a notebook's running cell, which takes the focus when it comes.
// The one that the last line was typed into stays for half a second, hidden; one that an earlier
// cell has left behind is dead.
func (p *labPage) box(notebook string) string {
	p.t.Helper()
	cell := `[...` + panelOf(notebook) + `.querySelectorAll('.jp-CodeCell')].filter(c => c.querySelector('.jp-InputPrompt').textContent.includes('*') && c.querySelector('.jp-Stdin-input')).pop()`
	box := cell + `?.querySelector('.jp-Stdin-input')`
	p.until("the input box, and no other", cell+`?.querySelectorAll('.jp-Stdin-input').length === 1 && !`+box+`.closest('.jp-OutputArea-stdin-hiding')`)
	return box
}

// begins types the beginning of a line into the input box.
func (p *labPage) begins(notebook, line string) (box string) {
	p.t.Helper()
	box = p.box(notebook)
	// After Run All, JupyterLab may move the focus once more, to a cell.
	p.until("the box has the focus", fmt.Sprintf(`(b => (b === document.activeElement || b.focus(), b === document.activeElement))(%s)`, box))
	for range 5 {
		p.do("type "+line, chromedp.SendKeys(chromedp.JSPath(box), line))
		stands, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](box+fmt.Sprintf(`.value === %q || (b => (b.value = '', false))(%s)`, line, box)))
		require.NoError(p.t, err)
		if stands {
			return box
		}
	}
	p.screenshot("failed")
	require.Fail(p.t, "the box does not take the line", line)
	return box
}

// talksInView waits until the input box below a live panel is in view, as wide as the cell, and
// with it the panel's first line and the newest of those that were typed. Each of these stands
// once.
func (p *labPage) talksInView(notebook string, typed ...string) {
	p.t.Helper()
	p.box(notebook)
	lines, err := json.Marshal(typed)
	require.NoError(p.t, err)
	p.until("the talk of "+notebook+" is in view", fmt.Sprintf(`((cell, outer, typed) => {
		const view = outer.getBoundingClientRect(), output = cell.querySelector('.jp-OutputArea-output').getBoundingClientRect();
		const sees = r => r && r.height > 0 && r.top >= view.top && r.bottom <= view.bottom + 1;
		const box = cell.querySelector('.jp-Stdin-input').getBoundingClientRect();
		const text = cell.querySelector('.jp-OutputArea').innerText;
		const said = [...cell.querySelectorAll('.jp-RenderedHTML div')].filter(d => !d.querySelector('div') && d.textContent.includes(typed.at(-1)));
		return sees(box) && box.width >= 0.6 * output.width && box.right >= output.right - 25 && sees(cell.querySelector('.jp-RenderedHTML b').getBoundingClientRect())
			&& typed.every(line => text.split(line).length === 2) && said.length === 1 && sees(said[0].getBoundingClientRect())
			&& said[0].getBoundingClientRect().bottom <= box.top })(
		[...%[1]s.querySelectorAll('.jp-Cell')].pop(), %[1]s.querySelector('.jp-WindowedPanel-outer'), %[2]s)`, panelOf(notebook), lines))
}

func (p *labPage) types(notebook, line string) {
	p.t.Helper()
	p.do("press Enter", chromedp.SendKeys(chromedp.JSPath(p.begins(notebook, line)), "\r"))
}
