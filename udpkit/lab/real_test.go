package lab

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// These tests set up the lab for real, in the user's cache: the first time downloads and takes
// minutes.

func realSetup(t testing.TB) *Env {
	t.Helper()
	if testing.Short() {
		testenv.Skip(t, "sets up JupyterLab, which is not short")
	}
	if _, err := findPython(t.Context()); err != nil {
		testenv.Skip(t, "%v", err)
	}
	env, err := setUp(t.Context(), Config{Stdout: t.Output()}, true) // writes nothing into the checkout
	if errors.Is(err, ErrInstall) {
		testenv.Skip(t, "%v", err)
	}
	require.NoError(t, err)
	return env
}

func TestSecondSetupDoesNothing(t *testing.T) {
	env := realSetup(t)
	var out strings.Builder
	again, err := setUp(t.Context(), Config{Stdout: &out}, true)
	require.NoError(t, err)
	assert.Equal(t, env, again)
	assert.NotContains(t, out.String(), "Building the GoNB kernel")
	assert.NotContains(t, out.String(), "Installing")
	for _, tool := range []string{"gonb", "goimports"} {
		_, err := os.Stat(filepath.Join(env.Bin, tool))
		assert.NoError(t, err)
	}
}

// TestGopls: what the kernel starts leads it to the lab's gopls, or becomes one that has limits. A
// lab that is without it stays so until it is asked.
func TestGopls(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the lab does not run on Windows")
	}
	repository, err := findRepository(".")
	require.NoError(t, err)
	golang, err := findGo(t.Context(), repository)
	require.NoError(t, err)
	bin := filepath.Join(t.TempDir(), "the user's cache", "bin")
	dir, wrapper := filepath.Join(filepath.Dir(bin), "gopls"), filepath.Join(bin, "gopls")
	require.NoError(t, os.MkdirAll(bin, 0o700))
	require.NoError(t, os.MkdirAll(dir, 0o700))
	newSetup := func(out io.Writer) *setup {
		progress := console.NewProgress(out)
		t.Cleanup(progress.End)
		return &setup{ctx: t.Context(), out: progress, golang: golang, env: &Env{Repository: repository, Bin: bin}}
	}

	// What is built shows how it was started.
	program := "#!/bin/sh\necho \"$GOMEMLIMIT $GOGC $(go env GOTELEMETRY) $*\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "gopls"), []byte(program), 0o700))
	require.NoError(t, newSetup(t.Output()).gopls(false))
	shared := exec.CommandContext(t.Context(), wrapper, "-listen", "unix;"+filepath.Join(dir, "of the kernel"))
	shared.Env = append(os.Environ(), goplsVariable+"=/of the lab")
	require.NoError(t, shared.Start())
	defer func() { _ = shared.Process.Kill(); _ = shared.Wait() }()
	require.Eventually(t, func() bool {
		target, err := os.Readlink(filepath.Join(dir, "of the kernel"))
		return err == nil && target == "/of the lab"
	}, 30*time.Second, 10*time.Millisecond)

	out, err := exec.CommandContext(t.Context(), wrapper, "-listen", "unix;/a b").Output()
	require.NoError(t, err)
	assert.Equal(t, "240MiB 400 off -listen unix;/a b\n", string(out))
	out, err = exec.CommandContext(t.Context(), "go", "env", "GOTELEMETRYDIR").Output()
	require.NoError(t, err)
	assert.NotContains(t, string(out), dir, "the user's own setting is another")

	// It cannot be built: said once.
	require.NoError(t, os.Remove(filepath.Join(dir, "gopls")))
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOMODCACHE", filepath.Join(t.TempDir(), "empty"))
	var first, second, asked strings.Builder
	require.NoError(t, newSetup(&first).gopls(false))
	assert.Contains(t, first.String(), "Completion will be missing")
	assert.Contains(t, first.String(), "udpkit lab --setup")
	assert.NoFileExists(t, wrapper, "the kernel finds no gopls that is none")
	require.NoError(t, newSetup(&second).gopls(false))
	assert.Empty(t, second.String())
	require.NoError(t, newSetup(&asked).gopls(true))
	assert.Contains(t, asked.String(), "Building gopls")
}

