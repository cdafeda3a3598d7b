package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

// ballast fills a disk but for a number of bytes.
func ballast(t *testing.T, dir string, leave int) (remove func()) {
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	require.NoError(t, err)
	for chunk := make([]byte, 1<<16); len(chunk) > 0; {
		if _, err = f.Write(chunk); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			chunk = chunk[:len(chunk)/2]
		}
	}
	info, err := f.Stat()
	require.NoError(t, err)
	require.NoError(t, f.Truncate(max(info.Size()-int64(leave), 0)))
	require.NoError(t, f.Close())
	return func() { require.NoError(t, os.Remove(name)) }
}

// TestFullDisk lets the disk run full again and again.
func TestFullDisk(t *testing.T) {
	if !testenv.InMountNamespace(t) {
		return
	}
	disk := testenv.SmallDisk(t, 32)
	cfg := sqlite.Config{Dir: filepath.Join(disk, "log")}
	s := open(t, cfg)
	follower := logtest.Follow(t, s, 0)
	run, stored := relay.NewID(), uint64(0)
	seqs := map[uint64]uint64{} // by number
	write := func(n int) error {
		records := logtest.Records(run, stored+1, n)
		for i := range records {
			records[i].Text += strings.Repeat(" ", 500)
		}
		got, err := s.Append(t.Context(), records)
		for i, seq := range got {
			seqs[records[i].Number] = seq
		}
		stored += uint64(len(got))
		if err == nil {
			require.Len(t, got, n)
		}
		return err
	}
	for round := range 8 {
		require.NoError(t, write(100))
		remove := ballast(t, disk, rand.IntN(300_000))
		var err error
		var took time.Duration
		for before := stored; err == nil; {
			require.Less(t, stored, before+5000)
			start := time.Now()
			err = write(1 + rand.IntN(60))
			took = time.Since(start)
		}
		t.Logf("round %d: %d are stored, after %v %v", round, stored, took, err)
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorContains(t, err, cfg.Dir)
		assert.Less(t, took, time.Second)
		// It says so at once from then on, and goes on with all that needs no space.
		start := time.Now()
		require.ErrorIs(t, write(1), syscall.ENOSPC)
		require.ErrorIs(t, s.SaveClient(t.Context(), relay.ClientRecord{Role: relay.RoleReader, Username: "ann"}), syscall.ENOSPC)
		assert.Less(t, time.Since(start), time.Second/2)
		require.NoError(t, s.Claim(t.Context(), "reader.ann", 1, time.Minute))
		require.NoError(t, s.Release(t.Context(), "reader.ann", 1))
		_, err = s.Client(t.Context(), relay.RoleReader, "ann")
		require.NoError(t, err)
		last, _, err := s.Stored(t.Context(), run, 1<<60)
		require.NoError(t, err)
		require.GreaterOrEqual(t, last, stored)
		require.GreaterOrEqual(t, len(logtest.All(t, s)), int(stored))
		follower.Wait(t, int(stored))

		remove()
		start = time.Now()
		for err = write(60); err != nil; err = write(60) { // and with it what was tried before
			require.Less(t, time.Since(start), 10*time.Second, "it goes on when there is space: %v", err)
			time.Sleep(10 * time.Millisecond)
		}
		t.Logf("went on after %v", time.Since(start))
		require.NoError(t, s.SaveClient(t.Context(), relay.ClientRecord{Role: relay.RoleReader, Username: "ann"}))
	}
	follower.Wait(t, int(stored))
	want := logtest.All(t, s)
	for i, m := range want {
		require.Equal(t, logtest.Text(run, uint64(i+1)), strings.TrimSpace(m.Text))
		require.Equal(t, m.Seq, seqs[uint64(i+1)])
	}
	require.Equal(t, stored, uint64(len(want)))
	require.Equal(t, want, follower.Stop(t))
	// It also starts on a full disk, to be read.
	for _, leave := range []int{0, 5_000, 100_000} {
		remove := ballast(t, disk, leave)
		require.NoError(t, s.Close())
		s = open(t, cfg)
		require.Equal(t, want, logtest.All(t, s))
		start := time.Now()
		var err error
		for next := stored + 1; err == nil; next += 100 {
			require.Less(t, next, stored+5000)
			_, err = s.Append(t.Context(), logtest.Records(run+1, next, 100))
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		assert.Less(t, time.Since(start), 2*time.Second)
		require.Equal(t, want, logtest.All(t, s)[:stored])
		remove()
		for err != nil {
			require.Less(t, time.Since(start), 10*time.Second, "it goes on when there is space: %v", err)
			time.Sleep(10 * time.Millisecond)
			_, err = s.Append(t.Context(), logtest.Records(run, stored+1, 1))
		}
		want = logtest.All(t, s)
		stored = uint64(len(want))
	}
	require.NoError(t, s.Close())
	s = open(t, cfg)
	require.Equal(t, want, logtest.All(t, s))
}

// TestFullDiskServer: a relay whose disk is full says so, acknowledges nothing that is not stored,
// serves readers, and goes on when there is space.
func TestFullDiskServer(t *testing.T) {
	if !testenv.InMountNamespace(t) {
		return
	}
	disk := testenv.SmallDisk(t, 32)
	s := open(t, sqlite.Config{Dir: filepath.Join(disk, "log")})
	server, journal := newServer(t, s)
	ann := newAuthor(t, server, "ann")
	bob := logtest.Reader(t, server, "bob")
	failures := func(ended bool) (n int) {
		for _, e := range logtest.Of[relay.ErrorEvent](journal) {
			if e.Ended == ended && errors.Is(e.Err, syscall.ENOSPC) {
				n++
			}
		}
		return n
	}
	for round := range 3 {
		await(t, "it works", func() bool { return len(logtest.Of[relay.MessageEvent](bob)) > 500*(round+1) })
		remove := ballast(t, disk, rand.IntN(100_000))
		await(t, "the server reports it", func() bool { return failures(false) > failures(true) })
		await(t, "nothing is stored any more", func() bool {
			before := ann.Stats().Stored
			select {
			case <-time.After(300 * time.Millisecond):
			case <-t.Context().Done():
			}
			return ann.Stats().Stored == before
		})
		stored := int(ann.Stats().Stored)
		await(t, "the reader has what is stored", func() bool { return len(logtest.Of[relay.MessageEvent](bob)) >= stored })
		remove()
		await(t, "the server reports that it works", func() bool { return failures(false) == failures(true) })
	}
	ann.flush(t)
	log := checkReader(t, bob, ann)
	ann.check(t, log)
	for _, m := range logtest.All(t, s) {
		require.Equal(t, log[m.Seq], m.Text)
	}
	t.Logf("%d messages", len(log))
}

// writeLimited is a process that may not make its files longer for a while: the disk refuses what
// is written, for another reason than that it is full.
func writeLimited() {
	ctx := context.Background()
	check := func(ok bool, what string, err error) {
		if !ok {
			fmt.Fprintln(os.Stderr, what, err)
			os.Exit(1)
		}
	}
	s, err := sqlite.Open(ctx, sqlite.Config{Dir: os.Getenv("UDPKIT_TEST_DIR")})
	check(err == nil, "open", err)
	_, err = s.Append(ctx, logtest.Records(1, 1, 10))
	check(err == nil, "append", err)
	var limit unix.Rlimit
	check(unix.Getrlimit(unix.RLIMIT_FSIZE, &limit) == nil, "the limit", nil)
	low := limit
	low.Cur = 1 << 16
	check(unix.Setrlimit(unix.RLIMIT_FSIZE, &low) == nil, "a limit", nil)
	number := uint64(11)
	for ; err == nil && number < 10_000; number++ {
		_, err = s.Append(ctx, logtest.Records(1, number, 1))
	}
	stored := number - 2
	check(errors.Is(err, syscall.EFBIG), "the system's error", err)
	check(s.SaveClient(ctx, relay.ClientRecord{Role: relay.RoleReader, Username: "ann"}) != nil, "a client is saved", nil)
	messages, err := s.Read(ctx, 1, 10_000)
	check(err == nil && len(messages) == int(min(stored, 1024)), "reading goes on", err)
	check(unix.Setrlimit(unix.RLIMIT_FSIZE, &limit) == nil, "no limit", nil)
	for begun := time.Now(); time.Since(begun) < 10*time.Second; time.Sleep(time.Millisecond) {
		if _, err = s.Append(ctx, logtest.Records(1, stored+1, 1)); err == nil {
			break
		}
	}
	check(err == nil, "it goes on by itself", err)
	_, last := s.Bounds()
	check(last == stored+1, "each once", nil)
	check(s.Close() == nil, "close", nil)
}

// TestRefusingDisk: a disk that refuses to write is said to, and is tried again.
func TestRefusingDisk(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=limited", "UDPKIT_TEST_DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func init() { children["limited"] = writeLimited }
