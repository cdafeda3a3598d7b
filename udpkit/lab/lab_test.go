package lab

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfigDefaults(t *testing.T) {
	cfg, err := Config{}.withDefaults()
	require.NoError(t, err)
	assert.Equal(t, 8888, cfg.Port)
	assert.Equal(t, 2, cfg.Clients)
	assert.Equal(t, "127.0.0.1", cfg.Address)
	assert.Equal(t, io.Writer(os.Stdout), cfg.Stdout)
}

func TestConfigRefused(t *testing.T) {
	for name, cfg := range map[string]Config{
		"port too high":    {Port: 65536},
		"port too low":     {Port: -2},
		"clients negative": {Clients: -1},
		"too many clients": {Clients: maxClients + 1},
		"no address":       {Address: "localhost"},
		"token not ASCII":  {Token: "pässwörd"},
		"token in two":     {Token: "pass word"},
		"no scheme":        {PublicURL: "lab.example.org"},
		"no web page":      {PublicURL: "ftp://lab.example.org"},
		"with a path":      {PublicURL: "https://example.org/lab"},
		"with a password":  {PublicURL: "https://a:b@example.org"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Stdout = io.Discard
			assert.ErrorIs(t, Run(t.Context(), cfg), ErrConfig)
			assert.ErrorIs(t, Check(t.Context(), cfg), ErrConfig)
		})
	}
}

func TestConfigRefusesOpenAddressOutsideContainer(t *testing.T) {
	_, err := Config{Address: "0.0.0.0"}.withDefaults()
	if inContainer() {
		assert.NoError(t, err)
	} else {
		assert.ErrorIs(t, err, ErrConfig)
	}
}

func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	err = Run(t.Context(), Config{Port: l.Addr().(*net.TCPAddr).Port, Stdout: io.Discard})
	assert.ErrorIs(t, err, ErrPortInUse)
	assert.ErrorContains(t, err, "is in use; choose another with --port")
}

func TestPortTakenByALab(t *testing.T) {
	answer := `{"version": "2.21.1"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/api", r.URL.String(), "no token")
		io.WriteString(w, answer)
	}))
	defer server.Close()
	cfg := Config{Port: server.Listener.Addr().(*net.TCPAddr).Port, Stdout: io.Discard, Token: "secret"}
	err := Run(t.Context(), cfg)
	assert.ErrorIs(t, err, ErrPortInUse)
	assert.ErrorContains(t, err, "perhaps by a lab that still runs")
	assert.ErrorContains(t, err, "open "+server.URL+"/lab (")
	assert.ErrorContains(t, err, "choose another with --port")
	assert.NotContains(t, err.Error(), "secret")

	answer = "<html>something else</html>"
	err = Run(t.Context(), cfg)
	assert.ErrorIs(t, err, ErrPortInUse)
	assert.ErrorContains(t, err, "is in use; choose another with --port")
}

// TestBrowserGetsNoToken: every user of the machine can read a program's arguments.
func TestBrowserGetsNoToken(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell script for a browser")
	}
	const token = "the/token&<of+the'lab"
	arguments := filepath.Join(t.TempDir(), "arguments")
	fakeBrowser(t, arguments)
	// Whoever knows the token can run programs as this user.
	dir := filepath.Join(t.TempDir(), "a checkout, 100% mine")
	require.NoError(t, os.Mkdir(dir, 0o755))
	j := jupyter{address: netip.MustParseAddrPort("127.0.0.1:8888"), token: token}
	remove := openBrowser(dir, j.url("/lab/workspaces/broadcast"))
	var given string
	require.Eventually(t, func() bool {
		data, err := os.ReadFile(arguments)
		given = strings.TrimSpace(string(data))
		return err == nil && given != ""
	}, time.Minute, 10*time.Millisecond)

	assert.NotContains(t, given, "token")
	assert.NotContains(t, given, "8888")
	address, err := url.Parse(given)
	require.NoError(t, err)
	assert.Equal(t, "file", address.Scheme)
	info, err := os.Stat(address.Path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	info, err = os.Stat(filepath.Dir(address.Path))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	page, err := os.ReadFile(address.Path)
	require.NoError(t, err)
	match := regexp.MustCompile(`<a href="([^"]*)">`).FindSubmatch(page)
	require.NotNil(t, match, "%s", page)
	led, err := url.Parse(html.UnescapeString(string(match[1])))
	require.NoError(t, err)
	assert.Equal(t, token, led.Query().Get("token"))
	assert.Equal(t, "127.0.0.1:8888", led.Host)
	assert.Contains(t, string(page), `content="0;url=`+string(match[1])+`"`)

	remove()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

