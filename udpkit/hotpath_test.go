package udpkit

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// The status as our server sends it, and as Python's json.dumps writes the original one.
var (
	hotMessage = Message{
		Timestamp: "2026-11-21T12:00:00.000000+00:00", State: StateActive, ID: 7, Epoch: 0x9f86d081884c7d65,
		Interval: 5 * time.Second,
	}
	hotStatuses = map[string][]byte{
		"ours":   []byte(`{"timestamp":"2026-11-21T12:00:00.000000+00:00","state":"ACTIVE","message_id":7,"epoch":"9f86d081884c7d65","interval_ms":5000}`),
		"python": []byte(`{"timestamp": "2026-11-21T12:00:00.123456", "state": "MAINTENANCE", "message_id": 4711}`),
	}
	hotServer = netip.MustParseAddrPort("127.0.0.1:40000")
)

// hotClient returns a client without sockets whose acknowledgements go nowhere.
func hotClient(tb testing.TB) *Client { return hotClientOf(tb, nil, false) }

// hotClientOf returns one with a key.
func hotClientOf(tb testing.TB, ring *key.Ring, seal bool) *Client {
	cfg, err := ClientConfig{ID: "client-1", History: 100, Key: ring, Seal: seal}.withDefaults()
	require.NoError(tb, err)
	c := newClient(cfg)
	c.ack = func(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }
	tb.Cleanup(func() { c.watchdog.Stop() })
	return c
}

// hotAcks returns one acknowledgement of message id for each of n clients, all from one host.
func hotAcks(tb testing.TB, n int, id uint64, epoch Epoch) [][]byte {
	acks := make([][]byte, n)
	for i := range acks {
		b, err := AppendAck(nil, Ack{ClientID: fmt.Sprintf("client-%08x", i), MessageID: id, Epoch: epoch})
		require.NoError(tb, err)
		acks[i] = b
	}
	return acks
}

func hotServerOf(tb testing.TB, clients int) *Server {
	cfg, err := ServerConfig{MaxClients: clients}.withDefaults()
	require.NoError(tb, err)
	return newServer(cfg, func(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil })
}

// Nothing is allocated for a datagram on the way from the socket to the statistics, at either end,
// as long as nobody asks for events.
func TestHotPathAllocatesNothing(t *testing.T) {
	var d decoder
	for name, text := range hotStatuses {
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			_, err := d.decode(text)
			require.NoError(t, err)
		}), name)
	}
	odd := []byte(`{"timestamp":"t","st\u0061te":"\u00e9\"","message_id":1,"a":[1,{"b":null}],"c":"\n"}`)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_, err := d.decode(odd)
		require.NoError(t, err)
	}), "unknown keys and escapes")

	c := hotClient(t)
	for _, state := range []State{StateActive, "ÜBUNG"} {
		m := hotMessage
		m.State = state
		var buf []byte
		next := func() {
			m.ID++
			var err error
			buf, err = AppendMessage(buf[:0], m)
			require.NoError(t, err)
			c.handle(Datagram{Payload: buf, Source: hotServer, Received: time.Now()})
		}
		for range 200 { // the history is full
			next()
		}
		assert.Zero(t, testing.AllocsPerRun(100, next), state)
		again := func() { c.handle(Datagram{Payload: buf, Source: hotServer, Received: time.Now()}) }
		assert.Zero(t, testing.AllocsPerRun(100, again), "duplicate")
		m.ID += 2000
	}
	assert.Zero(t, c.Stats().Malformed)
	assert.NotZero(t, c.Stats().Duplicates)

	s := hotServerOf(t, 10)
	for range 200 {
		s.send(nil, nil, false)
	}
	for _, name := range []string{"client-1", "Köln"} {
		ack := Ack{ClientID: name, Epoch: s.epoch}
		var buf []byte
		next := func() {
			ack.MessageID++
			var err error
			buf, err = AppendAck(buf[:0], ack)
			require.NoError(t, err)
			s.handleAck(Datagram{Payload: buf, Source: hotServer, Received: time.Now()})
		}
		next() // a new client
		assert.Zero(t, testing.AllocsPerRun(100, next), name)
	}
	assert.EqualValues(t, 2*102, s.Stats().Acks)
}

