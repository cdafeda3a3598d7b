package sqlite_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	lite "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

// python runs a program with a connection db with the log's file. It returns what it prints.
func python(t *testing.T, dir, program string) string {
	t.Helper()
	name, err := exec.LookPath("python3")
	if err != nil {
		testenv.Skip(t, "no python3: %v", err)
	}
	program = "import json, sqlite3, sys, zlib\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n" + program
	out, err := exec.Command(name, "-c", program, filepath.Join(dir, "relay.db")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// TestOtherProgram: another program reads the log while a store writes it, and can check it.
func TestOtherProgram(t *testing.T) {
	dir := t.TempDir()
	s := open(t, sqlite.Config{Dir: dir})
	records := logtest.Records(1<<64-1, 1, 3)
	records[1].Text = "grüße 🙂"
	_, err := s.Append(t.Context(), records)
	require.NoError(t, err)
	out := python(t, dir, `
rows = db.execute("SELECT seq, writer, printf('%016x', run), number, text, at FROM message ORDER BY seq").fetchall()
def checksum(*columns):
    sum = b""
    for c in columns:
        if isinstance(c, str):
            c = c.encode()
            sum += len(c).to_bytes(8, "big") + c
        else:
            sum += c.to_bytes(8, "big", signed=True)
    return zlib.crc32(sum)
for *columns, sum in db.execute("SELECT seq, writer, run, number, text, at, checksum FROM message"):
    assert checksum(*columns) == sum, columns
print(json.dumps([rows, db.execute("PRAGMA application_id").fetchone(), db.execute("PRAGMA user_version").fetchone()]))`)
	var got []any
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, []any{2.0, "ann", "ffffffffffffffff", 2.0, "grüße 🙂", 1.7e18 + 2}, got[0].([]any)[1])
	require.Equal(t, []any{float64(0x7564706b)}, got[1])
	require.Equal(t, []any{1.0}, got[2])
	_, err = s.Append(t.Context(), logtest.Records(2, 1, 3))
	require.NoError(t, err)
}

// TestDeletions: messages that another program deletes or changes are a gap, and that is noticed.
func TestDeletions(t *testing.T) {
	dir := t.TempDir()
	s := open(t, sqlite.Config{Dir: dir})
	_, err := s.Append(t.Context(), logtest.Records(1, 1, 10))
	require.NoError(t, err)
	deletions := s.Deletions()
	noticed := func(what string) {
		t.Helper()
		require.Eventually(t, func() bool { now := s.Deletions(); changed := now != deletions; deletions = now; return changed },
			30*time.Second, 10*time.Millisecond, what)
	}
	seqs := func(from uint64) (seqs []uint64) {
		messages, err := s.Read(t.Context(), from, 20)
		require.NoError(t, err)
		for _, m := range messages {
			seqs = append(seqs, m.Seq)
		}
		return seqs
	}
	python(t, dir, `db.execute("DELETE FROM message WHERE seq=7")`)
	noticed("a message in the middle")
	assert.Equal(t, []uint64{1, 2, 3, 4, 5, 6}, seqs(1))
	assert.Equal(t, []uint64{8, 9, 10}, seqs(7))
	python(t, dir, `db.execute("UPDATE message SET text='forged' WHERE seq=3")`)
	noticed("a text")
	assert.Equal(t, []uint64{1, 2}, seqs(1))
	assert.Equal(t, []uint64{4, 5, 6}, seqs(3))
	python(t, dir, `db.execute("DELETE FROM message WHERE seq=10 OR seq<3")`)
	noticed("the newest and the oldest")
	first, last := s.Bounds()
	assert.Equal(t, []uint64{3, 10}, []uint64{first, last})
	// Numbers are not given again, nor are messages stored again.
	got, err := s.Append(t.Context(), logtest.Records(1, 7, 5))
	require.NoError(t, err)
	assert.Equal(t, []uint64{0, 8, 9, 0, 11}, got)
	python(t, dir, `db.execute("DELETE FROM message")`)
	noticed("all")
	require.NoError(t, s.Close())
	s = open(t, sqlite.Config{Dir: dir})
	got, err = s.Append(t.Context(), logtest.Records(2, 1, 1))
	require.NoError(t, err)
	assert.Equal(t, []uint64{12}, got)
	// What another program adds is none of the log's messages, and is in nobody's way.
	python(t, dir, `db.execute("INSERT INTO message VALUES (13, 'eve', 5, 1, 'hello', 0, 0)")`)
	require.Eventually(t, func() bool { _, last := s.Bounds(); return last == 13 }, 30*time.Second, 10*time.Millisecond)
	got, err = s.Append(t.Context(), logtest.Records(2, 2, 1))
	require.NoError(t, err)
	assert.Equal(t, []uint64{14}, got)
	assert.Equal(t, []uint64{14}, seqs(13))
}

// TestLocked: while another program keeps the file locked nothing is stored, and then it is.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	s := open(t, sqlite.Config{Dir: dir})
	go func() {
		_, _ = exec.Command("python3", "-c", `
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
db.execute("INSERT INTO message VALUES (1, 'eve', 5, 1, 'hello', 0, 0)")
time.sleep(0.3)
db.execute("ROLLBACK")`, filepath.Join(dir, "relay.db")).CombinedOutput()
	}()
	for n := range uint64(400) {
		seqs, err := s.Append(t.Context(), logtest.Records(1, n+1, 1))
		require.NoError(t, err)
		require.Equal(t, []uint64{n + 1}, seqs)
	}
}

