package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// class returns the Compose project of a class, with its file as docker-compose.yml has it written.
func (p *composeProject) class(students int) (class *composeProject, page string) {
	t := p.t
	port := freePorts(t, students+1)
	// Built it is, and in silence Compose does not build with the host's network.
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "built.yml"), []byte("services: {class: {pull_policy: missing}}\n"), 0o600))
	built := *p
	built.files = append(slices.Clone(p.files), "built.yml")
	cmd := built.command(t.Context(), "run", "--rm", "-T", "--quiet-build", "class", fmt.Sprint(students), "--port", fmt.Sprint(port))
	var said strings.Builder
	cmd.Stderr = &said
	file, err := cmd.Output()
	require.NoError(t, err, said.String())
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "class.yml"), file, 0o600))
	page = regexp.MustCompile(`http://localhost:\S+`).FindString(said.String())
	require.NotEmpty(t, page, said.String())

	override := "services:\n"
	for n := range students + 1 {
		name := "teacher"
		if n > 0 {
			name = student(n)
		}
		override += fmt.Sprintf("  %s:\n    image: %s\n", name, p.images["lab"])
		if n == 0 {
			override += "    build: {network: host}\n"
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "class-override.yml"), []byte(override), 0o600))
	of := *p
	of.name, of.files = p.name+"-class", []string{"class.yml", "class-override.yml"}
	t.Cleanup(func() {
		out, err := of.compose(context.Background(), "down", "--volumes")
		assert.NoError(t, err, out)
	})
	return &of, page
}

func student(n int) string { return fmt.Sprintf("student-%d", n) }

// freePorts returns the first of some TCP ports that follow each other and are free.
func freePorts(t *testing.T, count int) int {
	t.Helper()
	for range 100 {
		first, err := freePort("127.0.0.1", AnyPort)
		require.NoError(t, err)
		free := first+count <= 65535
		for port := first; free && port < first+count; port++ {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(port)))
			if free = err == nil; free {
				l.Close()
			}
		}
		if free {
			return first
		}
	}
	require.FailNow(t, "no free ports in a row")
	return 0
}

// httpGet returns the status and the body of a page. The host is what the request calls the server,
// if not by its address.
func httpGet(t *testing.T, url, host, token string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Host = host
	if token != "" {
		request.Header.Set("Authorization", "token "+token)
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

var classLink = regexp.MustCompile(`>(http://127\.0\.0\.1:\d+)(/lab/\S+\?token=)(\w+)</a>`)

// TestComposeClass has a lab for a teacher and five for students: each hears the teacher's server,
// opens with its own token only, and keeps its notebooks.
func TestComposeClass(t *testing.T) {
	p := newComposeProject(t)
	const students = 5
	start := time.Now()
	p.do("build", "class", "lab")
	t.Logf("built in %s: lab %d MB", time.Since(start).Round(time.Second), p.size("lab")/1_000_000)
	class, page := p.class(students)
	start = time.Now()
	class.do("up", "--detach", "--wait", "--wait-timeout", "180")
	t.Logf("six labs started in %s, memory %s", time.Since(start).Round(time.Second/10), class.memory())

	status, html := httpGet(t, page, "", "")
	require.Equal(t, http.StatusOK, status)
	links := classLink.FindAllStringSubmatch(html, -1)
	require.Len(t, links, students, html)
	without, _, _ := strings.Cut(page, "?")
	status, html = httpGet(t, without, "", "")
	assert.NotEqual(t, http.StatusOK, status, "the page needs the teacher's token")
	assert.NotContains(t, html, links[0][3])
	status, _ = httpGet(t, without, "", links[0][3])
	assert.NotEqual(t, http.StatusOK, status, "a student's is none")
	const probe = `import sys, urllib.error, urllib.request as u
for token in sys.argv[2:]:
    try: print(u.urlopen(u.Request(sys.argv[1], headers={"Authorization": "token " + token})).status)
    except urllib.error.HTTPError as e: print(e.code)`
	for i, link := range links {
		status, _ = httpGet(t, link[1]+link[2]+link[3], "", "")
		assert.Equal(t, http.StatusOK, status, "student %d", i+1)
		next := links[(i+1)%students][3]
		status, _ = httpGet(t, link[1]+"/api/status", "", next)
		assert.Equal(t, http.StatusForbidden, status, "another's token at student %d", i+1)
		status, _ = httpGet(t, link[1]+"/api/status", "lab.example.org", link[3])
		assert.Equal(t, http.StatusOK, status, "from another machine, by whatever name")
	}
	out := class.do("exec", "-T", student(1), "python3", "-c", probe, "http://student-2:8888/api/status", links[0][3], links[1][3])
	assert.Equal(t, "403\n200\n", out, "from within another lab, with the tokens of student 1 and 2")

	// The teacher's server, and a client in each student's lab, in one of them the notebook.
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	server := class.command(ctx, "exec", "-T", "teacher", "udpkit", "server", "--interval", "200ms", "--max-runtime", "90")
	require.NoError(t, server.Start())
	start = time.Now()
	heard := make([]string, students)
	var clients sync.WaitGroup
	for i := range heard {
		clients.Go(func() {
			args := []string{"udpkit", "client", "--max-messages", "3", "--max-runtime", "60"}
			if i == 0 {
				args = []string{"sh", "-c", `cd notebooks && UDPKIT_HEADLESS=1 UDPKIT_MAX_MESSAGES=3 JUPYTER_DATA_DIR=$(echo ~/.cache/udpkit/jupyter-*/data) \
					~/.cache/udpkit/python-*/bin/jupyter execute client.ipynb --output=/tmp/out.ipynb && cat /tmp/out.ipynb`}
			}
			out, err := class.compose(ctx, append([]string{"exec", "-T", student(i + 1)}, args...)...)
			heard[i] = out
			assert.NoError(t, err, lastLines(out, 20))
		})
	}
	clients.Wait()
	t.Logf("all clients have heard the server within %s, memory %s", time.Since(start).Round(time.Second/10), class.memory())
	from := regexp.MustCompile(` by ([0-9.]+):\d+`)
	address := strings.TrimSpace(class.do("exec", "-T", "teacher", "hostname", "-i"))
	for i, out := range heard {
		if i == 0 {
			assert.Contains(t, out, `>3</span><br>received`, "the notebook's panel")
			assert.Contains(t, out, address, "the teacher's server")
			continue
		}
		lines := slices.DeleteFunc(strings.Split(out, "\n"), func(line string) bool { return !received.MatchString(line) })
		require.Len(t, lines, 3, out)
		for _, line := range lines {
			found := from.FindStringSubmatch(line)
			require.NotNil(t, found, line)
			assert.Equal(t, address, found[1], "the teacher's server")
		}
	}
	cancel()
	_ = server.Wait()

	// What a student has written outlives the containers, and is nobody else's.
	class.do("exec", "-T", student(2), "touch", "my-notebooks/mine.ipynb")
	class.do("down")
	class.do("up", "--detach", student(2), student(3))
	class.do("exec", "-T", student(2), "ls", "my-notebooks/mine.ipynb")
	_, err := class.compose(t.Context(), "exec", "-T", student(3), "ls", "my-notebooks/mine.ipynb")
	assert.Error(t, err)
	id := strings.TrimSpace(class.do("ps", "--quiet", student(2)))
	limits := inspectContainer(t, id, "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.CapDrop}} {{.Config.User}}")
	assert.Equal(t, "1073741824 500 [ALL] 1000:1000", limits)
}
