package lab_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestBrowserNarrow shows what the committed roles show in columns of 640 pixels and less: nothing
// is wider than the column unless it scrolls, and no word is broken. Numbers have two digits more
// than they had in that run.
func TestBrowserNarrow(t *testing.T) {
	page := new(strings.Builder)
	page.WriteString(`<!DOCTYPE html><meta charset="utf-8"><style>body{font-family:sans-serif;margin:0} img{max-width:100%}</style>`)
	shown := 0
	for _, name := range []string{"server", "client", "chat_server", "chat_client", "relay_server", "relay_writer", "relay_reader", "top", "weather"} {
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
				fmt.Fprintf(page, "<section id=%q>%s</section>\n", fmt.Sprintf("%s-%d", name, i), strings.Join(html, ""))
			}
		}
	}
	require.GreaterOrEqual(t, shown, 9)
	file := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(file, []byte(page.String()), 0o600))
	tab := &labPage{t: t, ctx: openBrowser(t, t.Context())}
	tab.do("open the page", chromedp.Navigate("file://"+file))
	for _, width := range []int{640, 520} {
		wrong, err := chromedp.Run(tab.ctx, chromedp.Evaluate[[]string](fmt.Sprintf(`(width => {
			const wrong = [];
			for (const section of document.querySelectorAll('section')) {
				section.style.width = width + 'px';
				const scrolls = e => e !== section && (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
				const texts = document.createTreeWalker(section, NodeFilter.SHOW_TEXT), nodes = [];
				while (texts.nextNode()) if (getComputedStyle(texts.currentNode.parentElement).visibility !== 'hidden') nodes.push(texts.currentNode);
				if (width === 640) for (const n of nodes) if (/^\d[\d,]*$/.test(n.textContent.trim())) n.textContent += '77';
				const right = section.getBoundingClientRect().right + 1;
				for (const e of section.querySelectorAll('*')) {
					if (e.getBoundingClientRect().right > right && !scrolls(e.parentElement)) { wrong.push(section.id + ' is too wide: ' + e.textContent.trim().slice(0, 60)); break }
				}
				for (const n of nodes) {
					if (n.parentElement.closest('pre')) continue; // code, or bytes
					for (const word of n.textContent.matchAll(/\S+/g)) {
						if (word[0].length > 24 || /[-–…\/·]/.test(word[0])) continue; // may break
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
