package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/relaypanel"
)

const (
	relayServerNotebook = "relay_server.ipynb"
	relayReaderNotebook = "relay_reader.ipynb"
	relayWriterNotebook = "relay_writer.ipynb"
)

// relayRun is what executeRelay's writer writes: many, and say, read back by the same, in two runs
// of its notebook.
type relayRun struct {
	say  []string
	many int
}

// TestRelayNotebooks executes server, writer and two readers together: every message arrives in
// each reader once, and in order.
func TestRelayNotebooks(t *testing.T) {
	env, dir := realSetup(t), t.TempDir()
	run := relayRun{say: []string{"one", "<b>two</b>", "three"}, many: 2}
	executeRelay(t, env, dir, run)
	all := []string{"line 1", "line 2", "one", "&lt;b&gt;two&lt;/b&gt;", "three"}
	for _, name := range []string{"reader-bob", "reader-carl"} {
		text := readExecuted(t, env, filepath.Join(dir, name+".ipynb"))
		last := 0
		for i, said := range all {
			shown := fmt.Sprintf(`>#%d</span><b style=\"margin-right:8px\">ann</b>%s</div>`, i+1, said)
			assert.Equal(t, 1, strings.Count(text, shown), "%s: %s", name, said)
			at := strings.Index(text, shown)
			assert.Greater(t, at, last, "in order")
			last = at
		}
		assert.Contains(t, text, "ended: after 5 messages")
		assert.Contains(t, text, `>0</span><br>missing`)
		assert.Equal(t, 1, strings.Count(text, `data:image/svg+xml;base64,`))
	}
	writer := readExecuted(t, env, filepath.Join(dir, relayWriterNotebook))
	assert.Contains(t, writer, "ended: all is written")
	assert.Contains(t, writer, `#0969da\">ann</b>three</div>`, "what it wrote comes back")
	server := readExecuted(t, env, filepath.Join(dir, relayServerNotebook))
	assert.Contains(t, server, "ended: interrupted")
	assert.Contains(t, server, `>5</span><br>stored`)
	assert.Equal(t, 1, strings.Count(server, `data:image/svg+xml;base64,`))
	assert.NotContains(t, server, dir, "a path of this machine")
}

// executeRelay executes the notebooks; those of the readers become reader-NAME.
func executeRelay(t *testing.T, env *Env, dir string, run relayRun) {
	t.Helper()
	if runtime.GOOS == "windows" {
		testenv.Skip(t, "nobody can be interrupted by a signal here")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	port, err := freeUDPPort()
	require.NoError(t, err)
	messages := len(run.say) + run.many
	execute := func(notebook, output string, variables ...string) (ended chan error) {
		ended = make(chan error, 1)
		variables = append(variables, "UDPKIT_HEADLESS=1", "UDPKIT_ADDRESS=127.0.0.1", "UDPKIT_PORT="+strconv.Itoa(port), "UDPKIT_MAX_RUNTIME=3m")
		go func() {
			err := env.Execute(ctx, filepath.Join(env.Notebooks, notebook), filepath.Join(dir, output+".ipynb"), variables...)
			if err != nil {
				cancel() // the others would only wait for it
			}
			ended <- err
		}()
		return ended
	}
	history := filepath.Join(dir, "server.jsonl")
	server := execute(relayServerNotebook, "relay_server", "UDPKIT_DATA="+filepath.Join(dir, "relay-log"), "UDPKIT_HISTORY="+history)
	writers := make(chan error, 1)
	go func() {
		if err := <-execute(relayWriterNotebook, "many", "UDPKIT_MANY="+strconv.Itoa(run.many)); err != nil {
			writers <- err
			return
		}
		writers <- <-execute(relayWriterNotebook, "relay_writer", "UDPKIT_SAY="+strings.Join(run.say, "\n"), "UDPKIT_JOIN=1")
	}()
	var readers []chan error
	names := []string{"bob", "carl"}
	for _, name := range names {
		readers = append(readers, execute(relayReaderNotebook, "reader-"+name, "UDPKIT_USERNAME="+name, "UDPKIT_MAX_MESSAGES="+strconv.Itoa(messages)))
	}
	for _, ended := range append(readers, writers) {
		if !assert.NoError(t, <-ended) {
			cancel()
		}
	}
	if h, err := relaypanel.ReadHistory(history); assert.NoError(t, err) {
		process, err := os.FindProcess(h.PID)
		require.NoError(t, err)
		require.NoError(t, process.Signal(os.Interrupt), "the notebook's ■")
	}
	require.NoError(t, <-server)
}

// TestUpdateRelay writes the relay's notebooks with the outputs of a run, with -update only.
func TestUpdateRelay(t *testing.T) {
	if !*update {
		t.Skip("writes into the checkout: go test ./udpkit/lab -run TestUpdate -update")
	}
	env, dir := realSetup(t), t.TempDir()
	executeRelay(t, env, dir, relayRun{
		many: 20_000, say: []string{"hello", "that was a lot", "and it comes back"},
	})
	for from, to := range map[string]string{"relay_server": relayServerNotebook, "relay_writer": relayWriterNotebook, "reader-bob": relayReaderNotebook} {
		data, err := os.ReadFile(filepath.Join(dir, from+".ipynb"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(env.Notebooks, to), data, 0o644))
	}
}
