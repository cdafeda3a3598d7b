package relay

import (
	"crypto/rand"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// TestNoAmplificationWithKey: who has no key gets no byte, whatever is sent, and a recording that
// is played from somewhere else gets no more than it has, once. Nothing is kept of either.
func TestNoAmplificationWithKey(t *testing.T) {
	for _, seals := range []bool{false, true} {
		ring := testenv.Ring(t)
		s := newTarget(t, ServerConfig{Key: ring, Seal: seals})
		defer s.stop()
		given := uint64(0)
		silent := func(b []byte) {
			out, _ := s.give(b, stranger)
			require.Zero(t, out, "%d bytes: %x", len(b), b[:min(len(b), 16)])
			given++
		}
		for size := 1; size <= 1472; size++ {
			silent(make([]byte, size))
			b := make([]byte, size)
			_, _ = rand.Read(b)
			silent(b)
			copy(b, []byte{0xF5, 1})
			silent(b)
			hello := (&relaywire.Frame{Kind: relaywire.Hello, ID: 1, Role: relaywire.RoleReader, Name: "ann"}).Append(nil)
			copy(b, hello)
			silent(b)
		}
		other, wrong := testenv.Ring(t), []*key.Sender{}
		for _, seal := range []bool{false, true} {
			wrong = append(wrong, other.Sender(fromClients, key.Binary, seal), ring.Sender(fromServers, key.Binary, seal))
		}
		for _, f := range frames() {
			b := f.Append(nil)
			silent(b)
			for _, w := range wrong {
				silent(w.Append(nil, b))
			}
		}
		assert.Equal(t, given, total(s.Stats().Untrusted))
		assert.Zero(t, s.Stats().Malformed)
		s.empty(t)

		for _, seal := range []bool{false, true} {
			sender := ring.Sender(fromClients, key.Binary, seal)
			for name, f := range frames() {
				recorded := sender.Append(nil, f.Append(nil))
				out, _ := s.give(recorded, stranger)
				require.LessOrEqual(t, out, len(recorded), "%s, sealed %v by the client and %v by the server", name, seal, seals)
				if f.Kind == relaywire.Hello {
					require.NotZero(t, out)
				}
				silent(recorded)
			}
		}
		s.empty(t)
		stats := s.Stats().Untrusted
		assert.NotZero(t, stats.Unsigned)
		assert.NotZero(t, stats.Forged)
		assert.EqualValues(t, 2*len(frames()), stats.Repeated)
		assert.Equal(t, given, total(stats))
	}
}

// TestStoredFits: however many runs there are to tell a writer of, the datagram is not too long.
func TestStoredFits(t *testing.T) {
	for _, ring := range []*key.Ring{nil, testenv.Ring(t)} {
		s := newServer(ServerConfig{Key: ring, Seal: ring != nil})
		list := storedList{most: s.runs()}
		for i := range uint64(100) {
			list.add(2*i+1, 2*i+1)
		}
		require.Positive(t, list.n)
		b := list.frame(&session{id: 7})
		_, err := relaywire.Parse(b)
		require.NoError(t, err)
		if ring == nil {
			require.Greater(t, len(b)+relaywire.RunSize, relaywire.MaxRuns*relaywire.RunSize)
		} else {
			b = s.keyed.sender.Append(nil, b)
			require.Greater(t, len(b)+relaywire.RunSize, MaxDatagram, "and no shorter than it could be")
		}
		require.LessOrEqual(t, len(b), MaxDatagram)
	}
}

// TestKeyAllocatesNothing: what is sent and taken most costs no allocation for its key.
func TestKeyAllocatesNothing(t *testing.T) {
	for _, seal := range []bool{false, true} {
		ring := testenv.Ring(t)
		s := newServer(ServerConfig{Key: ring, Seal: seal, MaxClients: 10})
		s.carrier = nowhere{}
		var c session
		s.keyed.session(&c)
		head, body := make([]byte, relaywire.HeaderSize), make([]byte, s.body())
		path := udp.Path{To: netip.MustParseAddrPort("192.0.2.1:4000")}
		flush := testing.AllocsPerRun(100, func() { s.flush() })
		assert.LessOrEqual(t, testing.AllocsPerRun(100, func() {
			for range 50 {
				s.carry(c.sender, head, body, path)
			}
			s.flush()
		}), flush, "the fan-out")

		r, err := newReader(ReaderConfig{Username: "ann", Key: ring, Seal: seal})
		require.NoError(t, err)
		r.send = func([]byte) {}
		assert.Zero(t, testing.AllocsPerRun(100, func() { r.say(head) }), "what a client sends")
		var datagram []byte
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			datagram = c.sender.Append(datagram[:0], body)
			_, err := r.opener.Open(datagram, time.Now())
			require.NoError(t, err)
		}), "what it takes")
	}
}

type nowhere struct{}

func (nowhere) AddParts([]byte, []byte, udp.Path)    {}
func (nowhere) Flush(func(path udp.Path, err error)) {}

func total(r key.Refused) uint64 { return r.Unsigned + r.Forged + r.Expired + r.Repeated }
