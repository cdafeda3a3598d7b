package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/bench"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// The tests run this binary again as the command.
const asCommand = "UDPKIT_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

type process struct {
	*exec.Cmd
	t      *testing.T
	lines  *bufio.Scanner
	stderr bytes.Buffer
}

func command(t *testing.T, args ...string) *process {
	t.Helper()
	p := prepare(t, args...)
	require.NoError(t, p.Start())
	return p
}

// prepare returns a command that has not started.
func prepare(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(t.Context(), os.Args[0], args...), t: t}
	// With the race detector a program sleeps for a second at its end, if it is not told otherwise.
	p.Env = append(os.Environ(), asCommand+"=1", "GORACE=atexit_sleep_ms=0")
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	p.lines = bufio.NewScanner(out)
	p.Stderr = &p.stderr
	t.Cleanup(func() { // the end of the test's context does not wait for the end of the process
		if p.Process != nil && p.ProcessState == nil {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
	})
	return p
}

// event returns the next JSON line whose kind it is. A command that does not say it is ended, so
// that the test fails and says why.
func (p *process) event(kind string) map[string]any {
	p.t.Helper()
	defer time.AfterFunc(time.Minute, func() { _ = p.Process.Kill() }).Stop()
	for p.lines.Scan() {
		var e map[string]any
		require.NoError(p.t, json.Unmarshal(p.lines.Bytes(), &e), p.lines.Text())
		if e["event"] == kind {
			return e
		}
	}
	require.NoError(p.t, p.lines.Err())
	require.Fail(p.t, "the command ended without the event "+kind, p.stderr.String())
	return nil
}

// rest returns the output that was not read, once the command has ended.
func (p *process) rest() string {
	var b strings.Builder
	for p.lines.Scan() {
		fmt.Fprintln(&b, p.lines.Text())
	}
	return b.String()
}

func freePort(t *testing.T) string { return fmt.Sprint(testenv.FreePort(t)) }

// TestThreeClientsAndAServer is the main job in a terminal.
func TestThreeClientsAndAServer(t *testing.T) {
	port, history := freePort(t), filepath.Join(t.TempDir(), "history.jsonl")
	var clients []*process
	for i, receiver := range []string{"selector", "channel", "nonblocking"} {
		args := []string{"client", "--port", port, "--id", fmt.Sprint("c", i), "--receiver", receiver, "--max-messages", "4", "--json"}
		if i == 0 {
			args = append(args, "--history", history)
		}
		clients = append(clients, command(t, args...))
		clients[i].event("start")
	}
	server := command(t, "server", "--port", port, "--target", "127.255.255.255", "--interval", "50ms", "--states", "UP,DOWN", "--json")
	acks := map[string]int{}
	for len(acks) < 3 || acks["c0"] < 4 || acks["c1"] < 4 || acks["c2"] < 4 {
		ack := server.event("ack")
		acks[ack["client_id"].(string)]++
		assert.Positive(t, ack["rtt_ns"])
	}
	for _, c := range clients {
		for n := range 4 {
			m := c.event("message")
			assert.EqualValues(t, n+1, m["message_id"])
			assert.Equal(t, []any{"UP", "DOWN"}[n%2], m["state"])
			for _, field := range []string{"timestamp", "server", "received_at"} {
				assert.NotEmpty(t, m[field], field)
			}
		}
		sum := c.event("summary")
		assert.EqualValues(t, 4, sum["received"])
		assert.EqualValues(t, 0, sum["duplicates"])
		assert.EqualValues(t, 0, sum["missed"])
		assert.Empty(t, c.rest())
		assert.NoError(t, c.Wait())
	}
	written, err := os.ReadFile(history)
	require.NoError(t, err)
	assert.Equal(t, 6, bytes.Count(written, []byte("\n")), "start, four messages, summary")

	if runtime.GOOS == "windows" {
		return // no signals to a single process there
	}
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		c := command(t, "client", "--port", port, "--json")
		c.event("message")
		begun := time.Now()
		require.NoError(t, c.Process.Signal(signal))
		c.event("summary")
		assert.NoError(t, c.Wait(), "exit code 0")
		assert.Less(t, time.Since(begun), 3*time.Second)
	}
	require.NoError(t, server.Process.Signal(os.Interrupt))
	assert.Positive(t, server.event("summary")["sent"])
	assert.NoError(t, server.Wait())
}

