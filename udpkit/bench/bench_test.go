package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/bench"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// The benchmark runs this binary again as its subjects.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "subject" {
		if err := bench.Subject(context.Background(), os.Args[2:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// quick measures everything once, as shortly as it goes on a busy machine.
func quick() bench.Config {
	return bench.Config{
		Rounds: 1, Time: 50 * time.Millisecond, Idle: 20 * time.Millisecond, Self: []string{os.Args[0], "subject"},
	}
}

func row(t *testing.T, r *bench.Report, name string) *bench.Row {
	t.Helper()
	for _, row := range r.Rows {
		if row.Name == name {
			return row
		}
	}
	require.Fail(t, "there is no row "+name)
	return nil
}

func ownSending(kind string) string {
	if kind == "relay" {
		return "udpkit relay's sending"
	}
	return "udpkit server's sending"
}

func sendingRows(t *testing.T, r *bench.Report, name, kind string) (rows []*bench.Sending) {
	t.Helper()
	for _, s := range r.Sending {
		if s.Name == name && s.Kind == kind {
			rows = append(rows, s)
		}
	}
	require.NotEmpty(t, rows, "%s to %s", name, kind)
	return rows
}

// Every row has what belongs into it.
func TestRun(t *testing.T) {
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "the full tables are Linux's")
	}
	for _, tool := range []string{"cc", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Skip(t, "the full tables need %s: %v", tool, err)
		}
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var steps []string
	cfg := quick()
	before := time.Duration(0)
	cfg.Progress = func(what string, done, all time.Duration) {
		steps = append(steps, what)
		assert.LessOrEqual(t, before, done, what)
		assert.True(t, done < all || all == 0, "%s: %v of %v", what, done, all)
		before = done
	}
	report, err := bench.Run(t.Context(), cfg)
	require.NoError(t, err)
	if runtime.NumCPU() > 1 {
		assert.Empty(t, report.Missing)
	}
	assert.NotEmpty(t, steps)

	for _, r := range report.Rows {
		require.NotNil(t, r.Full, r.Name)
		assert.Positive(t, r.Full.Rate.Median, r.Name)
		assert.Positive(t, r.Full.CPU.Median, r.Name)
		require.NotNil(t, r.Full.RateRatio, r.Name)
		if !strings.Contains(r.Name, "client") && !strings.Contains(r.Name, "GRO") {
			assert.NotEmpty(t, r.Idle, r.Name)
		}
	}
	for _, style := range udpkit.Styles() {
		r := row(t, report, "udpkit "+string(style))
		assert.Less(t, r.Full.Allocations.Median, 0.1, style)
		require.NotNil(t, r.Paced, style)
		assert.Positive(t, row(t, report, "udpkit "+string(style)+" + GRO").Full.RateRatio.Median)
		if style == udpkit.NonBlocking {
			continue
		}
		require.NotNil(t, r.P50, style)
		assert.Positive(t, r.P50.Median)
		assert.LessOrEqual(t, r.P50.Median, r.P99.Median)
		assert.Len(t, r.Idle, 2)
	}
	for _, name := range []string{"udpkit client", "udpkit client, signed", "udpkit client, sealed"} {
		client := row(t, report, name)
		assert.Positive(t, client.Full.Rate.Median)
		assert.Less(t, client.Full.Allocations.Median, 0.1, name)
	}
	for _, name := range []string{"Go raw recvmmsg", "Go raw epoll"} {
		r := row(t, report, name)
		assert.Less(t, r.Full.Allocations.Median, 0.1, name)
		require.NotNil(t, r.Paced, name)
		require.NotNil(t, r.P50, name)
	}
	for _, name := range []string{"Go raw recvmmsg + GRO", "udpkit blocking + GRO", "udpkit selector + GRO"} {
		r := row(t, report, name)
		require.NotNil(t, r.Backlog, name)
		require.NotNil(t, r.Backlog.CPURatio, name)
		assert.Positive(t, r.Backlog.CPURatio.Median, name)
	}
	for _, kind := range []string{"list", "broadcast", "relay"} {
		for _, name := range []string{"C sendto", "Go WriteToUDPAddrPort", ownSending(kind)} {
			for _, s := range sendingRows(t, report, name, kind) {
				assert.Positive(t, s.Rate.Median)
				assert.Positive(t, s.CPU.Median)
				assert.InDelta(t, 1, s.Arrived.Median, 0.2, "%s %s %d", name, kind, s.Listeners)
				require.NotNil(t, s.RateRatio)
				assert.Positive(t, s.RateRatio.Median)
			}
		}
	}
	servers := make(map[string]int) // rows of each
	for _, row := range report.FanOut {
		servers[row.Name]++
		what := fmt.Sprint(row.Name, ", ", row.Readers, " readers, ", row.InFlight)
		assert.Positive(t, row.Rate.Median, what)
		assert.GreaterOrEqual(t, row.CPU.Median, 0.0, what) // of a few ms, which may be none
		if assert.NotNil(t, row.RateRatio, what) {
			assert.Positive(t, row.RateRatio.Median, what)
		}
	}
	assert.Equal(t, map[string]int{"NATS core": 12, "NATS JetStream, stored": 16, "udpkit relay, unstored": 12, "udpkit relay, stored": 16, "the store alone": 4}, servers)
	require.NotNil(t, report.Acks)
	assert.Equal(t, report.Acks.Sent, report.Acks.Counted+report.Acks.Dropped, "each is counted, or the kernel has said that it had no room")
	assert.InDelta(t, 100_000, report.Acks.Clients, float64(report.Acks.Dropped))
	assert.Less(t, report.Acks.Memory, 400.0)

	text, err := json.Marshal(report)
	require.NoError(t, err)
	var back bench.Report
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Len(t, back.Rows, len(report.Rows))
	assert.Len(t, back.Sending, len(report.Sending))
	assert.Len(t, back.FanOut, len(report.FanOut))
	var tables bytes.Buffer
	require.NoError(t, report.WriteText(&tables))
	for _, r := range report.Rows {
		assert.Contains(t, tables.String(), "| "+r.Name+" ")
	}
	for _, s := range report.Sending {
		assert.Contains(t, tables.String(), "| "+s.Name+" ")
	}
	for _, row := range report.FanOut {
		assert.Contains(t, tables.String(), "| "+row.Name+" ")
	}
	left, err := filepath.Glob(filepath.Join(temp, "*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

// Without compilers and interpreters, what there is is measured, and the rest named.
func TestRunWithoutReferences(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("CC", "")
	cfg := quick()
	cfg.Only = []string{"udpkit goroutine", "relay's sending", "unstored"}
	report, err := bench.Run(t.Context(), cfg)
	require.NoError(t, err)
	var missing []string
	for _, m := range report.Missing {
		missing = append(missing, m.What)
		assert.NotEmpty(t, m.Why)
	}
	assert.Contains(t, missing, "the references in C")
	assert.Contains(t, missing, "the references in Python")
	r := row(t, report, "udpkit goroutine")
	assert.Positive(t, r.Full.Rate.Median)
	assert.Nil(t, r.Full.RateRatio)
	if runtime.GOOS == "linux" {
		require.Len(t, report.Sending, 3) // numbers of readers
		assert.Positive(t, report.Sending[0].Rate.Median)
		assert.Nil(t, report.Sending[0].RateRatio)
		assert.Contains(t, missing, "NATS core")
		require.NotEmpty(t, report.FanOut)
		for _, r := range report.FanOut {
			assert.Equal(t, "udpkit relay, unstored", r.Name)
			assert.Nil(t, r.RateRatio)
		}
	}
	var tables bytes.Buffer
	require.NoError(t, report.WriteText(&tables))
	assert.Contains(t, tables.String(), "Not measured:")
}

// A subject that does not work is named with what it says, and does not stop the rest.
func TestRunBrokenSubjects(t *testing.T) {
	cfg := quick()
	cfg.Self = []string{"sh", "-c", "echo out of order >&2; exit 1"}
	cfg.Only = []string{"udpkit goroutine", "relay's sending", "unstored"}
	t.Setenv("CC", "false")
	programs := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(programs, "nats-server"), []byte("#!/bin/sh\necho out of order >&2; exit 1\n"), 0o700))
	t.Setenv("PATH", programs+string(filepath.ListSeparator)+os.Getenv("PATH"))
	report, err := bench.Run(t.Context(), cfg)
	require.NoError(t, err)
	why := make(map[string]string)
	for _, m := range report.Missing {
		why[m.What] = m.Why
	}
	assert.Contains(t, why["the references in C"], "exit status 1")
	for _, what := range []string{
		"udpkit goroutine, flood", "udpkit goroutine, ping", "a server with many clients", "idle",
		"sending, relay, 8 listeners", "NATS core, 8 readers", "udpkit relay, unstored, 256 readers",
	} {
		if runtime.GOOS != "linux" && regexp.MustCompile(`\d (readers|listeners)$`).MatchString(what) {
			continue
		}
		assert.Equal(t, "out of order", why[what], what)
	}
}

func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cfg := quick()
	cfg.Only = []string{"udpkit"}
	cfg.Progress = func(what string, _, _ time.Duration) {
		if strings.Contains(what, "udpkit selector") {
			cancel(stop)
		}
	}
	report, err := bench.Run(ctx, cfg)
	require.ErrorIs(t, err, stop)
	assert.Positive(t, row(t, report, "udpkit blocking").Full.Rate.Median)
	assert.Nil(t, report.Acks)
}

