package broadcastpanel_test

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/broadcastpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// TestSilenceExplained: what the doctor sees is said once in each silence.
func TestSilenceExplained(t *testing.T) {
	if _, err := exec.LookPath("iptables"); err != nil {
		testenv.Skip(t, "the iptables command is not installed")
	}
	if !testenv.Alone(t) {
		return
	}
	client, targets := startClient(t, udpkit.ClientConfig{Timeout: 500 * time.Millisecond}, broadcastpanel.Options{})
	says := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(client.out.String(), text) }, 15*time.Second, 10*time.Millisecond, "%s", text)
	}
	says("if it does: udpkit doctor")
	server := startServer(t, udpkit.ServerConfig{Targets: targets, Interval: 50 * time.Millisecond}, broadcastpanel.Options{})
	wait[udpkit.MessageEvent](t, client)
	_, port, err := net.SplitHostPort(targets.String())
	require.NoError(t, err)
	out, err := exec.Command("iptables", "-A", "INPUT", "-p", "udp", "--dport", port, "-j", "DROP").CombinedOutput()
	require.NoError(t, err, "%s", out)
	says("The firewall of this machine drops what comes to port")
	says(" Next: sudo ")
	server.end(t)
	require.Equal(t, 2, strings.Count(client.end(t), "  note  "))
}