// writeNotebook writes a notebook of code cells.
func writeNotebook(t testing.TB, path string, cells ...string) {
	t.Helper()
	list := []any{}
	for _, source := range cells {
		list = append(list, map[string]any{"cell_type": "code", "metadata": map[string]any{}, "outputs": []any{}, "execution_count": nil, "source": source})
	}
	data, err := json.Marshal(map[string]any{"cells": list, "metadata": map[string]any{"kernelspec": map[string]any{
		"name": Kernel, "display_name": "Go (gonb)", "language": "go"}}, "nbformat": 4, "nbformat_minor": 4})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

func TestExecute(t *testing.T) {
	env := realSetup(t)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.ipynb"), filepath.Join(dir, "out.ipynb")

	// The user's own settings, which would break the kernel, do not reach it.
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Setenv("GOWORK", "off")
	t.Run("a cell imports the package of this checkout", func(t *testing.T) {
		writeNotebook(t, in, "import \""+modulePath+"/udpkit\"\n%%\nvar _ udpkit.ServerConfig\nfmt.Println(os.Getenv(\"GIVEN\"), os.Getenv(\"GOPROXY\"))")
		require.NoError(t, env.Execute(t.Context(), in, out, "GIVEN=given"))
		data, err := os.ReadFile(out)
		require.NoError(t, err)
		assert.Contains(t, string(data), `given off\n`)
	})
	t.Run("a failing cell fails with its own words", func(t *testing.T) {
		writeNotebook(t, in, "%%\npanic(\"the reason\")")
		err := env.Execute(t.Context(), in, out)
		assert.ErrorIs(t, err, ErrNotebook)
		assert.ErrorContains(t, err, "the reason")
		// The kernel reads a stack trace as it comes, in pieces: within it, it may leave a line of
		// its own main.go as it is. It says the lines of the cells once more when the cell has
		// ended.
		data, err := os.ReadFile(out)
		require.NoError(t, err)
		assert.Regexp(t, `Cell\[1\]: Line 2\b`, string(data), "the stack trace needs no debugging information")
	})
	t.Run("its words come in pieces", func(t *testing.T) {
		writeNotebook(t, in, "%%\nfor _, r := range \"a reason of forty letters that come singly\" {\n\tfmt.Fprint(os.Stderr, string(r))\n\ttime.Sleep(5 * time.Millisecond)\n}\nos.Exit(1)")
		err := env.Execute(t.Context(), in, out)
		assert.ErrorIs(t, err, ErrNotebook)
		assert.ErrorContains(t, err, "a reason of forty letters that come singly")
	})
	t.Run("the end of the context ends cell and kernel", func(t *testing.T) {
		running := filepath.Join(dir, "running")
		writeNotebook(t, in, "%%\nsignal.Ignore(os.Interrupt)\nos.WriteFile(os.Getenv(\"RUNNING\"), nil, 0o600)\nselect {}")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- env.Execute(ctx, in, out, "RUNNING="+running) }()
		require.Eventually(t, func() bool { _, err := os.Stat(running); return err == nil }, time.Minute, 20*time.Millisecond)
		start := time.Now()
		cancel()
		assert.ErrorIs(t, <-ended, context.Canceled)
		assert.Less(t, time.Since(start), 4*time.Second)
		assertNoneLeft(t, "RUNNING="+running)
	})
	t.Run("no such notebook", func(t *testing.T) {
		assert.ErrorIs(t, env.Execute(t.Context(), filepath.Join(dir, "none.ipynb"), out), ErrNoNotebook)
	})
}

// assertNoneLeft checks that no process has the entry in its environment.
func assertNoneLeft(t *testing.T, entry string) {
	t.Helper()
	assert.Empty(t, processesWith(t, entry))
}

// processesWith returns the processes that have the entry in their environment, on Linux.
func processesWith(t *testing.T, entry string) (all []string) {
	files, err := filepath.Glob("/proc/[0-9]*/environ") // nothing to see on other systems
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil && strings.Contains("\x00"+string(data), "\x00"+entry+"\x00") {
			all = append(all, filepath.Dir(file))
		}
	}
	return all
}

