package udpkit_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// Real broadcasts need hosts of their own. TestNamespaces starts this test binary
// again as the first host, in a network namespace; that starts it once more as the
// second host, in another; two pairs of virtual Ethernet cards connect them.
//
//	host 1: server           host 2: client
//	  card1 10.77.0.1/24 ------ card1b 10.77.0.2/24
//	  card2 10.78.0.1/24 ------ card2b 10.78.0.2/24
const hostVariable = "UDPKIT_TEST_HOST"

const broadcastPort = 37020

func TestNamespaces(t *testing.T) {
	if os.Getenv(hostVariable) != "" {
		t.Skip("this is a host of the test")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		testenv.Skip(t, "the ip command (package iproute2) is not installed")
	}
	cmd := host(t.Context(), "1")
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), unsupported) || cmd.ProcessState == nil {
		testenv.Skip(t, "no network namespaces here: %v\n%s", err, out)
	}
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}

// unsupported is printed by host 1 where it may not make network cards.
const unsupported = "cannot make a network card"

// host returns a command that runs TestHost of this binary in a new network
// namespace. It takes no privilege where the system allows user namespaces.
func host(ctx context.Context, number string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHost"+number+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), hostVariable+"="+number)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

func onlyOnHost(t *testing.T, number string) {
	t.Helper()
	if os.Getenv(hostVariable) != number {
		t.Skip("TestNamespaces runs this")
	}
}

func ip(t *testing.T, args string) {
	t.Helper()
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	require.NoError(t, err, "ip %s: %s", args, out)
}

func addrs(list ...string) (addrs []netip.AddrPort) {
	for _, a := range list {
		addrs = append(addrs, netip.AddrPortFrom(netip.MustParseAddr(a), broadcastPort))
	}
	return addrs
}

func TestHost1(t *testing.T) {
	onlyOnHost(t, "1")
	if out, err := exec.Command("ip", "link", "add", "card1", "type", "veth", "peer", "name", "card1b").CombinedOutput(); err != nil {
		fmt.Println(unsupported, err, string(out))
		t.FailNow()
	}
	ip(t, "link add card2 type veth peer name card2b")

	// Host 2 sets up its cards when it reads a line, and then prints its journal.
	other := host(t.Context(), "2")
	stdin, err := other.StdinPipe()
	require.NoError(t, err)
	stdout, err := other.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, other.Start())
	for _, card := range []string{"card1", "card2"} {
		ip(t, fmt.Sprintf("link set %sb netns %d", card, other.Process.Pid))
	}
	remote := newLog()
	read := make(chan error, 1)
	go func() {
		for e, err := range udpkit.ReadJournal(onlyJSON(stdout)) {
			if err != nil {
				read <- err
				return
			}
			remote.add(e)
		}
		read <- nil
	}()
	_, err = io.WriteString(stdin, "go\n")
	require.NoError(t, err)

	var auto udpkit.Targets
	_, err = auto.Resolve(broadcastPort)
	require.ErrorIs(t, err, udpkit.ErrNoTarget, "no interface is up")
	ip(t, "link set lo up")
	for i, card := range []string{"card1", "card2"} {
		ip(t, fmt.Sprintf("address add 10.%d.0.1/24 dev %s", 77+i, card))
		ip(t, "link set up dev "+card)
	}
	targets, err := auto.Resolve(broadcastPort)
	require.NoError(t, err)
	require.ElementsMatch(t, addrs("127.255.255.255", "10.77.0.255", "10.78.0.255"), targets)
	wait(t, remote, any1[udpkit.StartEvent])

	t.Run("automatic", func(t *testing.T) {
		local, localLog, stopLocal := newClient(t, broadcastPort, udpkit.ClientConfig{ID: "host 1"})
		s, err := udpkit.NewServer(udpkit.ServerConfig{Interval: 50 * time.Millisecond, OnEvent: func(udpkit.Event) {}})
		require.NoError(t, err)
		stop := start(t, s.Run, s)

		// Both hosts hear each message once, though it comes over several cards.
		mine := func(id uint64) func(udpkit.MessageEvent) bool {
			return func(e udpkit.MessageEvent) bool { return e.Epoch == s.Epoch() && e.MessageID >= id }
		}
		wait(t, localLog, mine(5))
		wait(t, remote, mine(5))
		assert.Positive(t, local.Stats().Duplicates)

		// One card fails, then the other: the rest goes on.
		ip(t, "link set down dev card1")
		wait(t, remote, mine(s.Stats().Sent+2+uint64(time.Second/(50*time.Millisecond))))
		ip(t, "link set down dev card2")
		wait(t, localLog, mine(s.Stats().Sent+30))
		// They come back: host 2 hears the server again, and of what it missed.
		ip(t, "link set up dev card2")
		ip(t, "link set up dev card1")
		wait(t, remote, mine(s.Stats().Sent+10))
		require.NoError(t, stop())
		require.NoError(t, stopLocal())
		var messages, missed uint64
		heard := map[uint64]bool{}
		for _, e := range all[udpkit.MessageEvent](remote) {
			if e.Epoch == s.Epoch() {
				require.False(t, heard[e.MessageID], "message %d came twice", e.MessageID)
				heard[e.MessageID] = true
				messages++
			}
		}
		for _, e := range all[udpkit.GapEvent](remote) {
			missed += e.To - e.From + 1
		}
		assert.Positive(t, missed, "while both cards were down")
		assert.GreaterOrEqual(t, messages+missed, s.Stats().Sent-5)
		assert.Zero(t, local.Stats().Missed, "this host heard all")
		acked := map[string]bool{}
		for _, c := range s.Clients() {
			acked[c.ID] = true
		}
		assert.Equal(t, map[string]bool{"host 1": true, "host 2": true}, acked)
	})

	t.Run("limited", func(t *testing.T) {
		s, log, stop := newServer(t, broadcastPort, udpkit.ServerConfig{Targets: udpkit.ListTargets(netip.MustParseAddrPort("255.255.255.255:0")), Interval: 50 * time.Millisecond})
		e := wait(t, remote, func(e udpkit.MessageEvent) bool { return e.Epoch == s.Epoch() })
		assert.Contains(t, []string{"10.77.0.1", "10.78.0.1"}, e.Server.Addr().String(), "there is no default route")
		wait(t, log, func(e udpkit.AckEvent) bool { return e.ClientID == "host 2" })
		assert.Empty(t, all[udpkit.ErrorEvent](log))
		wait(t, log, func(e udpkit.SentEvent) bool { return e.Targets == 2 })

		ip(t, "link set down dev card1")
		ip(t, "link set down dev card2")
		wait(t, log, func(e udpkit.ErrorEvent) bool { return errors.Is(e.Err, udpkit.ErrNoTarget) })
		ip(t, "link set up dev card1")
		wait(t, log, func(e udpkit.ErrorEvent) bool { return e.Ended && e.Peer == netip.AddrPort{} })
		require.NoError(t, stop())
	})

	require.NoError(t, stdin.Close()) // ends host 2
	require.NoError(t, <-read)
	require.NoError(t, other.Wait())
	wait(t, remote, any1[udpkit.ClientSummary])
}

func TestHost2(t *testing.T) {
	onlyOnHost(t, "2")
	line := make([]byte, 3)
	_, err := io.ReadFull(os.Stdin, line)
	require.NoError(t, err)
	for i, card := range []string{"card1b", "card2b"} {
		ip(t, fmt.Sprintf("address add 10.%d.0.2/24 dev %s", 77+i, card))
		ip(t, "link set up dev "+card)
	}
	journal := udpkit.NewJournal(os.Stdout)
	c, err := udpkit.NewClient(udpkit.ClientConfig{ID: "host 2", OnEvent: func(e udpkit.Event) { _ = journal.Write(e) }})
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	require.NoError(t, c.Run(ctx))
}

// onlyJSON passes on the lines of a test's output that are JSON objects.
func onlyJSON(r io.Reader) io.Reader {
	pr, pw := io.Pipe()
	go func() {
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "{") {
				_, _ = fmt.Fprintln(pw, lines.Text())
			}
		}
		pw.CloseWithError(lines.Err())
	}()
	return pr
}
