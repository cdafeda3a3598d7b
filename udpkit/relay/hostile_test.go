package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// target is a running server without a socket, that datagrams are given to one by one.
type target struct {
	*Server
	mu    sync.Mutex
	sent  []byte // the last answer
	bytes int    // of answers to the datagram
	to    map[netip.AddrPort]int
	stop  func()
}

func newTarget(t *testing.T, cfg ServerConfig) *target {
	cfg, err := cfg.withDefaults()
	require.NoError(t, err)
	s := &target{Server: newServer(cfg), to: map[netip.AddrPort]int{}}
	s.reply = func(b []byte, path udp.Path) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sent, s.bytes = append(s.sent[:0], b...), s.bytes+len(b)
		s.to[path.To]++
		return nil
	}
	s.carrier = s
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	ready := make(chan struct{})
	running.Go(func() {
		assert.NoError(t, s.run(ctx, StartEvent{}, func(ctx context.Context) error {
			close(ready)
			return idle(ctx)
		}))
	})
	<-ready
	s.stop = func() {
		cancel()
		running.Wait()
	}
	return s
}

// AddParts and Flush make it its carrier.
func (s *target) AddParts(head, body []byte, path udp.Path) {
	_ = s.reply(append(append([]byte(nil), head...), body...), path)
}

func (s *target) Flush(func(udp.Path, error)) {}

// give returns how many bytes a datagram is answered with, and the answer.
func (s *target) give(b []byte, from netip.AddrPort) (int, relaywire.Frame) {
	s.mu.Lock()
	s.bytes, s.sent = 0, s.sent[:0]
	clear(s.to)
	s.mu.Unlock()
	s.handle(b, udp.Path{To: from})
	s.pump()
	s.mu.Lock()
	defer s.mu.Unlock()
	f, _ := relaywire.Parse(s.sent)
	return s.bytes, f
}

func (s *target) empty(t *testing.T) {
	t.Helper()
	s.Server.mu.Lock()
	defer s.Server.mu.Unlock()
	require.Empty(t, s.sessions)
	require.Empty(t, s.byName)
	require.Empty(t, s.registering)
	require.Empty(t, s.sources)
	require.Empty(t, s.pending)
	require.Empty(t, s.readers)
}

var stranger = netip.MustParseAddrPort("192.0.2.1:4000")

// An address that is not proved gets no more bytes than are sent in its name, no matter what that
// is, and nothing is kept of it.
func TestNoAmplification(t *testing.T) {
	s := newTarget(t, ServerConfig{})
	defer s.stop()
	for k := range 21 {
		for size := 1; size <= 1472; size++ {
			for _, fill := range []func([]byte){
				func([]byte) {},
				func(b []byte) { _, _ = rand.Read(b) },
				func(b []byte) { // as good as a hello of its size can be
					f := relaywire.Frame{Kind: relaywire.Hello, ID: 1, Role: relaywire.RoleReader, Name: "ann"}
					copy(b, f.Append(nil)[relaywire.HeaderSize:])
				},
			} {
				b := make([]byte, size)
				if size > relaywire.HeaderSize {
					fill(b[relaywire.HeaderSize:])
				}
				copy(b, relaywire.Begin(nil, relaywire.Kind(k), 7))
				out, _ := s.give(b, stranger)
				if out > len(b) {
					require.Fail(t, "amplification", "kind %d, %d bytes: %d", k, size, out)
				}
			}
		}
	}
	s.empty(t)
	answered := map[relaywire.Kind]relaywire.Kind{
		relaywire.Hello: relaywire.Challenge, relaywire.Ping: relaywire.Reset, relaywire.Leave: relaywire.Reset, relaywire.Write: relaywire.Reset, relaywire.Ack: relaywire.Reset,
	}
	for name, f := range frames() {
		for _, c := range []relaywire.Cookie{{}, {1, 2, 3}, f.Cookie, s.cookieFor(0, &f, netip.AddrPortFrom(stranger.Addr(), 4001))} {
			f.Cookie = c
			b := f.Append(nil)
			out, answer := s.give(b, stranger)
			require.LessOrEqual(t, out, len(b), name)
			require.Equal(t, answered[f.Kind], answer.Kind, "%s; what servers say is not answered, or two would talk forever", name)
			require.Equal(t, min(1, out), s.to[stranger], "only who asks is answered")
		}
	}
	out, _ := s.give((&relaywire.Frame{Kind: relaywire.Ping, ID: 7}).Append(nil), netip.AddrPortFrom(stranger.Addr(), 0))
	assert.Zero(t, out, "nobody has port 0")
	s.empty(t)
	assert.Empty(t, s.Clients())

	// Hundreds of thousands of them leave nothing behind.
	before, goroutines := heapInUse(), runtime.NumGoroutine()
	for i := range 200_000 / Slower {
		f := relaywire.Frame{Kind: relaywire.Hello, ID: uint64(i + 1), Role: relaywire.RoleReader, Name: "ann"}
		if i%2 == 0 {
			_, _ = rand.Read(f.Cookie[:])
			binary.BigEndian.PutUint32(f.Cookie[:], 0) // the right period
		}
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(i%60000+1))
		if out, _ := s.give(f.Append(nil), from); out != relaywire.ChallengeSize {
			require.Equal(t, relaywire.ChallengeSize, out)
		}
	}
	assert.Less(t, heapInUse()-before, int64(256<<10))
	assert.Equal(t, goroutines, runtime.NumGoroutine())
	s.empty(t)
}

