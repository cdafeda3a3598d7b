package lab_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestBrowserExercise does what a student does: runs a lesson's first cell and an exercise with the
// answer that it has, which is wrong, copies the solution into the cell, and is told that it is
// right.
func TestBrowserExercise(t *testing.T) {
	const notebook = "broadcast.ipynb"
	page := openLab(t)
	page.do("open the notebook", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`location.pathname = '/lab/tree/my-notebooks/%s'`, notebook)))
	page.until("it is open with its kernel", panelOf(notebook)+`?.querySelector('.jp-Toolbar-kernelName')?.textContent.includes('Go (gonb)')`)
	page.runCell(notebook, "func must", "")
	scroll := func(to string) {
		page.until("it is in view", fmt.Sprintf(`(e => e ? (e.scrollIntoView({block: 'center'}), true) : (%s.querySelector('.jp-WindowedPanel-outer').scrollTop += 300, false))(%s)`, panelOf(notebook), to))
	}
	cell := cellWith(notebook, "broadcast.CheckGaps")
	scroll(cell)
	says := func(what string) {
		t.Helper()
		page.until("it says "+what, fmt.Sprintf(`%s.querySelector('.jp-OutputArea').textContent.includes(%q)`, cell, what))
	}
	page.runCell(notebook, "broadcast.CheckGaps", "")
	says("Not yet")
	page.screenshot("exercise-wrong")

	folded := fmt.Sprintf(`[...%s.querySelectorAll('details')].find(d => d.textContent.includes('func gaps'))`, panelOf(notebook))
	scroll(folded)
	page.do("unfold the solution", chromedp.Click(chromedp.JSPath(folded+`.querySelector('summary')`)))
	solution, err := chromedp.Run(page.ctx, chromedp.Evaluate[string](folded+`.querySelector('code').textContent`))
	require.NoError(t, err)
	require.Regexp(t, `(?s)^func gaps.*}\s*$`, solution)
	scroll(cell)
	page.do("click into the cell", chromedp.Click(chromedp.JSPath(cell+`.querySelector('.cm-line')`)))
	page.do("select all", chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	page.do("paste", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(pasted => {
		pasted.setData('text/plain', %q);
		document.activeElement.dispatchEvent(new ClipboardEvent('paste', {clipboardData: pasted, bubbles: true, cancelable: true}));
	})(new DataTransfer())`, solution+"\n%%\npanel.Main(func(ctx context.Context) error { return broadcast.CheckGaps(ctx, gaps) })\n")))
	page.runCell(notebook, "broadcast.CheckGaps", "")
	says("✓")
	page.until("all of it is in view", `(o => { const {top, bottom} = o.getBoundingClientRect(); return top > 100 && bottom < innerHeight - 20 || (o.scrollIntoView({block: 'center'}), false) })(`+cell+`.querySelector('.jp-OutputArea'))`)
	page.screenshot("exercise-right")
}