func TestRunRefuses(t *testing.T) {
	for _, change := range []func(*bench.Config){
		func(c *bench.Config) { c.Rounds = -1 },
		func(c *bench.Config) { c.Rounds = 101 },
		func(c *bench.Config) { c.Time = time.Millisecond },
		func(c *bench.Config) { c.Time = time.Minute },
		func(c *bench.Config) { c.Idle = -1 },
		func(c *bench.Config) { c.Self = nil },
	} {
		cfg := quick()
		change(&cfg)
		_, err := bench.Run(t.Context(), cfg)
		assert.ErrorIs(t, err, bench.ErrConfig)
	}
}

func TestSubjectRefuses(t *testing.T) {
	for _, args := range [][]string{
		nil, {"goroutine"}, {"goroutine", "dance"}, {"nobody", "echo"}, {"goroutine", "receive", "soon", "1"},
		{"load", "flood"}, {"load", "dance", "1"}, {"load", "flood", "x"}, {"server", "x"},
		{"raw pigeon", "receive", "1", "1"}, {"raw recvmmsg", "dance"},
		{"sender", "batch"}, {"sender", "batch", "status", "1", "1", "120", "nowhere"}, {"sender", "batch", "status", "1", "soon", "1", "127.0.0.1:9"},
		{"sender", "pigeon", "status", "1", "1", "120", "127.0.0.1:9"}, {"sinks", "list", "many"},
		{"serve", "dinner"}, {"fanout", "nats", "1"}, {"fanout", "pigeon", "1", "1", "1", "1", "1", "1"}, {"fanout", "nats", "x", "1", "1", "1", "1", "1"},
		{"fanout", "nats", "1", "1", "1", "1", "1", "1"}, {"fanout", "relay", "1", "1", "1", "1", "1", "1"},
		{"append", t.TempDir(), "1"}, {"append", t.TempDir(), "1", "1", "many"},
	} {
		assert.Error(t, bench.Subject(t.Context(), args, new(bytes.Buffer)), "%q", args)
	}
}

func ExampleRun() {
	report, err := bench.Run(context.Background(), bench.Config{
		Rounds: 1, Time: 50 * time.Millisecond, Idle: 20 * time.Millisecond,
		Self: []string{os.Args[0], "subject"}, // a program that calls bench.Subject
		Only: []string{"udpkit goroutine"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range report.Rows {
		if row.Name == "udpkit goroutine" {
			fmt.Println(row.Name, row.Full.Rate.Median > 0)
		}
	}
	// Output: udpkit goroutine true
}
