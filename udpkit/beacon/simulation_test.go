package beacon

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
)

// The tests here run a beacon without a socket on the clock of testing/synctest: what it sends is
// kept, and what it hears is handed to it.

type simulation struct {
	*Beacon
	t *testing.T

	mu     sync.Mutex
	sent   []time.Duration // since the start
	last   string
	events []Event
}

func simulate(t *testing.T, cfg Config, announce func([]byte) []failure) (_ *simulation, stop func()) {
	t.Helper()
	cfg, err := cfg.withDefaults(1)
	require.NoError(t, err)
	s := &simulation{t: t}
	if cfg.OnEvent == nil {
		cfg.OnEvent = func(e Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.events = append(s.events, e)
		}
	}
	begun := time.Now()
	s.Beacon = newBeacon(cfg, 1, func(datagram func() []byte) []failure {
		b := datagram()
		s.mu.Lock()
		s.sent, s.last = append(s.sent, time.Since(begun)), string(b)
		s.mu.Unlock()
		if announce != nil {
			return announce(b)
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- s.run(ctx, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	synctest.Wait()
	return s, func() {
		cancel()
		require.NoError(t, <-done)
	}
}

func (s *simulation) hear(text string, from string) {
	s.handle([]byte(text), false, netip.AddrPortFrom(netip.MustParseAddr(from), 1000), time.Now())
}

// TestRefusingAllocatesNothing: however many datagrams are refused, only what is told costs memory.
func TestRefusingAllocatesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := simulate(t, Config{Name: "ann", MaxPeers: 1, Interval: time.Second}, nil)
		s.hear("HELLO|bob", "10.0.0.1")
		texts := [][]byte{[]byte("HELLO|bob\n\n"), []byte("HELLO|bob|1"), []byte("BYE|bob"), []byte("x"), []byte("HELLO|\xff"), make([]byte, MaxSize+1)}
		port := uint16(0)
		flood := func() {
			for _, text := range texts {
				port++ // of one host, as the original program sends
				s.handle(text, false, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 2}), port), time.Now())
			}
		}
		flood()
		assert.Zero(t, testing.AllocsPerRun(100, flood))
		s.hear("HELLO|cat", "10.0.0.3")
		time.Sleep(61 * time.Second)
		synctest.Wait()
		told := map[string][]uint64{}
		s.mu.Lock()
		for _, e := range s.events {
			if e, ok := e.(RefusedEvent); ok {
				told[e.Reason] = append(told[e.Reason], e.Count)
			}
		}
		s.mu.Unlock()
		stop()
		assert.Equal(t, map[string][]uint64{
			"the name is not 1 to 64 bytes of printable text": {1, 2*102 - 1}, "the id is not 16 hexadecimal digits in lower case": {1, 101},
			"a goodbye needs an id": {1, 101}, "it begins neither with HELLO| nor with BYE|": {1, 101},
			"longer than a HELLO can be": {1, 101}, "the table of peers is full": {1},
		}, told)
	})
}

func (s *simulation) changes() (list []string) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e, ok := e.(PeerEvent); ok {
			list = append(list, fmt.Sprint(e.Name, " ", e.Change))
		}
	}
	return list
}

// TestRhythm: a HELLO at once and one an interval, whatever is heard; in the end a goodbye.
func TestRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := simulate(t, Config{Name: "ann"}, nil)
		for i := range 100 {
			s.hear(fmt.Sprintf("HELLO|p%d", i), "127.0.0.1")
			s.hear("HELLO|ann|0000000000000001", "127.0.0.1")
			s.hear("garbage", "127.0.0.1")
		}
		time.Sleep(2*time.Second + 400*time.Millisecond + 1)
		synctest.Wait()
		s.mu.Lock()
		assert.Equal(t, "HELLO|ann|0000000000000001", s.last)
		s.mu.Unlock()
		stop()
		ms := time.Millisecond
		assert.Equal(t, []time.Duration{0, 800 * ms, 1600 * ms, 2400 * ms, 2400*ms + 1}, s.sent)
		assert.Equal(t, "BYE|ann|0000000000000001", s.last)
		assert.EqualValues(t, 100, s.Stats().Own)
		assert.EqualValues(t, 100, s.Stats().Malformed)
		assert.EqualValues(t, 4, s.Stats().Sent)
		assert.IsType(t, Stats{}, s.events[len(s.events)-1])
	})
}

