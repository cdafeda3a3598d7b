package relay_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// nameServer is a DNS server on the loopback.
type nameServer struct {
	*net.Resolver
	mu    sync.Mutex
	names map[string][]netip.Addr // IPv4
	asked int                     // for IPv4 addresses
}

func newNameServer(t testing.TB) *nameServer {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(anyPort))
	require.NoError(t, err)
	n := &nameServer{names: map[string][]netip.Addr{}}
	n.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			length, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:length]) == nil && len(m.Questions) == 1 {
				n.answer(&m)
				if reply, err := m.Pack(); err == nil {
					_, _ = conn.WriteToUDPAddrPort(reply, from)
				}
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return n
}

func (n *nameServer) answer(m *dnsmessage.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	q := m.Questions[0]
	addrs := n.names[strings.TrimSuffix(q.Name.String(), ".")]
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true, RecursionAvailable: true}
	m.Additionals = nil
	if addrs == nil {
		m.RCode = dnsmessage.RCodeNameError
	}
	if q.Type != dnsmessage.TypeA {
		return
	}
	n.asked++
	for _, addr := range addrs {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.AResource{A: addr.As4()},
		})
	}
}

func (n *nameServer) set(name string, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names[name] = nil
	for _, addr := range addrs {
		n.names[name] = append(n.names[name], netip.MustParseAddr(addr))
	}
}

// lookUps returns how often addresses were asked for.
func (n *nameServer) lookUps() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

// loopback skips a test on a system that has one loopback address only.
func loopback(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", addr+":0")
	if err != nil {
		t.Skip("this system has not all of 127.0.0.0/8: ", err)
	}
	require.NoError(t, conn.Close())
}

// TestTurnsToAnotherServer: clients go on at another server of the same log, however theirs ends;
// each message is stored once, and read once and in order.
func TestTurnsToAnotherServer(t *testing.T) {
	const each = 300
	for name, end := range map[string]func(*testing.T, server, []*forwarder){
		"it takes leave": func(t *testing.T, s server, _ []*forwarder) { s.end(t) },
		"it is killed":   func(t *testing.T, s server, _ []*forwarder) { s.kill(t) },
		"it is not heard": func(_ *testing.T, _ server, ways []*forwarder) { // and goes on
			for _, way := range ways {
				way.cut.Store(true)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ring *key.Ring
			if name == "it is killed" {
				ring = testenv.Ring(t)
			}
			cfg := relay.ServerConfig{Log: relay.NewMemory(0), Expire: 2 * time.Second, Key: ring}
			one, two := serve(t, cfg), serve(t, cfg)
			ways := []*forwarder{newForwarder(t, one.Addr()), newForwarder(t, one.Addr())}
			first := func(i int) netip.AddrPort {
				if name == "it is not heard" {
					return ways[i].addr()
				}
				return one.Addr()
			}
			servers := func(i int) []string { return []string{first(i).String(), two.Addr().String()} }
			w := newWriterWith(t, anyPort, "ann", relay.WriterConfig{Servers: servers(0), Key: ring})
			r := newReader(t, anyPort, "bob", relay.ReaderConfig{Servers: servers(1), Key: ring})
			enough, sent := make(chan struct{}), make(chan error, 1)
			total := 0
			go func() {
				for tick := time.Tick(time.Millisecond); ; <-tick {
					select {
					case <-enough:
						sent <- w.Flush(t.Context())
						return
					default:
					}
					total++
					if err := w.Send(t.Context(), fmt.Sprint(total)); err != nil {
						sent <- err
						return
					}
				}
			}()
			r.read(t, each)
			journals := []*journal{w.journal, r.journal}
			for i, j := range journals {
				assert.Equal(t, first(i), wait(t, j, up).Server, "the first that is named")
				j.mark()
			}
			end(t, one, ways)
			for i, j := range journals {
				assert.Contains(t, wait(t, j, down).Text, first(i).String())
				assert.Equal(t, two.Addr(), wait(t, j, up).Server)
				assert.Empty(t, all[relay.LogEvent](j))
			}
			r.read(t, len(all[relay.MessageEvent](r.journal))+each)
			close(enough)
			require.NoError(t, <-sent)
			r.read(t, total)
			r.stop(t)
			whole(t, r.messages(), 1, total)
			for i, m := range r.messages() {
				require.Equal(t, fmt.Sprint(i+1), m.Text)
			}
			for i, e := range storedOf(w) {
				require.EqualValues(t, i+1, e.Number)
				require.EqualValues(t, i+1, e.Seq)
			}
			assert.Empty(t, all[relay.GapEvent](r.journal))
			assert.EqualValues(t, 2, r.Stats().Registered)
		})
	}
}

// TestTurnsToAnotherLog: where servers share no log, clients are told.
func TestTurnsToAnotherLog(t *testing.T) {
	one, two := serve(t, relay.ServerConfig{}), serve(t, relay.ServerConfig{})
	newWriter(t, two.Addr(), "eve").write(t, 1, 2)
	servers := []string{one.Addr().String(), two.Addr().String()}
	w := newWriterWith(t, anyPort, "ann", relay.WriterConfig{Servers: servers})
	r := newReader(t, anyPort, "bob", relay.ReaderConfig{Servers: servers})
	w.write(t, 1, 5)
	r.read(t, 5)
	one.end(t)
	w.write(t, 6, 3)
	r.read(t, 10)
	assert.EqualValues(t, 1, wait(t, r.journal, anyOf[relay.LogEvent]).Next)
	assert.Equal(t, relay.RoleWriter, wait(t, w.journal, anyOf[relay.LogEvent]).Role)
	r.stop(t)
	whole(t, r.messages()[:5], 1, 5)
	whole(t, r.messages()[5:], 1, 5)
	assert.Equal(t, "6", r.messages()[7].Text)
	for _, j := range []*journal{w.journal, r.journal} {
		assert.Len(t, all[relay.LogEvent](j), 1)
	}
}