// TestRun starts JupyterLab for a checkout of its own, in a directory with a space in its name.
func TestRun(t *testing.T) {
	env := realSetup(t)
	checkout := filepath.Join(t.TempDir(), "another checkout")
	require.NoError(t, os.MkdirAll(filepath.Join(checkout, notebooksDir), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(checkout, "udpkit"), 0o700))
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(env.Repository, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(checkout, name), data, 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(checkout, "udpkit", "udpkit.go"), []byte("package udpkit\n\nconst Here = true\n"), 0o600))
	for _, name := range []string{serverNotebook, clientNotebook} {
		writeNotebook(t, filepath.Join(checkout, notebooksDir, name), "%%\nfmt.Println(1)")
	}
	t.Cleanup(func() {
		os.RemoveAll((&setup{cache: filepath.Dir(env.Jupyter)}).dir("jupyter", []byte(checkout))) // nobody comes back to it
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready, ended := make(chan string, 1), make(chan error, 1)
	var out strings.Builder
	teacher := netip.MustParseAddr("192.0.2.7")
	cfg := Config{Dir: filepath.Join(checkout, "udpkit"), Join: teacher, Port: AnyPort, Clients: 3, NoBrowser: true, Stdout: &out, Ready: func(u string) { ready <- u }}
	go func() { ended <- Run(ctx, cfg) }()
	var address *url.URL
	select {
	case at := <-ready:
		var err error
		address, err = url.Parse(at)
		require.NoError(t, err)
	case err := <-ended:
		t.Fatalf("Run ended: %v\n%s", err, out.String())
	case <-time.After(5 * time.Minute):
		t.Fatal("Run was not ready within 5 minutes")
	}
	token := address.Query().Get("token")
	require.NotEmpty(t, token)
	assert.Equal(t, "/lab/workspaces/broadcast", address.Path)
	assert.Equal(t, "127.0.0.1", address.Hostname())

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(method, path, token string, body io.Reader) (int, string) {
		request, err := http.NewRequestWithContext(ctx, method, "http://"+address.Host+path, body)
		require.NoError(t, err)
		if token != "" {
			request.Header.Set("Authorization", "token "+token)
		}
		response, err := client.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(data)
	}
	status, _ := get(http.MethodGet, "/api/status", "", nil)
	assert.Equal(t, http.StatusForbidden, status, "without a token")
	status, body := get(http.MethodGet, "/api/kernelspecs", token, nil)
	assert.Equal(t, http.StatusOK, status)
	var specs struct{ Kernelspecs map[string]any }
	require.NoError(t, json.Unmarshal([]byte(body), &specs))
	assert.Len(t, specs.Kernelspecs, 1, "only gonb")
	assert.Contains(t, body, "-go_work="+checkout)
	status, body = get(http.MethodGet, "/lab/api/workspaces/broadcast", token, nil)
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "notebook:my-notebooks/client-3.ipynb")
	status, body = get(http.MethodGet, "/api/contents/my-notebooks/client-2.ipynb?content=0", token, nil)
	assert.Equal(t, http.StatusOK, status, body)
	status, body = get(http.MethodPost, "/api/kernels", token, strings.NewReader(`{"name": "gonb", "path": "my-notebooks"}`))
	assert.Equal(t, http.StatusCreated, status, body)

	if runtime.GOOS == "linux" {
		assert.NotEmpty(t, processesWith(t, "UDPKIT_SERVER_ADDRESS="+teacher.String()), "panel.ServerAddress looks at it")
	}

	start := time.Now()
	cancel()
	assert.NoError(t, <-ended)
	assert.Less(t, time.Since(start), 4*time.Second, "3 s, and one for a busy machine")
	assertNoneLeft(t, "JUPYTER_TOKEN="+token)
	assert.Contains(t, out.String(), address.String())
	assert.NotContains(t, out.String(), "will be slow or fail")
}

// TestCheck is `udpkit lab --check`: the notebooks of this checkout in four kernels at once.
func TestCheck(t *testing.T) {
	realSetup(t)
	var out strings.Builder
	err := Check(t.Context(), Config{Stdout: &out})
	require.NoError(t, err, out.String())
	assert.Equal(t, 6, strings.Count(out.String(), "10 of 10"), out.String())
}

// TestWalkthrough runs nonblocking.ipynb as Run All does.
func TestWalkthrough(t *testing.T) {
	env := realSetup(t)
	cells := executeNotebook(t, env, walkthrough, filepath.Join(t.TempDir(), walkthrough))
	text := string(cells)
	for _, style := range []string{"blocking", "nonblocking", "selector", "goroutine", "channel"} {
		assert.Contains(t, text, `\">`+style+`</span> <b`, "the run of "+style)
	}
	assert.Equal(t, 5, strings.Count(text, "ended: context canceled"))
	assert.Equal(t, 5, strings.Count(text, `\">5 of 5</span><br>datagrams handled`))
	assert.Equal(t, 5, strings.Count(text, `\">0</span><br>left behind`))
	assert.Equal(t, 3, strings.Count(text, "✗ Not yet: "), "no exercise is solved, and none fails")
	assert.Equal(t, 2, strings.Count(text, `data:image/svg+xml;base64,`))
	assert.Contains(t, text, "first socket: \\\"to myself\\\"")
}

