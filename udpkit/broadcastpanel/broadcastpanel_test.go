package broadcastpanel_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/broadcastpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

func TestText(t *testing.T) {
	client, targets := startClient(t, udpkit.ClientConfig{ID: "c1"}, broadcastpanel.Options{})
	server := startServer(t, udpkit.ServerConfig{Targets: targets, Interval: 10 * time.Millisecond}, broadcastpanel.Options{Verbose: true})
	for range 3 {
		wait[udpkit.AckEvent](t, server)
		wait[udpkit.MessageEvent](t, client)
	}
	for !strings.Contains(client.out.String(), "±") {
		wait[udpkit.MessageEvent](t, client)
	}
	text := server.end(t)
	require.Regexp(t, `\n  buffer +[0-9.]+ [KM]iB`, text)
	require.Regexp(t, `\n  times told +1, and 0 were not\n`, text)
	require.Contains(t, text, "#1 sent to 1 target")
	require.Contains(t, text, "#1 by c1 at 127.0.0.1:")
	require.Contains(t, text, "Ended: interrupted")
	require.Contains(t, text, "round trip    median ")
	text = client.end(t)
	require.Contains(t, text, "Client c1 listens on 127.0.0.1:")
	require.Regexp(t, `ACTIVE +#1 sent [0-9:.]+ by 127\.0\.0\.1:[0-9]+, latency [0-9.]+[nµm]s if both clocks agree\n`, text)
	require.Regexp(t, `#[0-9]+ sent [0-9:.]+ by 127\.0\.0\.1:[0-9]+, latency [0-9.]+[nµm]?s ± [0-9.]+[nµm]?s\n`, text)
	require.Contains(t, text, "Ended: interrupted")
	require.Contains(t, text, "missed        0, 0 gaps")
	require.Regexp(t, `\n  buffer +[0-9.]+ [KM]iB`, text)
	require.NotContains(t, text, "\x1b", "colours are for terminals")
	require.NotContains(t, text, "\r", "the indicator is for terminals")
}

// TestLog: a server's log has a line a message, and one for each client that comes or vanishes.
func TestLog(t *testing.T) {
	client, targets := startClient(t, udpkit.ClientConfig{ID: "c1"}, broadcastpanel.Options{})
	server := startServer(t, udpkit.ServerConfig{Targets: targets, Interval: 50 * time.Millisecond}, broadcastpanel.Options{})
	for range 3 {
		wait[udpkit.AckEvent](t, server)
	}
	client.end(t)
	for !strings.Contains(server.out.String(), "vanished") {
		wait[udpkit.SentEvent](t, server)
	}
	text := server.end(t)
	require.Regexp(t, `  client       c1 at 127\.0\.0\.1:[0-9]+ has come\n`, text)
	require.Regexp(t, `  client       c1 at 127\.0\.0\.1 has vanished: the last 3 messages are not acknowledged\n`, text)
	require.Regexp(t, `  [A-Z]+ +#[34] sent to 1 target; 1 client, [23] acknowledgements so far\n`, text)
	require.Equal(t, 2, strings.Count(text, " c1 "), text)
	require.NotContains(t, text, "round trip 1")
	require.NotContains(t, text, "nobody has acknowledged", "one has")
}

// TestUnanswered: a server whose messages reach nobody says once what to look at.
func TestUnanswered(t *testing.T) {
	silent, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	require.NoError(t, err)
	defer silent.Close()
	targets, err := udpkit.ParseTargets(silent.LocalAddr().String())
	require.NoError(t, err)
	server := startServer(t, udpkit.ServerConfig{Targets: targets, Interval: 100 * time.Millisecond}, broadcastpanel.Options{})
	for !strings.Contains(server.out.String(), "nobody has acknowledged") {
		wait[udpkit.SentEvent](t, server)
	}
	for range 5 {
		wait[udpkit.SentEvent](t, server)
	}
	text := server.end(t)
	require.Equal(t, 1, strings.Count(text, "nobody has acknowledged"), text)
	require.Contains(t, text, "a Docker network with internal: true")
	require.NotContains(t, strings.SplitAfter(text, "#3 sent")[0], "nobody has acknowledged", "not at once")
}

