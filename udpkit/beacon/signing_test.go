package beacon_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// tap hears what beacons say on a port.
func tap(t *testing.T, port uint16) (hear func(part string) []byte) {
	t.Helper()
	conn, err := udp.Listen(t.Context(), netip.MustParseAddrPort(fmt.Sprintf("0.0.0.0:%d", port)), udp.Options{Reuse: true})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	buf := make([]byte, 2048)
	return func(part string) []byte {
		t.Helper()
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
		for {
			n, err := conn.Read(buf)
			require.NoError(t, err)
			if bytes.Contains(buf[:n], []byte(part)) {
				return bytes.Clone(buf[:n])
			}
		}
	}
}

func anyStart(beacon.StartEvent) bool { return true }

// TestKeyed: beacons with one key know each other, sealed or not; whoever has none, or another one,
// sees none of them and is not seen, and each is told why.
func TestKeyed(t *testing.T) {
	port := testenv.FreePort(t)
	secret := testenv.Ring(t, 1)
	both := append(loopback, netip.MustParseAddrPort("127.0.0.1:0"))
	ann, annLog, stopAnn := start(t, beacon.Config{Name: "ann", Port: port, Key: secret, Targets: both})
	bob, bobLog, _ := start(t, beacon.Config{Name: "bob", Port: port, Key: secret, Seal: true})
	_, eveLog, _ := start(t, beacon.Config{Name: "eve", Port: port, Key: testenv.Ring(t, 2)})
	_, plainLog, _ := start(t, beacon.Config{Name: strings.Repeat("p", beacon.MaxNameLen), Port: port})
	assert.Equal(t, key.Signed, wait(t, annLog, anyStart).Key)
	assert.Equal(t, key.Sealed, wait(t, bobLog, anyStart).Key)

	wait(t, annLog, change(beacon.Appeared, "bob"))
	wait(t, bobLog, change(beacon.Appeared, "ann"))
	reason := func(why string) func(beacon.RefusedEvent) bool {
		return func(e beacon.RefusedEvent) bool { return e.Reason == why }
	}
	for _, l := range []*log{annLog, bobLog} {
		wait(t, l, reason(key.ErrUnsigned.Error()))
		wait(t, l, reason(key.ErrForged.Error()))
	}
	wait(t, eveLog, reason(key.ErrUnsigned.Error()))
	wait(t, eveLog, reason(key.ErrForged.Error()))
	wait(t, plainLog, reason("it is sealed with a key: give --key-file"))
	wait(t, plainLog, reason("it is signed with a key: give --key-file"))
	require.Eventually(t, func() bool { return ann.Stats().Own > 2 && bob.Stats().Own > 2 }, 20*time.Second, time.Millisecond)
	require.NoError(t, stopAnn())
	wait(t, bobLog, change(beacon.Left, "ann"))
	for _, l := range []*log{annLog, bobLog} {
		for _, e := range all[beacon.PeerEvent](l) {
			assert.Contains(t, []string{"ann", "bob"}, e.Name)
		}
	}
	assert.Empty(t, all[beacon.PeerEvent](eveLog))
	assert.Empty(t, all[beacon.PeerEvent](plainLog))
	no := bob.Stats().Untrusted
	assert.Positive(t, no.Unsigned)
	assert.Positive(t, no.Forged)
	mine := ann.Stats().Untrusted
	assert.Zero(t, no.Expired+no.Repeated+mine.Expired+mine.Repeated, "each target gets a datagram of its own")
	assert.Zero(t, bob.Stats().Malformed)
}

// TestKeyedOnTheWire: what is signed can be read, what is sealed cannot, and the longest name fits.
func TestKeyedOnTheWire(t *testing.T) {
	for _, seal := range []bool{false, true} {
		port := testenv.FreePort(t)
		hear := tap(t, port)
		name := strings.Repeat("n", beacon.MaxNameLen)
		b, _, stop := start(t, beacon.Config{Name: name, Port: port, Key: testenv.Ring(t, 1), Seal: seal})
		other, l, _ := start(t, beacon.Config{Name: "bob", Port: port, Key: testenv.Ring(t, 1)})
		wait(t, l, change(beacon.Appeared, name))
		if !seal {
			text := hear("HELLO|n")
			assert.Regexp(t, fmt.Sprintf(`^HELLO\|%s\|%s mac [\w-]{48}$`, name, b.ID()), string(text))
			require.NoError(t, stop())
			assert.Contains(t, string(hear("BYE|n")), fmt.Sprintf("BYE|%s|%s mac ", name, b.ID()))
		} else {
			text := hear("\xf5\x01")
			assert.ErrorIs(t, key.Needed(text, key.Text), key.ErrSealed)
			assert.NotContains(t, string(text), "nn")
		}
		assert.Zero(t, other.Stats().Untrusted)
	}
}

