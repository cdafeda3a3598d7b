package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// aloneVariable marks the process that Alone starts.
const aloneVariable = "UDPKIT_TEST_ALONE"

// Alone gives a test a host of its own: it starts the test's binary again, for this test only, in a
// new network namespace, which takes no privilege where the system allows user namespaces. There it
// returns true, with nothing but a loopback interface that is up. In the process that has started
// it, Alone returns false once the test has ended there, and the test has nothing left to do:
//
//	if !testenv.Alone(t) {
//		return
//	}
//
// It skips the test where there are no namespaces, or no ip command.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(aloneVariable) == t.Name() {
		IP(t, "link set lo up")
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		Skip(t, "the ip command (package iproute2) is not installed")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v", "-test.timeout=5m", "-test.parallel=16")
	cmd.Env = append(os.Environ(), aloneVariable+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || strings.Contains(string(out), forbidden) {
		Skip(t, "no network namespaces here: %v\n%s", err, out)
	}
	if err != nil {
		t.Fatalf("in a namespace of its own: %v\n%s", err, out)
	}
	t.Logf("in a namespace of its own:\n%s", out)
	return false
}

// forbidden is printed where a namespace cannot be set up.
const forbidden = "a network namespace of its own cannot be set up"

// IP runs the ip command, such as IP(t, "link set lo up"), in the test's own namespace.
func IP(t testing.TB, arguments string) {
	t.Helper()
	if err := ip(arguments); err != nil {
		t.Fatal(err)
	}
}

func ip(arguments string) error {
	out, err := exec.Command("ip", strings.Fields(arguments)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: ip %s: %w\n%s", forbidden, arguments, err, out)
	}
	return nil
}

// Host is another network namespace of a test that is alone.
type Host struct {
	Namespace string // its path, for: ip link set CARD netns PATH
	do        chan func()
}

// NewHost makes a namespace, with nothing but a loopback interface that is up. It ends with the
// test.
func NewHost(t *testing.T) *Host {
	t.Helper()
	h := &Host{do: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocks it: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		h.Namespace = filepath.Join("/proc", strconv.Itoa(os.Getpid()), "task", strconv.Itoa(unix.Gettid()), "ns/net")
		ready <- err
		for f := range h.do {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatalf("%s: %v", forbidden, err)
	}
	t.Cleanup(func() { close(h.do) })
	h.IP(t, "link set lo up")
	return h
}

// NewNeighbour makes a host that a cable joins with the test's own: its interface "card" has the
// address 10.77.0.1/24, that of the neighbour, "far", has 10.77.0.2/24.
func NewNeighbour(t *testing.T) *Host {
	t.Helper()
	h := NewHost(t)
	IP(t, "link add card type veth peer name far netns "+h.Namespace)
	IP(t, "address add 10.77.0.1/24 broadcast + dev card")
	IP(t, "link set card up")
	h.IP(t, "address add 10.77.0.2/24 broadcast + dev far")
	h.IP(t, "link set far up")
	WaitForLink(t, "card")
	return h
}

// IP runs the ip command on that host.
func (h *Host) IP(t testing.TB, arguments string) {
	t.Helper()
	var err error
	h.Do(func() { err = ip(arguments) })
	if err != nil {
		t.Fatal(err)
	}
}

// Do runs f on that host: the sockets that f opens, and the programs that it starts, are there and
// stay there. f is called on another goroutine than the test's: it may not call t.FailNow.
func (h *Host) Do(f func()) {
	done := make(chan struct{})
	h.do <- func() {
		defer close(done)
		f()
	}
	<-done
}
