package weather_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// socket returns one of UDP on this machine.
func socket(t testing.TB) *net.UDPConn {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback))
	require.NoError(t, err)
	require.NoError(t, conn.SetWriteBuffer(128<<10)) // macOS: no long datagrams otherwise
	t.Cleanup(func() { conn.Close() })
	return conn
}

func addrOf(conn *net.UDPConn) netip.AddrPort { return conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// start runs a forwarder until the test ends.
func start(t testing.TB, cfg weather.Config) *weather.Forwarder {
	cfg.Listen = loopback
	f, err := weather.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, f.Close())
	})
	return f
}

func send(t testing.TB, from *net.UDPConn, to netip.AddrPort, text string) {
	_, err := from.WriteToUDPAddrPort([]byte(text), to)
	require.NoError(t, err)
}

// receive returns what comes next, and where from.
func receive(t testing.TB, conn *net.UDPConn) (string, netip.AddrPort) {
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
	b := make([]byte, 65536)
	n, from, err := conn.ReadFromUDPAddrPort(b)
	require.NoError(t, err)
	return string(b[:n]), from
}

// settled waits until all that was sent is through, and returns what is known.
func settled(t testing.TB, f *weather.Forwarder, there, back uint64) (r weather.Report) {
	require.Eventually(t, func() bool {
		r = f.Report()
		return r.There.Received == there && r.Back.Received == back && r.Waiting == 0
	}, 30*time.Second, time.Millisecond, "%+v", &r)
	for _, n := range []weather.Counts{r.There, r.Back} {
		assert.Equal(t, n.Received+n.Twice, n.Lost+n.Parted+n.Full+n.Delivered+n.Failed, "%+v", n)
	}
	return r
}

// TestFair: in fair weather all comes through, unchanged, and each source gets its own answers.
func TestFair(t *testing.T) {
	server, ann, bob := socket(t), socket(t), socket(t)
	f := start(t, weather.Config{To: addrOf(server)})
	seen := make(map[netip.AddrPort]bool)
	for _, client := range []*net.UDPConn{ann, bob} {
		for _, text := range []string{"hello", "", strings.Repeat("x", 65507), addrOf(client).String()} {
			send(t, client, f.Addr(), text)
			got, from := receive(t, server)
			require.Equal(t, text, got)
			seen[from] = true
			send(t, server, from, "answer to "+text[:min(len(text), 100)])
			answer, from := receive(t, client)
			require.Equal(t, "answer to "+text[:min(len(text), 100)], answer)
			require.Equal(t, f.Addr(), from)
		}
	}
	require.Len(t, seen, 2)
	r := settled(t, f, 8, 8)
	assert.Equal(t, 2, r.Sources)
	assert.EqualValues(t, 8, r.Back.Delivered)
}

// fates sends numbered datagrams through a weather, and returns what has come.
func fates(t *testing.T, cfg weather.Config, count int) (came []string, r weather.Report) {
	server, client := socket(t), socket(t)
	cfg.To = addrOf(server)
	f := start(t, cfg)
	arrived := make(chan string, 2*count) // the socket has not room for all
	go func() {
		b := make([]byte, 100)
		for {
			n, err := server.Read(b)
			if err != nil {
				close(arrived)
				return
			}
			arrived <- string(b[:n])
		}
	}()
	for i := range count {
		send(t, client, f.Addr(), fmt.Sprint(i))
		require.Eventually(t, func() bool { return f.Report().There.Received == uint64(i+1) }, 30*time.Second, 50*time.Microsecond)
	}
	r = settled(t, f, uint64(count), 0)
	for range r.There.Delivered {
		select {
		case text := <-arrived:
			came = append(came, text)
		case <-time.After(30 * time.Second):
			require.Fail(t, "not all has come", "%d of %+v", len(came), r)
		}
	}
	return came, r
}

