package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/relaywire"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// both runs a test with what is signed, and with what is sealed.
func both(t *testing.T, test func(t *testing.T, ring *key.Ring, seal bool)) {
	for _, seal := range []bool{false, true} {
		t.Run(fmt.Sprintf("sealed %v", seal), func(t *testing.T) { test(t, testenv.Ring(t), seal) })
	}
}

// recording is what a forwarder has carried.
type recording struct {
	*forwarder
	up, down   *key.Opener
	toServer   [][]byte
	fromServer [][]byte
	foreign    int
	id         uint64 // of the client
}

func record(t *testing.T, to netip.AddrPort, ring *key.Ring) *recording {
	r := &recording{
		forwarder: newForwarder(t, to),
		up:        ring.Opener(key.OpenerConfig{Purpose: "relay client", Form: key.Binary}),
		down:      ring.Opener(key.OpenerConfig{Purpose: "relay server", Form: key.Binary}),
	}
	r.set(func() { r.also = r.take })
	return r
}

func (r *recording) take(b []byte, _ func([]byte)) {
	content, err := r.up.Open(b, time.Now())
	if err == nil {
		r.toServer = append(r.toServer, bytes.Clone(b))
	} else if content, err = r.down.Open(b, time.Now()); err == nil {
		r.fromServer = append(r.fromServer, bytes.Clone(b))
	}
	f, err := relaywire.Parse(content)
	if err != nil {
		r.foreign++
	}
	r.id = f.ID
}

// set looks at what was recorded, or records no more.
func (r *recording) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// TestKey: with a shared key everything arrives as without, in datagrams that are no longer, and
// nobody refuses anything. What is sealed cannot be read by others.
func TestKey(t *testing.T) {
	both(t, func(t *testing.T, ring *key.Ring, seal bool) {
		const messages = 1000
		s := serve(t, relay.ServerConfig{Key: ring, Seal: seal})
		fw, fr := record(t, s.Addr(), ring), record(t, s.Addr(), ring)
		longest := strings.Repeat("n", relay.MaxNameLen)
		w := newWriterWith(t, fw.addr(), longest, relay.WriterConfig{Key: ring, Seal: seal})
		early := newReader(t, s.Addr(), "early", relay.ReaderConfig{Key: ring, Seal: !seal, MaxMessages: messages})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for i := range messages {
			text := fmt.Sprintf("%d, and nobody else shall know", i)
			if i%100 == 0 {
				text += strings.Repeat(".", relay.MaxText-len(text))
			}
			require.NoError(t, w.Send(ctx, text))
		}
		require.NoError(t, w.Flush(ctx))
		late := newReader(t, fr.addr(), longest, relay.ReaderConfig{Key: ring, Seal: seal, MaxMessages: messages})
		for _, r := range []reader{early, late} {
			require.NoError(t, r.end(t))
			whole(t, r.messages(), 1, messages)
			for i, m := range r.messages() {
				require.True(t, strings.HasPrefix(m.Text, fmt.Sprintf("%d, and", i)), m.Text)
				require.Equal(t, longest, m.Username)
			}
			assert.Zero(t, r.Stats().Untrusted)
		}
		w.stop(t)
		assert.Zero(t, w.Stats().Untrusted)
		s.end(t)
		assert.Zero(t, s.Stats().Untrusted)
		full := 0
		for _, f := range []*recording{fw, fr} {
			f.set(func() {
				assert.Zero(t, f.foreign)
				readable := 0
				for _, b := range slices.Concat(f.toServer, f.fromServer) {
					require.LessOrEqual(t, len(b), relay.MaxDatagram)
					if bytes.Contains(b, []byte("nobody else")) || bytes.Contains(b, []byte(longest)) {
						readable++
					}
					if content := len(b) - key.BinarySigned; seal && content == relay.MaxDatagram-key.BinarySigned || !seal && content == relay.MaxDatagram-key.BinarySealed {
						full++
					}
				}
				assert.Equal(t, seal, readable == 0, "%d datagrams can be read", readable)
			})
		}
		assert.Greater(t, full, 20, "datagrams that are full, and equally long")
	})
}

