package lab_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestBrowserPictures opens notebooks on a school's laptop, in the light and in the dark theme:
// each picture that is a file is shown, and not wider than its column.
func TestBrowserPictures(t *testing.T) {
	page := openLab(t)
	page.do("set the size", chromedp.EmulateViewport(screens[0].width, screens[0].height))
	for _, theme := range []struct {
		name     string
		pictures map[string]int // of notebooks
	}{{"Light", map[string]int{"index": 1}}, {"Dark", map[string]int{"index": 1, "sockets": 3, "relay_server": 2}}} {
		page.do("choose the theme", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`fetch('/lab/api/settings/@jupyterlab/apputils-extension:themes', {
			method: 'PUT', headers: {'X-XSRFToken': document.cookie.match(/_xsrf=([^;]*)/)[1]}, body: JSON.stringify({raw: '{"theme": "JupyterLab %s"}'}),
		}).then(r => { window.chosen = r.status })`, theme.name)))
		page.until("it is chosen", `window.chosen === 204`)
		for name, pictures := range theme.pictures {
			tab, closeTab := page.tab("/lab/workspaces/pictures/tree/my-notebooks/" + name + ".ipynb")
			tab.do("set the size", chromedp.EmulateViewport(screens[0].width, screens[0].height))
			tab.until("the theme is there", fmt.Sprintf(`document.body.dataset.jpThemeName === 'JupyterLab %s'`, theme.name))
			panel := panelOf(name + ".ipynb")
			// Cells out of view are not there: it scrolls until it has seen the end.
			tab.until("all pictures of "+name+" are shown", fmt.Sprintf(`(p => {
				if (!p?.querySelector('.jp-Cell')) return false;
				window.seen ??= new Set();
				for (const i of p.querySelectorAll('.jp-RenderedMarkdown img')) {
					if (i.naturalWidth && i.alt && i.clientWidth <= i.parentElement.clientWidth) window.seen.add(i.alt);
				}
				const outer = p.querySelector('.jp-WindowedPanel-outer');
				const end = outer.scrollTop + outer.clientHeight >= outer.scrollHeight - 2;
				if (!end) outer.scrollTop += 200;
				return end && window.seen.size >= %d;
			})(%s)`, pictures, panel))
			tab.until("the first picture is in view", fmt.Sprintf(`(p => {
				const i = p.querySelector('.jp-RenderedMarkdown img');
				if (!i) { p.querySelector('.jp-WindowedPanel-outer').scrollTop = 0; return false }
				i.scrollIntoView({block: 'center'});
				return true;
			})(%s)`, panel))
			tab.screenshot("picture-" + strings.ToLower(theme.name) + "-" + name)
			closeTab()
		}
	}
}