// A person is told where the system grants a much smaller receive buffer, and nothing at the start
// where it does not.
func TestReadBuffer(t *testing.T) {
	client, _ := startClient(t, udpkit.ClientConfig{}, broadcastpanel.Options{})
	text := client.end(t)
	sum := udpkit.ClientSummary{}
	for len(client.events) > 0 {
		if e, ok := (<-client.events).(udpkit.ClientSummary); ok {
			sum = e
		}
	}
	require.Positive(t, sum.ReadBuffer)
	small := sum.ReadBuffer < udpkit.ReadBufferSize/2
	require.Equal(t, small, strings.Contains(text, "\n  receive buffer "), text)
	require.Equal(t, small, strings.Contains(text, " of the 4 MiB asked for"), text)
}

// hostile datagrams must not get a raw control or invisible character onto a terminal. The decoder
// refuses most of them; what it lets through is quoted.
func TestTextFromTheNetwork(t *testing.T) {
	client, targets := startClient(t, udpkit.ClientConfig{}, broadcastpanel.Options{})
	list, err := targets.Resolve(0)
	require.NoError(t, err)
	conn, err := net.Dial("udp", list[0].String())
	require.NoError(t, err)
	defer conn.Close()
	send := func(timestamp, state, id string) {
		_, err := conn.Write([]byte(`{"timestamp":"` + timestamp + `","state":"` + state + `","message_id":` + id + `}`))
		require.NoError(t, err)
	}
	for i, bad := range []string{`\u001b[2J`, `\u202e`, `\u0085`, `\u200b`, "\u3164", "A\ufe0f", `<script>alert(1)</script>`} {
		send(bad, bad, string(rune('1'+i)))
	}
	send("now", "DOUBTFUL", `"19"`)
	send("now", "DATA", `18,"data":{"<b>":"`+"\u202e"+`\u001b[2J`+strings.Repeat("x", 100)+`"}`)
	send("now", "GAP", "20")
	for e := range client.events {
		if m, ok := e.(udpkit.MessageEvent); ok && m.MessageID == 20 {
			break
		}
	}
	text := client.end(t)
	require.Equal(t, panel.Printable(strings.ReplaceAll(text, "\n", "")), strings.ReplaceAll(text, "\n", ""))
	require.Contains(t, text, "missing")
	require.Contains(t, text, "refused 1 datagram from "+conn.LocalAddr().String()+": message_id is not an integer")
	require.Contains(t, text, `, data {"<b>":"\u202e\u001b[2Jxxx`)
	require.Contains(t, text, "xxx…\n", "a long one is cut")
	require.Contains(t, text, "<script>alert(1)</script>", "text is not HTML")
}

func TestLimitsEnd(t *testing.T) {
	client, targets := startClient(t, udpkit.ClientConfig{MaxMessages: 2}, broadcastpanel.Options{})
	server := startServer(t, udpkit.ServerConfig{Targets: targets, Interval: time.Millisecond, MaxRuntime: 200 * time.Millisecond}, broadcastpanel.Options{})
	require.NoError(t, <-client.err)
	require.Contains(t, client.out.String(), "Ended: after 2 messages")
	require.NoError(t, <-server.err)
	require.Contains(t, server.out.String(), "Ended: time is up")
}

func TestJSONAndHistory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.jsonl")
	require.NoError(t, os.WriteFile(file, bytes.Repeat([]byte("of an earlier run\n"), 1000), 0o600))
	client, targets := startClient(t, udpkit.ClientConfig{ID: "c1", MaxMessages: 3}, broadcastpanel.Options{JSON: true, History: file})
	server := startServer(t, udpkit.ServerConfig{Targets: targets, Interval: time.Millisecond}, broadcastpanel.Options{JSON: true})
	require.NoError(t, <-client.err)
	history, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, client.out.String(), string(history))
	var kinds []string
	for e, err := range udpkit.ReadJournal(strings.NewReader(string(history))) {
		require.NoError(t, err)
		kinds = append(kinds, e.Kind())
	}
	require.Equal(t, []string{"start", "message", "message", "message", "summary"}, kinds)
	for e, err := range udpkit.ReadJournal(strings.NewReader(server.end(t))) {
		require.NoError(t, err)
		require.NotEqual(t, "message", e.Kind())
	}
}

