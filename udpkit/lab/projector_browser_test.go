package lab_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

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
	tab, closeTab := page.tab("/lab/workspaces/projector/tree/my-notebooks/server.ipynb")
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
	tab.largeInView(name)
	tab.screenshot("projector-gone")
	tab.interrupt(name)
	shows("ended: ")
}

// TestBrowserTop shows who broadcasts on the same projector, and the class that listens.
func TestBrowserTop(t *testing.T) {
	page := openLab(t)
	page.do("leave it, so that the kernel has one page", chromedp.Navigate("about:blank"))
	tab, closeTab := page.tab("/lab/workspaces/projector/tree/my-notebooks/top.ipynb")
	defer closeTab()
	tab.do("set the size", chromedp.EmulateViewport(1366, 768))
	const name = "top.ipynb"
	tab.until("it is open", panelOf(name)+`?.querySelector('.jp-Cell')`)
	tab.runAllCells(name)
	shows := func(what string) {
		tab.until(what, fmt.Sprintf(`%s.textContent.includes(%q)`, last(name), what))
	}
	shows("No server is heard yet.")
	port := netip.MustParseAddrPort("0.0.0.0:" + os.Getenv("UDPKIT_PORT"))
	run := func(role interface {
		Run(context.Context) error
		Close() error
	}, err error) (stop func()) {
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- role.Run(ctx) }()
		stop = sync.OnceFunc(func() {
			cancel()
			assert.NoError(t, <-ended)
			_ = role.Close()
		})
		t.Cleanup(stop)
		return stop
	}
	here := udpkit.ListTargets(netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), port.Port()))
	for _, id := range []string{"ann", "ben"} {
		run(udpkit.NewClient(udpkit.ClientConfig{Listen: port, ID: id}))
	}
	server, err := udpkit.NewServer(udpkit.ServerConfig{Targets: here, Interval: 500 * time.Millisecond})
	run(server, err)
	leave := run(udpkit.NewServer(udpkit.ServerConfig{Targets: here, Interval: 300 * time.Millisecond, States: []udpkit.State{"MAINTENANCE"}}))
	shows("2 servers up")
	require.Eventually(t, func() bool { return server.Stats().Acks >= 8 }, 30*time.Second, 10*time.Millisecond)
	tab.panelInView(name)
	tab.largeInView(name)
	tab.screenshot("top-running")
	leave()
	shows("1 server up, 0 silent, 1 ended")
	tab.panelInView(name)
	tab.largeInView(name)
	tab.screenshot("top-ended")
	assert.Equal(t, 2, server.Stats().Clients, "nobody knows of the notebook")
	tab.interrupt(name)
	shows("ended: interrupted")
	tab.screenshot("top-interrupted")
}

// largeInView waits for a notebook's last panel to be in view as a whole, with no small letter.
func (p *labPage) largeInView(name string) {
	p.t.Helper()
	p.until("all of it is large enough, and in view", fmt.Sprintf(`(p => {
		const view = %s.querySelector('.jp-WindowedPanel-outer').getBoundingClientRect(), at = p.getBoundingClientRect();
		return at.bottom <= view.bottom && at.right <= view.right
			&& [...p.querySelectorAll('*')].filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && e.localName !== 'style' && getComputedStyle(e).visibility !== 'hidden').every(e => parseFloat(getComputedStyle(e).fontSize) >= 28
				&& e.getBoundingClientRect().right <= at.right);
	})(%s.querySelector('.jp-RenderedHTML > div'))`, panelOf(name), last(name)))
}