// Nor is anything for what is refused, for whatever reason and from however many sources, once the
// first ones were told.
func TestRefusingAllocatesNothing(t *testing.T) {
	told := 0
	c := hotClient(t)
	c.cfg.OnEvent = func(Event) { told++ }
	fields := func(more string) string { return `{"timestamp":"t","state":"A","message_id":1` + more + `}` }
	statuses := []string{
		"", "\ufeff" + fields(""), fields("") + "\x00", fields(`,"x":NaN`), fields(`,"x":[1,01]`), fields(`,"x":"\ud800"`), fields(`,"x":1,"x":2`),
		fields(`,"state":"A"`), "{\"state\":\"\x1b\"}", `{"timestamp":1}`, `{"timestamp":"t","state":""}`, `{"message_id":"7"}`, `{"state":"\xff"}`,
		fields(`,"x":[[[[[[[[[[1]]]]]]]]]]`), fields(`,"a":1,"b":2,"c":3` + strings.Repeat(`,"x":1`, 40)), strings.Repeat("x", 1025),
		"Time 0123456789abcdef 1700000000123456789 1700000000123456789", "Time 0123456789abcdef 1 ",
	}
	s := hotServerOf(t, 1)
	s.send(nil, nil, false)
	acks := []string{
		"hello", "Client \x1b received message 1", "Client a received message x", "Client a received message 1 epoch 12", strings.Repeat("x", 257),
		"Client a received message 1", "Client b received message 1", "Client a received message 7", "Client a received message 1 epoch 0123456789abcdef",
	}
	source := uint16(0)
	buffer := make([]byte, 0, 2000)
	flood := func() {
		source++
		from := netip.AddrPortFrom(hotServer.Addr(), source)
		for _, text := range statuses {
			c.handle(Datagram{Payload: append(buffer, text...), Source: from, Received: time.Now()})
		}
		c.handle(Datagram{Source: from, Received: time.Now(), Truncated: true})
		for _, text := range acks {
			s.handleAck(Datagram{Payload: append(buffer, text...), Source: from, Received: time.Now()})
		}
	}
	for range 200 {
		flood()
	}
	assert.Less(t, told, 100)
	assert.Zero(t, testing.AllocsPerRun(100, flood))
	assert.Less(t, told, 100)
	sum := c.Stats()
	assert.EqualValues(t, 301*len(statuses), sum.Malformed)
	assert.EqualValues(t, 301, sum.Truncated)
	assert.EqualValues(t, 301*5, s.Stats().Malformed)
	assert.EqualValues(t, 301*3, s.Stats().RefusedAcks)
}

// FuzzIsNumber checks the numbers of JSON against package json.
func FuzzIsNumber(f *testing.F) {
	for _, text := range []string{"0", "-0", "01", "-", "1.", ".5", "1.50", "1e5", "1E+05", "1e", "1e+", "-1.5e-7", "0x1", "NaN", "1 ", "+1", ""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		number := len(b) > 0 && (b[0] == '-' || '0' <= b[0] && b[0] <= '9') && !strings.ContainsAny(string(b[len(b)-1:]), " \t\r\n")
		require.Equal(t, number && json.Valid(b), isNumber(b), "%q", b)
	})
}

func TestDecodeMessageAllocations(t *testing.T) {
	for name, text := range hotStatuses {
		assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = DecodeMessage(text) }), 1.0, name)
	}
}

// The history has the timestamps as they were sent.
func TestHistoryTimestamps(t *testing.T) {
	c := hotClient(t)
	c.cfg.History = 2
	m := hotMessage
	for i := range 5 {
		m.ID, m.Timestamp = uint64(i), fmt.Sprint("at ", i)
		b, err := AppendMessage(nil, m)
		require.NoError(t, err)
		c.handle(Datagram{Payload: b, Source: hotServer, Received: time.Now()})
	}
	history := c.History()
	require.Len(t, history, 2)
	assert.Equal(t, []string{"at 3", "at 4"}, []string{history[0].Timestamp, history[1].Timestamp})
}

