package lab_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/lab"
)

// TestBrowser does what a person does: starts the lab, sees the index, opens with one click the
// server's notebook beside two clients', runs all three, watches the states arrive, interrupts, and
// reads the summaries.
func TestBrowser(t *testing.T) {
	page := openLab(t)
	page.until("the index is open with its kernel", panelOf("index.ipynb")+`?.querySelector('.jp-Toolbar-kernelName')?.textContent.includes('Go (gonb)')`)
	page.until("it is in view", panelOf("index.ipynb")+`.checkVisibility()`)
	page.until("and alone", `document.querySelectorAll('#jp-main-dock-panel .lm-TabBar-tabLabel').length === 1`)
	page.screenshot("start")
	page.openRoles()
	notebooks := []string{"server.ipynb", "client.ipynb", "client-2.ipynb"}
	for _, name := range notebooks {
		page.until(name+" is open with its kernel", panelOf(name)+`?.querySelector('.jp-Cell') && `+panelOf(name)+`.querySelector('.jp-Toolbar-kernelName')?.textContent.includes('Go (gonb)')`)
	}
	page.screenshot("opened")

	// The clients first, so that they hear the server's first message.
	for _, name := range []string{"client.ipynb", "client-2.ipynb", "server.ipynb"} {
		page.runAllCells(name)
	}
	for _, name := range notebooks {
		page.panelInView(name)
	}
	for _, name := range notebooks {
		for _, state := range []string{"ACTIVE", "STANDBY", "MAINTENANCE", "ERROR"} {
			page.until(name+" shows "+state, fmt.Sprintf(`%s.innerText.includes(%q)`, panelOf(name), state))
		}
	}
	page.until("the server shows two clients", panelOf("server.ipynb")+`.innerText.match(/client-[0-9a-f]{8}/g).length >= 2`)
	for _, name := range notebooks {
		page.panelInView(name)
	}
	page.screenshot("running")
	page.ages("client-2.ipynb", "server.ipynb", "client.ipynb")

	for _, name := range notebooks {
		page.interrupt(name)
		page.until(name+" keeps the summary of its interrupted run", panelOf(name)+`.innerText.includes('ended: interrupted')`)
	}
	for _, name := range notebooks {
		page.until(name+" draws its run", drawn(name))
	}
	page.screenshot("ended")
}