// TestSeed: what happens depends on the seed, and about as much of it happens as is asked for.
func TestSeed(t *testing.T) {
	cfg := weather.Config{Seed: 7, Settings: weather.Settings{Loss: 0.2, Duplicate: 0.1, Reorder: 0.1}}
	first, r := fates(t, cfg, 500)
	assert.InDelta(t, 100, r.There.Lost, 40)
	assert.InDelta(t, 40, r.There.Twice, 25)
	assert.InDelta(t, 40, r.There.Overtaken, 25)
	second, _ := fates(t, cfg, 500)
	assert.Equal(t, first, second)
	cfg.Seed = 8
	other, _ := fates(t, cfg, 500)
	assert.NotEqual(t, first, other)
	cfg.Seed, cfg.Settings.Duplicate, cfg.Settings.Reorder = 7, 0, 0
	only, _ := fates(t, cfg, 500)
	lost := func(came []string) (list []string) {
		is := make(map[string]bool)
		for _, text := range came {
			is[text] = true
		}
		for i := range 500 {
			if !is[fmt.Sprint(i)] {
				list = append(list, fmt.Sprint(i))
			}
		}
		return list
	}
	assert.Equal(t, lost(first), lost(only), "one setting has changed what another one does")
}

// TestReorder: each is overtaken by the next; the last one waits for nobody for ever.
func TestReorder(t *testing.T) {
	came, _ := fates(t, weather.Config{Settings: weather.Settings{Reorder: 1}}, 2)
	assert.Equal(t, []string{"0", "1"}, came, "each is held back, so they stay in order")
	cfg := weather.Config{Seed: 3, Settings: weather.Settings{Reorder: 0.3}}
	came, r := fates(t, cfg, 100)
	require.Len(t, came, 100)
	behind := 0
	for i := 1; i < len(came); i++ {
		var a, b int
		fmt.Sscan(came[i-1], &a)
		fmt.Sscan(came[i], &b)
		if a > b {
			behind++
			require.Equal(t, b+1, a, "it was overtaken by the next one only")
		}
	}
	assert.Positive(t, behind)
	assert.LessOrEqual(t, uint64(behind), r.There.Overtaken)
}

// TestDelay: each is under way for as long as the settings say, in both directions.
func TestDelay(t *testing.T) {
	server, client := socket(t), socket(t)
	f := start(t, weather.Config{To: addrOf(server), Settings: weather.Settings{Delay: 50 * time.Millisecond, Jitter: 20 * time.Millisecond}})
	for range 10 {
		sent := time.Now()
		send(t, client, f.Addr(), "there")
		_, from := receive(t, server)
		require.GreaterOrEqual(t, time.Since(sent), 30*time.Millisecond)
		sent = time.Now()
		send(t, server, from, "back")
		receive(t, client)
		require.GreaterOrEqual(t, time.Since(sent), 30*time.Millisecond)
	}
}

// TestPartition: nothing arrives until it is over.
func TestPartition(t *testing.T) {
	server, client := socket(t), socket(t)
	f := start(t, weather.Config{To: addrOf(server)})
	require.NoError(t, f.Set(weather.Settings{Partition: time.Hour}))
	send(t, client, f.Addr(), "lost")
	r := settled(t, f, 1, 0)
	assert.True(t, r.Parted)
	assert.EqualValues(t, 1, r.There.Parted)
	require.NoError(t, f.Set(weather.Settings{Partition: time.Hour, After: time.Hour}))
	assert.False(t, f.Report().Parted)
	send(t, client, f.Addr(), "before it")
	text, _ := receive(t, server)
	require.Equal(t, "before it", text)
	require.NoError(t, f.Set(weather.Settings{Partition: 50 * time.Millisecond}))
	require.Eventually(t, func() bool { return !f.Report().Parted }, 30*time.Second, time.Millisecond)
	send(t, client, f.Addr(), "after it")
	text, _ = receive(t, server)
	require.Equal(t, "after it", text)
}

// TestStrangers: only the program behind gets anything to a source.
func TestStrangers(t *testing.T) {
	server, client := socket(t), socket(t)
	f := start(t, weather.Config{To: addrOf(server)})
	send(t, client, f.Addr(), "hello")
	_, at := receive(t, server)
	stranger, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)})
	if err != nil {
		t.Skip("this system has one loopback address only")
	}
	defer stranger.Close()
	send(t, stranger, at, "from a stranger")
	require.Eventually(t, func() bool { return f.Report().Strangers == 1 }, 30*time.Second, time.Millisecond)
	send(t, server, at, "from the server")
	text, _ := receive(t, client)
	require.Equal(t, "from the server", text)
}