func TestStatesAreBounded(t *testing.T) {
	s := make(states)
	for i := range 10 * maxStates {
		text := fmt.Sprint("state ", i)
		assert.Equal(t, State(text), s.get([]byte(text)))
		assert.LessOrEqual(t, len(s), maxStates)
	}
	assert.Equal(t, StateError, s.get([]byte("ERROR")))
}

// FuzzSentTime checks the quick readers of timestamps against package time, one timestamp after
// another.
func FuzzSentTime(f *testing.F) {
	for _, text := range []string{
		"2026-11-21T12:00:00.000000+00:00", "2026-11-21T12:00:00.123456", "2026-11-21T12:00:00Z", "2026-02-29T12:00:00Z",
		"2024-02-29T23:59:59.9999999999-11:30", "2026-11-21T24:00:00", "2026-11-21T12:00:60", "2026-13-01T00:00:00",
		"2026-00-10T00:00:00Z", "2026-11-21T12:00:00+24:00", "2026-11-21T12:00:00+23:60", "2026-11-21T12:00:00,5",
		"2026-11-21T12:00:00.", "2026-11-21T12:00:00.z", "2026-11-21 12:00:00", "2026-11-21T1:00:00Z", "yesterday", "",
		"0000-01-01T00:00:00Z", "2026-11-31T00:00:00", "2026-11-21T12:00:00.5+0100", "2026-11-21T12:00:00z",
	} {
		f.Add("2026-11-21T12:00:00.000000+00:00", text)
		f.Add(text, "2026-11-21T12:00:00")
	}
	f.Add("2026-11-21T12:00:00.12345678912+00:00", "2026-11-21T12:00:00.98765432112+00:00")
	f.Add("2026-11-21T12:00:00.12345678912+00:00", "2026-11-21T12:00:00.12+00:00")
	f.Add("2026-11-21T12:00:00.1+00:00", "2026-11-21T12:00:00.+00:00")
	f.Fuzz(func(t *testing.T, first, second string) {
		var r timestampReader
		for _, text := range []string{first, second, first} {
			want, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				want, err = time.ParseInLocation("2006-01-02T15:04:05", text, time.Local)
			}
			for _, read := range []func([]byte) (time.Time, bool){func(b []byte) (time.Time, bool) { return sentTime(string(b)) }, r.read} {
				got, ok := read([]byte(text))
				require.Equal(t, err == nil, ok, "%q", text)
				if !ok {
					continue
				}
				require.True(t, want.Equal(got), "%q: %v, not %v", text, got, want)
			}
		}
	})
}

// FuzzPlain checks the searches by eight bytes against plain ones.
func FuzzPlain(f *testing.F) {
	f.Add([]byte(`0123456789"`))
	f.Add([]byte("!#[]\x7f\x80\xff \x1f"))
	f.Add([]byte("!#[]^_}~ 0123456"))
	f.Fuzz(func(t *testing.T, b []byte) {
		want := 0
		for want < len(b) && b[want] >= ' ' && b[want] != '"' && b[want] != '\\' {
			want++
		}
		require.Equal(t, want, plain(b))
		text := string(b)
		ascii := strings.IndexFunc(text, func(r rune) bool { return r > '~' }) < 0
		require.Equal(t, want == len(b) && ascii, simple(text))
	})
}