// TestHistoryIsPrivate: it has the names and addresses of all who were there.
func TestHistoryIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	file := filepath.Join(t.TempDir(), "history.jsonl")
	for _, mode := range []fs.FileMode{0o600, 0o640} {
		client, _ := startClient(t, udpkit.ClientConfig{MaxRuntime: time.Millisecond}, broadcastpanel.Options{History: file})
		require.NoError(t, <-client.err)
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode())
		require.NoError(t, os.Chmod(file, 0o640)) // one that exists keeps its mode
	}
}

func TestStateByHand(t *testing.T) {
	in, keyboard := io.Pipe()
	server := startServer(t, udpkit.ServerConfig{
		Targets: udpkit.ListTargets(discard(t)), Interval: time.Millisecond, States: []udpkit.State{"CYCLE"},
	}, broadcastpanel.Options{Input: in})
	until := func(state udpkit.State) {
		t.Helper()
		for wait[udpkit.SentEvent](t, server).State != state {
		}
	}
	until("CYCLE")
	for _, step := range []struct {
		line  string
		state udpkit.State
	}{{"ERROR\n", "ERROR"}, {"\n", "CYCLE"}, {" out to lunch \n", "out to lunch"}, {"\x1b[2J\n", "out to lunch"}, {"auto\n", "CYCLE"}} {
		_, err := io.WriteString(keyboard, step.line)
		require.NoError(t, err)
		until(step.state)
	}
	require.NoError(t, keyboard.Close())
	text := server.end(t)
	require.Contains(t, text, `\x1b[2J`)
	require.NotContains(t, text, "\x1b")
}

func TestStateFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.txt")
	require.NoError(t, os.WriteFile(file, []byte("ERROR\n"), 0o600))
	server := startServer(t, udpkit.ServerConfig{
		Targets: udpkit.ListTargets(discard(t)), Interval: 10 * time.Millisecond, States: []udpkit.State{"CYCLE"},
	}, broadcastpanel.Options{StateFile: file})
	until := func(state udpkit.State) {
		t.Helper()
		for wait[udpkit.SentEvent](t, server).State != state {
		}
	}
	until("ERROR")
	require.NoError(t, os.Remove(file))
	until("CYCLE")
	server.end(t)
}

// discard returns an address that takes datagrams and does nothing.
func discard(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none", "history.jsonl")
	err := broadcastpanel.Client(t.Context(), udpkit.ClientConfig{}, broadcastpanel.Options{Out: io.Discard, History: missing})
	require.ErrorIs(t, err, os.ErrNotExist)
	err = broadcastpanel.Server(t.Context(), udpkit.ServerConfig{Interval: -1}, broadcastpanel.Options{Out: io.Discard})
	require.ErrorIs(t, err, udpkit.ErrConfig)

	// A role that cannot start leaves the last one's history alone.
	file := filepath.Join(t.TempDir(), "history.jsonl")
	require.NoError(t, os.WriteFile(file, []byte("kept"), 0o600))
	err = broadcastpanel.Client(t.Context(), udpkit.ClientConfig{ID: "\x1b"}, broadcastpanel.Options{Out: io.Discard, History: file})
	require.ErrorIs(t, err, udpkit.ErrConfig)
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "kept", string(kept))
}

// full is a disk or a pipe that takes no more.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteFails(t *testing.T) {
	for _, json := range []bool{false, true} {
		server := startServer(t, udpkit.ServerConfig{Targets: udpkit.ListTargets(discard(t))}, broadcastpanel.Options{Out: full{}, JSON: json})
		require.ErrorIs(t, <-server.err, errFull)
	}
}
