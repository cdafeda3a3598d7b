package udpkit

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// TestLatencyByTwoClocks: whatever the server's clock says, and whichever way takes longer, the
// latency is right within its error from the second message on, and never negative.
func TestLatencyByTwoClocks(t *testing.T) {
	const year = 365 * 24 * time.Hour
	ring := testenv.Ring(t)
	for name, test := range map[string]struct {
		ahead       time.Duration
		drift       float64
		there, back time.Duration
		ring        *key.Ring
		seal        bool
		set         time.Duration // what the server's clock is set by after half of the messages
	}{
		"one clock":     {there: time.Millisecond, back: time.Millisecond},
		"ahead":         {ahead: 3 * time.Second, there: time.Millisecond, back: time.Millisecond},
		"behind":        {ahead: -3 * time.Second, there: time.Millisecond, back: time.Millisecond},
		"slow there":    {ahead: 3 * time.Second, there: 20 * time.Millisecond, back: time.Millisecond},
		"slow back":     {ahead: -3 * time.Second, there: time.Millisecond, back: 20 * time.Millisecond},
		"fast":          {ahead: -3 * time.Second, drift: 50e-6, there: time.Millisecond, back: 2 * time.Millisecond},
		"slow":          {ahead: 3 * time.Second, drift: -50e-6, there: 2 * time.Millisecond, back: time.Millisecond},
		"in 1970":       {ahead: -29 * year, there: time.Millisecond, back: time.Millisecond},
		"signed":        {ahead: -3 * time.Second, there: time.Millisecond, back: 2 * time.Millisecond, ring: ring},
		"sealed":        {ahead: 3 * time.Second, there: time.Millisecond, back: 2 * time.Millisecond, ring: ring, seal: true},
		"set, forward":  {there: time.Millisecond, back: time.Millisecond, set: time.Hour},
		"set, backward": {ahead: time.Hour, there: time.Millisecond, back: time.Millisecond, set: -time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const messages = 100
				began, sent, heard, set := time.Now(), map[uint64]time.Time{}, 0, time.Duration(0)
				ahead := func() time.Duration {
					return test.ahead + set + time.Duration(test.drift*float64(time.Since(began)))
				}
				cfg, err := ClientConfig{ID: "c", Key: test.ring, Seal: test.seal, OnEvent: func(e Event) {
					m, ok := e.(MessageEvent)
					if !ok {
						return
					}
					if heard++; m.MessageID == 1 {
						assert.Zero(t, m.Clock, "not known yet")
						return
					}
					if test.set != 0 && m.MessageID == messages/2 {
						return // its answer is the first to tell
					}
					require.Positive(t, m.Clock.Error)
					assert.LessOrEqual(t, (m.Clock.Ahead - ahead()).Abs(), m.Clock.Error+time.Microsecond, "message %d", m.MessageID)
					assert.LessOrEqual(t, m.Clock.Error, (test.there+test.back)/2+time.Millisecond)
					assert.LessOrEqual(t, (m.Latency - m.ReceivedAt.Sub(sent[m.MessageID])).Abs(), m.Clock.Error+2*time.Microsecond, "message %d", m.MessageID)
					assert.GreaterOrEqual(t, m.Latency, time.Duration(0))
				}}.withDefaults()
				require.NoError(t, err)
				client := newClient(cfg)
				defer client.watchdog.Stop()
				serverConfig, err := ServerConfig{Key: test.ring, Seal: test.seal}.withDefaults()
				require.NoError(t, err)
				all, at, from := netip.MustParseAddrPort("10.255.255.255:37020"), netip.MustParseAddrPort("10.0.0.2:5"), netip.MustParseAddrPort("10.0.0.1:9")
				under := func(d time.Duration, b []byte, come func([]byte)) (int, error) {
					b = append([]byte(nil), b...)
					time.AfterFunc(d, func() { come(b) })
					return len(b), nil
				}
				server := newServer(serverConfig, func(b []byte, to netip.AddrPort) (int, error) {
					assert.Contains(t, []netip.AddrPort{all, at}, to)
					return under(test.there, b, func(b []byte) { client.handle(Datagram{Payload: b, Source: from, Received: time.Now()}) })
				})
				server.cfg.Targets = ListTargets(all)
				server.now = func() time.Time { return time.Now().Add(ahead()) }
				client.ack = func(b []byte, _ netip.AddrPort) (int, error) {
					return under(test.back, b, func(b []byte) { server.handleAck(Datagram{Payload: b, Source: at, Received: server.now()}) })
				}
				for id := uint64(1); id <= messages; id++ {
					if id == messages/2 {
						set = test.set
					}
					sent[id] = time.Now()
					broadcasts(server, 1)
					time.Sleep(5 * time.Second)
					synctest.Wait()
				}
				assert.Equal(t, messages, heard)
				sum := client.Stats()
				assert.Zero(t, sum.Malformed+sum.AckErrors)
				assert.Zero(t, sum.Untrusted)
				assert.GreaterOrEqual(t, sum.Latency.Min, time.Duration(0))
				assert.EqualValues(t, messages, server.Stats().Times)
				assert.EqualValues(t, messages, server.Stats().Acks)
			})
		})
	}
}