// TestBrowserView runs all cells of each role's notebook, alone and as one click in the index
// lays them out, on screens of three sizes: the live panel is in view, and nobody has scrolled.
func TestBrowserView(t *testing.T) {
	t.Setenv("UDPKIT_ADDRESS", "127.0.0.1")
	t.Setenv("UDPKIT_LISTEN", fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))) // of the weather
	page := openLab(t)
	page.do("leave it, so that each kernel has one page", chromedp.Navigate("about:blank"))
	run := func(tab *labPage, width, height int64, names ...string) {
		t.Helper()
		tab.do("set the size", chromedp.EmulateViewport(width, height))
		for _, name := range names {
			tab.until(name+" is open, at its top", fmt.Sprintf(`%[1]s?.querySelector('.jp-Cell') && (%[1]s.querySelector('.jp-WindowedPanel-outer').scrollTop = 0, true)`, panelOf(name)))
			tab.runAllCells(name)
		}
		for _, name := range names {
			tab.panelInView(name)
		}
		tab.screenshot(fmt.Sprintf("view-%d-%s", width, strings.TrimSuffix(names[len(names)-1], ".ipynb")))
	}
	interrupt := func(tab *labPage, names ...string) {
		t.Helper()
		for _, name := range names {
			tab.interrupt(name)
			tab.until(name+" has ended", last(name)+`.textContent.includes('ended: ')`)
			// It draws the run, and only then is the kernel free.
			tab.until("the last cell of "+name+" has ended", `![...`+panelOf(name)+`.querySelectorAll('.jp-Cell')].pop().querySelector('.jp-InputPrompt').textContent.includes('*')`)
		}
	}
	var chat *labPage
	for _, name := range []string{"server.ipynb", "client.ipynb", "relay_server.ipynb", "relay_reader.ipynb", "relay_writer.ipynb", "weather.ipynb", "chat_server.ipynb", "chat_client.ipynb"} {
		tab, closeTab := page.tab("/lab/workspaces/alone/tree/my-notebooks/" + name)
		for _, size := range screens {
			if name == "chat_client.ipynb" { // it would not stay without its server
				run(chat, size.width, size.height, "chat_server.ipynb")
			}
			run(tab, size.width, size.height, name)
			interrupt(tab, name)
			if name == "chat_client.ipynb" {
				interrupt(chat, "chat_server.ipynb")
			}
		}
		if name == "chat_server.ipynb" {
			chat = tab
			continue
		}
		closeTab()
	}
	for _, layout := range []struct {
		name, shows string
		roles       []string // in the order in which they start
	}{
		{"broadcast", "STANDBY", []string{"client-2.ipynb", "client.ipynb", "server.ipynb"}},
		{"chat", "127.0.0.1", []string{"chat_server.ipynb", "chat_client.ipynb", "chat_client-2.ipynb"}},
		{"relay", "", []string{"relay_server.ipynb", "relay_reader.ipynb", "relay_writer.ipynb"}},
	} {
		tab, closeTab := page.tab("/lab/workspaces/start")
		tab.openLayout(layout.name, layout.roles[0])
		for _, name := range layout.roles {
			tab.until(name+" is open with its kernel", panelOf(name)+`?.checkVisibility() && `+panelOf(name)+`.querySelector('.jp-Toolbar-kernelName')?.textContent.includes('Go (gonb)')`)
		}
		tab.until("nothing else is open", fmt.Sprintf(`document.querySelectorAll('#jp-main-dock-panel .lm-TabBar-tabLabel').length === %d`, len(layout.roles)))
		sizes := screens
		if layout.name != "broadcast" {
			sizes = screens[:1]
		}
		for _, size := range sizes {
			run(tab, size.width, size.height, layout.roles[0]) // whoever chats does not stay without a server
			run(tab, size.width, size.height, layout.roles[1:]...)
			for _, name := range layout.roles {
				tab.until(name+" shows a state", fmt.Sprintf(`%s.textContent.includes(%q)`, last(name), layout.shows))
				tab.panelInView(name)
			}
			if layout.name == "chat" {
				for i, name := range layout.roles {
					var lines []string
					for n := range 2 + 3*i { // in the end more than there is room for
						lines = append(lines, fmt.Sprintf("%s: line %d.", name, n+1))
						tab.types(name, lines[n])
					}
					tab.talksInView(name, lines...)
				}
			}
			tab.screenshot(fmt.Sprintf("view-%d-%s", size.width, layout.name))
			interrupt(tab, layout.roles...)
		}
		closeTab()
	}
}

// screens are a school's laptop, a larger one and a small window.
var screens = []struct{ width, height int64 }{{1366, 768}, {1600, 900}, {1000, 700}}

// TestBrowserWalkthrough runs the walkthrough in a browser, stops it in the middle of a receiver's
// run, and reads that it was stopped.
func TestBrowserWalkthrough(t *testing.T) {
	const notebook = "nonblocking.ipynb"
	page := openLab(t)
	page.do("open the walkthrough", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`location.pathname = '/lab/tree/my-notebooks/%s'`, notebook)))
	page.until("it is open with its kernel", panelOf(notebook)+`?.querySelector('.jp-Toolbar-kernelName')?.textContent.includes('Go (gonb)')`)
	page.runAll(notebook)
	page.until("a receiver runs", panelOf(notebook)+`.innerText.match(/\S waiting for [\d.]+ s/)`)
	page.interrupt(notebook)
	page.until("it says so", panelOf(notebook)+`.innerText.match(/ended: .*interrupt/)`)
	page.until("it is in view", `(h => (h?.scrollIntoView({block: 'center'}), h))([...`+panelOf(notebook)+`.querySelectorAll('.jp-RenderedHTML')].find(h => h.innerText.includes('ended: ')))`)
	page.screenshot("walkthrough")
}

