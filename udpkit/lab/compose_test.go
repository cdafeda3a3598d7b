package lab

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCompose builds docker-compose.yml's lab for real and starts it. That takes minutes and
// gigabytes, so that it needs to be asked for.
func TestCompose(t *testing.T) {
	p := newComposeProject(t)
	const token = "a-token-for-the-test"
	port, err := freePort("127.0.0.1", AnyPort)
	require.NoError(t, err)
	p.environ = append(p.environ, "JUPYTER_TOKEN="+token, fmt.Sprintf("UDPKIT_PORT=%d", port))
	compose := p.compose
	start := time.Now()
	out, err := compose(t.Context(), "build")
	require.NoError(t, err, lastLines(out, 40))
	size := p.size("lab")
	t.Logf("built in %s: %d MB", time.Since(start).Round(time.Second), size/1_000_000)
	assert.Less(t, size, 1_200_000_000, "the size of the image")
	start = time.Now()
	out, err = compose(t.Context(), "up", "--detach", "--wait", "--wait-timeout", "180")
	logs, _ := compose(t.Context(), "logs")
	require.NoError(t, err, out+logs)
	t.Logf("the first start took %s, memory %s", time.Since(start).Round(time.Second/10), p.memory())
	assert.Contains(t, logs, fmt.Sprintf("http://127.0.0.1:%d/lab/workspaces/broadcast?token=%s", port, token), "the address is in the log")

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path, token string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), nil)
		require.NoError(t, err)
		if token != "" {
			request.Header.Set("Authorization", "token "+token)
		}
		response, err := client.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(body)
	}
	status, _ := get("/api/status", "")
	assert.Equal(t, http.StatusForbidden, status, "without a token")
	status, _ = get("/api/status", token)
	assert.Equal(t, http.StatusOK, status)
	status, body := get("/lab/api/workspaces/broadcast", token)
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "client-2.ipynb")
	_, err = os.Stat(filepath.Join(p.dir, workDir, "client-2.ipynb"))
	assert.NoError(t, err, "the copy is in the mounted directory")

	// A checkout that has changed, as by a git pull, is built anew by the next start, but neither
	// the kernel nor JupyterLab is; one that has not costs a moment.
	up := func() (id string, layers []string) {
		start := time.Now()
		out, err := compose(t.Context(), "up", "--detach", "--wait", "--wait-timeout", "180")
		require.NoError(t, err, out)
		t.Logf("another start took %s", time.Since(start).Round(time.Second/10))
		id, err = compose(t.Context(), "images", "--quiet", "lab")
		require.NoError(t, err, id)
		p.inspect("lab", "{{json .RootFS.Layers}}", &layers)
		return id, layers
	}
	before, layersBefore := up()
	after, _ := up()
	assert.Equal(t, before, after, "nothing has changed")
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, notebooksDir, "new.ipynb"), []byte(notebook), 0o644))
	edit(t, filepath.Join(p.dir, "udpkit", "client.go"), "\nvar _ = 1\n")
	after, layers := up()
	assert.NotEqual(t, before, after, "a notebook is new, and a line of Go")
	require.Len(t, layers, len(layersBefore))
	same := 0
	for same < len(layers) && layers[same] == layersBefore[same] {
		same++
	}
	// The build cache, udpkit, its source, the notebooks and their copies are new.
	assert.GreaterOrEqual(t, same, len(layers)-5, "what has not changed is not built again")
	image := p.images["lab"]
	built, err := exec.CommandContext(t.Context(), "docker", "run", "--rm", "--network", "none", image, "ls", workDir).CombinedOutput()
	require.NoError(t, err, string(built))
	assert.Contains(t, string(built), "new.ipynb")
	assert.Contains(t, string(built), "relay"+layoutExtension, "which the index links to, for whoever starts Jupyter otherwise")

	out, err = compose(t.Context(), "exec", "lab", "which", "nc", "ss", "python3")
	assert.NoError(t, err, out)
	out, err = compose(t.Context(), "exec", "lab", "id", "-u")
	require.NoError(t, err, out)
	assert.NotEqual(t, "0", strings.TrimSpace(out), "not root")

	// Everything is built in: a server and three clients run with the network cut off.
	cmd := exec.CommandContext(t.Context(), "docker", "run", "--rm", "--init", "--network", "none", image, "udpkit", "lab", "--check")
	checked, err := cmd.CombinedOutput()
	require.NoError(t, err, string(checked))
	assert.Equal(t, 6, strings.Count(string(checked), "10 of 10"), string(checked))
	assertBinder(t, image)

	start = time.Now()
	out, err = compose(t.Context(), "stop")
	require.NoError(t, err, out)
	logs, _ = compose(t.Context(), "logs")
	assert.Contains(t, logs, "Ending JupyterLab and its kernels")
	t.Logf("stopped within %s", time.Since(start))
}
