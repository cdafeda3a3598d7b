package jetstream_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/jetstream"
)

// These tests run the whole relay: servers on a log, writers and readers.

func newWriter(t *testing.T, server netip.AddrPort, name string, others ...netip.AddrPort) (*relay.Writer, *logtest.Events) {
	e := &logtest.Events{}
	w, err := relay.NewWriter(relay.WriterConfig{Servers: logtest.Servers(server, others...), Username: name, OnEvent: e.Add})
	require.NoError(t, err)
	logtest.Role(t, w)
	return w, e
}

// TestStrangersAtReaders: readers get a gap in place of what no relay has written, and the operator
// an event.
func TestStrangersAtReaders(t *testing.T) {
	c := newCluster(t, 1)
	js := connect(t, c)
	said := &logtest.Events{}
	s, err := relay.NewServer(relay.ServerConfig{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"), Log: open(t, c.config("relay", 0)), OnEvent: said.Add,
	})
	require.NoError(t, err)
	logtest.Role(t, s)
	dan := logtest.Reader(t, s.Addr(), "dan")
	ann, stored := newWriter(t, s.Addr(), "ann")
	write := func(text string) {
		t.Helper()
		before := len(logtest.Of[relay.StoredEvent](stored))
		ann.Send(t.Context(), text)
		require.Eventually(t, func() bool { return len(logtest.Of[relay.StoredEvent](stored)) > before }, 30*time.Second, time.Millisecond)
	}
	write("one")
	_, err = js.Publish(t.Context(), "relay.m.x.y", []byte("hello"))
	require.NoError(t, err)
	write("three")
	for _, reader := range []*logtest.Events{dan, logtest.Reader(t, s.Addr(), "eve")} {
		require.Eventually(t, func() bool { return len(logtest.Of[relay.MessageEvent](reader)) == 2 }, 30*time.Second, time.Millisecond)
		messages := logtest.Of[relay.MessageEvent](reader)
		assert.Equal(t, []any{uint64(1), "one", uint64(3), "three"}, []any{messages[0].Seq, messages[0].Text, messages[1].Seq, messages[1].Text})
		assert.Equal(t, []relay.GapEvent{{From: 2, To: 2}}, logtest.Of[relay.GapEvent](reader))
	}
	require.Eventually(t, func() bool { return len(logtest.Of[relay.ErrorEvent](said)) > 0 }, 30*time.Second, time.Millisecond)
	assert.Contains(t, logtest.Of[relay.ErrorEvent](said)[0].Text, "message 2 of the NATS stream relay is not a relay's: it has no header Udpkit-Writer; readers get a gap")
}

// program is what is killed and started again.
type program struct {
	start func() *exec.Cmd
	cmd   *exec.Cmd
}