// heapInUse returns the bytes in use.
func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A cookie is worth something for one address, run, role and name, for one server, and for a minute
// at most.
func TestCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTarget(t, ServerConfig{})
		other := newTarget(t, ServerConfig{})
		defer s.stop()
		defer other.stop()
		hello := relaywire.Frame{Kind: relaywire.Hello, ID: 7, Role: relaywire.RoleReader, Name: "ann"}
		ask := func() {
			_, answer := s.give(hello.Append(nil), stranger)
			require.Equal(t, relaywire.Challenge, answer.Kind)
			hello.Cookie = answer.Cookie
		}
		// refused reports whether a hello is asked for a cookie again. A taken one is answered
		// later.
		refused := func(s *target, f relaywire.Frame, from netip.AddrPort) bool {
			_, answer := s.give(f.Append(nil), from)
			return answer.Kind == relaywire.Challenge
		}
		hello.Cookie = relaywire.Cookie{}
		ask()
		with := func(change func(*relaywire.Frame)) relaywire.Frame {
			f := hello
			change(&f)
			return f
		}
		for name, f := range map[string]relaywire.Frame{
			"ID":     with(func(f *relaywire.Frame) { f.ID++ }),
			"role":   with(func(f *relaywire.Frame) { f.Role = relaywire.RoleWriter }),
			"name":   with(func(f *relaywire.Frame) { f.Name = "anna" }),
			"case":   with(func(f *relaywire.Frame) { f.Name = "Ann" }),
			"cut":    with(func(f *relaywire.Frame) { f.Name = "an" }),
			"period": with(func(f *relaywire.Frame) { f.Cookie[3]++ }),
			"MAC":    with(func(f *relaywire.Frame) { f.Cookie[relaywire.CookieSize-1] ^= 1 }),
			"none":   with(func(f *relaywire.Frame) { f.Cookie = relaywire.Cookie{} }),
		} {
			assert.True(t, refused(s, f, stranger), name)
		}
		for _, from := range []string{"192.0.2.1:4001", "192.0.2.2:4000", "[2001:db8::1]:4000", "[fe80::1%a]:4000"} {
			assert.True(t, refused(s, hello, netip.MustParseAddrPort(from)), from)
		}
		assert.True(t, refused(other, hello, stranger), "another server's")
		synctest.Wait()
		s.empty(t)
		other.empty(t)

		assert.False(t, refused(s, hello, stranger))
		synctest.Wait()
		require.Len(t, s.Clients(), 1)
		_, answer := s.give((&relaywire.Frame{Kind: relaywire.Leave, ID: 7}).Append(nil), stranger)
		synctest.Wait()
		require.Empty(t, s.Clients(), answer.Kind)

		for _, test := range []struct {
			age   time.Duration
			taken bool
		}{
			{cookiePeriod / 2, true}, {cookiePeriod, true}, {2 * cookiePeriod, false}, {time.Hour, false},
		} {
			hello.ID++
			hello.Cookie = relaywire.Cookie{}
			time.Sleep(cookiePeriod - time.Since(s.begun)%cookiePeriod) // its period begins now
			ask()
			time.Sleep(test.age)
			assert.Equal(t, test.taken, !refused(s, hello, stranger), test.age)
			synctest.Wait()
			require.Len(t, s.Clients(), map[bool]int{true: 1}[test.taken])
			if test.taken {
				s.give((&relaywire.Frame{Kind: relaywire.Leave, ID: hello.ID}).Append(nil), stranger)
				synctest.Wait()
			}
		}
	})
}

