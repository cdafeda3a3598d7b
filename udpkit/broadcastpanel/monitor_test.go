package broadcastpanel_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/broadcastpanel"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/paneltest"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/testenv"
)

// monitor is one that runs beside the test, with a function that sends it datagrams.
type monitor struct {
	*running
	send func(datagram string)
}

func startMonitor(t *testing.T, opt broadcastpanel.MonitorOptions) monitor {
	t.Helper()
	port := testenv.FreePort(t)
	m := monitor{running: begin(t, func(ctx context.Context, _ func(udpkit.Event), out *paneltest.Buffer) error {
		if opt.Out == nil {
			opt.Out = out
		}
		return broadcastpanel.Monitor(ctx, udpkit.MonitorConfig{Port: port}, opt)
	})}
	conn, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	m.send = func(datagram string) {
		t.Helper()
		_, err := conn.Write([]byte(datagram))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { // it is told that nobody has the port
		_, _ = conn.Write([]byte("?"))
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err := conn.Read(make([]byte, 1))
		return errors.Is(err, os.ErrDeadlineExceeded)
	}, 10*time.Second, time.Millisecond)
	return m
}

// runs returns the epochs of the newest line of JSON that has so many, in its order.
func (m monitor) runs(t *testing.T, count int) (epochs []udpkit.Epoch) {
	t.Helper()
	require.Eventually(t, func() bool {
		lines := strings.Split(m.out.String(), "\n")
		if len(lines) < 2 {
			return false
		}
		var report udpkit.MonitorReport
		require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-2]), &report))
		epochs = nil
		for _, run := range report.Runs {
			epochs = append(epochs, run.Epoch)
		}
		return len(epochs) == count
	}, 10*time.Second, 10*time.Millisecond)
	return epochs
}

func message(id, epoch int, more string) string {
	return fmt.Sprintf(`{"timestamp":"now","state":"UP","message_id":%d,"epoch":"%016x"%s}`, id, epoch, more)
}

func TestMonitorText(t *testing.T) {
	m := startMonitor(t, broadcastpanel.MonitorOptions{MaxRuntime: 3 * time.Second})
	m.send(message(1, 1, ""))
	m.send(message(4, 1, `,"end":true`))
	m.send("\x1b[31m")
	require.NoError(t, <-m.err)
	text := m.out.String()
	assert.Contains(t, text, "0 servers up, 0 silent, 1 ended")
	assert.Regexp(t, `(?m)^127.0.0.1:\d+  UP {11}ended \d\.\ds  -       -       2     2       1     0     0    0         #4$`, text)
	assert.Contains(t, text, " datagrams from 127.0.0.1: ")
	assert.Contains(t, text, "Ended: time is up")
	assert.NotContains(t, text, "\x1b")
}

func TestMonitorSorts(t *testing.T) {
	for by, want := range map[broadcastpanel.SortKey][]udpkit.Epoch{
		broadcastpanel.SortMissed:     {2, 3, 1},
		broadcastpanel.SortDuplicates: {3, 2, 1},
	} {
		m := startMonitor(t, broadcastpanel.MonitorOptions{JSON: true, Every: 10 * time.Millisecond, Sort: by})
		for _, datagram := range []string{
			message(1, 1, ""), message(90, 1, `,"end":true`), // over, and so behind the others
			message(1, 2, ""), message(9, 2, ""),
			message(1, 3, ""), message(1, 3, ""),
		} {
			m.send(datagram)
		}
		assert.Eventually(t, func() bool { return assert.ObjectsAreEqual(want, m.runs(t, 3)) }, 10*time.Second, 10*time.Millisecond, by)
		m.end(t)
	}
}

func TestMonitorRefusesOptions(t *testing.T) {
	for _, opt := range []broadcastpanel.MonitorOptions{{Sort: "weight"}, {Every: -1}, {MaxRuntime: -1}} {
		require.ErrorIs(t, broadcastpanel.Monitor(t.Context(), udpkit.MonitorConfig{Port: testenv.FreePort(t)}, opt), udpkit.ErrConfig)
	}
}