// fakeBrowser puts in front on PATH what openBrowser looks for: it writes its arguments into the
// file.
func fakeBrowser(t *testing.T, arguments string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"xdg-open", "wslview", "open"} {
		text := "#!/bin/sh\necho \"$@\" > '" + arguments + ".new' && mv '" + arguments + ".new' '" + arguments + "'\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700))
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func TestFreePort(t *testing.T) {
	port, err := freePort("127.0.0.1", AnyPort)
	require.NoError(t, err)
	assert.NotZero(t, port)
}

func TestFindRepository(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a checkout")
	deep := filepath.Join(root, "udpkit", "deep")
	require.NoError(t, os.MkdirAll(deep, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.mod"), []byte("// comment\nmodule "+modulePath+"\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(root, "udpkit", "go.mod"), []byte("module example.com/other\n"), 0o600))
	got, err := findRepository(deep)
	require.NoError(t, err)
	assert.Equal(t, root, got)

	outside := t.TempDir()
	_, err = findRepository(outside)
	assert.ErrorIs(t, err, ErrNoRepository)
	assert.ErrorContains(t, err, outside)

	comma := filepath.Join(t.TempDir(), "a,b")
	require.NoError(t, os.MkdirAll(comma, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(comma, "go.mod"), []byte("module "+modulePath), 0o600))
	_, err = findRepository(comma)
	assert.ErrorIs(t, err, ErrConfig)
}

func TestNoGo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Setup(t.Context(), Config{Stdout: io.Discard})
	assert.ErrorIs(t, err, ErrNoGo)
	assert.ErrorContains(t, err, "install Go 1.26")
}

// script puts an executable shell script on a PATH that has nothing else.
func script(t *testing.T, name, body string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o700))
	t.Setenv("PATH", dir)
}

func TestFindPython(t *testing.T) {
	answer := func(minor, venv string) string {
		return `echo '{"executable": "/usr/bin/python3", "major": 3, "minor": ` + minor + `, "venv": ` + venv + `}'`
	}
	t.Run("missing", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := findPython(t.Context())
		assert.ErrorIs(t, err, ErrNoPython)
		assert.ErrorContains(t, err, "install Python 3.10 or later")
	})
	t.Run("too old", func(t *testing.T) {
		script(t, "python3", answer("9", "true"))
		_, err := findPython(t.Context())
		assert.ErrorIs(t, err, ErrNoPython)
		assert.ErrorContains(t, err, "older than 3.10")
	})
	t.Run("broken", func(t *testing.T) {
		script(t, "python3", "exit 1")
		_, err := findPython(t.Context())
		assert.ErrorIs(t, err, ErrNoPython)
	})
	t.Run("without venv", func(t *testing.T) {
		script(t, "python3", answer("12", "false"))
		_, err := findPython(t.Context())
		assert.ErrorIs(t, err, ErrNoVenv)
		assert.ErrorContains(t, err, "sudo apt install python3-venv")
	})
	t.Run("only under its full name", func(t *testing.T) {
		script(t, "python3.12", answer("12", "true"))
		p, err := findPython(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "3.12", p.version())
	})
}

func TestPythonEnvironHidesUserSettings(t *testing.T) {
	for _, name := range []string{"JUPYTER_PATH", "JUPYTER_CONFIG_DIR", "JUPYTERLAB_DIR", "PYTHONPATH", "IPYTHONDIR", "PIP_TARGET", "VIRTUAL_ENV"} {
		t.Setenv(name, "mine")
	}
	t.Setenv("PIP_INDEX_URL", "stays")
	env := strings.Join(pythonEnviron(), "\n")
	assert.NotContains(t, env, "=mine")
	assert.Contains(t, env, "PIP_INDEX_URL=stays")
}

func TestKernelFlags(t *testing.T) {
	assert.Equal(t, "-buildvcs=false -ldflags=-s", kernelFlags(""))
	assert.Equal(t, "-buildvcs=false -ldflags=-s -tags=x -ldflags=-w",
		kernelFlags("-mod=mod -tags=x -buildvcs=true --modfile=go.alt -ldflags=-w"))
}

func TestRequirementsArePinnedAndHashed(t *testing.T) {
	text := strings.ReplaceAll(string(requirements), "\\\n", " ")
	names := map[string]bool{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		assert.Regexp(t, `^[a-z0-9-]+==\S+( ;.*?)?\s+--hash=sha256:[0-9a-f]{64}`, line)
		name, _, _ := strings.Cut(line, "==")
		names[name] = true
	}
	assert.True(t, names["jupyterlab"] && names["nbclient"], "JupyterLab and nbclient are among them")
	assert.NotRegexp(t, regexp.MustCompile(`(?i)https?://|index-url|find-links|trusted-host`), text)
}