// TestStrangers: what has no key, another one, or was recorded is not believed and not answered,
// wherever it comes from; it is told and counted by reason, and disturbs nobody.
func TestStrangers(t *testing.T) {
	both(t, func(t *testing.T, ring *key.Ring, seal bool) {
		s := serve(t, relay.ServerConfig{Key: ring, Seal: seal})
		fw, fr := record(t, s.Addr(), ring), record(t, s.Addr(), ring)
		w := newWriterWith(t, fw.addr(), "ann", relay.WriterConfig{Key: ring, Seal: seal})
		r := newReader(t, fr.addr(), "bob", relay.ReaderConfig{Key: ring, Seal: seal})
		w.write(t, 1, 50)
		r.read(t, 50)
		require.Eventually(t, func() bool { return s.Stats().Delivered == 50 }, patience, time.Millisecond)

		stranger, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(s.Addr()))
		require.NoError(t, err)
		defer stranger.Close()
		other := testenv.Ring(t)
		var senders []*key.Sender
		for _, seal := range []bool{false, true} {
			senders = append(senders, other.Sender("relay client", key.Binary, seal), other.Sender("relay server", key.Binary, seal))
		}
		// forged returns datagrams in the name of a client, or of its server.
		forged := func(frames ...relaywire.Frame) (all [][]byte) {
			for _, f := range frames {
				b := f.Append(nil)
				all = append(all, b)
				for _, s := range senders {
					all = append(all, s.Append(nil, b))
				}
			}
			return all
		}
		text := relaywire.AppendText(nil, "forged")
		data := relaywire.AppendMessage(nil, 1, "eve", "forged")
		toServer := func(id uint64, role uint8, name string) []relaywire.Frame {
			return []relaywire.Frame{
				{Kind: relaywire.Hello, ID: id, Role: role, Name: name},
				{Kind: relaywire.Hello, ID: 7, Role: role, Name: "eve"},
				{Kind: relaywire.Ping, ID: id}, {Kind: relaywire.Ping, ID: 7}, {Kind: relaywire.Leave, ID: id, Done: 51},
				{Kind: relaywire.Write, ID: id, First: 51, Count: 1, Entries: text},
				{Kind: relaywire.Ack, ID: id, Next: 51, Done: 51, Last: 50, Window: 0},
			}
		}
		toClient := func(id uint64) []relaywire.Frame {
			return []relaywire.Frame{
				{Kind: relaywire.Bye, ID: id}, {Kind: relaywire.Reset, ID: id}, {Kind: relaywire.Refuse, ID: id, Reason: relaywire.NameTaken},
				{Kind: relaywire.Data, ID: id, First: 51, Count: 1, Entries: data}, {Kind: relaywire.Gap, ID: id, First: 51, Last: 60},
				{Kind: relaywire.Stored, ID: id, Last: 51, Count: 1, Entries: relaywire.Run{Number: 51, Count: 1, Seq: 51}.Append(nil)},
				{Kind: relaywire.Failed, ID: id, First: 51, Entries: text}, {Kind: relaywire.Pong, ID: id, First: 1, Last: 1000},
				{Kind: relaywire.Welcome, ID: id, Next: 90, First: 1, Last: 100, Log: 1, Expire: time.Second},
			}
		}
		var want key.Refused
		var atReader, atWriter uint64
		fw.set(func() {
			for _, b := range slices.Concat(forged(toServer(fw.id, relaywire.RoleWriter, "ann")...), fw.toServer) {
				_, _ = stranger.Write(b)
				_, _ = fw.back.Write(b)
				want.Unsigned += 2
			}
			for _, b := range slices.Concat(forged(toClient(fw.id)...), fw.fromServer) {
				_, _ = fw.front.WriteToUDPAddrPort(b, fw.client)
				atWriter++
			}
		})
		fr.set(func() {
			for _, b := range slices.Concat(forged(toServer(fr.id, relaywire.RoleReader, "bob")...), fr.toServer) {
				_, _ = stranger.Write(b)
				_, _ = fr.back.Write(b)
				want.Unsigned += 2
			}
			for _, b := range slices.Concat(forged(toClient(fr.id)...), fr.fromServer) {
				_, _ = fr.front.WriteToUDPAddrPort(b, fr.client)
				atReader++
			}
		})
		counted := func(got func() key.Refused, want uint64) {
			t.Helper()
			if !assert.Eventually(t, func() bool { return total(got()) >= want }, patience, time.Millisecond) {
				t.Logf("%+v of %d", got(), want)
			}
			n := got()
			assert.Equal(t, want, total(n))
			assert.NotZero(t, n.Unsigned)
			assert.Equal(t, 4*n.Unsigned, n.Forged)
			assert.Equal(t, want, n.Unsigned+n.Forged+n.Repeated)
			assert.NotZero(t, n.Repeated)
		}
		counted(func() key.Refused { return s.Stats().Untrusted }, want.Unsigned)
		counted(func() key.Refused { return r.Stats().Untrusted }, atReader)
		counted(func() key.Refused { return w.Stats().Untrusted }, atWriter)
		for _, j := range []*journal{s.journal, r.journal, w.journal} {
			for _, reason := range []error{key.ErrUnsigned, key.ErrForged, key.ErrRepeated} {
				e := wait(t, j, func(e relay.RefusedEvent) bool { return e.Err == reason })
				assert.Equal(t, reason.Error(), e.Reason)
			}
		}
		require.NoError(t, stranger.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
		n, err := stranger.Read(make([]byte, 2048))
		assert.Error(t, err, "an answer of %d bytes", n)

		stats := s.Stats()
		assert.EqualValues(t, 50, stats.Stored)
		assert.EqualValues(t, 2, stats.Registered)
		assert.Zero(t, stats.Malformed+stats.Unknown+stats.Duplicates)
		assert.Empty(t, all[relay.LeaveEvent](s.journal))
		assert.Len(t, s.Clients(), 2)
		assert.Len(t, all[relay.LinkEvent](r.journal), 1)
		assert.Len(t, all[relay.LinkEvent](w.journal), 1)
		assert.Empty(t, all[relay.GapEvent](r.journal))

		// All goes on, also from another address.
		w.write(t, 51, 50)
		whole(t, r.read(t, 100), 1, 100)
		fr.move()
		fw.move()
		w.write(t, 101, 50)
		whole(t, r.read(t, 150), 1, 150)
		r.stop(t)
		w.stop(t)
	})
}

