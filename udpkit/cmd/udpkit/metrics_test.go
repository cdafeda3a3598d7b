package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// TestMetricsAreNamedWell: what promtool asks for, whose linter this is.
func TestMetricsAreNamedWell(t *testing.T) {
	for _, stats := range []any{
		udpkit.ServerSummary{}, udpkit.ClientSummary{}, echo.ServerStats{},
		relay.ServerStats{Refused: map[relay.Reason]uint64{"full": 1}, Left: map[relay.Reason]uint64{"bye": 1}},
		chat.ServerSummary{Refused: map[chat.Reason]uint64{"full": 1}, Left: map[chat.Reason]uint64{"bye": 1}},
	} {
		var m metrics
		get := func() any { return stats }
		m.stats.Store(&get)
		problems, err := testutil.CollectAndLint(&m)
		require.NoError(t, err)
		assert.Empty(t, problems)
		assert.GreaterOrEqual(t, testutil.CollectAndCount(&m), 6)
	}
}

// TestMetrics: they are this machine's only, and tell what the role has done.
func TestMetrics(t *testing.T) {
	at := freePort(t)
	server := command(t, "server", "--port", freePort(t), "--target", "127.255.255.255", "--interval", "20ms", "--metrics", at, "--json")
	for range 3 {
		server.event("sent")
	}
	get := func() string {
		r, err := http.Get("http://127.0.0.1:" + at + "/metrics")
		require.NoError(t, err)
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, r.StatusCode)
		return string(text)
	}
	assert.Regexp(t, `(?m)^udpkit_server_messages_sent_total [1-9]\d*$`, get())
	assert.Regexp(t, `(?m)^udpkit_server_datagrams_untrusted_total{reason="forged"} 0$`, get())

	addrs, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addrs {
		if n := a.(*net.IPNet); !n.IP.IsLoopback() && n.IP.To4() != nil {
			_, err := net.DialTimeout("tcp", net.JoinHostPort(n.IP.String(), at), time.Second)
			assert.Error(t, err, "only on the loopback interface")
		}
	}
	second := command(t, "server", "--port", freePort(t), "--metrics", at)
	second.rest()
	require.Error(t, second.Wait())
	assert.Contains(t, second.stderr.String(), "metrics cannot be served at "+at)
	for _, wrong := range []string{"a:b:c", "abc", "127.0.0.1:http", "99999", "-1", "::"} {
		role := command(t, "echo", "server", "--metrics", wrong)
		role.rest()
		_ = role.Wait()
		assert.Equal(t, exitUsage, role.ProcessState.ExitCode(), wrong)
		assert.Contains(t, role.stderr.String(), fmt.Sprintf("--metrics %q is neither HOST:PORT nor PORT", wrong))
	}
}

// TestManyScrape: all who ask at once are answered, also while others hold as many connections as
// there may be and say nothing, until those have been waited for.
func TestManyScrape(t *testing.T) {
	at := net.JoinHostPort("127.0.0.1", freePort(t))
	server := command(t, "server", "--port", freePort(t), "--target", "127.255.255.255", "--interval", "1ms", "--metrics", at, "--json")
	server.event("sent")
	for range maxScrapers {
		silent, err := net.Dial("tcp", at)
		require.NoError(t, err)
		defer silent.Close()
	}
	impatient := http.Client{Timeout: 300 * time.Millisecond}
	_, err := impatient.Get("http://" + at + "/metrics")
	require.ErrorIs(t, err, context.DeadlineExceeded, "there is room for no more")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	var scrapers sync.WaitGroup
	for range 4 * maxScrapers {
		scrapers.Go(func() {
			r, err := client.Get("http://" + at + "/metrics")
			if !assert.NoError(t, err) {
				return
			}
			defer r.Body.Close()
			text, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			assert.Equal(t, http.StatusOK, r.StatusCode)
			assert.Contains(t, string(text), "\nudpkit_server_messages_sent_total ")
		})
	}
	scrapers.Wait()
}
