package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// composeProject is a copy of the checkout with a Compose project of its own.
type composeProject struct {
	t       *testing.T
	dir     string
	name    string
	files   []string
	environ []string
	images  map[string]string // by service
}

// newComposeProject skips the test where there is no engine with Compose. What the test starts and
// builds is removed at its end; the layers stay, for the next one.
func newComposeProject(t *testing.T) *composeProject {
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
	// As the owner of the notebooks; root's files are given away below.
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = otherUser, otherUser
	}
	p := &composeProject{
		t:       t,
		dir:     composeCheckout(t, repository),
		name:    fmt.Sprintf("%s-%d", strings.ToLower(t.Name()), os.Getpid()),
		files:   []string{"docker-compose.yml", "override.yml"},
		environ: append(os.Environ(), fmt.Sprintf("UDPKIT_UID=%d", uid), fmt.Sprintf("UDPKIT_GID=%d", gid)),
	}
	p.adapt()
	t.Cleanup(func() {
		out, err := p.compose(context.Background(), "--profile", "*", "down", "--rmi", "all", "--volumes")
		assert.NoError(t, err, out)
	})
	return p
}

// compose runs docker compose in the project.
func (p *composeProject) compose(ctx context.Context, args ...string) (string, error) {
	out, err := p.command(ctx, args...).CombinedOutput()
	return string(out), err
}

func (p *composeProject) command(ctx context.Context, args ...string) *exec.Cmd {
	all := []string{"compose", "--project-name", p.name}
	for _, file := range p.files {
		all = append(all, "-f", file)
	}
	cmd := exec.CommandContext(ctx, "docker", append(all, args...)...)
	cmd.Dir, cmd.Env = p.dir, p.environ
	return cmd
}

// do is compose for what must not fail.
func (p *composeProject) do(args ...string) string {
	p.t.Helper()
	out, err := p.compose(p.t.Context(), args...)
	require.NoError(p.t, err, lastLines(out, 40))
	return out
}

// inspect reads what the template makes of a service's image.
func (p *composeProject) inspect(service, template string, into any) {
	p.t.Helper()
	out, err := exec.CommandContext(p.t.Context(), "docker", "image", "inspect", "--format", template, p.images[service]).Output()
	require.NoError(p.t, err)
	require.NoError(p.t, json.Unmarshal(out, into))
}

// size is the size of a service's image, in bytes.
func (p *composeProject) size(service string) (bytes int) {
	p.t.Helper()
	p.inspect(service, "{{.Size}}", &bytes)
	return bytes
}

// memory tells what each container uses.
func (p *composeProject) memory() string {
	p.t.Helper()
	ids := strings.Fields(p.do("ps", "--quiet"))
	args := append([]string{"stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}"}, ids...)
	out, err := exec.CommandContext(p.t.Context(), "docker", args...).Output()
	require.NoError(p.t, err)
	return strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(string(out), p.name+"-", "")), "\n", ", ")
}

// inspectContainer returns what the template makes of a container.
func inspectContainer(t *testing.T, id, template string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "docker", "inspect", "--format", template, id).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// otherUser owns the notebooks in the test if root runs it; not 1000, to see that any user works.
const otherUser = 4242

// composeCheckout copies what the images are built from.
func composeCheckout(t *testing.T, repository string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "docker-compose.yml"} {
		data, err := os.ReadFile(filepath.Join(repository, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	for _, name := range []string{".docker", "udpkit", notebooksDir, workDir} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(repository, name))))
	}
	if os.Getuid() == 0 {
		require.NoError(t, filepath.WalkDir(filepath.Join(dir, workDir), func(path string, _ os.DirEntry, err error) error {
			if err == nil {
				err = os.Chown(path, otherUser, otherUser)
			}
			return err
		}))
	}
	return dir
}

// base is a line of the Dockerfile that begins a stage with an image of others.
var base = regexp.MustCompile(`(?m)^FROM [^ :]+:.*$`)

// adapt makes what this machine needs and the committed files must not have: images under names of
// the test's own, the host's network for the build, and how pip and Go reach what they download.
func (p *composeProject) adapt() {
	t := p.t
	cmd := exec.CommandContext(t.Context(), "docker", "compose", "-f", "docker-compose.yml", "--profile", "*", "config", "--format", "json")
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "UDPKIT_PORT=", "UDPKIT_UID=", "UDPKIT_GID=")
	out, err := cmd.Output()
	require.NoError(t, err)
	var config struct {
		Services map[string]struct {
			User, Image string
			Ports       []struct {
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

	p.images = map[string]string{}
	services := map[string]any{}
	for name, service := range config.Services {
		p.images[name] = p.name + "-" + service.Image
		services[name] = map[string]any{"image": p.images[name], "build": map[string]string{"network": "host"}}
	}
	override, err := json.Marshal(map[string]any{"services": services})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "override.yml"), override, 0o600))

	var set string
	for _, name := range []string{"PIP_CERT", "PIP_INDEX_URL", "GOPROXY", "GOSUMDB"} {
		if value := os.Getenv(name); value != "" {
			set += fmt.Sprintf("\nENV %s=%q", name, value)
		}
	}
	file := filepath.Join(p.dir, ".docker", "Dockerfile")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	text := base.ReplaceAllStringFunc(string(data), func(line string) string { return line + set })
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}

// edit appends to a file of the checkout.
func edit(t *testing.T, file, text string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}
