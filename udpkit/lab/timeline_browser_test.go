package lab_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestBrowserTimeline runs broadcast.ipynb and steps through its recording: opening one datagram
// closes the other.
func TestBrowserTimeline(t *testing.T) {
	const notebook = "broadcast.ipynb"
	page := openLab(t)
	page.do("set the size", chromedp.EmulateViewport(screens[0].width, screens[0].height))
	page.do("open the notebook", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`location.pathname = '/lab/tree/my-notebooks/%s'`, notebook)))
	page.until("it is open with its kernel", panelOf(notebook)+`?.querySelector('.jp-Toolbar-kernelName')?.textContent.includes('Go (gonb)')`)
	page.runAll(notebook)
	steps := `[...` + panelOf(notebook) + `.querySelectorAll('details[name^=sequence]')]`
	page.until("the timeline is drawn", steps+`.filter(d => d.querySelector('summary svg line')).length > 8`)
	page.until("the last exercise is checked", `[...`+panelOf(notebook)+`.querySelectorAll('.jp-OutputArea-output')].filter(o => o.textContent.includes('Not yet')).length === 2`)
	page.do("open one", chromedp.Evaluate[chromedp.Void](steps+`[1].querySelector('summary').click()`))
	page.until("it is open", steps+`[1].open`)
	page.do("open another", chromedp.Evaluate[chromedp.Void](steps+`[2].querySelector('summary').click()`))
	page.until("it alone is open", `(all => all[2].open && all.filter(d => d.open).length === 1)(`+steps+`)`)
	page.until("it is in view", `(d => d && (d.getBoundingClientRect().top > 0 && d.getBoundingClientRect().bottom < innerHeight || (d.scrollIntoView({block: 'center'}), false)))(`+steps+`[2])`)
	page.screenshot("timeline")
}