// TestBroadcast: whoever hears a broadcast can answer it.
func TestBroadcast(t *testing.T) {
	all, err := net.ListenUDP("udp4", nil)
	require.NoError(t, err)
	defer all.Close()
	client := socket(t)
	f := start(t, weather.Config{To: netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), addrOf(all).Port())})
	send(t, client, f.Addr(), "to all")
	text, from := receive(t, all)
	require.Equal(t, "to all", text)
	send(t, all, from, "here")
	text, _ = receive(t, client)
	require.Equal(t, "here", text)
}

// TestFull: what is on the way is bounded, and what there is no room for is counted.
func TestFull(t *testing.T) {
	server, client := socket(t), socket(t)
	f := start(t, weather.Config{To: addrOf(server), Settings: weather.Settings{Delay: weather.MaxDelay}})
	large := strings.Repeat("x", 60_000)
	for f.Report().There.Full == 0 {
		send(t, client, f.Addr(), large)
		r := f.Report()
		require.LessOrEqual(t, r.WaitingBytes, weather.MaxWaitingBytes)
	}
	require.Greater(t, f.Report().WaitingBytes, weather.MaxWaitingBytes-60_000)
}

// TestRate: more than gets through in a second waits for no longer.
func TestRate(t *testing.T) {
	server, client := socket(t), socket(t)
	f := start(t, weather.Config{To: addrOf(server), Settings: weather.Settings{Rate: 10_000}})
	sent := time.Now()
	for f.Report().There.Full == 0 {
		send(t, client, f.Addr(), strings.Repeat("x", 1000))
	}
	require.LessOrEqual(t, f.Report().Waiting, 11)
	for range 10 {
		receive(t, server)
	}
	require.GreaterOrEqual(t, time.Since(sent), 950*time.Millisecond)
}

// TestFile: a file of settings takes effect when it changes, and a bad one changes nothing.
func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "weather.json")
	write := func(text string) { require.NoError(t, os.WriteFile(name, []byte(text), 0o600)) }
	_, err := weather.New(weather.Config{Listen: loopback, To: netip.MustParseAddrPort("127.0.0.1:9"), File: name})
	require.ErrorIs(t, err, os.ErrNotExist)
	write(`{"loss": 2}`)
	_, err = weather.New(weather.Config{Listen: loopback, To: netip.MustParseAddrPort("127.0.0.1:9"), File: name})
	require.ErrorIs(t, err, weather.ErrConfig)
	write(`{"loss": "20%"}`)
	events := make(chan weather.Event, 10)
	f := start(t, weather.Config{
		To: netip.MustParseAddrPort("127.0.0.1:9"), File: name, Settings: weather.Settings{Delay: time.Second, Loss: 1},
		OnEvent: func(e weather.Event) { events <- e },
	})
	assert.Equal(t, weather.Settings{Loss: 0.2, Delay: time.Second}, f.Settings())
	write(`{"jitter": 0.5}`)
	changed := weather.Settings{Loss: 1, Delay: time.Second, Jitter: 500 * time.Millisecond}
	assert.Equal(t, changed, next(t, events, weather.Changed).Settings)
	for _, bad := range []string{``, `{"delay": "soon"}`, `[]`, `{} {}`, `{"loss": {}}`, strings.Repeat(" ", 100_000)} {
		write(bad)
		assert.Error(t, next(t, events, weather.Failed).Err)
		assert.Equal(t, changed, f.Settings())
	}
	require.NoError(t, os.Remove(name))
	assert.ErrorIs(t, next(t, events, weather.Failed).Err, os.ErrNotExist)
	write(`{}`)
	assert.Equal(t, weather.Settings{Loss: 1, Delay: time.Second}, next(t, events, weather.Changed).Settings)
}

// next returns the next event of a kind: a file may be read while it is written.
func next(t *testing.T, events <-chan weather.Event, kind weather.EventKind) weather.Event {
	for {
		select {
		case e := <-events:
			if e.Kind == kind {
				return e
			}
		case <-time.After(30 * time.Second):
			require.Fail(t, "no event", kind)
		}
	}
}

