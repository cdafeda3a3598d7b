package beacon

import (
	"bytes"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// keyed returns a key, and how a peer of the test's sends with it.
func keyed(t *testing.T) (*key.Ring, func(text string) []byte) {
	ring := testenv.Ring(t, 0)
	sender := ring.Sender(helloPurpose, key.Text, false)
	return ring, func(text string) []byte { return sender.Append(nil, []byte(text)) }
}

// TestRecordings: to who has heard it, a recording says nothing; who has not takes each datagram
// once, the first within a minute, the last within two.
func TestRecordings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring, sign := keyed(t)
		heard, stop := simulate(t, Config{Name: "ann", Key: ring}, nil)
		later, stopLater := simulate(t, Config{Name: "cat", Key: ring}, nil)
		defer stopLater()
		defer stop()
		var recorded [][]byte
		play := func(s *simulation, b []byte) { s.hear(string(b), "127.0.0.1") }
		for range 3 {
			recorded = append(recorded, sign("HELLO|bob|0123456789abcdef"))
		}
		bye := sign("BYE|bob|0123456789abcdef")
		for _, b := range recorded {
			play(heard, b)
		}
		play(heard, bye)
		time.Sleep(key.MaxAge)
		for range 10 {
			for _, b := range recorded {
				play(heard, b)
			}
		}
		assert.Equal(t, []string{"bob appeared", "bob left"}, heard.changes())
		assert.Equal(t, key.Refused{Repeated: 30}, heard.Stats().Untrusted)

		play(later, recorded[0])
		play(later, recorded[0])
		assert.Len(t, later.Peers(), 1)
		time.Sleep(key.MaxAge)
		assert.Empty(t, later.Peers())
		play(later, recorded[1])
		assert.Len(t, later.Peers(), 1)
		time.Sleep(time.Millisecond)
		play(later, recorded[2])
		time.Sleep(5 * time.Second)
		assert.Empty(t, later.Peers())
		assert.Equal(t, key.Refused{Expired: 1, Repeated: 1}, later.Stats().Untrusted)
	})
}

// TestKeyedAllocatesNothing: neither for what a stranger sends nor to check a datagram and to sign
// one.
func TestKeyedAllocatesNothing(t *testing.T) {
	ring, sign := keyed(t)
	b := newBeacon(Config{Name: "ann", MaxPeers: 8, Expiry: time.Hour, Key: ring}, 1, nil)
	now, from := time.Now(), netip.MustParseAddrPort("10.0.0.1:5000")
	own := []byte("HELLO|ann|0000000000000001")
	b.sender.Datagram(own)
	assert.Zero(t, testing.AllocsPerRun(100, func() { b.sender.Datagram(own) }), "signing")

	texts := [][]byte{
		own, []byte("HELLO|"), bytes.Replace(sign("HELLO|bob|0123456789abcdef"), []byte("bob"), []byte("eve"), 1), sign("HELLO|bob|0123456789abcdef"),
		append([]byte{0xF5, 1}, make([]byte, 50)...),
	}
	flood := func() {
		for _, text := range texts {
			b.handle(text, false, from, now)
		}
	}
	flood()
	assert.Zero(t, testing.AllocsPerRun(100, flood), "refusing")
	assert.Len(t, b.Peers(), 1)
	genuine := make([][]byte, 102)
	for i := range genuine {
		genuine[i] = sign("HELLO|bob|0123456789abcdef")
	}
	plain := newBeacon(Config{Name: "ann", MaxPeers: 8, Expiry: time.Hour}, 1, nil)
	text := []byte("HELLO|bob|0123456789abcdef")
	plain.handle(text, false, from, now)
	without := testing.AllocsPerRun(100, func() { plain.handle(text, false, from, now) })
	assert.Equal(t, without, testing.AllocsPerRun(100, func() {
		b.handle(genuine[0], false, from, now)
		genuine = genuine[1:]
	}), "believing costs what it does without a key")
	assert.EqualValues(t, 102, b.Peers()[0].Heard)
}
