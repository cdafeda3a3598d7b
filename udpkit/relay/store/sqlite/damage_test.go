package sqlite_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

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

// left is the directory of a log that a process has left.
type left struct {
	dir string
	id  uint64
}

// leave makes logs with messages of a run: one that was closed, and one whose process was killed.
func leave(t *testing.T, run relay.ID, messages int) map[string]left {
	logs := make(map[string]left)
	for _, how := range []string{"closed", "killed"} {
		dir := t.TempDir()
		s := open(t, sqlite.Config{Dir: dir})
		appendLong(t, s, run, messages)
		l := left{filepath.Join(t.TempDir(), "log"), s.ID()}
		if how == "closed" {
			require.NoError(t, s.Close())
		}
		require.NoError(t, os.CopyFS(l.dir, os.DirFS(dir)))
		require.NoError(t, s.Close())
		logs[how] = l
	}
	return logs
}

// copied returns the directory of a copy.
func (l left) copied(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.CopyFS(dir, os.DirFS(l.dir)))
	return dir
}

// checkDamaged opens a damaged log and checks what it serves. It returns how many messages are
// lost, or the error of opening.
func (l left) checkDamaged(t *testing.T, dir string, run relay.ID, all int, what string) (lost int, err error) {
	s, err := sqlite.Open(t.Context(), sqlite.Config{Dir: dir})
	if err != nil {
		return 0, err
	}
	defer func() { require.NoError(t, s.Close()) }()
	require.Equal(t, l.id, s.ID(), what)
	_, last := s.Bounds()
	require.Equal(t, uint64(all), last, what)
	// The next message does not take a number that had another.
	seqs, err := s.Append(t.Context(), logtest.Records(run+1, 1, 1))
	require.NoError(t, err, what)
	require.Equal(t, []uint64{uint64(all) + 1}, seqs, what)
	var got []relay.Message
	ctx, cancel := context.WithCancel(t.Context())
	have := uint64(0)
	require.NoError(t, s.Follow(ctx, func() uint64 { return have }, func(messages []relay.Message) {
		got = append(got, messages...)
		have = got[len(got)-1].Seq
		if have == uint64(all)+1 {
			cancel()
		}
	}), what)
	seq := uint64(0)
	for _, m := range got[:len(got)-1] {
		require.Greater(t, m.Seq, seq, what)
		seq = m.Seq
		require.Equal(t, logtest.Text(run, seq), strings.TrimSpace(m.Text), what)
	}
	// What comes again is not stored again, unless nothing is known of it any more.
	lost = all + 1 - len(got)
	if _, err := s.Append(t.Context(), logtest.Records(run, 1, all)); err != nil {
		require.ErrorIs(t, err, sqlite.ErrDamaged)
		return lost, nil
	}
	once := make(map[string]bool)
	for have := uint64(0); ; {
		messages, err := s.Read(t.Context(), have+1, all)
		require.NoError(t, err)
		if len(messages) == 0 {
			return lost, nil
		}
		for _, m := range messages {
			text := strings.TrimSpace(m.Text)
			require.False(t, once[text], "%s: %s twice", what, text)
			once[text], have = true, m.Seq
		}
	}
}

func flip(t *testing.T, name string, at int) {
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	b[at/8] ^= 1 << (at % 8)
	require.NoError(t, os.WriteFile(name, b, 0o600))
}

