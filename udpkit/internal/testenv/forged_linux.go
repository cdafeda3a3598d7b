package testenv

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Sources that no socket can have take a raw socket, and hence a network namespace. That takes no privilege where the
// system allows user namespaces.

const insideVariable = "UDPKIT_TEST_INSIDE"

// noRawSocket is printed where the namespace cannot be used.
const noRawSocket = "no raw socket here"

// InNamespace runs a test of this binary in a network namespace of its own. That test begins with [Forge].
func InNamespace(t *testing.T, name string) {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		t.Skip("this is the inside")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		Skip(t, "the ip command (package iproute2) is not installed")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+name+"$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), noRawSocket) || cmd.ProcessState == nil {
		Skip(t, "no network namespaces here: %v\n%s", err, out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// Forge sets up the namespace's loopback interface, with 10.9.8.7/24 beside 127.0.0.1/8, and returns a function that
// sends a datagram from any source. Outside of [InNamespace] it skips the test.
func Forge(t *testing.T) func(source, to netip.AddrPort, payload []byte) {
	t.Helper()
	if os.Getenv(insideVariable) == "" {
		t.Skip("another test runs this in a namespace")
	}
	raw, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		fmt.Println(noRawSocket, err)
		t.FailNow()
	}
	t.Cleanup(func() { _ = unix.Close(raw) })
	for _, args := range []string{"link set lo up", "address add 10.9.8.7/24 dev lo"} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	return func(source, to netip.AddrPort, payload []byte) {
		t.Helper()
		if err := unix.Sendto(raw, packet(source, to, payload), 0, &unix.SockaddrInet4{Addr: to.Addr().As4()}); err != nil {
			t.Fatalf("from %v: %v", source, err)
		}
	}
}

// packet returns an IPv4 packet with a UDP datagram (RFC 791, RFC 768). The system fills in the checksum of IPv4; UDP's
// may be 0.
func packet(source, to netip.AddrPort, payload []byte) []byte {
	b := make([]byte, 28, 28+len(payload))
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(cap(b)))
	from, dest := source.Addr().As4(), to.Addr().As4()
	copy(b[12:], from[:])
	copy(b[16:], dest[:])
	binary.BigEndian.PutUint16(b[20:], source.Port())
	binary.BigEndian.PutUint16(b[22:], to.Port())
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload)))
	return append(b, payload...)
}
