package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// logs returns the lines that each container of the services has printed, by the container's name
// without the project.
func (p *composeProject) logs(services ...string) map[string][]string {
	p.t.Helper()
	lines := map[string][]string{}
	for line := range strings.Lines(p.do(append([]string{"logs", "--no-color"}, services...)...)) {
		if name, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "|"); ok {
			name = strings.TrimSpace(name)
			lines[name] = append(lines[name], strings.TrimSpace(text))
		}
	}
	return lines
}

// wait waits until done is true of what the services have printed.
func (p *composeProject) wait(what string, done func(map[string][]string) bool, services ...string) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		logs := p.logs(services...)
		if done(logs) {
			return
		}
		require.True(p.t, time.Now().Before(end), "%s: %v", what, logs)
	}
}

// stop ends the services and asserts that each ended by itself, and well.
func (p *composeProject) stop(services ...string) {
	p.t.Helper()
	p.do(append([]string{"stop"}, services...)...)
	out, err := p.command(p.t.Context(), append([]string{"ps", "--all", "--format", "json"}, services...)...).Output()
	require.NoError(p.t, err)
	for line := range strings.Lines(string(out)) {
		var container struct {
			Name     string
			ExitCode int
		}
		require.NoError(p.t, json.Unmarshal([]byte(line), &container))
		assert.Zero(p.t, container.ExitCode, container.Name)
	}
}

var received = regexp.MustCompile(`^[0-9:.]+  [A-Z]+ +#([0-9]+) sent `)

// TestComposeFleet has a server and ten clients in a container each: the broadcasts reach all of
// them, and the acknowledgements the server.
func TestComposeFleet(t *testing.T) {
	p := newComposeProject(t)
	start := time.Now()
	p.do("build", "client")
	t.Logf("built in %s: %.1f MB", time.Since(start).Round(time.Second), float64(p.size("client"))/1e6)
	assert.Less(t, p.size("client"), 30_000_000, "the size of the image")
	start = time.Now()
	p.do("up", "--detach", "--scale", "client=10", "server", "client")
	t.Logf("started in %s", time.Since(start).Round(time.Second/10))
	const clients = 10
	p.wait("ten clients with two messages each", func(logs map[string][]string) bool {
		have := 0
		for _, lines := range logs {
			count := 0
			for _, line := range lines {
				if received.MatchString(line) {
					count++
				}
			}
			if count >= 2 {
				have++
			}
		}
		return have == clients
	}, "client")
	p.wait("the server counts ten clients", func(logs map[string][]string) bool {
		return strings.Contains(strings.Join(logs["server-1"], "\n"), "; 10 clients, ")
	}, "server")
	t.Logf("memory: %s", p.memory())

	// What the subnet's own address did, 255.255.255.255 does too.
	out := p.do("run", "--rm", "-T", "--no-deps", "server", "server", "--target", "limited", "--max-messages", "4", "--interval", "0.5")
	assert.Regexp(t, `(?m)^ +clients +10$`, out)

	id := strings.TrimSpace(p.do("ps", "--quiet", "server"))
	inspected := inspectContainer(t, id, "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.LogConfig.Config}}")
	assert.Equal(t, "65532:65532 true [ALL] map[max-file:3 max-size:10m]", inspected)
	start = time.Now()
	p.stop("server", "client")
	t.Logf("stopped in %s", time.Since(start).Round(time.Second/10))
}

var read = regexp.MustCompile(`^[0-9:.]+  #([0-9]+)  wes: (.*)$`)

// TestComposeRelay kills nodes of NATS and relay servers while a writer writes: clients turn to the
// other server by themselves, and each reader gets everything, once and in order.
func TestComposeRelay(t *testing.T) {
	p := newComposeProject(t)
	start := time.Now()
	p.do("build", "nats-1", "relay-1")
	t.Logf("built in %s: NATS %.1f MB", time.Since(start).Round(time.Second), float64(p.size("nats-1"))/1e6)
	start = time.Now()
	p.do("up", "--detach", "ann", "ben")
	p.wait("readers that are served", func(logs map[string][]string) bool {
		return strings.Contains(strings.Join(logs["ann-1"], "\n"), "* served") && strings.Contains(strings.Join(logs["ben-1"], "\n"), "* served")
	}, "ann", "ben")
	t.Logf("started in %s", time.Since(start).Round(time.Second/10))

	// Writes all the time.
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := p.command(ctx, "run", "--rm", "-T", "--no-deps", "writer")
	lines, err := cmd.StdinPipe()
	require.NoError(t, err)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	enough, total := make(chan struct{}), make(chan int)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-enough:
				lines.Close()
				total <- n
				return
			case <-tick.C:
				fmt.Fprintf(lines, "line %d\n", n+1)
			}
		}
	}()
	// reach waits until both readers have read a message.
	reach := func(message string) {
		p.wait(message, func(logs map[string][]string) bool {
			return slices.Contains(messages(logs["ann-1"]), message) && slices.Contains(messages(logs["ben-1"]), message)
		}, "ann", "ben")
	}
	// progress waits until both readers have read what was written by then, and some more.
	progress := func() {
		read := max(len(messages(p.logs("ann")["ann-1"])), len(messages(p.logs("ben")["ben-1"])))
		reach(line(read + 100))
	}
	for _, victim := range []string{"nats-1", "relay-1", "nats-2", "relay-2"} {
		progress()
		p.do("kill", victim)
		progress() // with the others, wherever the clients were
		p.do("start", victim)
	}
	progress()
	close(enough)
	written := <-total
	require.NoError(t, cmd.Wait(), "all is stored: %s", &out)
	reach(line(written))
	for name, printed := range p.logs("ann", "ben") {
		got := messages(printed)
		require.Len(t, got, written, name)
		for i, message := range got {
			require.Equal(t, line(i+1), message, name)
		}
	}
	t.Logf("%d messages; memory: %s", written, p.memory())

	p.stop("ann", "ben", "relay-1", "relay-2", "nats-1", "nats-2", "nats-3")
}

// line is a message as messages has it.
func line(n int) string { return fmt.Sprintf("#%d line %d", n, n) }

// messages returns what a reader has printed of messages: the number, and the text.
func messages(lines []string) (list []string) {
	for _, line := range lines {
		if m := read.FindStringSubmatch(line); m != nil {
			list = append(list, "#"+m[1]+" "+m[2])
		}
	}
	return list
}