// TestBrowserSockets follows the way of a beginner: the index and its check, the link to the
// notebook on sockets, all of its cells, and the stop button while the beacon runs.
func TestBrowserSockets(t *testing.T) {
	const index, sockets = "index.ipynb", "sockets.ipynb"
	t.Setenv("UDPKIT_BEACON_PORT", fmt.Sprint(testenv.FreePort(t)))
	page := openLab(t)
	page.do("open the index", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`location.pathname = '/lab/tree/my-notebooks/%s'`, index)))
	page.until("it is open with its kernel", panelOf(index)+`?.querySelector('.jp-Toolbar-kernelName')?.textContent.includes('Go (gonb)')`)
	page.runAll(index)
	page.until("all is well", `[...`+panelOf(index)+`.querySelectorAll('.jp-OutputArea-output')].some(o => o.textContent.includes('All is well'))`)
	page.until("what is printed breaks between words", panelOf(index)+`.querySelector('.jp-OutputArea-output pre') && [...`+panelOf(index)+`.querySelectorAll('.jp-OutputArea-output pre')].every(p => getComputedStyle(p).wordBreak === 'normal')`)
	page.until("the map is there", panelOf(index)+`.querySelector('.jp-RenderedMarkdown img')?.naturalWidth`)
	page.screenshot("index")

	link := panelOf(index) + `.querySelector('a[href*="sockets.ipynb"]')`
	page.until("the link to "+sockets, link)
	page.do("follow it", chromedp.Evaluate[chromedp.Void](link+`.click()`))
	page.until(sockets+" is open with its kernel", panelOf(sockets)+`?.querySelector('.jp-Toolbar-kernelName')?.textContent.includes('Go (gonb)')`)
	page.runAll(sockets)
	// innerText would leave out what is not in view.
	page.until("a neighbour has come", `[...`+panelOf(sockets)+`.querySelectorAll('.jp-RenderedHTML')].some(h => h.textContent.includes('appeared'))`)
	// The cells above it get their heights only as they are scrolled through, so that it moves once
	// more.
	page.until("the table is in view", `(h => h && (h.getBoundingClientRect().top > 0 && h.getBoundingClientRect().bottom < innerHeight || (h.scrollIntoView({block: 'center'}), false)))([...`+panelOf(sockets)+`.querySelectorAll('.jp-RenderedHTML')].find(h => h.textContent.includes('appeared')))`)
	page.screenshot("beacon")
	page.interrupt(sockets)
	began := time.Now()
	page.until("it says that it was interrupted", `[...`+panelOf(sockets)+`.querySelectorAll('.jp-RenderedHTML')].some(h => h.textContent.includes('ended: interrupted'))`)
	require.Less(t, time.Since(began), 4*time.Second, "3 s, and one for a busy machine")
}

