//go:build unix

package lab_test

import (
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const (
	relayServer = "relay_server.ipynb"
	relayReader = "relay_reader.ipynb"
	relayWriter = "relay_writer.ipynb"
)

// TestRelayBrowser opens the relay's notebooks side by side: what is typed into the writer's box
// appears in the reader's panel, also when the server was killed and started again in between.
func TestRelayBrowser(t *testing.T) {
	t.Setenv("UDPKIT_ADDRESS", "127.0.0.1") // nothing leaves this machine
	page := openLab(t)
	page.do("set the size", chromedp.EmulateViewport(screens[0].width, screens[0].height))
	page.openLayout("relay", relayServer)
	names := []string{relayServer, relayReader, relayWriter}
	for _, name := range names {
		page.until(name+" is open with its kernel", panelOf(name)+`?.querySelector('.jp-Cell') && `+panelOf(name)+`.querySelector('.jp-Toolbar-kernelName')?.textContent.includes('Go (gonb)')`)
	}
	defer func() {
		if t.Failed() {
			page.screenshot("relay-failed")
		}
	}()
	inView := func() {
		for _, name := range names {
			page.until("the panel of "+name+" is in view", `(p => (p?.scrollIntoView({block: 'center'}), p))(`+last(name)+`)`)
		}
	}
	page.runAllCells(relayReader)
	page.runAllCells(relayWriter)
	page.panelInView(relayReader)
	page.panelInView(relayWriter)
	page.until("the reader waits for its server", shows(relayReader, "Reader: bob waiting for the server"))
	page.types(relayWriter, "is anybody there?")
	page.until("the writer keeps the line", shows(relayWriter, "not stored yet"))
	page.box(relayWriter) // which takes the focus, and with it the menu, from the notebook that is run next
	page.runAllCells(relayServer)
	page.panelInView(relayServer)
	page.until("the server is open", shows(relayServer, "open on 127.0.0.1"))
	page.until("the line has come", shows(relayReader, "is anybody there?"))
	page.until("it is stored", shows(relayWriter, "stored after"))
	page.types(relayWriter, "hello <b>reader</b>")
	page.until("what is typed comes, as it is", shows(relayReader, "hello <b>reader</b>"))
	page.until("the server knows both", shows(relayServer, "reader bob")+` && `+shows(relayServer, "writer ann"))
	page.talksInView(relayWriter, "is anybody there?", "hello <b>reader</b>")
	box := page.begins(relayWriter, "half a line")
	inView()
	page.screenshot("relay-running")

	// Killed, not interrupted.
	text, err := chromedp.Run(page.ctx, chromedp.Evaluate[string](panelOf(relayServer)+`.textContent.match(/this is process (\d+)/)[1]`))
	require.NoError(t, err)
	pid, err := strconv.Atoi(text)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	page.until("the reader says so", shows(relayReader, "Reader: bob waiting for the server"))
	page.until("the line that was being typed is still there", box+`.value === 'half a line'`)
	page.do("press Enter", chromedp.SendKeys(chromedp.JSPath(box), " and the rest\r"))
	page.until("the writer keeps it", shows(relayWriter, "half a line and the rest not stored yet"))
	page.until("the server's panel looks as dead as the server is", faded(relayServer))
	page.until("those of the others do not", `[...`+panelOf(relayReader)+`.querySelectorAll('[style*="udpkit-hide"]')].every(e => getComputedStyle(e).visibility === 'hidden')`)
	inView()
	page.screenshot("relay-killed")
	page.runAllCells(relayServer)
	page.until("the reader goes on", shows(relayReader, "half a line and the rest"))
	page.until("the writer is content", shows(relayWriter, "half a line and the reststored after"))

	page.interrupt(relayWriter)
	page.until("the writer keeps its last panel", shows(relayWriter, "ended: interrupted"))
	page.runCell(relayWriter, "panel.Main", " --join")
	page.until("the join has read it too", shows(relayWriter, "annhalf a line and the rest"))
	page.types(relayWriter, "from the join")
	page.until("it comes to the reader", shows(relayReader, "from the join"))
	page.until("and back", shows(relayWriter, "annfrom the join"))
	inView()
	page.screenshot("relay-join")
	for _, name := range []string{relayWriter, relayReader, relayServer} {
		begun := time.Now()
		page.interrupt(name)
		page.until(name+" keeps its last panel", shows(name, "ended: interrupted"))
		require.Less(t, time.Since(begun), 5*time.Second, "3 s, and some for a busy machine")
	}
	for _, name := range names {
		page.until(name+" draws its run", drawn(name))
	}
	page.screenshot("relay-ended")
}

// shows is JavaScript for an output of a notebook, in view or not, that has a text.
func shows(notebook, text string) string {
	return fmt.Sprintf(`[...%s.querySelectorAll('.jp-OutputArea-output')].some(o => o.textContent.includes(%q))`, panelOf(notebook), text)
}
