package lab

import (
	"context"
	"encoding/json"
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

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestCompose builds docker-compose.yml for real and starts it. That takes minutes and gigabytes,
// so that it needs to be asked for.
func TestCompose(t *testing.T) {
	if os.Getenv("UDPKIT_REQUIRE") == "" && os.Getenv("UDPKIT_COMPOSE") == "" {
		t.Skip("builds a container image for minutes: set UDPKIT_COMPOSE=1 to run it")
	}
	if out, err := exec.CommandContext(t.Context(), "docker", "info").CombinedOutput(); err != nil {
		testenv.Skip(t, "no Docker engine: %v: %s", err, lastLines(string(out), 2))
	}
	if out, err := exec.CommandContext(t.Context(), "docker", "compose", "version").CombinedOutput(); err != nil {
		testenv.Skip(t, "no Docker Compose: %v: %s", err, lastLines(string(out), 2))
	}
	repository, err := findRepository(".")
	require.NoError(t, err)
	dir := composeCheckout(t, repository)
	project := fmt.Sprintf("udpkit-test-%d", os.Getpid())
	const token = "a-token-for-the-test"
	port, err := freePort("127.0.0.1", AnyPort)
	require.NoError(t, err)
	compose := func(ctx context.Context, args ...string) (string, error) {
		args = append([]string{"compose", "--project-name", project, "-f", "docker-compose.yml", "-f", "override.yml"}, args...)
		cmd := exec.CommandContext(ctx, "docker", args...)
		cmd.Dir = dir
		// As the owner of the notebooks; root's files are given away below.
		uid, gid := os.Getuid(), os.Getgid()
		if uid == 0 {
			uid, gid = otherUser, otherUser
		}
		cmd.Env = append(os.Environ(), "JUPYTER_TOKEN="+token, fmt.Sprintf("UDPKIT_UID=%d", uid), fmt.Sprintf("UDPKIT_GID=%d", gid))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	writeOverride(t, dir, port)
	t.Cleanup(func() {
		out, err := compose(context.Background(), "down", "--rmi", "local", "--volumes")
		assert.NoError(t, err, out)
	})
	out, err := compose(t.Context(), "build")
	require.NoError(t, err, lastLines(out, 40))
	out, err = compose(t.Context(), "up", "--detach", "--wait", "--wait-timeout", "180")
	logs, _ := compose(t.Context(), "logs")
	require.NoError(t, err, out+logs)
	assert.Contains(t, logs, "/lab/workspaces/udpkit?token="+token, "the address is in the log")

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
	status, body := get("/lab/api/workspaces/udpkit", token)
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "client-2.ipynb")
	_, err = os.Stat(filepath.Join(dir, notebooksDir, "client-2.ipynb"))
	assert.NoError(t, err, "the copy is in the mounted directory")

	// A checkout that has changed, as by a git pull, is built anew by the next start; one that has
	// not costs a moment.
	out, err = compose(t.Context(), "config", "--images")
	require.NoError(t, err, out)
	image := strings.TrimSpace(out)
	up := func() (id string) {
		start := time.Now()
		out, err := compose(t.Context(), "up", "--detach", "--wait", "--wait-timeout", "180")
		require.NoError(t, err, out)
		t.Logf("another start took %s", time.Since(start).Round(time.Second/10))
		id, err = compose(t.Context(), "images", "--quiet", "lab")
		require.NoError(t, err, id)
		return id
	}
	before := up()
	assert.Equal(t, before, up(), "nothing has changed")
	require.NoError(t, os.WriteFile(filepath.Join(dir, notebooksDir, "new.ipynb"), []byte(notebook), 0o644))
	assert.NotEqual(t, before, up(), "a notebook is new")
	built, err := exec.CommandContext(t.Context(), "docker", "run", "--rm", "--network", "none", image, "ls", notebooksDir).CombinedOutput()
	require.NoError(t, err, string(built))
	assert.Contains(t, string(built), "new.ipynb")

	out, err = compose(t.Context(), "exec", "lab", "id", "-u")
	require.NoError(t, err, out)
	assert.NotEqual(t, "0", strings.TrimSpace(out), "not root")

	// Everything is built in: a server and three clients run with the network cut off.
	cmd := exec.CommandContext(t.Context(), "docker", "run", "--rm", "--init", "--network", "none", image, "udpkit", "lab", "--check")
	checked, err := cmd.CombinedOutput()
	require.NoError(t, err, string(checked))
	assert.Equal(t, 6, strings.Count(string(checked), "10 of 10"), string(checked))

	start := time.Now()
	out, err = compose(t.Context(), "stop")
	require.NoError(t, err, out)
	logs, _ = compose(t.Context(), "logs")
	assert.Contains(t, logs, "Ending JupyterLab and its kernels")
	t.Logf("stopped within %s", time.Since(start))
}

// otherUser owns the notebooks in the test if root runs it; not 1000, to see that any user works.
const otherUser = 4242

// composeCheckout copies what the image is built from.
func composeCheckout(t *testing.T, repository string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "docker-compose.yml"} {
		data, err := os.ReadFile(filepath.Join(repository, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	for _, name := range []string{"udpkit", notebooksDir} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(repository, name))))
	}
	if os.Getuid() == 0 {
		require.NoError(t, filepath.WalkDir(filepath.Join(dir, notebooksDir), func(path string, _ os.DirEntry, err error) error {
			if err == nil {
				err = os.Chown(path, otherUser, otherUser)
			}
			return err
		}))
	}
	return dir
}

// writeOverride writes what this machine needs and the committed file must not have: another port,
// the host's network for the build, and how pip reaches its index.
func writeOverride(t *testing.T, dir string, port int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "docker", "compose", "-f", "docker-compose.yml", "config", "--format", "json")
	cmd.Dir = dir
	out, err := cmd.Output()
	require.NoError(t, err)
	var config struct {
		Services map[string]struct {
			User  string
			Build struct {
				Dockerfile string `json:"dockerfile_inline"`
			}
			Ports []struct {
				HostIP    string `json:"host_ip"`
				Published string
			}
		}
	}
	require.NoError(t, json.Unmarshal(out, &config))
	lab := config.Services["lab"]
	require.Len(t, lab.Ports, 1)
	assert.Equal(t, "127.0.0.1", lab.Ports[0].HostIP, "published on this host only")
	assert.Equal(t, "8888", lab.Ports[0].Published)
	assert.Equal(t, "1000:1000", lab.User)

	first, rest, found := strings.Cut(lab.Build.Dockerfile, "\n")
	require.True(t, found)
	for _, name := range []string{"PIP_CERT", "PIP_INDEX_URL", "GOPROXY", "GOSUMDB"} {
		if value := os.Getenv(name); value != "" {
			first += fmt.Sprintf("\nENV %s=%q", name, value)
		}
	}
	// The text went through Compose's substitution once, and goes again.
	override := fmt.Sprintf(`{"services": {"lab": {"build": {"network": "host", "dockerfile_inline": %q}, "ports": !override ["127.0.0.1:%d:8888"]}}}`,
		first+"\n"+rest, port)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "override.yml"), []byte(override), 0o600))
}