// TestExpiry is exact: a peer is there as long as it was heard within the expiry.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := simulate(t, Config{}, nil)
		defer stop()
		s.hear("HELLO|cat", "127.0.0.1")
		time.Sleep(time.Second)
		s.hear("HELLO|dog", "127.0.0.1")
		time.Sleep(time.Second)
		s.hear("HELLO|cat", "127.0.0.1")
		time.Sleep(3*time.Second - time.Nanosecond)
		assert.Equal(t, []string{"cat appeared", "dog appeared"}, s.changes())
		time.Sleep(time.Nanosecond)
		assert.Equal(t, []string{"cat appeared", "dog appeared", "dog expired"}, s.changes())
		time.Sleep(time.Second)
		assert.Equal(t, []string{"cat appeared", "dog appeared", "dog expired", "cat expired"}, s.changes())
		time.Sleep(time.Hour)
		s.hear("HELLO|cat", "127.0.0.1") // the table was empty: the timer begins anew
		time.Sleep(4 * time.Second)
		assert.Equal(t, "cat expired", s.changes()[5])
	})
}

// TestAddressThatFallsSilent: then the peer is where else it is heard.
func TestAddressThatFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := simulate(t, Config{}, nil)
		defer stop()
		s.hear("HELLO|cat|0123456789abcdef", "127.0.0.1")
		for range 3 {
			time.Sleep(time.Second)
			s.hear("HELLO|dog|0123456789abcdef", "127.0.0.2")
		}
		assert.Equal(t, "127.0.0.1", s.Peers()[0].Addr.Addr().String())
		time.Sleep(time.Second)
		s.hear("HELLO|dog|0123456789abcdef", "127.0.0.2")
		assert.Equal(t, "127.0.0.2", s.Peers()[0].Addr.Addr().String())
		assert.Equal(t, []string{"cat appeared", "dog renamed"}, s.changes())
	})
}

// TestMillionForged: a hundred genuine peers stay while a million forged ones come; nobody gets in
// any more, until the forged ones have expired.
func TestMillionForged(t *testing.T) {
	const forged, genuine = 1_000_000, 100
	synctest.Test(t, func(t *testing.T) {
		s, stop := simulate(t, Config{}, nil)
		defer stop()
		hello := func() {
			for i := range genuine {
				s.hear(fmt.Sprintf("HELLO|genuine %d|%016x", i, i+2), "127.0.0.1")
			}
		}
		hello()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range forged {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
			text := fmt.Appendf(nil, "HELLO|forged|%016x", i+1000)
			if i%2 == 0 {
				text = []byte("HELLO|")
			}
			s.handle(text, false, from, time.Now())
			if i%(forged/100) == 0 {
				hello()
				time.Sleep(100 * time.Millisecond) // 10 s in all
			}
			if s.Stats().Peers > DefaultMaxPeers {
				t.Fatal("the table grows without bound")
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		assert.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(4<<20))
		there := map[string]bool{}
		for _, p := range s.Peers() {
			there[p.Name] = true
		}
		for i := range genuine {
			assert.True(t, there[fmt.Sprint("genuine ", i)], i)
		}
		assert.Greater(t, s.Stats().Refused, uint64(forged*9/10))
		assert.Equal(t, len(s.Peers()), s.Stats().Peers)

		time.Sleep(3 * time.Second)
		hello()
		time.Sleep(3 * time.Second)
		s.hear("HELLO|late", "127.0.0.1")
		assert.Len(t, s.Peers(), genuine+1)
	})
}

// TestFailures are reported once, and so is their end; what is gone is forgotten.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := target{Path: udp.Path{To: netip.MustParseAddrPort("10.0.0.1:3400")}, Name: "card"}
		var results atomic.Value
		results.Store([]failure(nil))
		s, stop := simulate(t, Config{}, func([]byte) []failure { return results.Load().([]failure) })
		sleep := func(intervals time.Duration) {
			time.Sleep(intervals * DefaultInterval)
			synctest.Wait()
		}
		time.Sleep(DefaultInterval / 2) // between two HELLOs
		synctest.Wait()
		results.Store([]failure{{bad, ErrNoTarget}, {target{}, nil}})
		sleep(3)
		results.Store([]failure{{bad, nil}})
		sleep(3)
		results.Store([]failure{{bad, ErrNoTarget}})
		sleep(1)
		results.Store([]failure(nil))
		sleep(1)
		stop()
		var got []string
		for _, e := range s.events {
			if e, ok := e.(ErrorEvent); ok {
				assert.Equal(t, bad.To, e.Target)
				assert.Equal(t, "card", e.Interface)
				got = append(got, fmt.Sprint(e.Text, e.Ended))
			}
		}
		assert.Equal(t, []string{"no target addressfalse", "no target addresstrue", "no target addressfalse"}, got)
		assert.Empty(t, s.failing, "what is gone is forgotten")
		assert.EqualValues(t, 4, s.Stats().SendErrors)
	})
}