// TestRecording: a new reader is not fooled by what was recorded of a server, a moment ago.
func TestRecording(t *testing.T) {
	both(t, func(t *testing.T, ring *key.Ring, seal bool) {
		s := serve(t, relay.ServerConfig{Key: ring, Seal: seal})
		f := record(t, s.Addr(), ring)
		newWriterWith(t, s.Addr(), "ann", relay.WriterConfig{Key: ring}).write(t, 1, 100)
		r := newReader(t, f.addr(), "bob", relay.ReaderConfig{Key: ring, MaxMessages: 100})
		require.NoError(t, r.end(t))

		player, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(anyPort))
		require.NoError(t, err)
		var played atomic.Uint64
		done := make(chan struct{})
		go func() {
			defer close(done)
			b := make([]byte, 2048)
			for {
				_, from, err := player.ReadFromUDPAddrPort(b)
				if err != nil {
					return
				}
				f.set(func() {
					for _, b := range f.fromServer {
						_, _ = player.WriteToUDPAddrPort(b, from)
						played.Add(1)
					}
				})
			}
		}()
		defer func() {
			_ = player.Close()
			<-done
		}()
		fresh := newReader(t, player.LocalAddr().(*net.UDPAddr).AddrPort(), "bob", relay.ReaderConfig{Key: ring})
		require.Eventually(t, func() bool {
			s := fresh.Stats()
			return s.Malformed > 0 && s.Untrusted.Repeated > 0 && s.Malformed+total(s.Untrusted) >= played.Load()
		}, patience, time.Millisecond)
		stats := fresh.Stats()
		assert.Zero(t, stats.Registered+stats.Delivered+stats.Datagrams)
		assert.EqualValues(t, len(f.fromServer), stats.Malformed, "each is for another client, and is a recording the next time")
		fresh.kill(t)
	})
}

