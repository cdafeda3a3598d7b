package lab

import (
	"bytes"
	"context"
	"html"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
)

// The committed outputs of server.ipynb and client.ipynb are of one run, as their texts tell: what
// the server sends to this client goes through the weather, with two others it has nothing between.
// The server is run twice.
const (
	rainy     = "rainy" // the client's id
	rainyPort = "7001"
	// With this seed, one message of each run is lost and comes again, and one answer of the first.
	rainySeed = 15464
	heardLast = 11 // of the first run
)

// TestRolesOutputs: the committed outputs of server.ipynb and client.ipynb show what their texts
// say of them: a loss and what came again, a gap, a restart.
func TestRolesOutputs(t *testing.T) {
	for _, test := range []struct {
		notebook        string
		shown, pictured []string // as patterns
		told            []string // in its cells
	}{
		{
			"server",
			[]string{
				`sends every 5s from \S+ to 127\.255\.255\.255:37020, 127\.0\.0\.1:7000 `, `ended: time is up , it ran for 47\.5s`, ` 11 messages sent 3 clients `,
				`(\d+µs|\d(\.\d+)?ms) median round trip`, ` rainy 127\.0\.0\.1:7000 #9 .* 20 % `, `· 1 message sent again`,
			},
			[]string{`messages sent: 11, clients: 3, acknowledgements: 28"`},
			[]string{
				`"37020", "port`, `5*time.Second, "time between`, "127.255.255.255,127.0.0.1:7000 --max-runtime=47.5s", "three clients", "Message 6 did not reach", "came: it is the one that was **sent again**",
				"Message 8 did reach", "Message 10 was lost", "2 of 10 are the 20 %", "Message 11 is the goodbye", "about a millisecond: less if", "a few if it is busy",
			},
		},
		{
			"client",
			[]string{
				` rainy ended: after 15 messages `, `listens on 0\.0\.0\.0:7001, receiver goroutine`, ` 1 missed `, ` 5s median interval `,
				`#5 was the last message .*#10 missing .*#3 repaired \w+ \S+ \S+ 5\.\d*s ± .*#4 .*#2 .*#1 .*#11 was the last message`,
				` 1 gap · 2 repaired · 0 late `, ` 2 server runs heard `,
			},
			[]string{`messages received: 15, gaps: 1"`},
			[]string{
				"--id=rainy --port=7001 --max-messages=15", "--to=127.0.0.1:7001 --sky=loss=20%", "message 3 is above 4", "5 seconds old", "*2 repaired* was message 6",
				"message 10 of the first run", "Its last one, 11,", "13 to 26 seconds", "the next one is number 1",
			},
		},
	} {
		t.Run(test.notebook, func(t *testing.T) {
			all := cells(t, test.notebook)
			var told string
			for _, c := range all {
				told += strings.Join(c.Source, "") + "\n"
			}
			for _, want := range test.told {
				require.Contains(t, told, want)
			}
			outputs := all[len(all)-1].Outputs
			require.Len(t, outputs, 2, "the panel and the picture")
			tag := regexp.MustCompile(`<[^>]+>`)
			shown := html.UnescapeString(tag.ReplaceAllString(strings.Join(outputs[0].Data.HTML, ""), " "))
			shown = strings.Join(strings.Fields(shown), " ") + " "
			for _, want := range test.shown {
				require.Regexp(t, want, shown)
			}
			for _, want := range test.pictured {
				require.Regexp(t, want, strings.Join(outputs[1].Data.HTML, ""))
			}
		})
	}
}

// executeRoles returns the notebooks with their outputs: the server's of its first run, and that of
// the client behind the weather. It takes two minutes: the interval is the one of the notebook.
func executeRoles(t *testing.T, env *Env) (server, client []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	forwarder, err := weather.New(weather.Config{
		Listen: netip.MustParseAddrPort("127.0.0.1:7000"), To: netip.MustParseAddrPort("127.0.0.1:" + rainyPort),
		Seed: rainySeed, Settings: weather.Settings{Loss: 0.2},
	})
	require.NoError(t, err)
	defer forwarder.Close()
	go func() { _ = forwarder.Run(ctx) }()
	dir := t.TempDir()
	history := func(name string) string { return filepath.Join(dir, name+".jsonl") }
	execute := func(notebook, name string, variables ...string) (ended chan error) {
		ended = make(chan error, 1)
		go func() {
			ended <- env.Execute(ctx, filepath.Join(env.Notebooks, notebook), filepath.Join(dir, name+".ipynb"),
				append(variables, "UDPKIT_HISTORY="+history(name))...)
		}()
		return ended
	}
	until := func(what, name string, is func(udpkit.Event) bool) {
		t.Helper()
		require.Eventually(t, func() bool {
			data, err := os.ReadFile(history(name))
			if err != nil {
				return false
			}
			for e, err := range udpkit.ReadJournal(bytes.NewReader(data[:bytes.LastIndexByte(data, '\n')+1])) {
				if err == nil && is(e) {
					return true
				}
			}
			return false
		}, 2*time.Minute, 20*time.Millisecond, what)
	}
	clients := []chan error{
		execute(clientNotebook, rainy, "UDPKIT_ID="+rainy, "UDPKIT_PORT="+rainyPort, "UDPKIT_MAX_MESSAGES=15"),
		execute(clientNotebook, "b", "UDPKIT_MAX_MESSAGES=16"),
		execute(clientNotebook, "c", "UDPKIT_MAX_MESSAGES=16"),
	}
	for _, name := range []string{rainy, "b", "c"} {
		until("the client listens", name, func(e udpkit.Event) bool { _, ok := e.(udpkit.StartEvent); return ok })
	}
	target := "UDPKIT_TARGET=127.255.255.255," + forwarder.Addr().String()
	first := execute(serverNotebook, "server", target, "UDPKIT_MAX_RUNTIME=47500ms")
	sent := func(id uint64) {
		t.Helper()
		until("a message is sent", "server", func(e udpkit.Event) bool { s, ok := e.(udpkit.SentEvent); return ok && s.MessageID == id })
	}
	// The last but one is lost: the server is gone when it is missed.
	sent(heardLast - 2)
	time.Sleep(2 * time.Second) // what is missing by now comes again
	require.NoError(t, forwarder.Set(weather.Settings{Loss: 1}))
	sent(heardLast - 1)
	time.Sleep(time.Second)
	require.NoError(t, forwarder.Set(weather.Settings{}))
	require.NoError(t, <-first)
	require.NoError(t, forwarder.Set(weather.Settings{Loss: 0.2}))
	require.NoError(t, <-execute(serverNotebook, "again", target, "UDPKIT_MAX_MESSAGES=5"))
	for _, ended := range clients {
		require.NoError(t, <-ended)
	}
	return []byte(readExecuted(t, env, filepath.Join(dir, "server.ipynb"))), []byte(readExecuted(t, env, filepath.Join(dir, rainy+".ipynb")))
}