// openLab starts the lab and opens in a browser what the lab would have opened in the user's. It
// works on a copy of the checkout, since JupyterLab saves what it shows.
func openLab(t *testing.T, configure ...func(*lab.Config)) *labPage {
	t.Helper()
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Setenv("UDPKIT_PORT", fmt.Sprint(testenv.FreePort(t)))
	t.Setenv("UDPKIT_TARGET", "127.255.255.255") // nothing leaves this machine
	t.Setenv("UDPKIT_INTERVAL", "500ms")

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	given := fakeOpener(t)
	ready, done := make(chan string, 1), make(chan error, 1)
	labContext, endLab := context.WithCancel(ctx)
	go func() {
		cfg := lab.Config{
			Dir: copyOfRepository(t), Port: lab.AnyPort, Stdout: t.Output(), Ready: func(url string) { ready <- url },
		}
		for _, set := range configure {
			set(&cfg)
		}
		done <- lab.Run(labContext, cfg)
	}()
	var address string
	select {
	case address = <-ready:
	case err := <-done:
		require.NoError(t, err, "the lab ended")
	}
	t.Cleanup(func() {
		endLab()
		require.NoError(t, <-done)
	})

	page := &labPage{t: t, ctx: openBrowser(t, ctx), url: address}
	page.do("open JupyterLab", chromedp.Navigate(given()))
	page.until("it is led to the lab", `location.pathname.startsWith('/lab')`)
	return page
}

// chromium returns where a browser is, and skips the test where there is none.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	testenv.Skip(t, "no Chromium is installed")
	return ""
}

// openBrowser starts a browser, and skips the test where there is none.
func openBrowser(t *testing.T, ctx context.Context) context.Context {
	t.Helper()
	browser := chromium(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.WindowSize(1600, 1000),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)
	ctx, cancel := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)

	require.NoError(t, chromedp.Do(ctx), "start the browser")
	return ctx
}

// fakeOpener stands in for what opens the user's browser, and returns the address that it was
// given.
func fakeOpener(t *testing.T) (given func() string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "given")
	for _, name := range []string{"xdg-open", "wslview", "open"} {
		script := fmt.Sprintf("#!/bin/sh\necho \"$@\" > '%[1]s.new' && mv '%[1]s.new' '%[1]s'\n", file)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700))
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return func() string {
		var address []byte
		require.Eventually(t, func() (opened bool) {
			var err error
			address, err = os.ReadFile(file)
			return err == nil
		}, time.Minute, 10*time.Millisecond)
		return strings.TrimSpace(string(address))
	}
}

// openRoles follows the index's link to the server beside its clients.
func (p *labPage) openRoles() { p.t.Helper(); p.openLayout("broadcast", "server.ipynb") }

// openLayout follows the index's link to notebooks side by side, and waits for one of them.
func (p *labPage) openLayout(name, notebook string) {
	p.t.Helper()
	link := fmt.Sprintf(`%s?.querySelector('a[href*="%s.jupyterlab-workspace"]')`, panelOf("index.ipynb"), name)
	p.until("the index has the link", link)
	p.do("follow it", chromedp.Evaluate[chromedp.Void](link+`.click()`))
	p.until(notebook+" is open", tabOf(notebook))
}