// TestUnknownName: a name that has no address is waited for as a server is, and not asked for all
// the time.
func TestUnknownName(t *testing.T) {
	names := newNameServer(t)
	s := serve(t, relay.ServerConfig{})
	begun := time.Now()
	r := newReader(t, anyPort, "bob", relay.ReaderConfig{
		Servers: []string{"relay.example."}, Port: s.Addr().Port(), Resolver: names.Resolver,
	})
	assert.Equal(t, fmt.Sprintf("relay.example.:%d", s.Addr().Port()), wait(t, r.journal, anyOf[relay.StartEvent]).Server)
	assert.Equal(t, `no address is known for the name "relay.example.": check the spelling, or give the IP address; still trying`, wait(t, r.journal, down).Text)
	assert.False(t, r.Addr().IsValid())
	for asked := names.lookUps(); names.lookUps() < asked+2; { // told once, asked several times
		time.Sleep(10 * time.Millisecond)
	}
	assert.Len(t, all[relay.LinkEvent](r.journal), 1)
	names.set("relay.example", "127.0.0.1")
	assert.Equal(t, s.Addr(), wait(t, r.journal, up).Server)
	assert.LessOrEqual(t, names.lookUps(), 2+int(time.Since(begun)/(2*time.Second)))
	newWriter(t, s.Addr(), "ann").write(t, 1, 5)
	whole(t, r.read(t, 5), 1, 5)
	asked := names.lookUps()
	r.stop(t)
	assert.Equal(t, asked, names.lookUps(), "nobody looks for a server while there is one")

	// One that still looks for a server ends as any does.
	cfg := relay.ReaderConfig{Servers: []string{"nowhere.example."}, Resolver: names.Resolver}
	for i, end := range []func(reader){func(r reader) { r.stop(t) }, func(r reader) { r.kill(t) }} {
		r := newReader(t, anyPort, fmt.Sprint("carl-", i), cfg)
		wait(t, r.journal, down)
		end(r)
	}
}

// TestNameMoves: a name is looked up again when its server does not answer any more, and each of
// its addresses is tried.
func TestNameMoves(t *testing.T) {
	loopback(t, "127.0.8.2")
	names := newNameServer(t)
	names.set("relay.example", "127.0.8.1")
	log := relay.NewMemory(0)
	one := serve(t, relay.ServerConfig{Log: log, Listen: netip.MustParseAddrPort("127.0.8.1:0")})
	at := func(addr string) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(addr), one.Addr().Port())
	}
	name := []string{fmt.Sprintf("relay.example.:%d", one.Addr().Port())}
	w := newWriterWith(t, anyPort, "ann", relay.WriterConfig{Servers: name, Resolver: names.Resolver})
	r := newReader(t, anyPort, "bob", relay.ReaderConfig{Servers: name, Resolver: names.Resolver})
	w.write(t, 1, 100)
	r.read(t, 100)
	assert.Equal(t, at("127.0.8.1"), wait(t, r.journal, up).Server)
	r.mark()
	one.kill(t)
	wait(t, r.journal, down)
	names.set("relay.example", "127.0.8.3", "127.0.8.2", "127.0.8.4")
	two := serve(t, relay.ServerConfig{Log: log, Listen: at("127.0.8.2")})
	w.write(t, 101, 100)
	whole(t, r.read(t, 200), 1, 200)
	assert.Equal(t, two.Addr(), wait(t, r.journal, up).Server)

	// Nobody serves: that is told once for all addresses, and again when something changes.
	r.mark()
	two.kill(t)
	none := wait(t, r.journal, func(e relay.LinkEvent) bool {
		return strings.Contains(e.Text, ";") && strings.Contains(e.Text, "127.0.8.4")
	})
	assert.Equal(t, fmt.Sprintf("nothing listens at %v; nothing listens at %v; nothing listens at %v; still trying", at("127.0.8.2"), at("127.0.8.3"), at("127.0.8.4")), none.Text)
	r.mark()
	names.set("relay.example", "127.0.8.1")
	assert.Equal(t, fmt.Sprintf("nothing listens at %v; still trying", at("127.0.8.1")), wait(t, r.journal, down).Text)
}

// TestServersRefused: what is no server's address is refused at once.
func TestServersRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":              "the host is missing",
		"a,":            "the host is missing",
		"a:b:c":         `"a:b:c" is neither a host nor HOST:PORT`,
		"a:0":           "port 0 is no port of a server",
		"224.0.0.1":     "224.0.0.1:12345 is not an address of a server",
		"1.2.3.4, ::/5": `"::/5" is neither a host nor HOST:PORT`,
	} {
		_, err := relay.ParseServers(text)
		require.ErrorIs(t, err, relay.ErrConfig, text)
		assert.ErrorContains(t, err, want)
	}
	servers, err := relay.ParseServers("relay, 10.0.0.7:5,[::1]:6")
	require.NoError(t, err)
	assert.Equal(t, []string{"relay", "10.0.0.7:5", "[::1]:6"}, servers)
}
