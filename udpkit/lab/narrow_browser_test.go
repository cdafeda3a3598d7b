package lab_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestBrowserNarrow shows what the committed notebooks show in columns of 640 pixels and less, with
// the rules that JupyterLab has for pictures: nothing is wider than the column unless it scrolls,
// no word is broken, and the letters of a timeline have 11 pixels. Roles have 360 pixels as well,
// which is what three of them side by side have in a small window, and their numbers have two
// digits more than they had in that run.
func TestBrowserNarrow(t *testing.T) {
	page := new(strings.Builder)
	page.WriteString(`<!DOCTYPE html><meta charset="utf-8"><style>body{font-family:sans-serif;margin:0} img,svg{max-width:100%;height:auto}</style>`)
	shown := 0
	roles := []string{"server", "client", "chat_server", "chat_client", "relay_server", "relay_writer", "relay_reader", "top", "weather"}
	lessons := []string{"sockets", "broadcast", "nonblocking", "chat", "concurrency", "relay"}
	for _, name := range slices.Concat(roles, lessons) {
		data, err := os.ReadFile(filepath.Join("..", "..", "notebooks", name+".ipynb"))
		require.NoError(t, err)
		var notebook struct {
			Cells []struct {
				Outputs []struct {
					Data map[string]json.RawMessage `json:"data"`
				} `json:"outputs"`
			} `json:"cells"`
		}
		require.NoError(t, json.Unmarshal(data, &notebook))
		for i, c := range notebook.Cells {
			for _, o := range c.Outputs {
				var html []string
				if json.Unmarshal(o.Data["text/html"], &html) != nil {
					continue
				}
				shown++
				fmt.Fprintf(page, "<section id=%q data-role=\"%v\">%s</section>\n", fmt.Sprintf("%s-%d", name, i), slices.Contains(roles, name), strings.Join(html, ""))
			}
		}
	}
	require.GreaterOrEqual(t, shown, 30)
	file := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(file, []byte(page.String()), 0o600))
	tab := &labPage{t: t, ctx: openBrowser(t, t.Context())}
	tab.do("open the page", chromedp.Navigate("file://"+file))
	for _, width := range []int{640, 520, 360} {
		wrong, err := chromedp.Run(tab.ctx, chromedp.Evaluate[[]string](fmt.Sprintf(`(width => {
			const wrong = [];
			for (const section of document.querySelectorAll(width < 500 ? '[data-role="true"]' : 'section')) {
				section.style.width = width + 'px';
				const scrolls = e => e !== section && (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
				const texts = document.createTreeWalker(section, NodeFilter.SHOW_TEXT), nodes = [];
				while (texts.nextNode()) if (getComputedStyle(texts.currentNode.parentElement).visibility !== 'hidden') nodes.push(texts.currentNode);
				if (width === 640 && section.dataset.role === 'true') for (const n of nodes) if (/^\d[\d,]*$/.test(n.textContent.trim())) n.textContent += '77';
				const right = section.getBoundingClientRect().right + 1;
				for (const e of section.querySelectorAll('*')) {
					if (e.getBoundingClientRect().right > right && !scrolls(e.parentElement)) { wrong.push(section.id + ' is too wide: ' + e.textContent.trim().slice(0, 60)); break }
				}
				for (const letters of section.querySelectorAll('svg text')) {
					const size = parseFloat(getComputedStyle(letters).fontSize) * letters.getScreenCTM().a;
					if (size < 10.9) { wrong.push(section.id + ' has letters of ' + size.toFixed(1) + ' pixels: ' + letters.textContent); break }
				}
				for (const n of nodes) {
					if (n.parentElement.closest('pre')) continue; // code, or bytes
					for (const word of n.textContent.matchAll(/\S+/g)) {
						if (word[0].length > 24 || /[-–…\/·]|^[0-9a-f]{16,}/.test(word[0])) continue; // may break
						const range = document.createRange();
						range.setStart(n, word.index);
						range.setEnd(n, word.index + word[0].length);
						if (new Set([...range.getClientRects()].map(r => Math.round(r.top))).size > 1) wrong.push(section.id + ' breaks ' + word[0]);
					}
				}
			}
			return wrong;
		})(%d)`, width)))
		require.NoError(t, err)
		require.Empty(t, wrong, "at %d pixels", width)
	}
}
