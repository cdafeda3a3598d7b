package store_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store"
)

// streamFiles is where the log is in its directory.
const streamFiles = "jetstream/$G/streams/relay"

// appendLong appends the first n records of a run, with long texts.
func appendLong(t testing.TB, log relay.Log, run relay.ID, n int) {
	for next := 1; next <= n; next += 1000 {
		records := logtest.Records(run, uint64(next), 1000)
		for i := range records {
			records[i].Text += strings.Repeat(" ", 900)
		}
		_, err := log.Append(t.Context(), records)
		require.NoError(t, err)
	}
}

// TestDamage damages the files of a log. What is intact is served, what is lost is a gap, and no
// sequence number is given twice. Where nothing is certain any more the log does not open.
func TestDamage(t *testing.T) {
	const all = 6000 // messages in two files, of 4 MiB at the most for such a limit:
	const limit = 6500
	const inFirst = 4007
	run := relay.NewID()
	var ids [2]uint64
	var logs [2]string // left by a process that has closed it, and by one that was killed
	for i, closed := range []bool{true, false} {
		dir := t.TempDir()
		s := open(t, store.Config{Dir: dir, MaxMessages: limit})
		ids[i] = s.ID()
		appendLong(t, s, run, all)
		if closed {
			require.NoError(t, s.Close())
		}
		logs[i] = filepath.Join(t.TempDir(), "log")
		require.NoError(t, os.CopyFS(logs[i], os.DirFS(dir)))
		require.NoError(t, s.Close())
	}
	cut := func(name string, share float64) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			info, err := os.Stat(filepath.Join(dir, name))
			require.NoError(t, err)
			require.NoError(t, os.Truncate(filepath.Join(dir, name), int64(share*float64(info.Size()))))
		}
	}
	flip := func(name string, share float64) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			b, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			b[int(share*float64(len(b)))] ^= 1
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		}
	}
	remove := func(name string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, name))) }
	}
	for name, c := range map[string]struct {
		damage func(t *testing.T, dir string)
		lost   [2]int // messages at least and at most
		fatal  bool
	}{
		"none":                  {damage: func(*testing.T, string) {}},
		"bit in the first file": {damage: flip("msgs/1.blk", 0.5), lost: [2]int{1, inFirst/2 + 1}},
		"bit in the last file":  {damage: flip("msgs/2.blk", 0.5), lost: [2]int{1, (all-inFirst)/2 + 1}},
		"last bit":              {damage: flip("msgs/2.blk", 0.9999), lost: [2]int{1, 1}},
		"first file cut":        {damage: cut("msgs/1.blk", 0.25), lost: [2]int{inFirst * 3 / 4, inFirst*3/4 + 2}},
		"last file cut":         {damage: cut("msgs/2.blk", 0.75), lost: [2]int{(all - inFirst) / 4, (all-inFirst)/4 + 2}},
		"last file empty":       {damage: cut("msgs/2.blk", 0), lost: [2]int{all - inFirst, all - inFirst}},
		"first file gone":       {damage: remove("msgs/1.blk"), lost: [2]int{inFirst, inFirst}},
		"all files gone":        {damage: remove("msgs"), lost: [2]int{all, all}},
		"index gone":            {damage: remove("msgs/index.db")},
		"settings":              {damage: flip("meta.inf", 0.5), fatal: true},
		"settings gone":         {damage: remove("meta.inf"), fatal: true},
	} {
		t.Run(name, func(t *testing.T) {
			for i, how := range []string{"closed", "killed"} {
				dir := filepath.Join(t.TempDir(), "log")
				require.NoError(t, os.CopyFS(dir, os.DirFS(logs[i])))
				c.damage(t, filepath.Join(dir, streamFiles))
				s, err := store.Open(t.Context(), store.Config{Dir: dir, MaxMessages: limit})
				if c.fatal {
					require.ErrorIs(t, err, store.ErrDamaged, how)
					require.ErrorContains(t, err, dir)
					continue
				}
				require.NoError(t, err, how)
				require.Equal(t, ids[i], s.ID())
				_, last := s.Bounds()
				require.Equal(t, uint64(all), last, how)
				// The next message does not take a number that had another.
				seqs, err := s.Append(t.Context(), logtest.Records(run, all+1, 1))
				require.NoError(t, err, how)
				require.Equal(t, []uint64{all + 1}, seqs)
				var got []relay.Message
				ctx, cancel := context.WithCancel(t.Context())
				have := uint64(0)
				require.NoError(t, s.Follow(ctx, func() uint64 { return have }, func(messages []relay.Message) {
					got = append(got, messages...)
					have = got[len(got)-1].Seq
					if got[len(got)-1].Seq == all+1 {
						cancel()
					}
				}))
				seq := uint64(0)
				for _, m := range got {
					require.Greater(t, m.Seq, seq, how)
					seq = m.Seq
					require.Equal(t, logtest.Text(run, seq), strings.TrimSpace(m.Text), how)
				}
				lost := all + 1 - len(got)
				assert.True(t, c.lost[0]-10 <= lost && min(c.lost[0], 1) <= lost && lost <= c.lost[1]+10, "%s: %d are lost", how, lost)
				require.NoError(t, s.Close())
			}
		})
	}
}

// A log that was being made when its process was killed has no message and is made again.
func TestUnfinished(t *testing.T) {
	for _, missing := range []string{"meta.sum", "meta.inf"} {
		dir := t.TempDir()
		s := open(t, store.Config{Dir: dir})
		require.NoError(t, s.Close())
		require.NoError(t, os.Remove(filepath.Join(dir, streamFiles, missing)))
		s = open(t, store.Config{Dir: dir})
		seqs, err := s.Append(t.Context(), logtest.Records(1, 1, 2))
		require.NoError(t, err, missing)
		require.Equal(t, []uint64{1, 2}, seqs, missing)
		require.NoError(t, s.Close())
	}
}
