package udp

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// Datagrams of one length and one way go to the system in one piece, which is told the way.
func TestWriterPieces(t *testing.T) {
	to := addr(sink(t, "udp4"))
	w := newWriter(t, listen(t, "0.0.0.0:0", Options{}))
	first, second := Path{To: to, From: netip.MustParseAddr("127.0.0.2")}, Path{To: to, From: netip.MustParseAddr("127.0.0.3")}
	for _, path := range []Path{first, {To: to}, second, first} {
		for range 10 {
			w.Add([]byte("datagram"), path)
		}
	}
	assert.Equal(t, 40, w.prepare(0))
	assert.Equal(t, 4, w.system.end)
	assert.Equal(t, []int{10, 10, 10, 10}, w.system.counts[:4])
}

// A broadcast is answered from the address of the interface that it came by.
func TestBackFromBroadcast(t *testing.T) {
	conn := listen(t, "0.0.0.0:0", Options{})
	r := newReader(t, conn, ReaderConfig{Size: 100, Back: true})
	client := listen(t, "127.0.0.1:0", Options{})
	require.NoError(t, Send(client, []byte("question"), Path{To: netip.AddrPortFrom(LoopbackBroadcast, addr(conn).Port())}))
	next(t, r, true)
	back := r.Back()
	assert.Equal(t, Path{To: addr(client), From: netip.MustParseAddr("127.0.0.1")}, back)
	require.NoError(t, Send(conn, []byte("answer"), back))
	require.NoError(t, client.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, _, err := client.ReadFromUDPAddrPort(make([]byte, 100))
	require.NoError(t, err)
}

// Hosts with several addresses: aliases of a card, IPv6, and link-local addresses, which mean one
// link only.
func TestBackOnHosts(t *testing.T) {
	if !testenv.Alone(t) {
		return
	}
	left, right := testenv.OneSubnet(t)
	for _, address := range []string{"10.1.0.1/24", "10.9.9.9/32", "fd00::1/64", "fd00::2/64", "fe80::1/64"} {
		testenv.IP(t, "address add "+address+" dev va"+map[bool]string{true: " nodad"}[strings.Contains(address, "::")])
	}
	for _, command := range []string{"address add 10.1.0.2/24 dev xa", "route add 10.9.9.9/32 dev xa", "address add fd00::3/64 dev xa nodad"} {
		left.IP(t, command)
	}

	for _, ask := range []struct {
		listen string
		host   *testenv.Host
		asked  string
	}{
		{"0.0.0.0:0", left, "10.1.0.1"},
		{"0.0.0.0:0", left, "10.9.9.9"},
		{"0.0.0.0:0", left, "169.254.10.1"},
		{"0.0.0.0:0", right, "169.254.20.1"}, // the route to 169.254.20.2 is by the other card
		{"169.254.20.1:0", right, "169.254.20.1"},
		{"0.0.0.0:0", nil, "169.254.10.1"},
		{"0.0.0.0:0", nil, "169.254.20.1"},
		{"[::]:0", nil, "fe80::1"},
		{"[::]:0", left, "fd00::1"},
		{"[::]:0", left, "fd00::2"},
		{"[::]:0", left, "fe80::1"},
	} {
		conn := listen(t, ask.listen, Options{})
		w, r := newWriter(t, conn), newReader(t, conn, ReaderConfig{Size: 100, Back: true})
		var client net.Conn
		var err error
		dial := func() {
			to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ask.asked), addr(conn).Port()))
			name := map[bool]string{true: "va", false: "xa"}[ask.host == nil]
			if card, _ := net.InterfaceByName(name); card != nil && to.AddrPort().Addr().Is6() {
				to.Zone = strconv.Itoa(card.Index)
			}
			client, err = net.DialUDP("udp", nil, to)
		}
		if ask.host == nil { // this one
			dial()
		} else {
			ask.host.Do(dial)
		}
		require.NoError(t, err)
		defer client.Close()
		// IPv6 takes its time to find a new neighbour, and drops what waits for that too long.
		require.Eventually(t, func() bool {
			_, asked := client.Write([]byte("question"))
			limited := conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
			return asked == nil && limited == nil && r.Read(true) == nil && r.Next() != nil
		}, 30*time.Second, time.Millisecond, "%v to %s", ask.listen, ask.asked)
		require.NoError(t, Send(conn, []byte("answer"), r.Back()), ask.asked)
		w.Add([]byte("answer"), r.Back())
		w.Flush(func(_ Path, err error) { assert.NoError(t, err, ask.asked) })
		require.NoError(t, client.SetReadDeadline(time.Now().Add(10*time.Second)))
		for range 2 {
			_, err = client.Read(make([]byte, 100))
			require.NoError(t, err, "%v to %s", ask.listen, ask.asked)
		}
	}
}
