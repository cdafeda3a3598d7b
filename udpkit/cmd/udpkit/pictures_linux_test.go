package main

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestPictures draws what the commands print, and what Wireshark and a timeline show of recordings,
// on two hosts with what is to be seen: a filter of broadcasts, loss, a clock that is 3 s behind.
// It needs chromium, iptables, wireshark, Xvfb, xdotool and import, of ImageMagick.
func TestPictures(t *testing.T) {
	if os.Getenv("UDPKIT_PICTURES") == "" {
		t.Skip("writes into the checkout: UDPKIT_PICTURES=1 go test ./udpkit/cmd/udpkit -run TestPictures")
	}
	if !testenv.Alone(t) {
		return
	}
	there := testenv.NewNeighbour(t)
	on := func(p *process) *process {
		var err error
		there.Do(func() { err = p.Start() })
		require.NoError(t, err)
		return p
	}
	filter := func(arguments ...string) {
		out, err := exec.Command("iptables", arguments...).CombinedOutput()
		assert.NoError(t, err, "%s", out)
	}
	printed := func(args ...string) string { p := command(t, args...); defer p.Wait(); return p.rest() }
	var shown []terminal

	there.Do(func() { filter("-A", "INPUT", "-m", "pkttype", "--pkt-type", "broadcast", "-j", "DROP") })
	on(prepare(t, "doctor", "--answer", "--json")).event("start")
	shown = append(shown, terminal{"udpkit doctor --with 10.77.0.2", printed("doctor", "--with", "10.77.0.2")})
	there.Do(func() { filter("-F") })

	filter("-A", "INPUT", "-i", "card", "-d", "10.77.0.255", "-p", "udp", "-m", "statistic", "--mode", "nth", "--every", "7", "--packet", "5", "-j", "DROP")
	server := on(prepare(t, "server", "--target", "10.77.0.255", "--interval", "200ms", "--json"))
	on(prepare(t, "server", "--target", "10.77.0.255", "--interval", "500ms", "--states", "UP,DOWN", "--max-messages", "8", "--json"))
	command(t, "client", "--name", "ann", "--json").event("start")
	here := command(t, "server", "--target", "127.255.255.255", "--interval", "1s", "--metrics", "9100", "--json")
	shown = append(shown, terminal{"udpkit top", printed("top", "--max-runtime", "8s")})
	answer, err := http.Get("http://127.0.0.1:9100/metrics")
	require.NoError(t, err)
	defer answer.Body.Close()
	metrics, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	some := regexp.MustCompile(`(?m)^(#.*| .*| 0|.* 0)\n`).ReplaceAll(metrics, nil)
	shown = append(shown, terminal{"udpkit server --metrics 9100 & curl -s localhost:9100/metrics | grep -v -e '#' -e ' 0$'", string(some)})
	require.NoError(t, here.Process.Kill())

	dir := t.TempDir()
	recording := filepath.Join(dir, "client.pcapng")
	command(t, "client", "--name", "ben", "--max-messages", "40", "--record", recording).rest()
	require.NoError(t, server.Process.Kill())

	var conn *net.UDPConn
	there.Do(func() { conn, err = net.ListenUDP("udp4", nil) })
	require.NoError(t, err)
	defer conn.Close()
	go behind(conn, 3*time.Second)
	shown = append(shown, terminal{"udpkit client", printed("client", "--name", "ann", "--max-messages", "5")})

	images := filepath.Join("..", "..", "..", "notebooks", "images")
	page := filepath.Join(dir, "page.html")
	var b bytes.Buffer
	require.NoError(t, terminals.Execute(&b, shown))
	require.NoError(t, os.WriteFile(page, b.Bytes(), 0o600))
	run := func(script string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "bash", append([]string{"-euc", script, "bash"}, args...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	run(`chromium --headless --no-sandbox --hide-scrollbars --force-device-scale-factor=1.5 --window-size=960,900 --screenshot="$1" "file://$2"`, absolute(t, images, "terminals.png"), page)

	at, from := filepath.Join(dir, "at.pcapng"), filepath.Join(dir, "from.pcapng")
	command(t, "weather", "--listen", "127.0.0.1:7000", "--to", "127.0.0.1:7001", "--loss", "35%", "--seed", "7", "--json").event("report")
	listener := command(t, "client", "--name", "ann", "--port", "7001", "--record", at, "--json")
	listener.event("start")
	printed("server", "--target", "127.0.0.1:7000", "--interval", "100ms", "--max-messages", "5", "--record", from)
	require.NoError(t, listener.Process.Signal(os.Interrupt))
	_ = listener.rest()
	require.NoError(t, os.WriteFile(page, []byte(printed("timeline", from, at)), 0o600))
	run(`chromium --headless --no-sandbox --hide-scrollbars --window-size=846,1010 --screenshot="$1" "file://$2"`, absolute(t, images, "timeline.png"), page)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "udpkit.lua"), []byte(printed("dissector")), 0o600))
	run(`mkdir -p .config/wireshark
printf 'gui.geometry_main_%s\n' 'x: 0' 'y: 0' 'width: 1200' 'height: 640' 'upper_pane: 300' 'lower_pane: 560' > .config/wireshark/recent
echo 'gui.toolbar_main_show: FALSE' >> .config/wireshark/recent
trap 'kill $(jobs -p)' EXIT
Xvfb :77 -screen 0 1200x640x24 & export DISPLAY=:77
until xdotool getmouselocation; do sleep 0.1; done
wireshark -X lua_script:udpkit.lua -r "$1" -Y udpkit -g 12 -o 'gui.column.format:"No.","%m","Time","%t","From","%uS","To","%uD","Info","%i","Comment","%Cus:frame.comment"' &
xdotool search --sync --onlyvisible --name "${1##*/}"
sleep 5
xdotool mousemove 300 580 click 1 key End key shift+Right key End mousemove 1190 630
sleep 2
import -window root "$2"`, recording, absolute(t, images, "wireshark.png"))
}