// TestAgain appends ten thousand records twice.
func TestAgain(t *testing.T) {
	s := open(t, sqlite.Config{Dir: t.TempDir()})
	var records []relay.Record
	for run := range relay.ID(10) {
		records = append(records, logtest.Records(run+1, 1, 1000)...)
	}
	first, err := s.Append(t.Context(), records)
	require.NoError(t, err)
	again, err := s.Append(t.Context(), records)
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Len(t, logtest.All(t, s), len(records))
}

// TestBackup copies the log while it is written to. The copy is a log.
func TestBackup(t *testing.T) {
	s := open(t, sqlite.Config{Dir: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	appended := make(chan uint64)
	_, err := s.Append(t.Context(), logtest.Records(1, 1, 1000))
	require.NoError(t, err)
	go func() {
		number := uint64(1000)
		for ctx.Err() == nil {
			_, err := s.Append(context.Background(), logtest.Records(1, number+1, 20))
			assert.NoError(t, err)
			number += 20
		}
		appended <- number
	}()
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	var least []uint64
	for _, dir := range dirs {
		_, last := s.Bounds()
		least = append(least, last)
		require.NoError(t, s.Backup(t.Context(), filepath.Join(dir, "relay.db")))
		require.ErrorIs(t, s.Backup(t.Context(), filepath.Join(dir, "relay.db")), fs.ErrExist)
	}
	cancel()
	all := <-appended
	for i, dir := range dirs {
		copied := open(t, sqlite.Config{Dir: dir})
		require.Equal(t, s.ID(), copied.ID())
		messages := logtest.All(t, copied)
		require.GreaterOrEqual(t, len(messages), int(least[i]))
		require.LessOrEqual(t, len(messages), int(all))
		for n, m := range messages {
			require.Equal(t, logtest.Text(1, uint64(n+1)), m.Text)
		}
		seqs, err := copied.Append(t.Context(), logtest.Records(1, uint64(len(messages)), 2))
		require.NoError(t, err)
		require.Equal(t, []uint64{uint64(len(messages)), uint64(len(messages)) + 1}, seqs)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	file := filepath.Join(t.TempDir(), "copy")
	require.ErrorIs(t, s.Backup(cancelled, file), context.Canceled)
	require.NoFileExists(t, file)
}

// TestMessages reads a log that a store writes.
func TestMessages(t *testing.T) {
	dir := t.TempDir()
	s := open(t, sqlite.Config{Dir: dir})
	_, err := s.Append(t.Context(), logtest.Records(1, 1, 3000))
	require.NoError(t, err)
	for _, closed := range []bool{false, true} {
		if closed {
			require.NoError(t, s.Close())
		}
		next := uint64(500)
		for m, err := range sqlite.Messages(t.Context(), dir, next) {
			require.NoError(t, err)
			require.Equal(t, logtest.Text(1, next), m.Text)
			next++
		}
		require.Equal(t, uint64(3001), next)
	}
	for _, err := range sqlite.Messages(t.Context(), t.TempDir(), 1) {
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
}

// TestSpace: what is discarded makes room on the disk, in small steps, between which messages are
// stored.
func TestSpace(t *testing.T) {
	dir := t.TempDir()
	s := open(t, sqlite.Config{Dir: dir})
	appendLong(t, s, 1, 30_000)
	require.NoError(t, s.Close())
	c, err := lite.OpenConn(filepath.Join(dir, "relay.db"), lite.OpenReadWrite)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, sqlitex.ExecuteScript(c, `
CREATE TABLE journal (first, last);
CREATE TRIGGER step AFTER UPDATE OF first ON log BEGIN INSERT INTO journal VALUES (new.first, (SELECT max(seq) FROM message)); END`, nil))
	s = open(t, sqlite.Config{Dir: dir, MaxMessages: 100})
	first, _ := s.Bounds()
	require.Equal(t, uint64(29_901), first)
	number := uint64(30_000)
	var steps, firsts, lasts []int64
	require.Eventually(t, func() bool {
		_, err := s.Append(t.Context(), logtest.Records(1, number+1, 1))
		require.NoError(t, err)
		number++
		firsts, lasts = []int64{1}, []int64{30_000}
		require.NoError(t, sqlitex.Execute(c, "SELECT first, last FROM journal ORDER BY first", &sqlitex.ExecOptions{ResultFunc: func(row *lite.Stmt) error {
			firsts, lasts = append(firsts, row.ColumnInt64(0)), append(lasts, row.ColumnInt64(1))
			return nil
		}}))
		return firsts[len(firsts)-1] > 29_900
	}, 20*time.Second, time.Microsecond)
	between := 0
	for i := range firsts[1:] {
		steps = append(steps, firsts[i+1]-firsts[i])
		if lasts[i+1] > lasts[i] {
			between++
		}
	}
	require.LessOrEqual(t, slices.Max(steps), int64(500))
	require.Greater(t, between, 3, "%d steps", len(steps))
	require.Eventually(t, func() bool {
		info, err := os.Stat(filepath.Join(dir, "relay.db"))
		require.NoError(t, err)
		return info.Size() < 3<<20
	}, 30*time.Second, 10*time.Millisecond)
	last, _, err := s.Stored(t.Context(), 1, 1)
	require.NoError(t, err)
	require.Equal(t, number, last)
	require.Len(t, logtest.All(t, s), 100)
}

// TestPositions: how far a run has got is known although nothing of it is kept, also later.
func TestPositions(t *testing.T) {
	dir := t.TempDir()
	s := open(t, sqlite.Config{Dir: dir, MaxMessages: 10})
	_, err := s.Append(t.Context(), logtest.Records(1, 1, 5))
	require.NoError(t, err)
	_, err = s.Append(t.Context(), logtest.Records(2, 1, 2000))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		for m, err := range sqlite.Messages(t.Context(), dir, 1) {
			require.NoError(t, err)
			return m.Seq > 5
		}
		return false
	}, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, s.Close())
	s = open(t, sqlite.Config{Dir: dir})
	seqs, err := s.Append(t.Context(), logtest.Records(1, 4, 3))
	require.NoError(t, err)
	require.Equal(t, []uint64{0, 0, 2006}, seqs)
}