// TestConcurrency runs concurrency.ipynb as Run All does.
func TestConcurrency(t *testing.T) {
	env := realSetup(t)
	text := string(executeNotebook(t, env, concurrency, filepath.Join(t.TempDir(), concurrency)))
	assert.Contains(t, text, `one read returned \"firstsecond\"`)
	assert.Contains(t, text, `one read returned \"first\"`)
	assert.Contains(t, text, "Message received: question 1\\n")
	assert.Regexp(t, `dropped and counted: [1-7]\\n`, text, "five, unless the machine is busy")
	assert.Equal(t, 2, strings.Count(text, "✗ Not yet: "), "no exercise is solved, and none fails")
	if strings.Contains(text, "cannot be watched or disturbed here") {
		testenv.Skip(t, "this system lets nobody make a network with a TUN device; the rest of the notebook works")
	}
	assert.Equal(t, 3, strings.Count(text, `data:image/svg+xml;base64,`))
	assert.Contains(t, text, "SYN ACK")
	assert.Contains(t, text, "captured")
}

// TestSockets runs sockets.ipynb as Run All does.
func TestSockets(t *testing.T) {
	env := realSetup(t)
	port, err := freeUDPPort()
	require.NoError(t, err)
	began := time.Now()
	text := string(executeNotebook(t, env, sockets, filepath.Join(t.TempDir(), sockets), fmt.Sprintf("UDPKIT_BEACON_PORT=%d", port)))
	assert.Less(t, time.Since(began), 90*time.Second)
	for _, error := range []string{
		"✗ bind a second socket to the same port", "✗ wait 300 ms", "✗ send 65,508 bytes", "✗ send from a closed socket",
		"✓ send to a port that nobody has", "✗ send there from it, and read the reply", "✗ connect when nobody listens",
	} {
		assert.Contains(t, text, error)
	}
	assert.Equal(t, 7+1, strings.Count(text, "This means: "), "every error is explained; one more is the end of a connection")
	for _, want := range []string{
		`ben has 5 bytes, \"hello\", error: <nil>`, `ben has 4 bytes, \"next\"`,
		`✓ ask \"hello\", get \"hello\"`, `✗ ask \"how are you?\", get \"\"`,
		`\"how are you?\" came back as \"how are you?\"`, `the server has \"hello, socket\"`,
		`\">3</span><br>came`, `\">1</span><br>said goodbye`, `\">1</span><br>fell silent`, "ended: time is up",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "never said\\\" came", "the client ends at exit")
	assert.Equal(t, 3, strings.Count(text, "✗ Not yet: "), "no exercise is solved, and none fails")
	assert.Contains(t, text, "4 datagrams; the first one at", "the recording is opened")
	assert.Contains(t, text, "41 bytes, from 127.0.0.1:")
	assert.Contains(t, text, `"68 65 6c 6c\n"`, "the payload begins a row")
	assert.Equal(t, 2, strings.Count(text, `data:image/svg+xml;base64,`))
}

// TestBroadcast runs broadcast.ipynb as Run All does.
func TestBroadcast(t *testing.T) {
	env := realSetup(t)
	began := time.Now()
	text := string(executeNotebook(t, env, broadcast, filepath.Join(t.TempDir(), broadcast)))
	assert.Less(t, time.Since(began), 90*time.Second)
	for _, want := range []string{
		`listener 1 has \"7 ACTIVE\", error: <nil>`, `listener 2 has \"7 ACTIVE\", error: <nil>`, `the sender reads \"listener 1 has 7\"`,
		`2 is a duplicate: drop it`, `6 is new, and 4 to 5 are missing`, `5 is late: it was missing`,
		"anna    has message 10", "ben     has message 10", "server  hears that anna has message 10", "server  hears that ben has message 10",
		"client  has message 999, ERROR", "client  refuses a datagram: it is not signed, and a key is set here", "client  has message 2, STANDBY",
		`\"state\":\"ACTIVE\"`, "believed: 1 duplicates: 2", `"f5 01 `,
		"client listener to server: acknowledgement 1", "repair request", "sent again, repaired", `<td style=`,
	} {
		assert.Contains(t, text, want)
	}
	assert.Equal(t, 1, strings.Count(text, "client  has message 999"), "not with a key")
	assert.Regexp(t, `without repair +\d+ +0 +[1-9]`, text)
	assert.Regexp(t, `with repair +\d+ +[1-9]`, text)
	assert.Regexp(t, `server to client listener: status \d [A-Z]+ · lost</title>`, text)
	assert.Equal(t, 2, strings.Count(text, "✗ Not yet: "), "no exercise is solved, and none fails")
	assert.Equal(t, 1, strings.Count(text, `data:image/svg+xml;base64,`))
}

