package jetstream_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/internal/logtest"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/jetstream"
)

// cluster is a NATS cluster on 127.0.0.1, in this process.
type cluster struct {
	nodes   []*server.Server
	options []server.Options
	ports   [][]net.Listener // keep ports free until a server starts
}

// newCluster starts n servers, or one that is not part of a cluster.
func newCluster(t testing.TB, n int) *cluster {
	c := &cluster{nodes: make([]*server.Server, n), ports: make([][]net.Listener, n)}
	port := func(i int) int {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		c.ports[i] = append(c.ports[i], l)
		return l.Addr().(*net.TCPAddr).Port
	}
	var routes []*url.URL
	for i := range n {
		o := server.Options{
			ServerName: fmt.Sprintf("node-%d", i), Host: "127.0.0.1", Port: port(i), NoLog: true, NoSigs: true,
			JetStream: true, StoreDir: t.TempDir(), SyncAlways: true,
		}
		if n > 1 {
			o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port(i)}
			routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", o.Cluster.Port)})
		}
		c.options = append(c.options, o)
	}
	for i := range n {
		c.options[i].Routes = routes
		c.start(t, i)
	}
	t.Cleanup(func() {
		for i := range n {
			c.stop(i)
		}
	})
	c.wait(t)
	return c
}

func (c *cluster) start(t testing.TB, i int) {
	for _, l := range c.ports[i] {
		_ = l.Close()
	}
	o := c.options[i] // the server writes into it
	o.Routes = slices.Clone(o.Routes)
	s, err := server.NewServer(&o)
	require.NoError(t, err)
	s.Start()
	c.nodes[i] = s
}

func (c *cluster) stop(i int) {
	if c.nodes[i] != nil {
		c.nodes[i].Shutdown()
		c.nodes[i].WaitForShutdown()
		c.nodes[i] = nil
	}
}

// wait waits until all servers take part.
func (c *cluster) wait(t testing.TB) {
	require.Eventually(t, func() bool {
		leaders := 0
		for _, s := range c.nodes {
			if !s.ReadyForConnections(10*time.Millisecond) || len(c.nodes) > 1 && !s.JetStreamIsCurrent() {
				return false
			}
			if len(c.nodes) == 1 || s.JetStreamIsLeader() {
				leaders++
			}
		}
		return leaders == 1 && (len(c.nodes) == 1 || len(c.leader().JetStreamClusterPeers()) == len(c.nodes))
	}, 60*time.Second, 20*time.Millisecond)
}

func (c *cluster) leader() *server.Server {
	for _, s := range c.nodes {
		if s != nil && s.JetStreamIsLeader() {
			return s
		}
	}
	return nil
}

// config is of a log at the cluster, by way of one node first.
func (c *cluster) config(name string, first int) jetstream.Config {
	cfg := jetstream.Config{Name: name}
	for i := range c.options {
		cfg.URLs = append(cfg.URLs, fmt.Sprintf("nats://127.0.0.1:%d", c.options[(first+i)%len(c.options)].Port))
	}
	return cfg
}

func TestCluster(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d servers", n), func(t *testing.T) {
			c := newCluster(t, n)
			logs := 0
			logtest.Run(t, func(t *testing.T, messages int) relay.Log {
				logs++
				cfg := c.config(fmt.Sprintf("log-%d", logs), logs)
				cfg.MaxMessages = int64(messages)
				return open(t, cfg)
			})
		})
	}
}

// writer appends a run's records, a few at a time.
type writer struct {
	run    relay.ID
	stored uint64
	seqs   []uint64
}

// write appends until stop is closed, whatever fails.
func (w *writer) write(t testing.TB, log relay.Log, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		seqs, err := log.Append(t.Context(), logtest.Records(w.run, w.stored+1, 1+int(w.stored%9)))
		if err != nil {
			t.Logf("append: %v", err)
		}
		w.seqs = append(w.seqs, seqs...)
		w.stored += uint64(len(seqs))
	}
}

// TestNodeFails stops each server of a cluster in turn while two stores append.
func TestNodeFails(t *testing.T) {
	c := newCluster(t, 3)
	a, b := open(t, c.config("relay", 0)), open(t, c.config("relay", 1))
	require.Equal(t, a.ID(), b.ID())
	stop := make(chan struct{})
	writers := []*writer{{run: relay.NewID()}, {run: relay.NewID()}}
	followers := []*logtest.Follower{logtest.Follow(t, a, 0), logtest.Follow(t, b, 0)}
	var wg sync.WaitGroup
	for i, log := range []relay.Log{a, b} {
		wg.Go(func() { writers[i].write(t, log, stop) })
	}
	progress := func(n int) {
		_, last := a.Bounds()
		for _, f := range followers {
			f.Wait(t, int(last)+n)
		}
	}
	progress(500)
	for i := range c.nodes {
		start := time.Now()
		c.stop(i)
		progress(500)
		t.Logf("without server %d: went on after %v", i, time.Since(start))
		c.start(t, i)
		c.wait(t)
		progress(500)
	}
	close(stop)
	wg.Wait()
	said := map[uint64]string{}
	for i, log := range []relay.Log{b, a} {
		w := writers[i]
		last, _, err := log.Stored(t.Context(), w.run, 1<<60)
		require.NoError(t, err)
		require.Equal(t, w.stored, last)
		// They are where they were said to be stored.
		newest := min(1000, len(w.seqs)) // one of two may have had little to say
		_, seqs, err := log.Stored(t.Context(), w.run, last+1-uint64(newest))
		require.NoError(t, err)
		require.Equal(t, w.seqs[len(w.seqs)-newest:], seqs)
		for number, seq := range w.seqs {
			said[seq] = logtest.Text(w.run, uint64(number)+1)
		}
	}
	total := int(writers[0].stored + writers[1].stored)
	var got [][]relay.Message
	for _, f := range followers {
		f.Wait(t, total)
		got = append(got, f.Stop(t))
	}
	require.Equal(t, got[0], got[1])
	require.Equal(t, got[0], logtest.All(t, b))
	next := []uint64{1, 1}
	for _, m := range got[0] {
		require.Equal(t, said[m.Seq], m.Text)
		for i, w := range writers {
			if m.Text == logtest.Text(w.run, next[i]) {
				next[i]++
			}
		}
	}
	require.Equal(t, total+2, int(next[0]+next[1]), "each once and in order")
	t.Logf("%d messages", total)
}

// TestServerAway stops the only server for a while.
func TestServerAway(t *testing.T) {
	c := newCluster(t, 1)
	s := open(t, c.config("relay", 0))
	follower := logtest.Follow(t, s, 0)
	_, err := s.Append(t.Context(), logtest.Records(1, 1, 3))
	require.NoError(t, err)
	c.stop(0)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = s.Append(ctx, logtest.Records(1, 4, 1))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	// A call waits for a server to come back.
	appended := make(chan error)
	go func() {
		_, err := s.Append(context.Background(), logtest.Records(1, 4, 1))
		appended <- err
	}()
	c.start(t, 0)
	require.NoError(t, <-appended)
	require.Len(t, follower.Wait(t, 4), 4)
	require.Len(t, logtest.All(t, s), 4)
	follower.Stop(t)

	// It gives up after some seconds, and says why.
	c.stop(0)
	start := time.Now()
	_, err = s.Append(t.Context(), logtest.Records(1, 5, 1))
	require.ErrorContains(t, err, "connection")
	require.ErrorContains(t, err, "127.0.0.1")
	require.Less(t, time.Since(start), 10*time.Second)
}