// TestStrangers: with a key, no datagram of a stranger changes the table: not a plain one, as the
// original program sends, nor one with another key, one that was changed, or a recording.
func TestStrangers(t *testing.T) {
	port := testenv.FreePort(t)
	hear := tap(t, port)
	secret := testenv.Ring(t, 1)
	bob, l, _ := start(t, beacon.Config{Name: "bob", Port: port, Key: secret}) // he hears all that the recorder does
	_, _, stopAnn := start(t, beacon.Config{Name: "ann", Port: port, Key: secret})
	wait(t, l, change(beacon.Appeared, "ann"))
	hello := hear("HELLO|ann")
	require.NoError(t, stopAnn())
	bye := hear("BYE|ann")
	wait(t, l, change(beacon.Left, "ann"))
	before := bob.Stats()

	send := peer(t, "127.0.0.1", port)
	for i := range 10 {
		send("HELLO|")
		send("HELLO|bob|" + bob.ID().String())
		send("BYE|ann|0123456789abcdef")
		send(string(testenv.Ring(t, 2).Sender("hello", key.Text, i%2 == 0).Append(nil, []byte("HELLO|eve|0123456789abcdef"))))
		send(string(secret.Sender("status", key.Text, i%2 == 0).Append(nil, []byte("HELLO|eve|0123456789abcdef"))))
		send(strings.Replace(string(hello), "ann", "eve", 1))
		send(string(hello))
		send(string(bye))
	}
	assert.Eventually(t, func() bool {
		return bob.Stats().Untrusted == key.Refused{Unsigned: 30, Forged: 30, Repeated: 20}
	}, 20*time.Second, time.Millisecond)
	after := bob.Stats()
	assert.Equal(t, "30 unsigned, 30 forged, 20 repeated", after.Untrusted.String())
	assert.Empty(t, bob.Peers())
	assert.Equal(t, before.Appeared, after.Appeared)
	assert.Equal(t, before.Heard, after.Heard)
	wait(t, l, func(e beacon.RefusedEvent) bool { return e.Err == key.ErrRepeated })

	send(string(secret.Sender("hello", key.Text, false).Append(nil, []byte("HELLO|bad|1"))))
	send(string(secret.Sender("hello", key.Text, true).Append(nil, make([]byte, beacon.MaxSize+1))))
	require.Eventually(t, func() bool { return bob.Stats().Malformed == 2 }, 20*time.Second, time.Millisecond)
}

func TestSealNeedsAKey(t *testing.T) {
	_, err := beacon.New(beacon.Config{Seal: true})
	require.ErrorIs(t, err, beacon.ErrConfig)
	assert.ErrorContains(t, err, "Seal needs a Key")
}

// TestPythonWithAKey: a beacon with a key does not believe the original program, which sees its
// HELLOs as they stand.
func TestPythonWithAKey(t *testing.T) {
	mine := testenv.FreePort(t)
	free, err := net.ListenUDP("udp4", &net.UDPAddr{})
	require.NoError(t, err)
	its := free.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	require.NoError(t, free.Close())
	program := python(t, "127.255.255.255", mine, its)
	b, l, _ := start(t, beacon.Config{Name: "ann", Port: mine, Key: testenv.Ring(t, 1), Targets: []netip.AddrPort{netip.AddrPortFrom(loopback[0].Addr(), its)}})
	wait(t, l, func(e beacon.RefusedEvent) bool { return e.Err == key.ErrUnsigned })
	require.True(t, program.Scan(), "the program ended")
	assert.Contains(t, program.Text(), "HELLO|ann|"+b.ID().String()+" mac ")
	assert.Empty(t, b.Peers())
}