func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// serveUntilKilled is a process with a relay's server at UDPKIT_TEST_LISTEN, on the log at
// UDPKIT_TEST_NATS. It prints its address when it serves.
func serveUntilKilled() {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	log, err := jetstream.Open(ctx, jetstream.Config{URLs: strings.Split(os.Getenv("UDPKIT_TEST_NATS"), ",")})
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

// natsProcesses starts three processes of the program nats-server, a cluster that syncs each
// write, and returns their addresses.
func natsProcesses(t *testing.T) (nodes []*program, urls []string) {
	path, err := exec.CommandContext(t.Context(), "go", "tool", "-n", "nats-server").Output()
	if err != nil {
		testenv.Skip(t, "nats-server cannot be built: %v", err)
	}
	var held []net.Listener
	port := func() int {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		held = append(held, l)
		return l.Addr().(*net.TCPAddr).Port
	}
	var routes, configs []string
	for i := range 3 {
		client, cluster := port(), port()
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", client))
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", cluster))
		configs = append(configs, fmt.Sprintf("server_name: node-%d\nlisten: 127.0.0.1:%d\njetstream { store_dir: %q, sync_interval: always }\ncluster { name: test, listen: 127.0.0.1:%d, routes: [ROUTES] }\n",
			i, client, t.TempDir(), cluster))
	}
	for _, l := range held {
		require.NoError(t, l.Close())
	}
	for _, text := range configs {
		name := filepath.Join(t.TempDir(), "nats.conf")
		require.NoError(t, os.WriteFile(name, []byte(strings.Replace(text, "ROUTES", strings.Join(routes, ", "), 1)), 0o600))
		node := &program{start: func() *exec.Cmd {
			cmd := exec.Command(strings.TrimSpace(string(path)), "--config", name, "--log", os.DevNull)
			assert.NoError(t, cmd.Start())
			return cmd
		}}
		node.cmd = node.start()
		t.Cleanup(node.kill)
		nodes = append(nodes, node)
	}
	return nodes, urls
}

// TestKilled kills nodes of a NATS cluster and relay servers on it, one after the other, while
// 10,000 lines are written: each is stored once, where its writer was told, and all readers get all
// of them in one order.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	t.Parallel()
	nodes, urls := natsProcesses(t)
	var servers []*program
	var at []netip.AddrPort
	for i := range 2 {
		listen := "127.0.0.1:0"
		server := &program{start: func() *exec.Cmd {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childVariable+"=serve", "UDPKIT_TEST_NATS="+strings.Join(append(urls[i:], urls[:i]...), ","), "UDPKIT_TEST_LISTEN="+listen)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			assert.NoError(t, err)
			assert.NoError(t, cmd.Start())
			line, err := bufio.NewReader(out).ReadString('\n')
			assert.NoError(t, err)
			listen = strings.TrimSpace(line)
			return cmd
		}}
		server.cmd = server.start()
		t.Cleanup(server.kill)
		servers, at = append(servers, server), append(at, netip.MustParseAddrPort(listen))
	}
	// Those of the first server know the other too.
	readers := []*logtest.Events{logtest.Reader(t, at[0], "dan", at[1]), logtest.Reader(t, at[1], "eve")}

	const each = 5000
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	names := []string{"ann", "bob"}
	stored := make([]*logtest.Events, len(names))
	var writing sync.WaitGroup
	for i, name := range names {
		var w *relay.Writer
		w, stored[i] = newWriter(t, at[i], name, at[1])
		writing.Go(func() {
			for n := range each {
				w.Send(ctx, fmt.Sprint(name, " ", n+1))
				if n%8 == 0 {
					time.Sleep(20 * time.Millisecond) // or it is over before anything is killed
				}
			}
			assert.NoError(t, w.Flush(ctx))
		})
	}
	written := make(chan struct{})
	go func() { writing.Wait(); close(written) }()
	kills := 0
	for victims := append(servers, nodes...); ; kills++ {
		before := len(logtest.Of[relay.MessageEvent](readers[0]))
		require.Eventually(t, func() bool {
			n := len(logtest.Of[relay.MessageEvent](readers[0]))
			return n > before+200 || n == 2*each
		}, time.Minute, 5*time.Millisecond, "they go on after %d kills", kills)
		select {
		case <-written:
		default:
			victim := victims[kills%len(victims)]
			victim.kill()
			if rand.IntN(2) == 0 {
				time.Sleep(rand.N(500 * time.Millisecond))
			}
			victim.cmd = victim.start()
			continue
		}
		break
	}
	t.Logf("%d kills", kills)
	require.GreaterOrEqual(t, kills, 3)

	readers = append(readers, logtest.Reader(t, at[0], "late"))
	for _, r := range readers {
		require.Eventually(t, func() bool { return len(logtest.Of[relay.MessageEvent](r)) >= 2*each }, time.Minute, 10*time.Millisecond)
		require.Empty(t, logtest.Of[relay.GapEvent](r))
		require.Empty(t, logtest.Of[relay.LogEvent](r))
	}
	place := make(map[string]uint64)
	next := map[string]int{"ann": 1, "bob": 1}
	for i, m := range logtest.Of[relay.MessageEvent](readers[0]) {
		require.Equal(t, uint64(i+1), m.Seq)
		require.Equal(t, fmt.Sprint(m.Username, " ", next[m.Username]), m.Text)
		next[m.Username]++
		place[m.Text] = m.Seq
	}
	require.Len(t, place, 2*each)
	for _, r := range readers[1:] {
		messages := logtest.Of[relay.MessageEvent](r)
		require.Len(t, messages, 2*each)
		for i, m := range messages {
			require.Equal(t, uint64(i+1), m.Seq)
			require.Equal(t, place[m.Text], m.Seq)
		}
	}
	for i, name := range names {
		told := logtest.Of[relay.StoredEvent](stored[i])
		require.Len(t, told, each)
		for n, e := range told {
			require.Equal(t, fmt.Sprint(name, " ", n+1), e.Text)
			require.Equal(t, place[e.Text], e.Seq)
		}
	}
}