// TestKeyIsChanged: while one key takes the place of another, those that send with the old one and
// those that send with the new one understand each other.
func TestKeyIsChanged(t *testing.T) {
	both(t, func(t *testing.T, _ *key.Ring, seal bool) {
		s := serve(t, relay.ServerConfig{Key: testenv.Ring(t, 1, 2), Seal: seal})
		ahead := testenv.Ring(t, 2, 1)
		w := newWriterWith(t, s.Addr(), "ann", relay.WriterConfig{Key: ahead, Seal: seal})
		r := newReader(t, s.Addr(), "bob", relay.ReaderConfig{Key: ahead, Seal: seal})
		behind := newReader(t, s.Addr(), "eve", relay.ReaderConfig{Key: testenv.Ring(t, 1)})
		w.write(t, 1, 100)
		whole(t, r.read(t, 100), 1, 100)
		whole(t, behind.read(t, 100), 1, 100)
		assert.Zero(t, s.Stats().Untrusted)
	})
}

// TestKeyDiffers: who has no key, or another one than the server, is told, on both sides if
// anything comes at all.
func TestKeyDiffers(t *testing.T) {
	both(t, func(t *testing.T, ring *key.Ring, seal bool) {
		refused := func(j *journal, reason string) {
			t.Helper()
			wait(t, j, func(e relay.RefusedEvent) bool { return strings.Contains(e.Reason, reason) })
		}
		says := func(j *journal, text string) {
			t.Helper()
			wait(t, j, func(e relay.LinkEvent) bool { return !e.Up && strings.Contains(e.Text, text) })
		}
		how := map[bool]string{false: "it is signed with a key: give --key-file", true: "it is sealed with a key: give --key-file"}[seal]

		keyed, keyless := serve(t, relay.ServerConfig{Key: ring, Seal: seal}), serve(t, relay.ServerConfig{})
		none := newReader(t, keyed.Addr(), "ann", relay.ReaderConfig{})
		another := newReader(t, keyed.Addr(), "bob", relay.ReaderConfig{Key: testenv.Ring(t), Seal: seal})
		alone := newReader(t, keyless.Addr(), "eve", relay.ReaderConfig{Key: ring, Seal: seal})
		refused(keyed.journal, "it is not signed, and a key is set here")
		says(none.journal, "yet; still trying")
		refused(keyed.journal, "it is signed with another key, or forged")
		says(another.journal, "yet: does it have the same key? Still trying")
		refused(keyless.journal, how)
		says(alone.journal, "yet: does it have the same key? Still trying")
		assert.Zero(t, keyed.Stats().Challenged)
		assert.Zero(t, keyless.Stats().Untrusted)

		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(anyPort))
		require.NoError(t, err)
		defer conn.Close()
		r := newReader(t, conn.LocalAddr().(*net.UDPAddr).AddrPort(), "joe", relay.ReaderConfig{})
		_, from, err := conn.ReadFromUDPAddrPort(make([]byte, 2048))
		require.NoError(t, err)
		f := relaywire.Frame{Kind: relaywire.Challenge, ID: 7}
		_, err = conn.WriteToUDPAddrPort(ring.Sender("relay server", key.Binary, seal).Append(nil, f.Append(nil)), from)
		require.NoError(t, err)
		refused(r.journal, how)
	})
}

// TestSealNeedsKey: nothing is sent in the open that was to be sealed.
func TestSealNeedsKey(t *testing.T) {
	_, err := relay.NewServer(relay.ServerConfig{Listen: anyPort, Seal: true})
	assert.ErrorIs(t, err, relay.ErrConfig)
	_, err = relay.NewReader(relay.ReaderConfig{Username: "ann", Seal: true})
	assert.ErrorIs(t, err, relay.ErrConfig)
	_, err = relay.NewWriter(relay.WriterConfig{Username: "ann", Seal: true})
	assert.ErrorIs(t, err, relay.ErrConfig)
}

func total(r key.Refused) uint64 { return r.Unsigned + r.Forged + r.Expired + r.Repeated }