// A welcome with a wrong place in the log is refused, and the reader asks again until it gets a
// good one: it begins where it should, and misses nothing.
func TestWrongPlace(t *testing.T) {
	for name, wrong := range map[string]func([]byte){
		"damaged":        func(b []byte) { b[relaywire.HeaderSize+4+7] ^= 1 << 3 },
		"beyond the end": func(b []byte) { rewrite(b, func(f *relaywire.Frame) { f.Next = f.Last + 2 }) },
		"of no log":      func(b []byte) { rewrite(b, func(f *relaywire.Frame) { f.First = f.Last + 2 }) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(1)
				log := NewMemory(0)
				stop := n.serve(t, log, nil)
				for i := range uint64(20) {
					_, err := log.Append(t.Context(), []Record{{Run: 99, Number: i + 1, Username: "eve", Text: "x"}})
					require.NoError(t, err)
				}
				var got received
				r, err := newReader(ReaderConfig{Username: "bob", OnEvent: got.event})
				require.NoError(t, err)
				n.connect(r.client, r, clientAddr(0))
				damaged := 0
				n.set(func() {
					deliver := n.clients[clientAddr(0)]
					n.clients[clientAddr(0)] = func(b []byte) {
						if b = bytes.Clone(b); relaywire.Kind(b[3]) == relaywire.Welcome && damaged < 3 {
							damaged++
							wrong(b)
						}
						deliver(b)
					}
				})
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				require.NoError(t, r.run(ctx, r, idle))
				assert.Equal(t, numbers(1, 20), got.seqs())
				assert.Empty(t, got.gaps)
				assert.EqualValues(t, 3, r.Stats().Malformed)
				stop()
			})
		})
	}
}

// rewrite changes what a datagram says.
func rewrite(b []byte, change func(*relaywire.Frame)) {
	f, err := relaywire.Parse(b)
	if err == nil {
		change(&f)
		copy(b, f.Append(nil))
	}
}