const notebook = `{"cells": [
 {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# <Title> & more"},
 {"cell_type": "code", "id": "b", "metadata": {"x": 1.50}, "execution_count": 7, "outputs": [{"output_type": "stream", "name": "stdout", "text": "old"}], "source": ["%%\n"]}],
 "metadata": {"kernelspec": {"name": "gonb"}}, "nbformat": 4, "nbformat_minor": 5}`

func TestWorkspace(t *testing.T) {
	data, err := json.Marshal(workspace("start", []string{"index.ipynb"}))
	require.NoError(t, err)
	assert.JSONEq(t, `{"data": {
		"file-browser-filebrowser:cwd": {"path": "my-notebooks"},
		"notebook:my-notebooks/index.ipynb": {"data": {"path": "my-notebooks/index.ipynb", "factory": "Notebook"}},
		"layout-restorer:data": {
			"main": {"current": "notebook:my-notebooks/index.ipynb",
				"dock": {"type": "tab-area", "currentIndex": 0, "widgets": ["notebook:my-notebooks/index.ipynb"]}},
			"left": {"collapsed": true, "visible": true, "current": null, "widgets": ["filebrowser"]},
			"right": {"collapsed": true, "visible": true, "widgets": []},
			"relativeSizes": [0, 1, 0]}},
		"metadata": {"id": "start"}}`, string(data))

	for clients := 1; clients <= maxClients; clients++ {
		names := []string{"server.ipynb", "client.ipynb"}
		for n := 2; n <= clients; n++ {
			names = append(names, "client-"+string(rune('a'+n))+".ipynb")
		}
		data, err := json.Marshal(workspace("broadcast", names))
		require.NoError(t, err)
		var decoded struct {
			Data     map[string]json.RawMessage
			Metadata struct{ ID string }
		}
		require.NoError(t, json.Unmarshal(data, &decoded))
		assert.Equal(t, "broadcast", decoded.Metadata.ID)
		for _, name := range names {
			id := "notebook:my-notebooks/" + name
			assert.JSONEq(t, `{"data": {"path": "my-notebooks/`+name+`", "factory": "Notebook"}}`, string(decoded.Data[id]))
			assert.Contains(t, string(decoded.Data["layout-restorer:data"]), `"`+id+`"`)
		}
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path, io.Discard)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var said strings.Builder
	cancel()
	_, err = lock(ctx, path, &said)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Contains(t, said.String(), "Waiting for another set-up")
	unlock()
	unlock, err = lock(t.Context(), path, io.Discard)
	require.NoError(t, err)
	unlock()
}

func TestReadJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(`{"event":"start","client_id":"c"}
{"event":"message","message_id":3}
{"event":"sent","message_id":4}
{"event":"ack","client_id":"c","message_id":5}
{"event":"summary","received":1}
{"event":"message","mess`), 0o600))
	j, err := readJournal(path)
	require.NoError(t, err)
	assert.Equal(t, journal{ClientID: "c", Sent: map[uint64]bool{4: true}, Received: map[uint64]bool{3: true},
		Acknowledged: map[ack]bool{{"c", 5}: true}}, j)
}

func TestReportNamesWhatIsMissing(t *testing.T) {
	c := check{messages: checkMessages, server: journal{Sent: map[uint64]bool{}, Acknowledged: map[ack]bool{}}}
	for i := range c.clients {
		c.clients[i] = journal{ClientID: clientName(i), Received: map[uint64]bool{}}
		for id := range uint64(checkMessages) {
			c.server.Sent[id], c.clients[i].Received[id] = true, true
			c.server.Acknowledged[ack{clientName(i), id}] = true
		}
	}
	var table strings.Builder
	require.NoError(t, c.report(&table))
	assert.Equal(t, 6, strings.Count(table.String(), "10 of 10"))

	delete(c.clients[1].Received, 4)
	delete(c.server.Acknowledged, ack{"client-3", 9})
	err := c.report(io.Discard)
	assert.ErrorContains(t, err, "client-2 received 9 of 10 messages")
	assert.ErrorContains(t, err, "the server knows 9 of 10 acknowledgements of client-3")
	assert.NotContains(t, err.Error(), "client-1")
}

func TestInstallErrorKeepsCancellation(t *testing.T) {
	assert.NotErrorIs(t, installError("x", context.Canceled), ErrInstall)
	assert.ErrorIs(t, installError("x", errors.New("no route")), ErrInstall)
}
