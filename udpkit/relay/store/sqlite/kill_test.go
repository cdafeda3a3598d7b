package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

// The runs that the killed processes go on with.
var killedRuns = []relay.ID{1, 2}

// appendUntilKilled is a process that appends to the log in the directory that UDPKIT_TEST_DIR
// names. It prints a line for each record that is stored.
func appendUntilKilled() {
	ctx := context.Background()
	out := bufio.NewWriter(os.Stdout)
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Dir: os.Getenv("UDPKIT_TEST_DIR")})
	fail(err)
	var next []uint64
	for _, run := range killedRuns {
		last, _, err := s.Stored(ctx, run, 1<<60)
		fail(err)
		next = append(next, last+1)
	}
	for {
		var records []relay.Record
		for range 1 + rand.IntN(40) {
			i := rand.IntN(len(killedRuns))
			records = append(records, logtest.Records(killedRuns[i], next[i], 1)...)
			next[i]++
		}
		seqs, err := s.Append(ctx, records)
		fail(err)
		for i, r := range records {
			fmt.Fprintln(out, uint64(r.Run), r.Number, seqs[i], "stored")
		}
		fail(out.Flush())
	}
}

// TestKill kills processes that append, 200 times: what was stored is there, once and in order.
func TestKill(t *testing.T) {
	t.Parallel()
	const cycles = 200
	dir := t.TempDir()
	stored := map[uint64]string{} // by sequence number
	acked := map[relay.ID]uint64{}
	start := time.Now()
	idle := 0 // cycles in which nothing was stored
	for range cycles {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"=append", "UDPKIT_TEST_DIR="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		kill := func() { _ = cmd.Process.Kill() }
		timer := time.AfterFunc(20*time.Second, kill)
		if rand.IntN(4) == 0 { // perhaps before it has begun
			timer.Reset(rand.N(100 * time.Millisecond))
		}
		lines := bufio.NewScanner(out)
		n := 0
		for ; lines.Scan(); n++ {
			if n == 0 {
				timer.Reset(min(rand.N(60*time.Millisecond), 20*time.Second))
			}
			var run, number, seq uint64
			if _, err := fmt.Sscanf(lines.Text(), "%d %d %d stored", &run, &number, &seq); err != nil {
				break // the process was killed within a line
			}
			stored[seq] = logtest.Text(relay.ID(run), number)
			acked[relay.ID(run)] = number
		}
		if n == 0 {
			idle++
		}
		timer.Stop()
		kill()
		_ = cmd.Wait()
		require.False(t, cmd.ProcessState.Exited(), "it was killed, and did not end by itself")
	}
	t.Logf("%d cycles in %v, %d records stored, %d cycles without", cycles, time.Since(start), len(stored), idle)
	require.Greater(t, len(stored), cycles)

	s := open(t, sqlite.Config{Dir: dir})
	next := map[relay.ID]uint64{1: 1, 2: 1}
	for _, m := range logtest.All(t, s) {
		if want, ok := stored[m.Seq]; ok {
			require.Equal(t, want, m.Text, "message %d", m.Seq)
		}
		var run relay.ID = 1
		if m.Text != logtest.Text(1, next[1]) {
			run = 2
		}
		require.Equal(t, logtest.Text(run, next[run]), m.Text, "each once and in order")
		next[run]++
	}
	for run, number := range acked {
		require.Greater(t, next[run], number, "what was stored is there")
	}
}
