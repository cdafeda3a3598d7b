package sockets

import (
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// inNamespace tells this test binary that it was started again, in a network namespace of its own,
// where it takes no privilege to open a raw socket.
const inNamespace = "UDPKIT_TEST_ANATOMY"

// TestAnatomyIsTrue compares the headers that are drawn with those that the system really writes: a
// raw socket is shown them.
func TestAnatomyIsTrue(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput()
		require.NoError(t, err, "%s", out)
		compareAnatomy(t)
		return
	}
	if _, err := exec.LookPath("ip"); err != nil {
		testenv.Skip(t, "the ip command (package iproute2) is not installed")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAnatomyIsTrue$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		testenv.Skip(t, "no network namespaces here: %v", err)
	}
	require.NoError(t, err, "%s", out)
}

func compareAnatomy(t *testing.T) {
	packets, err := net.ListenPacket("ip4:udp", "127.0.0.1")
	require.NoError(t, err)
	raw, err := ipv4.NewRawConn(packets)
	require.NoError(t, err)
	defer raw.Close()
	a, err := Send("hello, socket")
	require.NoError(t, err)
	require.NoError(t, raw.SetReadDeadline(time.Now().Add(5*time.Second)))
	buffer := make([]byte, 65535)
	for {
		h, payload, _, err := raw.ReadFrom(buffer)
		require.NoError(t, err)
		if h.Len != IPHeaderLen || h.TotalLen != len(a.Bytes) || binary.BigEndian.Uint16(payload) != a.From.Port() {
			continue // somebody else's
		}
		ours, err := ipv4.ParseHeader(a.Bytes)
		require.NoError(t, err)
		// Systems may number even what is not cut, and count that into the checksum.
		h.ID, h.Checksum, ours.Checksum = 0, 0, 0
		require.Equal(t, h.String(), ours.String())
		// On loopback the system leaves the UDP checksum, bytes 6 and 7, to a network card that is
		// not there.
		require.Equal(t, payload[:6], a.Bytes[IPHeaderLen:IPHeaderLen+6])
		require.Equal(t, payload[8:], a.Bytes[IPHeaderLen+8:])
		return
	}
}