// TestSlowCallback: the HELLOs go on, and what was not told is counted.
func TestSlowCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		s, stop := simulate(t, Config{MaxPeers: 3 * service.Queue, OnEvent: func(e Event) {
			if _, first := e.(StartEvent); !first {
				<-block
			}
		}}, nil)
		for i := range 2 * service.Queue {
			s.hear(fmt.Sprintf("HELLO|%d", i), "127.0.0.1")
		}
		time.Sleep(10 * DefaultInterval)
		synctest.Wait()
		assert.GreaterOrEqual(t, s.Stats().Sent, uint64(10))
		assert.Positive(t, s.Stats().EventsDropped)
		close(block)
		stop()
	})
}

type badReader struct{ *testenv.FailingReads }

func (badReader) Next() *udp.Datagram { return nil }

// TestReadFails: reads that fail for a while are told when that begins and when it ends, and are no
// reason to spin; the HELLOs go on. An error that stays is the end.
func TestReadFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []ErrorEvent
		cfg, err := Config{OnEvent: func(e Event) {
			if e, ok := e.(ErrorEvent); ok {
				told = append(told, e)
			}
		}}.withDefaults(1)
		require.NoError(t, err)
		b := newBeacon(cfg, 1, func(func() []byte) []failure { return nil })
		from := badReader{&testenv.FailingReads{Errs: make(chan error)}}
		ended := make(chan error)
		go func() { ended <- b.run(t.Context(), func(ctx context.Context) error { return b.readAll(ctx, from) }) }()
		from.Errs <- testenv.Passing()
		time.Sleep(10 * time.Second)
		reads := from.Reads.Load()
		assert.LessOrEqual(t, reads, int32(9+100), "0, 1, 2, ... 64, then every 100 ms")
		assert.GreaterOrEqual(t, b.Stats().Sent, uint64(12))
		assert.EqualValues(t, reads, b.Stats().ReadErrors)
		from.Errs <- nil
		from.Errs <- io.ErrNoProgress
		err = <-ended
		assert.ErrorIs(t, err, io.ErrNoProgress)
		assert.ErrorContains(t, err, "the beacon cannot receive any more")
		require.Len(t, told, 3)
		for i, ended := range []bool{false, true, false} {
			assert.Equal(t, ended, told[i].Ended)
			assert.Contains(t, told[i].Text, "cannot receive: ")
		}
		assert.Equal(t, told[0].Err, told[1].Err)
	})
}