// TestTimeIsBounded: a server tells nobody more than he has sent, and no host more than 100 times a
// second; none that are not in the wire format, are not from this run or come again.
func TestTimeIsBounded(t *testing.T) {
	ring := testenv.Ring(t)
	for name, keys := range map[string]struct {
		ring                     *key.Ring
		sealsQuestion, sealsTime bool
	}{"plain": {}, "signed": {ring, false, false}, "sealed": {ring, true, true}, "question sealed": {ring, true, false}, "answer sealed": {ring, false, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg, err := ServerConfig{Key: keys.ring, Seal: keys.sealsTime, NoRepair: true}.withDefaults()
				require.NoError(t, err)
				var asked netip.AddrPort
				size, told := 0, map[netip.Addr]int{}
				s := newServer(cfg, func(b []byte, to netip.AddrPort) (int, error) {
					require.LessOrEqual(t, len(b), size)
					require.Equal(t, asked, to)
					told[to.Addr()]++
					return len(b), nil
				})
				s.send(nil, nil, false)
				sender, n := keys.ring.Sender(answerPurpose, key.Text, keys.sealsQuestion), 0
				ask := func(from string, a Ack) {
					n++
					b, err := AppendAck(nil, a)
					require.NoError(t, err)
					asked = netip.MustParseAddrPort(from)
					b = sender.Append(nil, b)
					size = len(b)
					s.handleAck(Datagram{Payload: b, Source: asked, Received: time.Now()})
				}
				for _, a := range []Ack{
					{ClientID: "c", MessageID: 1, Clock: 7}, {ClientID: "c", MessageID: 1, Epoch: s.epoch + 1, Clock: 7}, {ClientID: "c", MessageID: 2, Epoch: s.epoch, Clock: 7},
					{ClientID: "c", MessageID: 1, Epoch: s.epoch},
				} {
					ask("10.0.0.1:9", a)
				}
				for _, from := range []string{"255.255.255.255:9", "224.0.0.1:9", "0.0.0.0:9", "10.0.0.1:0"} {
					ask(from, Ack{ClientID: "d", MessageID: 1, Epoch: s.epoch, Clock: 7})
				}
				assert.Empty(t, told)
				short := Ack{ClientID: "e", MessageID: 1, Epoch: s.epoch, Clock: 7}
				ask("10.0.0.2:9", short)
				ask("10.0.0.2:9", short)
				want := 1
				if name == "question sealed" { // which is too short for the answer
					want = 0
				}
				assert.Equal(t, want, told[netip.MustParseAddr("10.0.0.2")], "once for each message")

				time.Sleep(time.Second)
				clear(told)
				for host := range 12 {
					for client := range 150 {
						ask(fmt.Sprintf("10.0.1.%d:9", host), Ack{ClientID: strings.Repeat(fmt.Sprint(client), 16), MessageID: 1, Epoch: s.epoch, Clock: 7})
					}
				}
				all := 0
				for _, n := range told {
					assert.LessOrEqual(t, n, 100)
					all += n
				}
				assert.Equal(t, 1000, all)
				sum := s.Stats()
				assert.EqualValues(t, 1000+want, sum.Times)
				assert.EqualValues(t, 4+1-want+12*150-1000, sum.NotTold)
			})
		})
	}
}

