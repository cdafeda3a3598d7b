package lab_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestBrowserTimeline runs broadcast.ipynb, watches its recording grow, and steps through it: one
// datagram is opened at a time, with the mouse and with the arrow keys, which JupyterLab leaves to
// the timeline. It stays in the notebook, in the dark theme as well.
func TestBrowserTimeline(t *testing.T) {
	const notebook = "broadcast.ipynb"
	page := openLab(t)
	page.do("set the size", chromedp.EmulateViewport(screens[0].width, screens[0].height))
	page.do("open the notebook", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`location.pathname = '/lab/tree/my-notebooks/%s'`, notebook)))
	page.until("it is open with its kernel", panelOf(notebook)+`?.querySelector('.jp-Toolbar-kernelName')?.textContent.includes('Go (gonb)')`)
	page.runAll(notebook)
	steps := `[...` + panelOf(notebook) + `.querySelectorAll('.udpkit-sequence input')]`
	arrow := func(number int) string {
		return fmt.Sprintf(steps+`[%d].nextElementSibling.querySelector('svg')`, number-1)
	}
	page.until("it grows, and its newest datagram is open", `(i => i.length > 2 && i.pop().checked && i[0].closest('.udpkit-sequence').textContent.includes('so far'))(`+steps+`)`)
	page.until("the timeline is drawn", steps+`.filter(i => i.parentElement.querySelector('label svg line')).length > 8 && !`+panelOf(notebook)+`.querySelector('.udpkit-sequence').textContent.includes('so far')`)
	page.until("the last exercise is checked", `[...`+panelOf(notebook)+`.querySelectorAll('.jp-OutputArea-output')].filter(o => o.textContent.includes('Not yet')).length === 2`)
	alone := func(number int) {
		t.Helper()
		page.until(fmt.Sprintf("the bytes of %d alone are shown", number), fmt.Sprintf(
			`(all => all.length === 1 && all[0].id.endsWith('-%d'))(%s.filter(i => i.parentElement.querySelector(':scope > div').checkVisibility()))`, number, steps))
	}
	// inView brings a datagram into view. It has to stand still, as JupyterLab moves what it shows
	// while it draws what is above.
	inView := func(page *labPage, number int) {
		t.Helper()
		page.until("it is in view and stands still", fmt.Sprintf(`(d => {
			const {top, bottom} = d.getBoundingClientRect(), before = window.udpkitTop;
			if (top > 100 && bottom < innerHeight - 30) return window.udpkitTop = top, top === before;
			d.scrollIntoView({block: 'center'});
		})(%s[%d].parentElement)`, steps, number-1))
	}
	alone(1)
	inView(page, 4)
	page.do("click on another", chromedp.Click(chromedp.JSPath(arrow(4))))
	alone(4)
	for number := range 2 {
		page.do("press ↓", chromedp.KeyEvent(kb.ArrowDown))
		alone(5 + number)
	}
	page.do("press ↑", chromedp.KeyEvent(kb.ArrowUp))
	alone(5)
	page.do("go on with the mouse", chromedp.Click(chromedp.JSPath(`[...`+steps+`[4].parentElement.querySelectorAll('div > label')].find(l => l.textContent.startsWith('next'))`)))
	alone(6)
	inView(page, 6)
	page.screenshot("timeline")

	page.click(notebook, "docmanager:save")
	page.until("it is saved", fmt.Sprintf(`(fetch('/api/contents/my-notebooks/%s').then(r => r.text()).then(s => window.saved = s), window.saved?.includes('udpkit-sequence'))`, notebook))
	page.do("choose the dark theme", chromedp.Evaluate[chromedp.Void](`fetch('/lab/api/settings/@jupyterlab/apputils-extension:themes', {
		method: 'PUT', headers: {'X-XSRFToken': document.cookie.match(/_xsrf=([^;]*)/)[1]}, body: JSON.stringify({raw: '{"theme": "JupyterLab Dark"}'}),
	}).then(r => { window.chosen = r.status })`))
	page.until("it is chosen", `window.chosen === 204`)
	tab, _ := page.tab("/lab/workspaces/timeline/tree/my-notebooks/" + notebook)
	tab.do("set the size", chromedp.EmulateViewport(screens[0].width, screens[0].height))
	tab.until("it is dark", `document.body.dataset.jpThemeName === 'JupyterLab Dark'`)
	tab.until("the timeline is there again", fmt.Sprintf(`(p => {
		if (!p?.querySelector('.jp-Cell')) return false;
		const input = p.querySelector('.udpkit-sequence input');
		if (input) return input.scrollIntoView({block: 'center'}), p.querySelector('.udpkit-sequence label svg line').checkVisibility();
		p.querySelector('.jp-WindowedPanel-outer').scrollTop += 200;
	})(%s)`, panelOf(notebook)))
	inView(tab, 4)
	tab.do("click on one", chromedp.Click(chromedp.JSPath(arrow(4))))
	tab.until("it is open", steps+`[3].checked`)
	tab.screenshot("timeline-dark")
}
