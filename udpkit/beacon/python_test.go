package beacon_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit/beacon"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// python starts the document's program and returns its output, until the test ends.
func python(t *testing.T, args ...any) *bufio.Scanner {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		testenv.Skip(t, "python3 is not installed: %v", err)
	}
	words := []string{"testdata/hello.py"}
	for _, a := range args {
		words = append(words, fmt.Sprint(a))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // then its output ends
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, words...)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(stderr.String())
		}
	})
	return bufio.NewScanner(out)
}

// TestPython lets the document's program and a beacon hear each other. Its receiver does not share
// its port, so on one machine each has its own; in TestNamespaces both have 3400.
func TestPython(t *testing.T) {
	mine := testenv.FreePort(t)
	free, err := net.ListenUDP("udp4", &net.UDPAddr{})
	require.NoError(t, err)
	its := free.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	require.NoError(t, free.Close())

	program := python(t, "127.255.255.255", mine, its)
	b, l, stop := start(t, beacon.Config{Name: "ann", Port: mine, Targets: []netip.AddrPort{netip.AddrPortFrom(loopback[0].Addr(), its)}})
	// The program's sender, and so that its receiver is open: it starts that first.
	wait(t, l, func(e beacon.PeerEvent) bool { return e.Change == beacon.Appeared && e.ID == 0 && e.Name == "" })
	for range 3 {
		require.True(t, program.Scan(), "the program ended")
		assert.Equal(t, "HELLO|ann|"+b.ID().String(), program.Text())
	}
	require.Eventually(t, func() bool { return b.Peers()[0].Heard >= 3 }, 30*time.Second, time.Millisecond,
		"one peer, though each HELLO comes from another port")
	require.Len(t, b.Peers(), 1)
	require.NoError(t, stop())
	for program.Scan() && strings.HasPrefix(program.Text(), "HELLO|") {
	}
	assert.Equal(t, "BYE|ann|"+b.ID().String(), program.Text())
}