// One address cannot keep everybody out: it has a share of the places, and gets back what its
// clients leave. What a class has in common is not limited where it cannot be told apart.
func TestShareOfAnAddress(t *testing.T) {
	for _, test := range []struct {
		cfg  ServerConfig
		from string
		most int
	}{
		{ServerConfig{MaxClients: 20}, "192.0.2.1", 10},
		{ServerConfig{MaxClients: 20, MaxPerAddress: 3}, "192.0.2.1", 3},
		{ServerConfig{MaxClients: 20}, "127.0.0.1", 20},
		{ServerConfig{MaxClients: 20, MaxPerAddress: 3}, "127.0.0.1", 3},
		{ServerConfig{MaxClients: 1}, "192.0.2.1", 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newTarget(t, test.cfg)
			defer s.stop()
			id := uint64(0)
			join := func(addr string) Reason {
				id++
				from := netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(5000+id))
				f := relaywire.Frame{Kind: relaywire.Hello, ID: id, Role: relaywire.RoleReader, Name: fmt.Sprint("bob", id)}
				f.Cookie = s.cookieFor(uint32(time.Since(s.begun)/cookiePeriod), &f, from)
				_, answer := s.give(f.Append(nil), from)
				synctest.Wait()
				return reasons[answer.Reason]
			}
			for range test.most {
				require.Empty(t, join(test.from))
			}
			full := test.most == s.cfg.MaxClients
			assert.Equal(t, map[bool]Reason{true: ReasonFull, false: ReasonSameSource}[full], join(test.from))
			if !full {
				assert.Empty(t, join("192.0.2.2"), "others are let in")
			}
			s.give((&relaywire.Frame{Kind: relaywire.Leave, ID: 1}).Append(nil), netip.AddrPortFrom(netip.MustParseAddr(test.from), 5001))
			synctest.Wait()
			assert.Empty(t, join(test.from), "one has left")
			time.Sleep(s.cfg.Expire + 3*time.Second)
			s.Server.mu.Lock()
			defer s.Server.mu.Unlock()
			assert.Empty(t, s.sources, "all are gone")
		})
	}
}

// What comes from elsewhere in the name of clients, or damaged, disturbs nobody.
func TestDamagedDatagrams(t *testing.T) {
	s := newTarget(t, ServerConfig{})
	defer s.stop()
	var from [2]netip.AddrPort
	for i, role := range []Role{RoleReader, RoleWriter} {
		from[i] = netip.AddrPortFrom(stranger.Addr(), uint16(5000+i))
		f := relaywire.Frame{Kind: relaywire.Hello, ID: uint64(100 + i), Role: uint8(role), Name: "ann"}
		_, answer := s.give(f.Append(nil), from[i])
		f.Cookie = answer.Cookie
		s.give(f.Append(nil), from[i])
	}
	require.Eventually(t, func() bool { return len(s.Clients()) == 2 }, time.Minute, time.Millisecond)
	before := s.Clients()
	malformed, unknown := s.Stats().Malformed, s.Stats().Unknown
	var wrong, strange uint64
	for i := range from {
		for name, f := range frames() {
			f.ID = uint64(100 + i)
			whole := f.Append(nil)
			for size := range whole {
				s.give(whole[:size], from[i])
				wrong++
			}
			for _, surplus := range []int{1, 100, MaxDatagram} {
				b := append(whole, make([]byte, surplus)...)
				if _, err := relaywire.Parse(b); err != nil { // zeros may follow data
					s.give(b, from[i])
					wrong++
				}
			}
			if f.Kind == relaywire.Hello {
				continue
			}
			// Somebody who knows the ID, elsewhere; and one in the right place who does not.
			_, answer := s.give(whole, stranger)
			f.ID += 1000
			_, again := s.give(f.Append(nil), from[i])
			require.Equal(t, answer.Kind, again.Kind, name)
			if answer.Kind == relaywire.Reset {
				strange += 2
			} else {
				wrong += 2
			}
		}
	}
	garbage := make([]byte, 2*MaxDatagram)
	for i := range 10_000 {
		b := garbage[:i%len(garbage)]
		_, _ = rand.Read(b)
		if i%2 == 0 {
			copy(b, relaywire.Begin(nil, relaywire.Kind(i%20), 100))
			if f, err := relaywire.Parse(b); err == nil { // few
				t.Log("by chance: ", fmt.Sprintf("%+v", f))
				continue
			}
		}
		s.give(b, from[i%2])
		wrong++
	}
	stats := s.Stats()
	assert.Equal(t, wrong, stats.Malformed-malformed)
	assert.Equal(t, strange, stats.Unknown-unknown)
	assert.Equal(t, before, s.Clients())
	assert.Zero(t, stats.Stored+stats.Delivered+stats.OutOfOrder)
	assert.Empty(t, stats.Left)
	_, answer := s.give((&relaywire.Frame{Kind: relaywire.Ping, ID: 100}).Append(nil), from[0])
	assert.Equal(t, relaywire.Pong, answer.Kind)
}