// TestChatByHand runs chat.ipynb as Run All does.
func TestChatByHand(t *testing.T) {
	env := realSetup(t)
	text := string(executeNotebook(t, env, chatByHand, filepath.Join(t.TempDir(), chatByHand)))
	for _, want := range []string{
		`5 bytes: \"hello\", error: <nil>`, `5 bytes: \"\\nworl\", error: <nil>`, `error: EOF`,
		"ben reads: true ann says hello", "eve reads: true ann says hello", "ann reads: true ben says hello, ann", "ben reads: true ann says: is eve gone?",
		"MB ben hears nothing any more", `ann reads \"ben: hello, ann\"`,
	} {
		assert.Contains(t, text, want)
	}
	assert.Equal(t, 2, strings.Count(text, "✗ Not yet: "), "no exercise is solved, and none fails")
}

// TestRelayByHand runs relay.ipynb as Run All does.
func TestRelayByHand(t *testing.T) {
	env := realSetup(t)
	text := string(executeNotebook(t, env, relayByHand, filepath.Join(t.TempDir(), relayByHand)))
	for _, want := range []string{
		`the log has #2 \"buy milk\"`, `the log has #3 \"buy milk\"`, `ann sent \"buy milk\": 2×`,
		`stored: run ann-1, number 2, \"buy milk\"`, "known:  run ann-1, number 2", `stored: run ann-2, number 1, \"hello again\"`,
		`store first: false. ann sent it 1×, then forgot it. `, `The file has \"\"\n`,
		`store first: true. ann sent it 2×, then forgot it. `, `The file has \"WRITE ann-1 1 buy milk\\n\"`,
		`bob  LINE 5 the end`, "func</span> (s *Server) write(", "udpkit/relay/intake.go</div>",
		"   100 lines are in the log", "   100 lines came to the reader", "     0 of those twice, or not in order",
		"to relay: relay hello writer ann", "to relay: relay hello reader bob", "to writer ann: relay stored", "· lost</title>",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, `the log has #4 \"buy milk\"`)
	assert.Equal(t, 2, strings.Count(text, "✗ Not yet: "), "no exercise is solved, and none fails")
	assert.Equal(t, 1, strings.Count(text, "data:image/svg+xml"), "the picture of the run")
}

// TestIndex runs index.ipynb.
func TestIndex(t *testing.T) {
	env := realSetup(t)
	text := string(executeNotebook(t, env, index, filepath.Join(t.TempDir(), index)))
	assert.Contains(t, text, "All is well: the Go kernel works.\\n")
	assert.Contains(t, text, "All is well: the packages are found, and clients listen on port 37020\\n")
	assert.Regexp(t, `"Next: [A-Z]`, text)
}

// TestSolutions puts the hidden solutions into the exercises' cells.
func TestSolutions(t *testing.T) {
	env := realSetup(t)
	for notebook, imports := range map[string]string{walkthrough: "blocking", concurrency: "servers", sockets: "datagram", broadcast: "by-hand", chatByHand: "by-hand", relayByHand: "by-hand write"} {
		t.Run(notebook, func(t *testing.T) { testSolutions(t, env, notebook, imports) })
	}
}