// TestConfig: what cannot be is refused.
func TestConfig(t *testing.T) {
	to, everywhere := netip.MustParseAddrPort("127.0.0.1:9"), netip.MustParseAddrPort("0.0.0.0:9")
	cfgs := []weather.Config{}
	own, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range own {
		addr, err := netip.ParsePrefix(a.String())
		require.NoError(t, err)
		cfgs = append(cfgs, weather.Config{Listen: everywhere, To: netip.AddrPortFrom(addr.Addr(), 9)})
	}
	for _, cfg := range append(cfgs, []weather.Config{
		{To: to}, {Listen: loopback}, {Listen: to, To: to}, {Listen: netip.MustParseAddrPort("[::]:9"), To: to},
		{Listen: to, To: netip.MustParseAddrPort("[::ffff:127.0.0.1]:9")},
		{Listen: everywhere, To: netip.MustParseAddrPort("127.255.255.255:9")},
		{Listen: everywhere, To: netip.MustParseAddrPort("239.1.2.3:9")},
		{Listen: loopback, To: netip.MustParseAddrPort("127.0.0.1:0")},
		{Listen: loopback, To: netip.MustParseAddrPort("0.0.0.0:9")},
		{Listen: loopback, To: to, Settings: weather.Settings{Loss: 1.1}},
		{Listen: loopback, To: to, Settings: weather.Settings{Delay: -1}},
		{Listen: loopback, To: to, Settings: weather.Settings{Rate: -1}},
	}...) {
		_, err := weather.New(cfg)
		assert.ErrorIs(t, err, weather.ErrConfig, "%+v", cfg)
	}
	f, err := weather.New(weather.Config{Listen: loopback, To: to})
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, f.Close())
	require.ErrorIs(t, f.Run(t.Context()), net.ErrClosed)
	require.Error(t, f.Run(t.Context()))
}

// TestAllocations: to forward costs hardly any memory.
func TestAllocations(t *testing.T) {
	server, client := socket(t), socket(t)
	f := start(t, weather.Config{To: addrOf(server)})
	b, payload := make([]byte, 2000), make([]byte, 1000)
	to := f.Addr()
	require.NoError(t, server.SetReadDeadline(time.Now().Add(30*time.Second)))
	got := testing.AllocsPerRun(500, func() {
		if _, err := client.WriteToUDPAddrPort(payload, to); err != nil {
			t.Error(err)
		}
		if _, _, err := server.ReadFromUDPAddrPort(b); err != nil {
			t.Error(err)
		}
	})
	require.LessOrEqual(t, got, 3.0)
}

// TestWith: what is written is read, and what is not understood changes nothing.
func TestWith(t *testing.T) {
	s, err := weather.Settings{Rate: 5}.With("loss=20% delay=50ms  jitter=0.02 partition=2s@10s")
	require.NoError(t, err)
	want := weather.Settings{Loss: 0.2, Delay: 50 * time.Millisecond, Jitter: 20 * time.Millisecond, Partition: 2 * time.Second, After: 10 * time.Second, Rate: 5}
	assert.Equal(t, want, s)
	for _, bad := range []string{"loss", "loss=", "loss=-1%", "loss=NaN", "loss=101%", "delay=11s", "delay=-1s", "rain=1", "fair loss=x", "rate=1.5", "partition=1s@", "jitter=1e400"} {
		after, err := s.With(bad)
		assert.ErrorIs(t, err, weather.ErrConfig, bad)
		assert.Equal(t, want, after)
	}
	s, err = s.With("fair reorder=3%")
	require.NoError(t, err)
	assert.Equal(t, weather.Settings{Reorder: 0.03}, s)
	assert.Equal(t, "reorder=3%", s.String())
	assert.Equal(t, "fair", weather.Settings{}.String())
}

// FuzzSettings: whatever a file says, settings are within their bounds or as they were, and what
// they are written as is read as the same.
func FuzzSettings(f *testing.F) {
	for _, text := range []string{`{"loss":"20%","delay":"50ms","rate":1000}`, `{"partition":"2s@10s"}`, `{}`, `null`, `{"loss":"NaN"}`, `{"loss":{}}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		before := weather.Settings{Loss: 0.5, Rate: 7}
		s := before
		if err := s.UnmarshalJSON([]byte(text)); err != nil {
			require.ErrorIs(t, err, weather.ErrConfig)
			require.Equal(t, before, s)
		}
		require.True(t, s.Loss >= 0 && s.Loss <= 1 && s.Delay >= 0 && s.Delay <= weather.MaxDelay && s.Rate >= 0 && s.Rate <= weather.MaxRate)
		written, err := json.Marshal(s)
		require.NoError(t, err)
		var again weather.Settings
		require.NoError(t, json.Unmarshal(written, &again))
		require.Equal(t, s, again)
		_, err = again.With("fair " + s.String())
		require.NoError(t, err)
	})
}
