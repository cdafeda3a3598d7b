package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"golang.org/x/net/netutil"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

// maxScrapers is how many connections may ask for metrics at a time; others wait. So nobody can use
// up the files that the role needs.
const maxScrapers = 16

// metrics is the flag of a command that can be asked for its figures, and what answers.
type metrics struct {
	at    string
	stats atomic.Pointer[func() any] // nil until the role is open
}

func (m *metrics) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&m.at, "metrics", "", "serve metrics for Prometheus over HTTP at this `address`, HOST:PORT or PORT, which is this machine's only")
}

// serve answers until ctx ends, if the flag is given. It returns what is to be told of the role.
func (m *metrics) serve(ctx context.Context) (watch func(stats func() any), err error) {
	if m.at == "" {
		return nil, nil
	}
	at := m.at
	if !strings.Contains(at, ":") {
		at = ":" + at
	}
	host, port, err := net.SplitHostPort(at)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("--metrics %q is neither HOST:PORT nor PORT", m.at)}
	}
	if host == "" {
		host = "127.0.0.1"
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("metrics cannot be served at %s: %w", m.at, err)
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil { // it does not happen: it is the only one
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Timeout: 5 * time.Second}))
	server := &http.Server{Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go server.Serve(netutil.LimitListener(listener, maxScrapers)) // until then
	warn(ctx, service.AddrOf(listener.Addr()), "read the metrics", "--metrics "+port)
	fmt.Fprintf(progress, "Metrics at http://%v/metrics\n", listener.Addr())
	return func(stats func() any) { m.stats.Store(&stats) }, nil
}

// Describe says nothing: which metrics there are depends on the role.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	stats := m.stats.Load()
	if stats == nil {
		return
	}
	switch s := (*stats)().(type) {
	case udpkit.ServerSummary:
		collectServer(collector{"udpkit_server_", to}, s)
	case udpkit.ClientSummary:
		collectClient(collector{"udpkit_client_", to}, s)
	case relay.ServerStats:
		collectRelay(collector{"udpkit_relay_", to}, s)
	case chat.ServerSummary:
		collectChat(collector{"udpkit_chat_", to}, s)
	case echo.ServerStats:
		collectEcho(collector{"udpkit_echo_", to}, s)
	}
}

// collector makes metrics with names that begin alike.
type collector struct {
	prefix string
	to     chan<- prometheus.Metric
}

// count is a number that only rises.
func (c collector) count(name, help string, value uint64) {
	c.to <- prometheus.MustNewConstMetric(prometheus.NewDesc(c.prefix+name+"_total", help, nil, nil), prometheus.CounterValue, float64(value))
}

// counts are such numbers, one for each value of a label.
func counts[L ~string](c collector, name, help, label string, values map[L]uint64) {
	desc := prometheus.NewDesc(c.prefix+name+"_total", help, []string{label}, nil)
	for of, value := range values {
		c.to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), string(of))
	}
}

// untrusted counts what a key has refused.
func (c collector) untrusted(r key.Refused) {
	counts(c, "datagrams_untrusted", "Datagrams that were not believed, by reason.", "reason", map[string]uint64{
		"unsigned": r.Unsigned, "forged": r.Forged, "expired": r.Expired, "repeated": r.Repeated,
	})
}

// gauge is a number that rises and falls.
func (c collector) gauge(name, help string, value float64) {
	c.to <- prometheus.MustNewConstMetric(prometheus.NewDesc(c.prefix+name, help, nil, nil), prometheus.GaugeValue, value)
}

// seconds is a distribution of times.
func (c collector) seconds(name, help string, d udpkit.Distribution) {
	c.to <- prometheus.MustNewConstSummary(prometheus.NewDesc(c.prefix+name+"_seconds", help, nil, nil),
		d.Count, float64(d.Count)*d.Mean.Seconds(), map[float64]float64{0.5: d.P50.Seconds(), 0.9: d.P90.Seconds(), 0.99: d.P99.Seconds()})
}

func collectServer(c collector, s udpkit.ServerSummary) {
	c.count("messages_sent", "Messages that were broadcast.", s.Sent)
	c.count("send_errors", "Addresses that a message could not be sent to, each time.", s.SendErrors)
	c.count("acknowledgements", "Acknowledgements with the epoch, each client and message once.", s.Acks)
	c.count("acknowledgements_unproved", "Acknowledgements without the epoch, each client and message once.", s.UnprovedAcks)
	c.count("acknowledgements_duplicate", "Acknowledgements that came again.", s.DuplicateAcks)
	c.count("acknowledgements_refused", "Acknowledgements that were not believed.", s.RefusedAcks)
	c.count("questions", "Questions of clients for messages that they miss.", s.Questions)
	c.count("repairs", "Messages that were sent again.", s.Repairs)
	c.count("times_told", "Acknowledgements that asked for the time and were told it.", s.Times)
	c.count("times_refused", "Acknowledgements that asked for the time and were not, as too many had.", s.NotTold)
	c.count("repairs_refused", "Messages that were not sent again, as too many had been.", s.NotRepaired)
	c.count("commands", "Commands of holders of the key.", s.Commands)
	c.count("datagrams_malformed", "Datagrams that are not acknowledgements.", s.Malformed)
	c.count("datagrams_dropped", "Datagrams that the receive buffer had no room for.", s.KernelDropped)
	c.untrusted(s.Untrusted)
	c.gauge("clients", "Clients that are known.", float64(s.Clients))
	c.seconds("round_trip", "Time from a broadcast to its acknowledgement.", s.RTT)
}

