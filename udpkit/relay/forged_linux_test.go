package relay_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// flood sends hellos with forged sources in 127.0.0.0/8, which takes no privilege.
type flood struct {
	t        *testing.T
	conn     *net.UDPConn
	batch    *ipv4.PacketConn
	messages []ipv4.Message
	to       net.Addr
	fence    *net.UDPConn
	sent     int
}

// burst fits into the smallest receive buffer that a system gives.
const burst = 200

func newFlood(t *testing.T, to netip.AddrPort) *flood {
	conn, err := net.ListenUDP("udp4", nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadBuffer(1) // the answers are not wanted
	fence, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	require.NoError(t, err)
	t.Cleanup(func() { _ = fence.Close() })
	f := &flood{t: t, conn: conn, batch: ipv4.NewPacketConn(conn), to: net.UDPAddrFromAddrPort(to), fence: fence}
	f.messages = make([]ipv4.Message, burst)
	for i := range f.messages {
		f.messages[i] = ipv4.Message{Buffers: [][]byte{hello(relay.NewID(), relay.RoleReader, "ann", nil)}, Addr: f.to}
	}
	return f
}

// hello returns the datagram, see the package's documentation.
func hello(id relay.ID, role relay.Role, name string, cookie []byte) []byte {
	b := make([]byte, 96)
	copy(b, "ur\x01\x01")
	binary.BigEndian.PutUint64(b[4:], uint64(id))
	b[16] = byte(role)
	copy(b[34:54], cookie)
	b[54] = byte(len(name))
	copy(b[55:], name)
	return b
}

// send sends a burst, and waits until the server has taken it.
func (f *flood) send() {
	for i := range f.messages {
		m := &f.messages[i]
		n := f.sent + i
		b := m.Buffers[0]
		binary.BigEndian.PutUint64(b[4:], uint64(n+1))
		b[16] = byte(1 + n%2)
		clear(b[34:54])
		if n%3 > 0 { // a cookie of the right period, or of any
			for j := 34 + n%3/2*4; j < 54; j++ {
				b[j] = byte(rand.Uint32())
			}
		}
		b[57] = 'a' + byte(n%26)
		control := ipv4.ControlMessage{Src: net.IPv4(127, byte(1+n>>16), byte(n>>8), byte(n))}
		m.OOB = control.Marshal()
	}
	for rest := f.messages; len(rest) > 0; {
		n, err := f.batch.WriteBatch(rest, 0)
		require.NoError(f.t, err)
		rest = rest[n:]
	}
	f.sent += len(f.messages)
	question := hello(relay.ID(f.sent), relay.RoleReader, "ann", nil) // whose answer names it
	answer := make([]byte, 100)
	for patience := time.Now().Add(patience); ; {
		require.True(f.t, time.Now().Before(patience), "the server does not answer")
		_, err := f.fence.Write(question)
		require.NoError(f.t, err)
		_ = f.fence.SetReadDeadline(time.Now().Add(time.Second))
		for {
			n, err := f.fence.Read(answer)
			if n == 32 && string(answer[4:12]) == string(question[4:12]) {
				return
			}
			if os.IsTimeout(err) {
				break
			}
			require.NoError(f.t, err)
		}
	}
}

// A million forged registrations take no memory, and a hundred clients among them are served, also
// such as come while it goes on. On a host of its own: where a firewall keeps track of connections,
// its table is full before the end.
func TestMillionForgedRegistrations(t *testing.T) {
	if !testenv.Alone(t) {
		return
	}
	const (
		sources = 1_000_000
		clients = 50               // of each role
		rounds  = 4                // messages of each writer
		enough  = 15 * time.Second // on a busy machine it takes longer
	)
	s := serve(t, relay.ServerConfig{})
	f := newFlood(t, s.Addr())
	begun := time.Now()
	for range 10 {
		f.send()
	}

	// The clients come during the first part of the flood.
	var readers [clients]reader
	var writers [clients]writer
	for i := range clients {
		readers[i] = newReader(t, s.Addr(), fmt.Sprintf("reader-%d", i), relay.ReaderConfig{MaxMessages: clients * rounds})
		writers[i] = newWriter(t, s.Addr(), fmt.Sprintf("writer-%d", i))
		f.send()
	}
	for i := range clients {
		for _, j := range []*journal{readers[i].journal, writers[i].journal} {
			wait(t, j, up)
			f.send()
		}
	}
	before := heapInUse()

	// The messages come all the time.
	sent := 0
	var slowest time.Duration
	for f.sent < sources/relay.Slower {
		if time.Since(begun) > enough {
			break
		}
		f.send()
		if n := f.sent * clients * rounds / (sources / relay.Slower); sent < min(n, clients*rounds) {
			w := writers[sent%clients]
			require.NoError(t, w.Send(t.Context(), fmt.Sprint(sent)))
			sent++
		}
	}
	grown := heapInUse() - before
	flooded := time.Since(begun)
	for ; sent < clients*rounds; sent++ {
		require.NoError(t, writers[sent%clients].Send(t.Context(), fmt.Sprint(sent)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range clients {
		require.NoError(t, writers[i].Flush(ctx))
		require.NoError(t, readers[i].end(t))
		whole(t, readers[i].messages(), 1, clients*rounds)
		for _, e := range storedOf(writers[i]) {
			slowest = max(slowest, e.Took)
		}
		assert.EqualValues(t, 1, readers[i].Stats().Registered)
		assert.EqualValues(t, 1, writers[i].Stats().Registered)
	}
	stats := s.Stats()
	t.Logf("%d sources in %v (all in %v), heap grown by %d bytes, slowest message %v: %+v", f.sent, flooded, time.Since(begun), grown, slowest, stats)
	assert.GreaterOrEqual(t, f.sent, sources/relay.Slower/10)
	assert.Greater(t, stats.Challenged, uint64(f.sent*9/10))
	assert.EqualValues(t, 2*clients, stats.Registered)
	assert.Empty(t, stats.Refused)
	assert.Less(t, grown, int64(5<<20), "what the readers of the test keep")
}

// heapInUse returns the bytes in use.
func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestForgedSources: nothing goes out to an address that no host has, whatever is said in its name.
func TestForgedSources(t *testing.T) {
	if !testenv.Alone(t) {
		return
	}
	forge := testenv.Forge(t)
	victim, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 5000}) // hears broadcasts too
	require.NoError(t, err)
	defer victim.Close()
	s := serve(t, relay.ServerConfig{})
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.Addr().Port())
	ping := []byte("ur\x01\x06\x00\x00\x00\x00\x00\x00\x00\x07") // of nobody: answered with a reset
	sources := []string{
		"127.0.0.1:0", "224.0.0.1:5000", "255.255.255.255:5000", "127.255.255.255:5000", "10.9.8.255:5000",
		"127.0.0.1:5000", // the only one that may be answered
	}
	for _, source := range sources {
		forge(netip.MustParseAddrPort(source), to, hello(7, relay.RoleReader, "ann", nil))
		forge(netip.MustParseAddrPort(source), to, ping)
	}
	_ = victim.SetReadDeadline(time.Now().Add(patience))
	var kinds []byte
	for buf := make([]byte, 100); len(kinds) < 2; {
		n, from, err := victim.ReadFromUDPAddrPort(buf)
		require.NoError(t, err)
		require.Greater(t, n, 4)
		assert.Equal(t, to, from)
		kinds = append(kinds, buf[3])
	}
	assert.Equal(t, []byte{2, 5}, kinds, "a challenge and a reset")
	stats := s.Stats()
	assert.EqualValues(t, 2*3, stats.Malformed)
	assert.EqualValues(t, 2*2, stats.SendErrors, "the system knows which addresses are broadcast ones")
	assert.EqualValues(t, 3, stats.Challenged)
	assert.EqualValues(t, 3, stats.Unknown)
}
