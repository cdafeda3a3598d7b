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

// relayRun is what executeRelay's writer writes: many, joinSay and then say.
type relayRun struct {
	say, joinSay []string
	many         int
}

// TestRelayNotebooks executes server, writer and two readers together: every message arrives in
// each reader once, and in order.
func TestRelayNotebooks(t *testing.T) {
	env, dir := realSetup(t), t.TempDir()
	run := relayRun{say: []string{"one", "<b>two</b>", "three"}, many: 2, joinSay: []string{"six", "seven"}}
	executeRelay(t, env, dir, run)
	all := []string{"line 1", "line 2", "six", "seven", "one", "&lt;b&gt;two&lt;/b&gt;", "three"} // in the order of the cells
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
		assert.Contains(t, text, "ended: after 7 messages")
		assert.Contains(t, text, `>0</span><br>missing`)
		assert.Equal(t, 1, strings.Count(text, `"image/png": "`))
	}
	writer := readExecuted(t, env, filepath.Join(dir, relayWriterNotebook))
	assert.Equal(t, 3, strings.Count(writer, "ended: all is written"), "one by one, two at once, and both ways")
	assert.Contains(t, writer, `#0969da)\">ann</b>seven</div>`, "what it wrote comes back")
	server := readExecuted(t, env, filepath.Join(dir, relayServerNotebook))
	assert.Contains(t, server, "ended: interrupted")
	assert.Contains(t, server, `>7</span><br>stored`)
	assert.Equal(t, 1, strings.Count(server, `"image/png": "`))
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
	messages := len(run.say) + run.many + len(run.joinSay)
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
	writer := execute(relayWriterNotebook, "relay_writer", "UDPKIT_SAY="+strings.Join(run.say, "\n"), "UDPKIT_JOIN_SAY="+strings.Join(run.joinSay, "\n"), "UDPKIT_MANY="+strconv.Itoa(run.many), "UDPKIT_JOIN=1")
	var readers []chan error
	names := []string{"bob", "carl"}
	for _, name := range names {
		readers = append(readers, execute(relayReaderNotebook, "reader-"+name, "UDPKIT_USERNAME="+name, "UDPKIT_MAX_MESSAGES="+strconv.Itoa(messages),
			"UDPKIT_HISTORY="+filepath.Join(dir, name+".jsonl")))
	}
	for _, ended := range append(readers, writer) {
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
	lookBack(t, env, filepath.Join(dir, relayServerNotebook), history)
	for _, name := range names {
		lookBack(t, env, filepath.Join(dir, "reader-"+name+".ipynb"), filepath.Join(dir, name+".jsonl"))
	}
}

// TestUpdateRelay writes the relay's notebooks with the outputs of a run, with -update only.
func TestUpdateRelay(t *testing.T) {
	if !*update {
		t.Skip("writes into the checkout: go test ./udpkit/lab -run TestUpdate -update")
	}
	env, dir := realSetup(t), t.TempDir()
	executeRelay(t, env, dir, relayRun{
		many: 20_000, joinSay: []string{"that was a lot", "and it comes back"},
		say: []string{"hello", "is anybody there?", "I write it down anyway"},
	})
	for from, to := range map[string]string{"relay_server": relayServerNotebook, "relay_writer": relayWriterNotebook, "reader-bob": relayReaderNotebook} {
		data, err := os.ReadFile(filepath.Join(dir, from+".ipynb"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(env.Notebooks, to), data, 0o644))
	}
}
