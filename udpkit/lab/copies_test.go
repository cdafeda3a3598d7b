package lab

import (
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCopies does what a course does: it starts, runs, edits, pulls, and starts again.
func TestCopies(t *testing.T) {
	repository := t.TempDir()
	env := &Env{Notebooks: filepath.Join(repository, notebooksDir), work: filepath.Join(repository, workDir)}
	require.NoError(t, os.MkdirAll(filepath.Join(env.Notebooks, "images"), 0o755))
	write := func(dir, name, text string) {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	read := func(name string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(env.work, name))
		require.NoError(t, err)
		return string(data)
	}
	start := func(cfg Config) (map[string]map[string]any, string) {
		t.Helper()
		var out strings.Builder
		cfg, err := cfg.withDefaults()
		require.NoError(t, err)
		cfg.Stdout = &out
		layouts, err := env.prepare(cfg)
		require.NoError(t, err)
		return layouts, out.String()
	}
	_, err := env.prepare(Config{Clients: 2, Stdout: io.Discard})
	assert.ErrorIs(t, err, ErrNoNotebook)
	for _, name := range []string{"server", "client", "sockets", "chat_server", "chat_client"} {
		write(env.Notebooks, name+".ipynb", notebook)
	}
	write(env.Notebooks, "client-2.ipynb", strings.Replace(notebook, `"metadata": {"k`, `"metadata": {"udpkit_copy_of": "client.ipynb", "k`, 1))
	write(env.Notebooks, "images/map.svg", "<svg/>")
	require.NoError(t, os.MkdirAll(env.work, 0o755))
	write(env.work, "client-3.ipynb", "{}") // somebody's

	layouts, said := start(Config{Clients: 3})
	assert.Contains(t, said, "You have edited client-3.ipynb")
	assert.Equal(t, notebook, read("sockets.ipynb"))
	assert.Equal(t, "<svg/>", read("images/map.svg"))
	assert.Equal(t, "{}", read("client-3.ipynb"))
	assert.Len(t, layouts, 2, "the relay's notebooks are not there")
	assert.Contains(t, read("broadcast"+layoutExtension), "my-notebooks/client-3.ipynb")
	assert.Contains(t, read("chat"+layoutExtension), "my-notebooks/chat_client-3.ipynb")
	var want, got map[string]any
	require.NoError(t, json.Unmarshal([]byte(read("client-2.ipynb")), &got))
	require.NoError(t, json.Unmarshal([]byte(notebook), &want))
	code := want["cells"].([]any)[1].(map[string]any)
	code["outputs"], code["execution_count"] = []any{}, nil
	want["metadata"].(map[string]any)[copyMark] = "client.ipynb"
	assert.Equal(t, want, got, "as client.ipynb, without outputs and with the mark")
	assert.Contains(t, read("client-2.ipynb"), "<Title> & more")
	_, err = env.prepare(Config{Clients: 2, Layout: "relay", Stdout: io.Discard})
	assert.ErrorIs(t, err, ErrNoNotebook)

	ran := strings.Replace(notebook, `"old"`, `"what this run printed"`, 1)
	// Run with Shift and Enter, which appends a cell, and saved by JupyterLab.
	ran = strings.Replace(ran, `"%%\n"]}`, `"%%\n"]}, {"cell_type": "code", "id": "c", "metadata": {}, "execution_count": null, "outputs": [], "source": []}`, 1)
	edited := strings.Replace(notebook, `"%%\n"`, `"%%\nfmt.Println(42)\n"`, 1)
	write(env.work, "sockets.ipynb", ran)
	write(env.work, "client.ipynb", edited)
	write(env.work, "client-2.ipynb", edited)
	write(env.work, "mine.ipynb", "mine")
	_, said = start(Config{})
	assert.Empty(t, said, "nothing is new")
	assert.Equal(t, ran, read("sockets.ipynb"))

	pulled := strings.Replace(notebook, "<Title> & more", "<Title> and less", 1)
	for _, name := range []string{"server", "client", "sockets"} {
		write(env.Notebooks, name+".ipynb", pulled)
	}
	write(env.Notebooks, "images/map.svg", "<svg></svg>")
	for range 2 {
		_, said = start(Config{})
		assert.Equal(t, pulled, read("server.ipynb"))
		assert.Equal(t, pulled, read("sockets.ipynb"))
		assert.Equal(t, ran, read("earlier/sockets.ipynb"), "the run is kept")
		assert.NoFileExists(t, filepath.Join(env.work, "earlier", "server.ipynb"), "it is what it was")
		assert.Equal(t, edited, read("client.ipynb"))
		assert.Equal(t, edited, read("client-2.ipynb"))
		assert.Equal(t, "mine", read("mine.ipynb"))
		assert.Equal(t, "<svg></svg>", read("images/map.svg"))
		assert.Contains(t, said, "You have edited client-2.ipynb, client.ipynb, of which there is a newer one in "+env.Notebooks)
	}
	require.NoError(t, os.Rename(filepath.Join(env.work, "client.ipynb"), filepath.Join(env.work, "my client.ipynb")))
	write(env.work, "sockets.ipynb", strings.Replace(pulled, "old", "another run", 1))
	write(env.Notebooks, "sockets.ipynb", notebook)
	layouts, said = start(Config{Join: netip.MustParseAddr("192.0.2.7")})
	assert.NotContains(t, said, "client.ipynb")
	assert.Equal(t, pulled, read("client.ipynb"))
	assert.Equal(t, edited, read("my client.ipynb"))
	assert.Equal(t, ran, read("earlier/sockets.ipynb"))
	assert.Contains(t, read("earlier/sockets-2.ipynb"), "another run")
	assert.NotContains(t, read("chat"+layoutExtension), "chat_server", "it runs elsewhere")
	assert.Contains(t, read("broadcast"+layoutExtension), "/server.ipynb")
	assert.Len(t, layouts, 2)
}
