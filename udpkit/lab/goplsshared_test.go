//go:build unix

package lab

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// cellKernel speaks to the lab's gopls as the kernel does.
type cellKernel struct {
	t    testing.TB
	conn *lspConn
	dir  string
	ids  int
}

func newCellKernel(t testing.TB, g *sharedGopls) *cellKernel {
	t.Helper()
	dir, err := os.MkdirTemp("", "gonb_")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for name, text := range map[string]string{
		"cells/go.mod": "module gonb_test\n\ngo 1.26\n", "cells/go.work": "go 1.26\n\nuse (\n\t.\n\t../library\n)\n", "cells/main.go": "package main\n",
		"library/go.mod": "module library\n\ngo 1.26\n", "library/library.go": "package library\n\nfunc Before() {}\n",
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	conn, err := net.Dial("unix", g.address())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	k := &cellKernel{t: t, conn: newLSPConn(conn), dir: dir}
	answer := k.ask("initialize", map[string]any{"workspaceFolders": []any{map[string]any{"uri": "file://" + dir + "/cells", "name": "x"}}})
	require.Empty(t, answer.Error)
	require.NoError(t, k.conn.send(nil, "initialized", map[string]any{}))
	return k
}

func (k *cellKernel) ask(method string, params any) lspMessage {
	k.t.Helper()
	k.ids++
	id, _ := json.Marshal(k.ids)
	require.NoError(k.t, k.conn.SetDeadline(time.Now().Add(time.Minute)))
	require.NoError(k.t, k.conn.send(id, method, params))
	answer, err := k.conn.read()
	require.NoError(k.t, err)
	require.JSONEq(k.t, string(id), string(answer.ID), "nothing but answers reaches the kernel")
	return answer
}

// main tells that main.go, which stays as it is on the disk, has this as its last line.
func (k *cellKernel) main(version int, line string) {
	k.t.Helper()
	file := map[string]any{"uri": "file://" + k.dir + "/cells/main.go", "version": version, "languageId": "go"}
	text := "package main\n\nimport (\n\t\"strings\"\n\t\"library\"\n)\n\nfunc main() {\n\t" + line + "\n}\n"
	if version == 1 {
		file["text"] = text
		require.NoError(k.t, k.conn.send(nil, "textDocument/didOpen", map[string]any{"textDocument": file}))
		return
	}
	require.NoError(k.t, k.conn.send(nil, "textDocument/didChange", map[string]any{
		"textDocument": file, "contentChanges": []any{map[string]any{"text": text}},
	}))
}

func (k *cellKernel) completions(column int) string {
	k.t.Helper()
	answer := k.ask("textDocument/completion", map[string]any{
		"textDocument": map[string]any{"uri": "file://" + k.dir + "/cells/main.go"}, "position": map[string]any{"line": 8, "character": column},
	})
	return string(answer.Result) + string(answer.Error)
}

// TestSharedGopls: nothing runs before the first question; then two kernels are answered by one
// gopls, each by its own files and by the repository's packages as they are now; they do not notice
// when it is killed, or has ended because nobody asked; and nothing is left when the lab ends.
func TestSharedGopls(t *testing.T) {
	env := realSetup(t)
	if env.gopls.path == "" {
		testenv.Skip(t, "gopls could not be built")
	}
	program := env.gopls
	program.log, program.idle, program.linger = filepath.Join(t.TempDir(), "log"), 2*time.Second, time.Second
	g, err := shareGopls(program)
	require.NoError(t, err)
	running := func() *process {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.process
	}
	one, two := newCellKernel(t, g), newCellKernel(t, g)
	one.main(1, "strings.HasPre")
	two.main(1, "strings.TrimSuf")
	assert.Nil(t, running(), "no question, no gopls")
	assert.Contains(t, one.completions(15), "HasPrefix")
	first := running()
	assert.Contains(t, two.completions(16), "TrimSuffix")
	assert.Same(t, first, running())

	killProcess(first.cmd.Process.Pid)
	<-first.done
	one.main(2, "strings.ToUp")
	assert.Contains(t, one.completions(13), "ToUpper", "what the first was not told")
	assert.Contains(t, two.completions(16), "TrimSuffix", "what the first was told")
	second := running()
	assert.NotSame(t, first, second)

	select {
	case <-second.done:
	case <-time.After(time.Minute):
		t.Fatal("gopls stays although nobody asks")
	}
	assert.Contains(t, two.completions(16), "TrimSuffix")
	assert.Contains(t, one.completions(13), "ToUpper")

	third := running()

	library := filepath.Join(one.dir, "library", "library.go")
	file := map[string]any{"uri": "file://" + library, "version": 1, "languageId": "go", "text": "package library\n\nfunc After() {}\n"}
	require.NoError(t, os.WriteFile(library, []byte(file["text"].(string)), 0o600))
	require.NoError(t, one.conn.send(nil, "textDocument/didOpen", map[string]any{"textDocument": file}))
	one.main(3, "library.A")
	assert.Contains(t, one.completions(10), "After", "an edited package")

	g.end()
	assert.Empty(t, third.family())
	assert.NoDirExists(t, g.dir)
	_, err = one.conn.read()
	assert.Error(t, err, "the kernel is told")
}
