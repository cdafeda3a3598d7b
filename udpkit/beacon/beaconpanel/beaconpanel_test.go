package beaconpanel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = netip.MustParseAddr("127.255.255.255")

// radarConfig is a beacon on a port of its own, and say is a peer that sends it datagrams.
func radarConfig(t *testing.T) (cfg beacon.Config, say func(string)) {
	t.Helper()
	port := testenv.FreePort(t)
	held, err := udp.Listen(t.Context(), netip.AddrPortFrom(netip.IPv4Unspecified(), port), udp.Options{Reuse: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = held.Close() })
	cfg = beacon.Config{
		Name: "ann", Port: port, Targets: []netip.AddrPort{netip.AddrPortFrom(loopback, 0)},
		Interval: 20 * time.Millisecond, MaxRuntime: 20 * time.Second,
	}
	return cfg, func(text string) {
		_, err := held.WriteToUDPAddrPort([]byte(text), netip.AddrPortFrom(loopback, port))
		assert.NoError(t, err)
	}
}

// buffer is an io.Writer that can be read while others write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) until(t *testing.T, part string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(b.String(), part) }, 30*time.Second, time.Millisecond, part)
}

func TestLines(t *testing.T) {
	cfg, say := radarConfig(t)
	var kinds []string
	cfg.OnEvent = func(e beacon.Event) { kinds = append(kinds, e.Kind()) }
	out := new(buffer)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg, Options{Out: out}) }()
	out.until(t, "Beacon ann, id ")
	say("HELLO|<cat>|0123456789abcdef")
	out.until(t, "appeared  <cat> at 127.0.0.1\n")
	say("HELLO|dog|0123456789abcdef")
	out.until(t, "renamed   dog at 127.0.0.1, was <cat>\n")
	say("HELLO|")
	out.until(t, "appeared  (no name) at ")
	say("BYE|dog|0123456789abcdef")
	out.until(t, "left      dog at ")
	stop()
	require.NoError(t, <-done)
	text := out.String()
	assert.Contains(t, text, "Ended: interrupted, ")
	assert.Contains(t, text, "1 there, 2 came, 1 left, 0 expired, 0 refused")
	assert.NotContains(t, text, "\x1b")
	assert.NotContains(t, text, "\r")
	assert.Equal(t, []string{"start", "appeared", "renamed", "appeared", "left", "summary"}, kinds)
}

func TestTimeIsUp(t *testing.T) {
	cfg, _ := radarConfig(t)
	cfg.MaxRuntime = time.Millisecond
	out := new(buffer)
	require.NoError(t, Run(t.Context(), cfg, Options{Out: out}))
	assert.Contains(t, out.String(), "Ended: time is up, ")
}

func TestCannotStart(t *testing.T) {
	out := new(buffer)
	assert.ErrorIs(t, Run(t.Context(), beacon.Config{Interval: -1}, Options{Out: out}), beacon.ErrConfig)
	assert.Empty(t, out.String())
}

// window is a terminal.
type window struct {
	*console.Screen
	width, height int
}

func (w window) Window() (width, height int) { return w.width, w.height }

func textOn(out io.Writer, width, height int) *text {
	return &text{Display: window{console.NewScreen(out), width, height}}
}

// TestTerminal: each table is drawn over the last one, and never taller than the screen.
func TestTerminal(t *testing.T) {
	out := new(buffer)
	screen := textOn(out, 40, 10)
	p := somePicture(30)
	require.NoError(t, screen.event(p.Start, p))
	require.NoError(t, screen.tick(p))
	p.Peers = p.Peers[:2]
	require.NoError(t, screen.tick(p))
	p.Ended = "interrupted"
	require.NoError(t, screen.end(p))
	tables := strings.SplitAfter(out.String(), "\x1b[?7h")
	require.Len(t, tables, 5)
	drawn := 0
	for i, table := range tables[:4] {
		before, table, ok := strings.Cut(table, "\x1b[?7l")
		require.True(t, ok)
		if i > 0 {
			assert.Equal(t, fmt.Sprintf("\r\x1b[%dA", drawn), before, "the cursor goes back to where the table began")
		}
		table, ok = strings.CutSuffix(table, "\x1b[J\x1b[?7h")
		require.True(t, ok)
		for line := range strings.Lines(table) {
			line, ok = strings.CutPrefix(line, "\x1b[2K")
			require.True(t, ok)
			assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 40)
		}
		drawn = strings.Count(table, "\n")
		assert.Less(t, drawn, 10)
		if i < 2 {
			assert.Contains(t, table, "peer 5")
			assert.NotContains(t, table, "peer 6")
			assert.Contains(t, table, "and 24 more\n")
			assert.Contains(t, table, "…")
		} else {
			assert.NotContains(t, table, "more")
			assert.Contains(t, table, "appeared", "there is room for the changes")
		}
	}
	assert.Contains(t, out.String(), "Ended: interrupted")
}

