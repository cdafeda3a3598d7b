package main

import (
	"bytes"
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
	"github.com/gonb-labs/udp-notebooks/udpkit/referee"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
)

// TestOurs: our own commands pass in every system, on each side, in the worst of weathers.
func TestOurs(t *testing.T) {
	t.Setenv(asCommand, "1")
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	ours := []struct {
		system string
		side   referee.Side
		args   []string
	}{
		{"broadcast", referee.Client, []string{"client", "--port", "{port}"}},
		{"broadcast", referee.Server, []string{"server", "--target", "{address}", "--interval", "50ms", "--verbose", "--port", "{port}"}},
		{"echo", referee.Client, []string{"echo", "client", "--timeout", "300ms", "--port", "{port}"}},
		{"echo", referee.Server, []string{"echo", "server", "--port", "{port}"}},
		{"responder", referee.Client, []string{"send", "127.0.0.1:{port}", "hello", "--timeout", "300ms"}},
		{"responder", referee.Server, []string{"responder", "--port", "{port}"}},
		{"beacon", referee.Peer, []string{"beacon", "--target", "{address}:{port}", "--interval", "100ms", "--port", "{listen}"}},
		{"relay", referee.Reader, []string{"relay", "reader", "--name", "me", "--from", "start", "--port", "{port}"}},
		{"relay", referee.Writer, []string{"relay", "writer", "--name", "me", "--port", "{port}"}},
		{"relay", referee.Server, []string{"relay", "server", "--address", "127.0.0.1", "--port", "{port}", "--data"}},
		{"chat", referee.Server, []string{"chat", "server", "--address", "127.0.0.1", "--port", "{port}"}},
		{"chat", referee.Client, []string{"chat", "client", "--name", "me", "--port", "{port}"}},
	}
	var covered, all []string
	type result struct {
		verdict referee.Verdict
		err     error
	}
	results := make(map[string]chan result) // all at once: they wait more than they compute
	for _, o := range ours {
		covered = append(covered, fmt.Sprint(o.system, " ", o.side))
		for seed := range uint64(3) {
			command := append([]string{os.Args[0]}, o.args...)
			if o.args[len(o.args)-1] == "--data" {
				command = append(command, t.TempDir())
			}
			came := make(chan result, 1)
			results[fmt.Sprint(o.system, " ", o.side, " ", seed)] = came
			go func() {
				v, err := referee.Run(t.Context(), referee.Config{System: o.system, Side: o.side, Command: command, Seed: seed,
					Weather: weather.Settings{Loss: 0.2, Duplicate: 0.2, Reorder: 0.2}, Restart: true, Second: true, Forge: true})
				came <- result{v, err}
			}()
		}
	}
	for name, came := range results {
		r := <-came
		if assert.NoError(t, r.err, name) {
			assert.Empty(t, r.verdict.Findings, "%s: %q", name, r.verdict.Output)
		}
	}
	for _, system := range referee.Systems() {
		for _, side := range referee.Sides(system) {
			all = append(all, fmt.Sprint(system, " ", side))
		}
	}
	require.ElementsMatch(t, all, covered)
}

// TestReferee: what the command prints, and its exit codes.
func TestReferee(t *testing.T) {
	dir := t.TempDir()
	judged := func(args ...string) (out string, code int) {
		p := command(t, append([]string{"referee"}, args...)...)
		out = p.rest()
		_ = p.Wait()
		return out + p.stderr.String(), p.ProcessState.ExitCode()
	}
	out, code := judged("echo", "--side", "server", "--loss", "20%", "--reorder", "--seed", "7", "--rounds", "2", "--", os.Args[0], "echo", "server", "--port", "{port}")
	require.Equal(t, 0, code, out)
	require.Regexp(t, `(?s)^seed 7: \d+ datagrams sent, .*\nseed 8: .*\n2 rounds: no rule is broken\n$`, out)

	// A server that answers "Message received" is no echo.
	wrong := []string{"echo", "--side", "server", "--patience", "1s", "--seed", "3", "--recordings", dir, "--", os.Args[0], "responder", "--port", "{port}"}
	out, code = judged(wrong...)
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "same: datagram ")
	require.Contains(t, out, "play it again: --seed 3\n")
	require.Contains(t, out, "udpkit referee echo: the program breaks a rule\n")
	require.FileExists(t, filepath.Join(dir, "referee-echo-server-seed3.pcapng"))
	require.FileExists(t, filepath.Join(dir, "referee-echo-server-seed3.html"))

	out, code = judged(append([]string{"echo", "--json"}, wrong[1:]...)...)
	require.Equal(t, 1, code, out)
	lines := bytes.SplitN([]byte(out), []byte("\n"), 3)
	var round referee.Round
	var verdict referee.Verdict
	require.NoError(t, json.Unmarshal(lines[0], &round))
	require.NoError(t, json.Unmarshal(lines[1], &verdict))
	require.Equal(t, round.Findings, verdict.Findings)
	require.False(t, verdict.Passed())
	require.FileExists(t, verdict.Timeline)

	out, code = judged("broadcast", "--rules")
	require.Equal(t, 0, code)
	require.Regexp(t, `(?m)^acknowledges +It answers`, out)

	for want, args := range map[string][]string{
		"stands behind --: there is none": {"echo"},
		"--reorder=20%":                   {"echo", "--reorder", "20%", "--", "true"},
		`echo has no side "peer"`:         {"echo", "--side", "peer", "--", "true"},
		"a loss of 90%":                   {"echo", "--loss", "90%", "--", "true"},
		"unknown flag: --volume":          {"echo", "--volume", "1", "--", "true"},
	} {
		out, code := judged(args...)
		assert.Equal(t, 2, code, "%v: %s", args, out)
		assert.Contains(t, out, want)
	}
	_, code = judged("echo", "--", filepath.Join(dir, "none"))
	require.Equal(t, 1, code)
}

// TestSkeletons: the beginnings of programs that the lessons end with have a fault each, and the
// command that stands below them finds it.
func TestSkeletons(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		testenv.Skip(t, "python3 is not installed: %v", err)
	}
	dir := t.TempDir()
	judged := make(map[string]*process)
	for _, lesson := range []string{"sockets", "broadcast", "nonblocking", "concurrency", "chat", "relay"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "..", "notebooks", lesson+".ipynb"))
		require.NoError(t, err)
		var notebook struct {
			Cells []struct{ Source []string }
		}
		require.NoError(t, json.Unmarshal(data, &notebook))
		text := strings.Join(notebook.Cells[len(notebook.Cells)-1].Source, "")
		program := regexp.MustCompile("(?s)```python\n(.*?)```").FindStringSubmatch(text)
		line := regexp.MustCompile(`(?m)^go tool udpkit (referee .*) -- python3 (\S+\.py) \{port\}$`).FindStringSubmatch(text)
		require.NotNil(t, program, lesson)
		require.NotNil(t, line, lesson)
		file := filepath.Join(dir, lesson+"-"+line[2])
		require.NoError(t, os.WriteFile(file, []byte(program[1]), 0o600))
		args := append(strings.Fields(line[1]), "--seed", "3", "--patience", "2s", "--recordings", dir, "--", "python3", file, "{port}")
		judged[lesson] = command(t, args...) // all at once: they wait more than they compute
	}
	for lesson, p := range judged {
		out := p.rest()
		_ = p.Wait()
		assert.Equal(t, 1, p.ProcessState.ExitCode(), "%s: %s", lesson, out)
		assert.Equal(t, "udpkit referee "+p.Args[2]+": the program breaks a rule\n", p.stderr.String(), lesson)
	}
}
