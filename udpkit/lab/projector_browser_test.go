package lab_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

// TestBrowserProjector shows the server's large panel on a school's projector: who has joined and
// who is gone can be read from the back of the room, and nobody has to scroll.
func TestBrowserProjector(t *testing.T) {
	t.Setenv("UDPKIT_LARGE", "true")
	page := openLab(t)
	page.do("leave it, so that the kernel has one page", chromedp.Navigate("about:blank"))
	tab, closeTab := page.tab("/lab/workspaces/projector/tree/notebooks/server.ipynb")
	defer closeTab()
	tab.do("set the size", chromedp.EmulateViewport(1366, 768))
	const name = "server.ipynb"
	tab.until("it is open", panelOf(name)+`?.querySelector('.jp-Cell')`)
	tab.runAllCells(name)
	listen := netip.MustParseAddrPort("0.0.0.0:" + os.Getenv("UDPKIT_PORT"))
	var leave context.CancelFunc
	for _, id := range []string{"ann", "ben", "carla", "dora-of-the-second-row", "emil"} {
		client, err := udpkit.NewClient(udpkit.ClientConfig{Listen: listen, ID: id})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- client.Run(ctx) }()
		t.Cleanup(func() {
			stop()
			assert.NoError(t, <-ended)
			_ = client.Close()
		})
		leave = stop
	}
	shows := func(what string) {
		tab.until(what, fmt.Sprintf(`%s.textContent.includes(%q)`, last(name), what))
	}
	shows("5 here")
	tab.panelInView(name)
	tab.screenshot("projector-joined")
	leave()
	shows("4 here · 1 gone")
	for _, id := range []string{"ann", "ben", "carla", "dora-of-the-second-row", "emil"} {
		shows(id)
	}
	tab.panelInView(name)
	tab.until("all of it is large enough, and in view", fmt.Sprintf(`(p => {
		const view = %s.querySelector('.jp-WindowedPanel-outer').getBoundingClientRect(), at = p.getBoundingClientRect();
		return at.bottom <= view.bottom && at.right <= view.right
			&& [...p.querySelectorAll('*')].filter(e => e.textContent.trim()).every(e => parseFloat(getComputedStyle(e).fontSize) >= 28);
	})(%s.querySelector('.jp-RenderedHTML > div'))`, panelOf(name), last(name)))
	tab.screenshot("projector-gone")
	tab.interrupt(name)
	shows("ended: ")
}