func collectClient(c collector, s udpkit.ClientSummary) {
	c.count("messages_received", "Messages, each once.", s.Received)
	c.count("messages_late", "Messages that came after they had been reported missing.", s.Late)
	c.count("messages_repaired", "Messages that were missing and came before that was reported.", s.Repaired)
	c.count("messages_duplicate", "Messages that came again.", s.Duplicates)
	c.count("gaps", "Ranges of ids that were reported missing.", s.Gaps)
	c.gauge("messages_missed", "Messages that were reported missing and have not come.", float64(s.Missed))
	c.count("questions", "Questions to servers for what is missing.", s.Questions)
	c.count("datagrams_malformed", "Datagrams that are not messages.", s.Malformed)
	c.count("datagrams_truncated", "Datagrams that were longer than any message.", s.Truncated)
	c.count("datagrams_dropped", "Datagrams that the receive buffer or the receiver's queue had no room for.", s.Dropped+s.KernelDropped)
	c.untrusted(s.Untrusted)
	c.count("silences", "Silences of servers.", s.Timeouts)
	c.count("acknowledgements_sent", "Acknowledgements that were sent.", s.Acknowledged)
	c.count("acknowledgement_errors", "Acknowledgements that could not be sent.", s.AckErrors)
	c.count("server_runs", "Runs of servers that were heard.", s.Servers)
	c.count("server_runs_forgotten", "Runs of servers that had to make room for others.", s.Forgotten)
	c.seconds("latency", "Time under way from server to client, by clocks that were compared if the server tells the time.", s.Latency)
	c.seconds("interval", "Time between two messages of one server.", s.Interval)
}

func collectRelay(c collector, s relay.ServerStats) {
	c.count("messages_stored", "Messages of writers that were stored.", s.Stored)
	c.count("messages_duplicate", "Messages that came again.", s.Duplicates)
	c.count("messages_out_of_order", "Messages that came too early; they come again.", s.OutOfOrder)
	c.count("messages_not_stored", "Messages that the store failed to take; they come again.", s.NotStored)
	c.count("messages_delivered", "Messages that a reader has, summed over readers.", s.Delivered)
	c.count("messages_gone", "Messages that a reader missed as they were no longer kept, summed over readers.", s.Gone)
	c.count("datagrams_sent", "Datagrams with messages.", s.Sent)
	c.count("datagrams_resent", "Datagrams with messages that were sent before.", s.Resent)
	c.count("send_errors", "Datagrams that the system did not take.", s.SendErrors)
	c.count("fetch_errors", "Fetches from the log that failed and are tried again.", s.FetchErrors)
	c.count("datagrams_malformed", "Datagrams that are none of the protocol's.", s.Malformed)
	c.count("datagrams_unknown", "Datagrams of clients that are not registered.", s.Unknown)
	c.count("datagrams_dropped", "Datagrams that the receive buffer had no room for.", s.KernelDropped)
	c.untrusted(s.Untrusted)
	c.count("registrations", "Clients that were registered, or came back.", s.Registered)
	c.count("registrations_busy", "Registrations that were dropped since too many were under way.", s.Busy)
	counts(c, "registrations_refused", "Registrations that were refused, by reason.", "reason", s.Refused)
	counts(c, "clients_left", "Clients that have left, by reason.", "reason", s.Left)
	c.gauge("first_message", "Sequence number of the oldest message that is kept.", float64(s.First))
	c.gauge("last_message", "Sequence number of the newest message.", float64(s.Last))
	c.gauge("readers", "Readers that are registered.", float64(s.Readers))
	c.gauge("writers", "Writers that are registered.", float64(s.Writers))
	c.gauge("cached_bytes", "Newest messages in memory.", float64(s.Cached))
	c.gauge("waiting_bytes", "Memory for readers that are behind.", float64(s.Waiting))
}

func collectChat(c collector, s chat.ServerSummary) {
	c.count("connections_accepted", "Connections that became clients.", s.Accepted)
	c.count("accept_errors", "Connections that could not be accepted.", s.AcceptErrors)
	counts(c, "connections_refused", "Connections that did not become clients, by reason.", "reason", s.Refused)
	counts(c, "clients_left", "Clients that have left, by reason.", "reason", s.Left)
	c.count("messages", "Messages of clients.", s.Messages)
	c.count("lines_sent", "Lines that were sent to clients, notices included.", s.Lines)
	c.count("lines_dropped", "Lines that were not sent since their client was disconnected.", s.Dropped)
}

func collectEcho(c collector, s echo.ServerStats) {
	c.count("datagrams_received", "Datagrams that came.", s.Received)
	c.count("datagrams_answered", "Datagrams that were answered.", s.Answered)
	c.count("datagrams_refused", "Datagrams that are not answered, such as those of a forged source.", s.Refused)
	c.count("datagrams_dropped", "Datagrams that the receive buffer had no room for.", s.Dropped+s.KernelDropped)
	c.count("send_errors", "Answers that could not be sent.", s.SendErrors)
	c.count("read_errors", "Failures to receive.", s.ReadErrors)
}