// TestForgedTimes: who has not read a client's question tells it no time, nor does who answers it
// twice, or with what no clock says.
func TestForgedTimes(t *testing.T) {
	c := hotClient(t)
	var asked Ack
	c.ack = func(b []byte, _ netip.AddrPort) (n int, err error) {
		asked, err = DecodeAck(b)
		return len(b), err
	}
	m := hotMessage
	m.Clock = true
	next := func() MessageEvent {
		m.ID++
		b, err := AppendMessage(nil, m)
		require.NoError(t, err)
		asked = Ack{}
		hear(c, b)
		require.Equal(t, m.ID, asked.MessageID)
		h := c.History()
		return h[len(h)-1]
	}
	tell := func(number Epoch, received, sent int64) {
		hear(c, rawTime{number, received, sent}.append(nil))
	}
	next()
	number := asked.Clock
	require.NotZero(t, number)
	assert.Zero(t, next().Clock)
	assert.Zero(t, asked.Clock, "once a second at the most")
	now := time.Now().UnixNano()
	for i := range Epoch(100_000) {
		tell(number^(i+1)<<8, now, now)
	}
	for _, text := range []string{
		"Time", "Time ", "Time %s", "Time %s 1", "Time %s 1 ", "Time %s 1 2 3", "Time %s 01 2", "Time %s -1 2", "Time %s 9223372036854775808 9223372036854775808", "time %s 1 1",
		"Time %s 1 1\n",
	} {
		hear(c, []byte(strings.ReplaceAll(text, "%s", number.String())))
	}
	assert.EqualValues(t, 100_000+11, c.Stats().Malformed)
	assert.Zero(t, next().Clock)
	tell(number, now, now)
	known := next().Clock
	assert.Positive(t, known.Error)
	assert.LessOrEqual(t, known.Ahead.Abs(), known.Error)
	tell(number, now+int64(time.Hour), now+int64(time.Hour))
	assert.EqualValues(t, 100_000+12, c.Stats().Malformed)
	assert.LessOrEqual(t, next().Clock.Ahead.Abs(), time.Minute)

	m.Epoch++ // a new run, which is asked at once
	next()
	require.NotZero(t, asked.Clock)
	tell(asked.Clock, math.MaxInt64, math.MaxInt64)
	assert.Zero(t, next().Clock)
	m.Epoch++
	next()
	tell(asked.Clock, now+10, now)
	assert.Zero(t, next().Clock)

	m.Epoch, m.Clock = m.Epoch+1, false
	next()
	assert.Zero(t, asked.Clock, "who does not say that he tells the time is not asked")
	m.Epoch, m.Clock = 0, true
	next()
	assert.Zero(t, asked.Clock, "nor who sends no epoch")
	assert.EqualValues(t, m.ID-7, c.Stats().Acknowledged)
}

// TestForgottenRunsAreSmall: a question that was not answered keeps no window of a run that is
// forgotten: of those that somebody forges, all but one go on, and one after the other ends.
func TestForgottenRunsAreSmall(t *testing.T) {
	c := hotClient(t)
	c.ack = func(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }
	m := hotMessage
	m.Clock = true
	for i := range maxRuns + 2*len(c.asked.asked) {
		m.Epoch++
		for range 2 {
			m.ID++
			b, err := AppendMessage(nil, m)
			require.NoError(t, err)
			hear(c, b)
			m.End = i >= maxRuns-2
		}
		m.End = false
	}
	forgotten := 0
	for _, a := range c.asked.asked {
		if c.runs.known[a.run.key] != a.run {
			forgotten++
			assert.Nil(t, a.run.window)
		}
	}
	assert.Greater(t, forgotten, len(c.asked.asked)/2)
}

// TestTellingTimeAllocatesNothing at either end.
func TestTellingTimeAllocatesNothing(t *testing.T) {
	s, c := hotServerOf(t, 10), hotClient(t)
	s.write = func(b []byte, _ []udp.Target, _ func(udp.Target, error)) { hear(c, b) }
	for range 300 {
		s.send(nil, nil, false)
	}
	c.ack = func(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }
	ack, buf, run := Ack{ClientID: "client-1", Epoch: s.epoch}, []byte(nil), new(run)
	received := time.Now()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		received = received.Add(time.Second)
		ack.MessageID++
		ack.Clock = c.asked.ask(run, received)
		var err error
		buf, err = AppendAck(buf[:0], ack)
		require.NoError(t, err)
		s.handleAck(Datagram{Payload: buf, Source: hotServer, Received: received})
	}))
	assert.EqualValues(t, 101, s.Stats().Times)
}