// TestWideNames: names with wide characters leave the columns in line, and are cut to what the
// window has room for.
func TestWideNames(t *testing.T) {
	p := somePicture(3)
	p.Peers[1].Name, p.Peers[2].Name = "Bø日本", strings.Repeat("日本", 20)
	rows := tableLines(p, 10)[1:5]
	column := strings.Index(rows[0], "ADDRESS")
	for _, row := range rows[1:] {
		name, _, ok := strings.Cut(row, "10.0.0.7")
		require.True(t, ok)
		// As in a terminal, each of the two takes two columns.
		assert.Equal(t, column, utf8.RuneCountInString(name)+strings.Count(name, "日")+strings.Count(name, "本"), row)
	}
	out := new(buffer)
	require.NoError(t, textOn(out, 20, 10).tick(p))
	assert.Contains(t, out.String(), "\x1b[2K日本日本日本日本日…\n")
}

func somePicture(peers int) picture {
	now := time.Now()
	p := picture{
		Start: beacon.StartEvent{At: now, Name: "ann", ID: 7, Port: 3400, Targets: []netip.AddrPort{netip.AddrPortFrom(loopback, 3400)}, Interval: time.Second},
		Stats: beacon.Stats{Peers: peers, Refused: 3}, Now: now,
	}
	for i := range peers {
		peer := beacon.Peer{
			Name: fmt.Sprint("peer ", i), ID: beacon.ID(i), Addr: netip.MustParseAddrPort("10.0.0.7:9"),
			FirstSeen: now.Add(-90 * time.Second), LastSeen: now.Add(-300 * time.Millisecond), Heard: 12,
		}
		p.Peers = append(p.Peers, peer)
		p.note(beacon.PeerEvent{Change: beacon.Appeared, Peer: peer, At: now})
	}
	return p
}

func TestPage(t *testing.T) {
	p := somePicture(60)
	p.Peers[3].Name = `<script>alert(1)</script>`
	p.note(beacon.PeerEvent{Change: beacon.Renamed, Peer: p.Peers[3], Was: `<img onerror=x>`, At: p.Now})
	p.note(beacon.ErrorEvent{Text: "<b>", Interface: "card"})
	require.Len(t, p.Changes, changesShown)
	for _, ended := range []string{"", "interrupted"} {
		p.Ended = ended
		var html bytes.Buffer
		require.NoError(t, pageTemplate.ExecuteTemplate(&html, "beacon", p))
		for _, part := range []string{"peer 49", "and 10 more", "&lt;script&gt;alert(1)", "1m30s", "10.0.0.7", "3 refused", "card: &lt;b&gt;", "id 0000000000000007"} {
			assert.Contains(t, html.String(), part)
		}
		for _, part := range []string{"<script", "<img", "<b>:", "peer 50", "ZgotmplZ"} {
			assert.NotContains(t, html.String(), part)
		}
	}
	p.note(beacon.ErrorEvent{Text: "<b>", Interface: "card", Ended: true})
	assert.Empty(t, p.Failures)
	require.NoError(t, pageTemplate.ExecuteTemplate(new(bytes.Buffer), "beacon", somePicture(0)))
}

type failing struct{}

var errFull = errors.New("full")

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestWriteFails(t *testing.T) {
	cfg, _ := radarConfig(t)
	assert.ErrorIs(t, Run(t.Context(), cfg, Options{Out: failing{}}), errFull)
}

// TestKeyIsShown: that there is a key, and what it has refused.
func TestKeyIsShown(t *testing.T) {
	p := somePicture(1)
	show := func() (lines, html string) {
		out := new(buffer)
		screen := textOn(out, 0, 0)
		require.NoError(t, screen.event(p.Start, p))
		require.NoError(t, screen.end(p))
		var page bytes.Buffer
		require.NoError(t, pageTemplate.ExecuteTemplate(&page, "beacon", p))
		return out.String(), page.String()
	}
	lines, html := show()
	assert.NotContains(t, lines+html, "key")
	assert.NotContains(t, lines+html, "believed")
	assert.NotContains(t, lines, "untrusted")
	p.Start.Key = "sealed"
	p.Stats.Untrusted = key.Refused{Unsigned: 3, Repeated: 1}
	lines, html = show()
	assert.Contains(t, lines, ", sealed with the key. Ctrl-C")
	assert.Contains(t, lines, "untrusted  3 unsigned, 1 repeated")
	assert.Contains(t, html, ", sealed with the key")
	assert.Contains(t, html, "not believed: 3 unsigned, 1 repeated")
}