// testSolutions takes the imports, and what a solution may use, from the cells of these ids.
func testSolutions(t *testing.T, env *Env, name, imports string) {
	given := strings.Fields(imports)
	data, err := os.ReadFile(filepath.Join(env.Notebooks, name))
	require.NoError(t, err)
	var notebook struct {
		Cells []struct {
			ID     string   `json:"id"`
			Source []string `json:"source"`
		} `json:"cells"`
	}
	require.NoError(t, json.Unmarshal(data, &notebook))
	var cells []string
	for i, c := range notebook.Cells {
		text := strings.Join(c.Source, "")
		switch {
		case slices.Contains(given, c.ID):
			head, _, _ := strings.Cut(text, "%%")
			cells = append(cells, head)
		case strings.HasPrefix(c.ID, "exercise-") && !strings.HasSuffix(c.ID, "-text"):
			_, check, ok := strings.Cut(text, "%%")
			require.True(t, ok, c.ID)
			_, solution, ok := strings.Cut(strings.Join(notebook.Cells[i-1].Source, ""), "```go\n")
			require.True(t, ok, c.ID)
			solution, _, _ = strings.Cut(solution, "```")
			cells = append(cells, solution+"\n%%"+check)
		}
	}
	require.Greater(t, len(cells), len(given))
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.ipynb"), filepath.Join(dir, "out.ipynb")
	writeNotebook(t, in, cells...)
	require.NoError(t, env.Execute(t.Context(), in, out))
	data, err = os.ReadFile(out)
	require.NoError(t, err)
	assert.Equal(t, len(cells)-len(given), strings.Count(string(data), "✓ All that was asked for"), "%s", data)
}

// The notebooks that run to their end by themselves.
const (
	index       = "index.ipynb"
	sockets     = "sockets.ipynb"
	broadcast   = "broadcast.ipynb"
	chatByHand  = "chat.ipynb"
	relayByHand = "relay.ipynb"
	walkthrough = "nonblocking.ipynb"
	concurrency = "concurrency.ipynb"
)

// executeNotebook returns the notebook with its outputs.
func executeNotebook(t *testing.T, env *Env, name, output string, variables ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	began := time.Now()
	require.NoError(t, env.Execute(ctx, filepath.Join(env.Notebooks, name), output, variables...))
	t.Logf("%s ran for %v", name, time.Since(began).Round(time.Second))
	data, err := os.ReadFile(output)
	require.NoError(t, err)
	assert.NotContains(t, string(data), env.Repository, "a path of this machine")
	if home, err := os.UserHomeDir(); err == nil && len(home) > 1 {
		assert.NotContains(t, string(data), home+string(filepath.Separator), "a path of this machine")
	}
	assert.NotContains(t, string(data), `"output_type": "error"`)
	assert.NotContains(t, string(data), `"name": "stderr"`)
	return data
}

var update = flag.Bool("update", false, "write the outputs of the committed notebooks into the checkout")

// TestUpdate runs the notebooks as they are committed, with -update only; one of them with -run
// TestUpdate/sockets.
func TestUpdate(t *testing.T) {
	if !*update {
		t.Skip("writes into the checkout: go test ./udpkit/lab -run TestUpdate -update")
	}
	env := realSetup(t)
	t.Run("roles", func(t *testing.T) {
		server, client := executeRoles(t, env)
		require.NoError(t, os.WriteFile(filepath.Join(env.Notebooks, serverNotebook), server, 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(env.Notebooks, clientNotebook), client, 0o644))
	})
	t.Run("top", func(t *testing.T) {
		require.NoError(t, os.WriteFile(filepath.Join(env.Notebooks, topNotebook), executeTop(t, env), 0o644))
	})
	t.Run("weather", func(t *testing.T) {
		require.NoError(t, os.WriteFile(filepath.Join(env.Notebooks, weatherNotebook), executeWeather(t, env), 0o644))
	})
	for _, name := range []string{walkthrough, concurrency, sockets, broadcast, chatByHand, relayByHand, index} {
		t.Run(name, func(t *testing.T) {
			data := executeNotebook(t, env, name, filepath.Join(t.TempDir(), name))
			require.NoError(t, os.WriteFile(filepath.Join(env.Notebooks, name), data, 0o644))
		})
	}
}

func TestCheckCancelled(t *testing.T) {
	realSetup(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	err := Check(ctx, Config{Stdout: io.Discard})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestHelpers(t *testing.T) {
	assert.Equal(t, "b\nc", lastLines("a\n\nb\n c\n"[:5]+"c\n\n", 2))
	_, err := run(t.Context(), "", nil, "sh", "-c", "echo why >&2; exit 3")
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.ErrorContains(t, err, "why")
}