// BenchmarkDecode compares the strict decoder with encoding/json, in one run.
func BenchmarkDecode(b *testing.B) {
	for name, text := range hotStatuses {
		b.Run("strict/"+name, func(b *testing.B) {
			var d decoder
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.decode(text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("DecodeMessage/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeMessage(text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("encoding-json/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var m jsonStatus
				if err := json.Unmarshal(text, &m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// jsonStatus is a message for encoding/json.
type jsonStatus struct {
	Timestamp string `json:"timestamp"`
	State     string `json:"state"`
	ID        uint64 `json:"message_id"`
	Epoch     string `json:"epoch"`
	Interval  uint64 `json:"interval_ms"`
}

// BenchmarkEncode compares the encoder with encoding/json, in one run.
func BenchmarkEncode(b *testing.B) {
	b.Run("AppendMessage", func(b *testing.B) {
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			var err error
			if buf, err = AppendMessage(buf[:0], hotMessage); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		m := jsonStatus{hotMessage.Timestamp, string(hotMessage.State), hotMessage.ID, hotMessage.Epoch.String(), 5000}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(&m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkClient measures what a client does with a datagram that it has received, the
// acknowledgement's system call aside: decode, recognise, count, remember, encode the
// acknowledgement.
func BenchmarkClient(b *testing.B) {
	// Statuses with ids in order, from a few runs of a server: each is new until all have been
	// used.
	prepared := make([][]byte, 4*windowSize)
	for i := range prepared {
		m := hotMessage
		m.Timestamp = fmt.Sprintf("2026-11-21T12:00:00.%06d+00:00", i)
		m.ID = uint64(i)
		prepared[i], _ = AppendMessage(nil, m)
	}
	run := func(b *testing.B, c *Client, step int) {
		at := time.Now()
		b.ReportAllocs()
		for i := 0; b.Loop(); i += step {
			c.handle(Datagram{Payload: prepared[i%len(prepared)], Source: hotServer, Received: at})
		}
	}
	b.Run("new", func(b *testing.B) { run(b, hotClient(b), 1) })
	b.Run("new, no acknowledgement", func(b *testing.B) {
		c := hotClient(b)
		c.cfg.NoAck = true
		run(b, c, 1)
	})
	b.Run("duplicate", func(b *testing.B) { run(b, hotClient(b), 0) })
	b.Run("new, with events", func(b *testing.B) {
		c := hotClient(b)
		c.cfg.OnEvent = func(Event) {}
		run(b, c, 1)
	})
}

// BenchmarkAck measures what a server does with an acknowledgement of a client that it knows, and
// the memory that a client takes.
func BenchmarkAck(b *testing.B) {
	for _, clients := range []int{1, 1_000, 100_000} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			s := hotServerOf(b, clients)
			buf := s.send(nil, nil, false)
			acks := hotAcks(b, clients, 1, s.epoch)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			at := time.Now()
			for _, ack := range acks {
				s.handleAck(Datagram{Payload: ack, Source: hotServer, Received: at})
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(acks)
			s.send(buf, nil, false)
			acks = hotAcks(b, clients, 2, s.epoch) // the first time round new, then seen before
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.handleAck(Datagram{Payload: acks[i%clients], Source: hotServer, Received: at})
			}
			b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/float64(clients), "B/client")
		})
	}
}

// BenchmarkFanOut measures a server that sends a message to many targets on this machine, for each
// of them; "plain" writes one after the other.
func BenchmarkFanOut(b *testing.B) {
	for _, count := range []int{1, 16, 64} {
		var targets []udp.Target
		for range count {
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			require.NoError(b, err)
			defer conn.Close()
			targets = append(targets, udp.Target{Path: udp.Path{To: conn.LocalAddr().(*net.UDPAddr).AddrPort()}})
		}
		batched, err := NewServer(ServerConfig{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
		require.NoError(b, err)
		defer batched.Close()
		for name, s := range map[string]*Server{
			"batch": batched,
			"plain": newServer(batched.cfg, batched.conn.WriteToUDPAddrPort),
		} {
			b.Run(fmt.Sprint(count, "/", name), func(b *testing.B) {
				b.ReportAllocs()
				var buf []byte
				for n := 0; n < b.N; n += count {
					buf = s.send(buf[:0], targets, false)
				}
			})
		}
	}
}