func TestText(t *testing.T) {
	port := freePort(t)
	client := command(t, "client", "--port", port, "--max-messages", "2")
	require.True(t, client.lines.Scan())
	server := command(t, "server", "--port", port, "--target", "127.255.255.255", "--interval", "50ms", "--max-runtime", "3s")
	text := client.rest()
	assert.NoError(t, client.Wait())
	assert.Contains(t, text, "ACTIVE")
	assert.Contains(t, text, "Ended: after 2 messages")
	assert.NotContains(t, text, "\x1b", "colours are for terminals")
	assert.NotContains(t, text, "\r")
	require.NoError(t, server.Process.Kill())
	_ = server.Wait()
}

func TestBadArguments(t *testing.T) {
	for _, test := range []struct{ args, says string }{
		{"client --receiver telepathy", "choose one of blocking, nonblocking, selector, goroutine, channel"},
		{"client --port 0", "port 0"},
		{"client --port 99999", "99999"},
		{"client --prot 1", "unknown flag: --prot"},
		{"client extra", `unexpected argument "extra"`},
		{"client --max-runtime -1s", "negative"},
		{"server --interval 1ns", "shorter than 1ms"},
		{"server --interval soon", "soon"},
		{"server --target nowhere", `target "nowhere" is not`},
		{"server --target ::1", "the one is IPv6, the other IPv4"},
		{"server --interface nosuch", `there is no network interface "nosuch"`},
		{"server --interface lo --target 127.0.0.1", "not for the targets 127.0.0.1"},
		{"server --states A,,B", "the state is empty"},
		{"lab --clients 1000", "1000"},
		{"bench extra", `unexpected argument "extra"`},
		{"bench --rounds 0", "cannot be 0"},
		{"bench --time 1h", "from 10ms to 10s"},
		{"lab --check --setup", "exclude each other"},
		{"lab mail", "broadcast, chat, relay"},
		{"lab chat relay", "unexpected argument"},
		{"lab chat --check", "opens notebooks"},
		{"beacon --port 0", "port 0"},
		{"beacon --interval 1ns", "shorter than 1ms"},
		{"beacon --group 10.0.0.1", "not a multicast group"},
		{"beacon --group all", `group "all" is neither`},
		{"beacon --interface nosuch", `there is no network interface "nosuch"`},
		{"beacon --target nowhere", `target "nowhere" is not`},
		{"beacon --name a|b", "U+007C"},
		{"cilent", `unknown command "cilent"`},
	} {
		p := command(t, strings.Fields(test.args)...)
		assert.Empty(t, p.rest(), test.args)
		_ = p.Wait()
		assert.Equal(t, 2, p.ProcessState.ExitCode(), test.args)
		assert.Contains(t, p.stderr.String(), test.says)
		assert.Equal(t, 1, strings.Count(p.stderr.String(), "\n"), "one line: %s", &p.stderr)
	}
}

func TestFailureExitsWithOne(t *testing.T) {
	stranger, err := net.ListenUDP("udp4", &net.UDPAddr{})
	require.NoError(t, err)
	defer stranger.Close()
	p := command(t, "client", "--port", fmt.Sprint(stranger.LocalAddr().(*net.UDPAddr).Port))
	p.rest()
	_ = p.Wait()
	assert.Equal(t, 1, p.ProcessState.ExitCode())
	assert.Contains(t, p.stderr.String(), "taken by another program")
	assert.Contains(t, p.stderr.String(), "choose another")
}

func TestCompletion(t *testing.T) {
	p := command(t, "__complete", "client", "--receiver", "")
	assert.Contains(t, p.rest(), "selector")
	assert.NoError(t, p.Wait())
}

func TestBench(t *testing.T) {
	p := command(t, "bench", "--rounds=1", "--time=20ms", "--idle=20ms", "--only=udpkit goroutine", "--json")
	p.lines.Buffer(nil, 1<<20)
	out := p.rest()
	require.NoError(t, p.Wait(), &p.stderr)
	var report bench.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	assert.True(t, slices.ContainsFunc(report.Rows, func(r *bench.Row) bool {
		return r.Name == "udpkit goroutine" && r.Full != nil && r.Full.Rate.Median > 0
	}), report.Missing)
}

// TestVersion: it names the version, Go and the system, as the build knows them.
func TestVersion(t *testing.T) {
	p := command(t, "version")
	require.True(t, p.lines.Scan())
	assert.Regexp(t, `^udpkit \S+(, commit [0-9a-f]{40}( with changes)?)?, `+regexp.QuoteMeta(runtime.Version())+`, `+runtime.GOOS+"/"+runtime.GOARCH+"$", p.lines.Text())
	require.NoError(t, p.Wait())
}