// tabOf and panelOf are JavaScript for the label of a notebook's tab and for the panel that shows
// it.
func tabOf(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('#jp-main-dock-panel .lm-TabBar-tabLabel')].find(l => l.textContent === %q)`, name)
}

func panelOf(name string) string {
	return fmt.Sprintf(`document.getElementById(%s?.closest('.lm-TabBar-tab').dataset.id)`, tabOf(name))
}

// last is JavaScript for a notebook's last live panel; the picture below it is none.
func last(notebook string) string {
	return `[...` + panelOf(notebook) + `.querySelectorAll('.jp-RenderedHTML')].filter(h => !h.querySelector(':scope > img')).pop()`
}

// faded is JavaScript for whether a notebook's live panel has faded, and says since when there is
// no news.
func faded(notebook string) string {
	return `(p => p && getComputedStyle(p.querySelector('[style*="udpkit-fade"]') ?? p).opacity < 0.5
		&& getComputedStyle(p.querySelector('[style*="udpkit-hide"]')).visibility === 'visible' && /no news since \d+:\d+:\d+/.test(p.textContent))(` + last(notebook) + `)`
}

// ages restarts the kernel of one notebook, then reloads the page, while others run, too: what was
// live fades, and can be run again. So do the others after the reload, which do not do so before.
func (p *labPage) ages(restarted string, others ...string) {
	p.t.Helper()
	p.click(restarted, "notebook:restart-kernel")
	p.do("confirm the restart", chromedp.Click(chromedp.CSS(".jp-Dialog .jp-mod-accept"), chromedp.NodeVisible))
	p.until("the panel of "+restarted+" fades", faded(restarted))
	p.until("nothing runs there", `![...`+panelOf(restarted)+`.querySelectorAll('.jp-InputPrompt')].some(i => i.textContent.includes('*'))`)
	for _, name := range others {
		p.until("the panel of "+name+" is alive", `!`+faded(name))
		p.until(name+" is saved", fmt.Sprintf(`(fetch('/api/contents/' + %[1]q).then(r => r.json()).then(n => { window.udpkitSaved = n }),
			window.udpkitSaved?.path === %[1]q && JSON.stringify(window.udpkitSaved).includes('no news since'))`, "my-notebooks/"+name))
	}
	p.screenshot("restarted")

	require.NoError(p.t, chromedp.Listen(p.ctx, func(event any) {
		if _, ok := event.(*cdppage.EventJavascriptDialogOpening); ok { // not all is saved
			go func() {
				_, _ = chromedp.Call(p.ctx, cdppage.HandleJavaScriptDialog, cdppage.HandleJavaScriptDialogParams{Accept: true})
			}()
		}
	}))
	old, err := chromedp.Run(p.ctx, chromedp.Evaluate[float64](`performance.timeOrigin`))
	require.NoError(p.t, err)
	p.do("reload the page", chromedp.Evaluate[chromedp.Void](`setTimeout(() => location.reload(), 10)`))
	p.until("it is another page, for longer than a panel takes to fade", fmt.Sprintf(`performance.timeOrigin > %f && performance.now() > 10000`, old))
	for _, name := range others {
		p.until("the panel of "+name+" fades", fmt.Sprintf(`(panel => panel && (%[2]s ? (%[2]s.scrollIntoView({block: 'center'}), %[3]s) : panel.querySelector('.jp-WindowedPanel-outer')?.scrollTo(0, 1e6)))(%[1]s)`,
			panelOf(name), last(name), faded(name)))
		p.until("its cell does not look as if it ran", `![...`+panelOf(name)+`.querySelectorAll('.jp-InputPrompt')].some(i => i.textContent.includes('*'))`)
	}
	p.screenshot("reloaded")
	for _, name := range append(others, restarted) {
		p.interrupt(name) // what runs still, out of reach
		p.runAllCells(name)
		p.panelInView(name)
		p.until("the panel of "+name+" is alive again", last(name)+`.textContent.includes('no news since') && !`+faded(name))
	}
	for _, name := range append(others, restarted) {
		p.until(name+" shows a state", `/ACTIVE|STANDBY|MAINTENANCE|ERROR/.test(`+last(name)+`.textContent)`)
	}
}

// labPage is JupyterLab in the browser.
type labPage struct {
	t   *testing.T
	ctx context.Context
	url string // with the token
}

func (p *labPage) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 60*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.screenshot("failed")
		p.t.Fatalf("%s: %v", what, err)
	}
}

// until waits for a JavaScript condition. Each look is a call of its own, so that a page that loads
// anew in between does no harm.
func (p *labPage) until(what, condition string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 90*time.Second)
	defer cancel()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+condition+")"))
		if is && err == nil {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			p.screenshot("failed")
			p.t.Fatalf("never came: %s: %v", what, err)
		}
	}
}

// runAll clicks the fast-forward button of a notebook and confirms.
func (p *labPage) runAll(notebook string) {
	p.t.Helper()
	p.click(notebook, "notebook:restart-run-all")
	p.do("confirm the restart of "+notebook, chromedp.Click(chromedp.CSS(".jp-Dialog .jp-mod-accept"), chromedp.NodeVisible))
	p.until("the dialog has closed", `!document.querySelector('.jp-Dialog')`)
}

// runAllCells chooses Run All Cells in the menu Run, as the notebooks tell.
func (p *labPage) runAllCells(notebook string) {
	p.t.Helper()
	// JupyterLab forgets cells that are run while it has no kernel yet, and shows its name all the
	// same.
	p.until("the kernel of "+notebook+" is connected", fmt.Sprintf(`(fetch('/api/sessions').then(r => r.json()).then(s => window.udpkitSessions = s),
		window.udpkitSessions?.some(s => s.path === %q && s.kernel.connections > 0))`, "my-notebooks/"+notebook))
	p.do("choose the tab of "+notebook, chromedp.Click(chromedp.JSPath(tabOf(notebook))))
	// What is drawn late pushes what is below it out of view. A person, too, waits for the page.
	p.until("the pictures of "+notebook+" are there, and it keeps its height", fmt.Sprintf(`((panel, now) => {
		const high = panel.querySelector('.jp-WindowedPanel-outer').scrollHeight;
		if (high !== window.udpkitHigh || ![...panel.querySelectorAll('img')].every(i => i.complete)) window.udpkitHigh = high, window.udpkitSince = now;
		return now - window.udpkitSince > 300;
	})(%s, performance.now())`, panelOf(notebook)))
	p.until("the menu is that of "+notebook, tabOf(notebook)+`.closest('.lm-TabBar-tab').classList.contains('jp-mod-current')`)
	p.do("open the menu Run", chromedp.Click(chromedp.JSPath(`[...document.querySelectorAll('.lm-MenuBar-item')].find(i => i.textContent === 'Run')`)))
	item := `document.querySelector('.lm-Menu-item[data-command="runmenu:run-all"]')`
	p.until("the menu is open", item+`?.getBoundingClientRect().height > 0`)
	p.do("choose Run All Cells", chromedp.Evaluate[chromedp.Void](`(i => { const r = i.getBoundingClientRect(); for (const e of ['pointermove', 'pointerdown', 'pointerup']) i.dispatchEvent(new PointerEvent(e, {bubbles: true, clientX: r.x + 9, clientY: r.y + 9})) })(`+item+`)`))
	p.until("the menu has closed", `!`+item)
}

// panelInView waits for the panel of a notebook's last cell, which runs: its top is in view,
// without scrolling, and so is as much of it as fits into 60 % of the view.
func (p *labPage) panelInView(notebook string) {
	p.t.Helper()
	p.until("the panel of "+notebook+" is in view", fmt.Sprintf(`((cell, view) => { const panel = cell.querySelector('.jp-RenderedHTML')?.getBoundingClientRect();
		return cell.querySelector('.jp-InputPrompt').textContent.includes('*') && panel?.top >= view.top
			&& Math.min(panel.bottom, view.bottom) - panel.top >= Math.min(panel.height, 0.6 * view.height) })(
		[...%[1]s.querySelectorAll('.jp-Cell')].pop(), %[1]s.querySelector('.jp-WindowedPanel-outer').getBoundingClientRect())`, panelOf(notebook)))
}

// drawn is JavaScript for the picture of a run, below the last panel.
func drawn(notebook string) string {
	return `[...` + panelOf(notebook) + `.querySelectorAll('.jp-OutputArea-output img')].some(i => i.alt && i.naturalWidth)`
}

// cellWith is JavaScript for the first cell of a notebook that has the code.
func cellWith(notebook, code string) string {
	return fmt.Sprintf(`[...%s.querySelectorAll('.jp-CodeCell')].find(c => c.querySelector('.cm-content')?.textContent.includes(%q))`, panelOf(notebook), code)
}

// runCell writes flags, if there are any, into the first line of the cell that has the code, which
// is %% then, and runs it.
func (p *labPage) runCell(notebook, code, flags string) {
	p.t.Helper()
	cell := cellWith(notebook, code)
	p.until("the cell is in view", `(c => (c.scrollIntoView({block: 'center'}), true))(`+cell+`)`)
	p.do("click into the cell", chromedp.Click(chromedp.JSPath(cell+`.querySelector('.cm-line')`)))
	if flags != "" {
		// In place of the line, which may have those of an earlier run.
		p.do("go to the end of the line", chromedp.KeyEvent(kb.End))
		p.do("select the line", chromedp.Evaluate[chromedp.Void](`getSelection().modify('extend', 'backward', 'lineboundary')`))
		p.do("write flags", chromedp.KeyEvent("%%"+flags))
		p.until("the line has the flags", fmt.Sprintf(`%s.querySelector('.cm-line').textContent === %q`, cell, "%%"+flags))
	}
	p.click(notebook, "notebook:run-cell-and-select-next")
}

// tab opens a page of the lab in another tab of the browser.
func (p *labPage) tab(path string) (tab *labPage, closeTab context.CancelFunc) {
	p.t.Helper()
	ctx, cancel := chromedp.NewContext(p.ctx)
	p.t.Cleanup(cancel)
	address, err := url.Parse(p.url)
	require.NoError(p.t, err)
	address.Path = path
	require.NoError(p.t, chromedp.Do(ctx), "open a tab")
	tab = &labPage{t: p.t, ctx: ctx, url: p.url}
	tab.do("open "+path, chromedp.Navigate(address.String()))
	return tab, cancel
}

// interrupt clicks the stop button of a notebook.
func (p *labPage) interrupt(notebook string) {
	p.t.Helper()
	p.click(notebook, "notebook:interrupt-kernel")
}

// click clicks the button of a notebook's toolbar that stands for a command.
func (p *labPage) click(notebook, command string) {
	p.t.Helper()
	button := fmt.Sprintf(`%s.querySelector('.jp-Toolbar [data-command=%q]')`, panelOf(notebook), command)
	p.until("the button "+command, button)
	p.do(command+" of "+notebook, chromedp.Click(chromedp.JSPath(button)))
}

// screenshot keeps a picture as an artefact of the test.
func (p *labPage) screenshot(name string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Errorf("screenshot: %v", err)
		return
	}
	dir := filepath.Join(os.TempDir(), "udpkit-artefacts")
	require.NoError(p.t, os.MkdirAll(dir, 0o755))
	file := filepath.Join(dir, name+".png")
	require.NoError(p.t, os.WriteFile(file, picture, 0o644))
	p.t.Logf("screenshot %s", file)
}

// copyOfRepository copies what the lab needs.
func copyOfRepository(t *testing.T) string {
	t.Helper()
	from, to := filepath.Join("..", ".."), t.TempDir()
	names, err := fs.Glob(os.DirFS(from), "notebooks/*.ipynb")
	require.NoError(t, err)
	for _, name := range append(names, "go.mod", "go.sum") {
		content, err := os.ReadFile(filepath.Join(from, name))
		require.NoError(t, err)
		if filepath.Ext(name) == ".ipynb" {
			content = withoutOutputs(t, content)
		}
		file := filepath.Join(to, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, content, 0o644))
	}
	for _, dir := range []string{"udpkit", "notebooks/images"} {
		require.NoError(t, os.CopyFS(filepath.Join(to, dir), os.DirFS(filepath.Join(from, dir))))
	}
	return to
}

// withoutOutputs makes sure that what the page shows is of this run.
func withoutOutputs(t *testing.T, notebook []byte) []byte {
	t.Helper()
	var n map[string]any
	require.NoError(t, json.Unmarshal(notebook, &n))
	for _, c := range n["cells"].([]any) {
		if cell := c.(map[string]any); cell["cell_type"] == "code" {
			cell["outputs"], cell["execution_count"] = []any{}, nil
		}
	}
	notebook, err := json.Marshal(n)
	require.NoError(t, err)
	return notebook
}
