package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

// These tests run the whole relay: servers on a store, writers and readers.

// await waits for what is true of the events.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	require.Eventually(t, f, 60*time.Second, 10*time.Millisecond, what)
}

// author writes "NAME 1", "NAME 2" and so on, about a thousand a second.
type author struct {
	*logtest.Events
	*relay.Writer
	name    string
	written int // once stop has returned
	stop    func()
}

func newAuthor(t *testing.T, server netip.AddrPort, name string) *author {
	a := &author{Events: &logtest.Events{}, name: name}
	var err error
	a.Writer, err = relay.NewWriter(relay.WriterConfig{Servers: []string{server.String()}, Username: name, OnEvent: a.Add})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	writing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { assert.NoError(t, a.Run(ctx)) })
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-writing.Done():
				return
			case <-tick.C:
			}
			for range rand.IntN(5) {
				if _, err := a.Send(writing, fmt.Sprint(name, " ", a.written+1)); err != nil {
					return
				}
				a.written++
			}
		}
	}()
	a.stop = func() { stop(); <-sent }
	t.Cleanup(func() {
		a.stop()
		cancel()
		wg.Wait()
		require.NoError(t, a.Close())
	})
	return a
}

// flush stops writing and waits until everything is stored.
func (a *author) flush(t *testing.T) {
	t.Helper()
	a.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	require.NoError(t, a.Flush(ctx))
}

// check compares what was reported as stored with what is in the log.
func (a *author) check(t *testing.T, log map[uint64]string) {
	t.Helper()
	stored := logtest.Of[relay.StoredEvent](a.Events)
	require.Len(t, stored, a.written)
	for i, e := range stored {
		require.Equal(t, uint64(i+1), e.Number)
		require.Equal(t, fmt.Sprint(a.name, " ", i+1), e.Text)
		if e.Seq != 0 {
			require.Equal(t, e.Text, log[e.Seq])
		}
	}
}

// checkReader waits until a reader has all that the authors have written, and checks that it has
// each once and in order. It returns the log as the reader knows it.
func checkReader(t *testing.T, e *logtest.Events, authors ...*author) map[uint64]string {
	t.Helper()
	total := 0
	next := map[string]int{}
	for _, a := range authors {
		total += a.written
		next[a.name] = 1
	}
	await(t, "the reader has all", func() bool { return len(logtest.Of[relay.MessageEvent](e)) >= total })
	log := map[uint64]string{}
	for i, m := range logtest.Of[relay.MessageEvent](e) {
		require.Equal(t, uint64(i+1), m.Seq)
		require.Equal(t, fmt.Sprint(m.Username, " ", next[m.Username]), m.Text)
		next[m.Username]++
		log[m.Seq] = m.Text
	}
	require.Len(t, log, total)
	require.Empty(t, logtest.Of[relay.GapEvent](e))
	require.Empty(t, logtest.Of[relay.LogEvent](e))
	return log
}

func newServer(t *testing.T, log relay.Log) (netip.AddrPort, *logtest.Events) {
	e := &logtest.Events{}
	s, err := relay.NewServer(relay.ServerConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0"), Log: log, OnEvent: e.Add})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { assert.NoError(t, s.Run(ctx)) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		require.NoError(t, s.Close())
	})
	return s.Addr(), e
}

// serveUntilKilled is a process with a relay's server at UDPKIT_TEST_LISTEN, on the log in
// UDPKIT_TEST_DIR. It prints its address when it serves.
func serveUntilKilled() {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	log, err := sqlite.Open(ctx, sqlite.Config{Dir: os.Getenv("UDPKIT_TEST_DIR")})
	fail(err)
	s, err := relay.NewServer(relay.ServerConfig{
		Listen: netip.MustParseAddrPort(os.Getenv("UDPKIT_TEST_LISTEN")), Log: log,
		OnEvent: func(e relay.Event) {
			switch e := e.(type) {
			case relay.StartEvent:
				fmt.Println(e.Local)
			case relay.ErrorEvent:
				fmt.Fprintln(os.Stderr, e.Text)
			}
		},
	})
	fail(err)
	fail(s.Run(ctx))
}

// TestKillServer kills a relay's server 200 times while a writer writes and a reader reads: nothing
// that was acknowledged is lost, nothing comes twice.
func TestKillServer(t *testing.T) {
	t.Parallel()
	const cycles = 200
	// The system gives the port to nobody else between two servers.
	dir, listen := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
	start := func() (kill func()) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"=serve", "UDPKIT_TEST_DIR="+dir, "UDPKIT_TEST_LISTEN="+listen)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		line, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		listen = line[:len(line)-1]
		return func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	kill := start()
	defer func() { kill() }()
	server := netip.MustParseAddrPort(listen)
	ann := newAuthor(t, server, "ann")
	bob := logtest.Reader(t, server, "bob")
	began := time.Now()
	worked := 0
	for i := range cycles {
		before := ann.Stats().Stored
		if i%2 == 0 {
			await(t, "the server works", func() bool { return ann.Stats().Stored > before })
		}
		select {
		case <-time.After(rand.N(150 * time.Millisecond)):
		case <-t.Context().Done():
		}
		kill()
		if ann.Stats().Stored > before {
			worked++
		}
		kill = start()
	}
	ann.flush(t)
	log := checkReader(t, bob, ann)
	ann.check(t, log)
	links := len(logtest.Of[relay.LinkEvent](bob))
	t.Logf("%d cycles in %v, %d messages, %d cycles with some, %d changes of the link", cycles, time.Since(began), ann.written, worked, links)
	kill()
	s := open(t, sqlite.Config{Dir: dir})
	for _, m := range logtest.All(t, s) {
		require.Equal(t, log[m.Seq], m.Text)
	}
	_, last := s.Bounds()
	require.Equal(t, len(log), int(last))
}