// TestDamage damages the files of a log. What is intact is served, what is lost is a gap, and no
// sequence number is given twice. Where nothing is certain any more the log does not open.
func TestDamage(t *testing.T) {
	t.Parallel()
	const all = 6000
	run := relay.NewID()
	logs := leave(t, run, all)
	cut := func(share float64) func(t *testing.T, name string) {
		return func(t *testing.T, name string) {
			info, err := os.Stat(name)
			require.NoError(t, err)
			require.NoError(t, os.Truncate(name, int64(share*float64(info.Size()))))
		}
	}
	bit := func(share float64) func(t *testing.T, name string) {
		return func(t *testing.T, name string) {
			info, err := os.Stat(name)
			require.NoError(t, err)
			flip(t, name, int(share*float64(8*info.Size())))
		}
	}
	change := func(from, to string) func(t *testing.T, name string) {
		return func(t *testing.T, name string) {
			b, err := os.ReadFile(name)
			require.NoError(t, err)
			require.Equal(t, 1, bytes.Count(b, []byte(from)))
			require.NoError(t, os.WriteFile(name, bytes.Replace(b, []byte(from), []byte(to), 1), 0o600))
		}
	}
	remove := func(t *testing.T, name string) { require.NoError(t, os.RemoveAll(name)) }
	for name, c := range map[string]struct {
		how, file string
		damage    func(t *testing.T, name string)
		lost      [2]int // messages at least and at most
		fatal     bool
	}{
		"none":            {"closed", "relay.db", func(*testing.T, string) {}, [2]int{}, false},
		"none, killed":    {"killed", "relay.db", func(*testing.T, string) {}, [2]int{}, false},
		"bit in the file": {"closed", "relay.db", bit(0.5), [2]int{0, 4}, false},
		"last quarter":    {"closed", "relay.db", cut(0.75), [2]int{all / 4, all/4 + 50}, false},
		"half a page":     {"closed", "relay.db", cut(0.9999), [2]int{1, 10}, false},
		"header":          {"closed", "relay.db", func(t *testing.T, name string) { flip(t, name, 3) }, [2]int{}, true},
		"empty":           {"closed", "relay.db", cut(0), [2]int{}, true},
		"gone":            {"closed", "relay.db", remove, [2]int{}, true},
		"first page only": {"closed", "relay.db", cut(4096.0 / (1 << 24)), [2]int{}, true},
		"column":          {"closed", "relay.db", change("checksum INTEGER NOT NULL,    -- CRC-32", "checksul INTEGER NOT NULL,    -- CRC-32"), [2]int{}, true},
		"column of runs":  {"closed", "relay.db", change("seq      INTEGER NOT NULL,\n\tchecksum", "saq      INTEGER NOT NULL,\n\tchecksum"), [2]int{}, true},
		"trigger":         {"closed", "relay.db", change("AFTER UPDATE ON message BEGIN", "AFTER UPDATE ON message bEGIN"), [2]int{}, false},
		"comment":         {"closed", "relay.db", change("-- of the message within the run", "-- if the message within the run"), [2]int{}, false},
		"bit in the wal":  {"killed", "relay.db-wal", bit(0.5), [2]int{1, all}, false},
		"wal cut":         {"killed", "relay.db-wal", cut(0.75), [2]int{1, all}, false},
		"wal gone":        {"killed", "relay.db-wal", remove, [2]int{1, all}, false},
		"shm":             {"killed", "relay.db-shm", bit(0.1), [2]int{}, false},
		"shm gone":        {"killed", "relay.db-shm", remove, [2]int{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := logs[c.how]
			dir := l.copied(t)
			c.damage(t, filepath.Join(dir, c.file))
			lost, err := l.checkDamaged(t, dir, run, all, name)
			if c.fatal {
				require.ErrorIs(t, err, sqlite.ErrDamaged)
				require.ErrorContains(t, err, dir)
				left, err := filepath.Glob(filepath.Join(dir, "*.new*"))
				require.NoError(t, err)
				require.Empty(t, left)
				return
			}
			require.NoError(t, err)
			assert.True(t, c.lost[0] <= lost && lost <= c.lost[1], "%d are lost", lost)
			// It stays as it is once it was repaired, at the latest when it was opened again.
			require.NoError(t, open(t, sqlite.Config{Dir: dir}).Close())
			s := open(t, sqlite.Config{Dir: dir})
			first, last := s.Bounds()
			require.GreaterOrEqual(t, last, uint64(all)+1)
			require.LessOrEqual(t, first, last)
			require.Empty(t, s.Repaired(), "once is enough")
		})
	}
}

// TestFlippedBits flips bits anywhere.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	const all = 1000
	run := relay.NewID()
	logs := leave(t, run, all)
	files := []string{"relay.db", "relay.db", "relay.db-wal"}
	worst, fatal, repaired := 0, 0, 0
	for n := range 200 {
		l := logs["closed"]
		file := files[n%len(files)]
		if file == "relay.db-wal" {
			l = logs["killed"]
		}
		dir := l.copied(t)
		info, err := os.Stat(filepath.Join(dir, file))
		require.NoError(t, err)
		at := rand.IntN(int(8 * info.Size()))
		if n%4 == 0 {
			at = rand.IntN(8 * 4096 * 12) // where the tables and the roots are
		}
		flip(t, filepath.Join(dir, file), at)
		lost, err := l.checkDamaged(t, dir, run, all, "")
		t.Logf("bit %d (page %d) of %s: %d are lost, %v", at, at/8/4096, file, lost, err)
		if err != nil {
			fatal++
			require.NotErrorIs(t, err, sqlite.ErrInUse)
		}
		worst = max(worst, lost)
		kept, err := filepath.Glob(filepath.Join(dir, "*.damaged-*"))
		require.NoError(t, err)
		repaired += len(kept)
	}
	t.Logf("at most %d are lost, %d times the log did not open, %d times it was repaired", worst, fatal, repaired)
	require.Less(t, fatal, 50)
}
