package echo_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// Sources that no socket can have take a raw socket, and hence a network
// namespace: TestForgedSources starts this binary again in one, as
// TestForgedSourcesInside. That takes no privilege where the system allows user
// namespaces.
const insideVariable = "UDPKIT_TEST_INSIDE"

// unsupported is printed where the namespace cannot be used.
const unsupported = "no raw socket here"

func TestForgedSources(t *testing.T) {
	if os.Getenv(insideVariable) != "" {
		t.Skip("this is the inside")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		testenv.Skip(t, "the ip command (package iproute2) is not installed")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestForgedSourcesInside$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), unsupported) || cmd.ProcessState == nil {
		testenv.Skip(t, "no network namespaces here: %v\n%s", err, out)
	}
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}

func TestForgedSourcesInside(t *testing.T) {
	if os.Getenv(insideVariable) == "" {
		t.Skip("TestForgedSources runs this")
	}
	raw, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		fmt.Println(unsupported, err)
		t.FailNow()
	}
	defer unix.Close(raw)
	for _, args := range []string{"link set lo up", "address add 10.9.8.7/24 dev lo"} {
		out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	events := make(chan echo.Event, 10)
	s, stop := newServer(t, echo.ServerConfig{
		Listen: netip.MustParseAddrPort("0.0.0.0:12345"),
		OnEvent: func(e echo.Event) {
			if e.Kind != echo.Received {
				events <- e
			}
		},
	})
	tests := []struct {
		source string
		kind   echo.Kind
		why    string
	}{
		{"127.0.0.1:12345", echo.Refused, "own port"}, // itself
		{"10.9.8.7:12345", echo.Refused, "own port"},  // another address of its own
		{"10.9.8.1:12345", echo.Refused, "own port"},  // its like on another host
		{"127.0.0.1:0", echo.Refused, "port 0"},
		{"224.0.0.1:5000", echo.Refused, "no host's address"},
		{"255.255.255.255:5000", echo.Refused, "no host's address"},
		{"127.255.255.255:5000", echo.Failed, "permission denied"}, // the system knows its broadcast addresses
		{"10.9.8.255:5000", echo.Failed, "permission denied"},
		{"127.0.0.1:5000", echo.Answered, ""},
	}
	for _, test := range tests {
		source := netip.MustParseAddrPort(test.source)
		require.NoError(t, unix.Sendto(raw, packet(source, "x"), 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		select {
		case e := <-events:
			assert.Equal(t, test.kind, e.Kind, test.source)
			assert.Equal(t, source, e.Peer)
			if test.why != "" {
				assert.ErrorContains(t, e.Err, test.why, test.source)
			}
		case <-time.After(patience):
			require.Fail(t, "it did not arrive", test.source)
		}
	}
	stop()
	assert.EqualValues(t, len(tests), s.Stats().Received)
	complete(t, s.Stats())
}

// packet returns an IPv4 packet with a UDP datagram (RFC 791, RFC 768) to the
// default port on 127.0.0.1. The system fills in the checksum of IPv4; UDP's may
// be 0.
func packet(source netip.AddrPort, payload string) []byte {
	b := make([]byte, 28, 28+len(payload))
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(cap(b)))
	host := source.Addr().As4()
	copy(b[12:], host[:])
	copy(b[16:], []byte{127, 0, 0, 1})
	binary.BigEndian.PutUint16(b[20:], source.Port())
	binary.BigEndian.PutUint16(b[22:], echo.DefaultPort)
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload)))
	return append(b, payload...)
}

// A million forged sources take no memory, and each client among them is answered
// at its first datagram.
func TestMillionSources(t *testing.T) {
	const (
		sources = 1_000_000
		burst   = 200              // fits into the smallest receive buffer
		enough  = 10 * time.Second // with the race detector it takes longer
	)
	s, stop := newServer(t, echo.ServerConfig{})
	c := newClient(t, s.Addr(), patience)
	flood, err := net.ListenUDP("udp4", nil)
	require.NoError(t, err)
	defer flood.Close()
	_ = flood.SetReadBuffer(1) // the answers are not wanted
	conn := ipv4.NewPacketConn(flood)
	messages := make([]ipv4.Message, burst)
	to := net.UDPAddrFromAddrPort(s.Addr())

	begun, sent := time.Now(), 0
	before := heap()
	for sent < sources && time.Since(begun) < enough {
		for i := range messages {
			n := sent + i
			control := ipv4.ControlMessage{Src: net.IPv4(127, byte(1+n>>16), byte(n>>8), byte(n))}
			messages[i] = ipv4.Message{Buffers: [][]byte{{'x'}}, OOB: control.Marshal(), Addr: to}
		}
		for rest := messages; len(rest) > 0; {
			n, err := conn.WriteBatch(rest, 0)
			require.NoError(t, err)
			rest = rest[n:]
		}
		sent += burst
		// Its answer comes when the server is done with the burst.
		_, err := c.Send(t.Context(), []byte("genuine"))
		require.NoError(t, err)
	}
	grown := heap() - before
	stop()
	t.Logf("%d sources in %v: %+v, heap grown by %d bytes", sent, time.Since(begun), s.Stats(), grown)
	assert.Less(t, grown, int64(256<<10))
	assert.Greater(t, sent, sources/10)
	assert.Greater(t, s.Stats().Answered, uint64(sent*9/10), "they are not refused either")
	complete(t, s.Stats())
}

// heap returns the bytes in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