type terminal struct{ Command, Output string }

var terminals = template.Must(template.New("").Parse(`<!doctype html><meta charset="utf-8"><style>
body { margin: 10px; font: 12px/1.4 "DejaVu Sans Mono", monospace; }
pre { margin: 0 0 10px; padding: 8px 12px; border-radius: 6px; background: #1e1e1e; color: #e6e6e6; font: inherit; white-space: pre-wrap; }
b { color: #9cdcfe; }
</style>{{range .}}<pre><b>$ {{.Command}}</b>
{{.Output}}</pre>{{end}}`))

// absolute returns the path that a command in another directory needs.
func absolute(t *testing.T, elements ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(elements...))
	require.NoError(t, err)
	return path
}

// behind is a server whose clock is behind, until the connection is closed.
func behind(conn *net.UDPConn, by time.Duration) {
	now := func() time.Time { return time.Now().Add(-by) }
	go func() {
		for b := make([]byte, 2048); ; {
			n, from, err := conn.ReadFromUDP(b)
			if err != nil {
				return
			}
			received := now()
			if ack, err := udpkit.DecodeAck(b[:n]); err == nil && ack.Clock != 0 {
				_, _ = conn.WriteToUDP(fmt.Appendf(nil, "Time %s %d %d", ack.Clock, received.UnixNano(), now().UnixNano()), from)
			}
		}
	}()
	for id := uint64(1); ; id++ {
		status, err := udpkit.AppendMessage(nil, udpkit.Message{Timestamp: now().UTC().Format(time.RFC3339Nano), State: "ACTIVE", ID: id, Epoch: 0xa1, Interval: 500 * time.Millisecond, Clock: true})
		if err != nil {
			return
		}
		if _, err := conn.WriteToUDP(status, &net.UDPAddr{IP: net.IPv4(10, 77, 0, 255), Port: udpkit.DefaultPort}); err != nil {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
}
