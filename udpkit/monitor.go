package udpkit

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// MonitorConfig configures a Monitor. The zero value works; it is copied.
type MonitorConfig struct {
	// Port is the UDP port that servers broadcast to. Default DefaultPort. Any number of monitors
	// and clients on one host share it.
	Port uint16
	// Key has the monitor take only messages that are signed or sealed with it; what others send is
	// refused and counted. Default: none; then signed ones count like any other, and sealed ones,
	// which nobody can read without the key, are refused.
	Key *key.Ring
}

// Monitor listens to all servers that broadcast to a port, and sends nothing: no acknowledgement,
// and no question for what is missing. It hears what is sent to this machine by IPv4. What is sent
// to no broadcast address reaches one program only: on Linux a client that shares the port, and the
// monitor if there is none; elsewhere the system decides.
//
// It knows up to 1,024 runs that go on and 1,024 of which one message has come, as a Client does.
// Its methods are safe for concurrent use.
type Monitor struct {
	cfg      MonitorConfig
	conn     *net.UDPConn
	receiver Receiver
	seed     maphash.Seed
	life     service.Life

	mu      sync.Mutex
	runs    runs
	opener  *key.Opener
	decoder decoder
	sent    timestampReader
	states  states
	refused refusedTallies
}

// NewMonitor opens the monitor's socket. An error is the system's, such as syscall.EADDRINUSE if
// another program has the port and does not share it. The caller closes the monitor.
func NewMonitor(cfg MonitorConfig) (*Monitor, error) {
	cfg.Port = cmp.Or(cfg.Port, DefaultPort)
	receiver, err := NewReceiver(Blocking, ReceiverConfig{BufferSize: MaxMessageSize + 1, Coalesce: true})
	if err != nil { // it does not happen: the configuration is right
		return nil, err
	}
	conn, err := udp.ListenBehind(context.Background(), cfg.Port, ReadBufferSize)
	if err != nil {
		return nil, fmt.Errorf("the monitor cannot listen: %w", err)
	}
	return &Monitor{
		cfg: cfg, conn: conn, receiver: receiver,
		seed:    maphash.MakeSeed(),
		runs:    newRuns(0),
		states:  make(states),
		opener:  cfg.Key.Opener(key.OpenerConfig{Purpose: statusPurpose, Form: key.JSON, Sessions: maxRuns, Repeats: true}),
		refused: make(refusedTallies),
	}, nil
}

// Close closes the socket, which ends a Run with net.ErrClosed. It is idempotent.
func (m *Monitor) Close() error { return service.Close(m.receiver, m.conn) }

// Run listens until ctx ends, and returns nil. It returns an error if the monitor
// is closed or ran before; that of a closed one satisfies net.ErrClosed.
func (m *Monitor) Run(ctx context.Context) error {
	if _, err := m.life.Begin("monitor", "Monitor"); err != nil {
		return err
	}
	err := m.receiver.Receive(ctx, m.conn, m.take)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("the monitor cannot receive any more: %w", err)
}

// take counts one datagram.
func (m *Monitor) take(d Datagram) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d.Truncated {
		m.refused.note(d, errTooLong)
		return
	}
	content, err := m.opener.Open(d.Payload, d.Received)
	if err != nil {
		m.refused.note(d, err)
		return
	}
	message, err := m.decoder.decode(content)
	if err != nil {
		m.refused.note(d, cmp.Or(key.Needed(content, key.JSON), err))
		return
	}
	run, isNew := m.runs.of(message.epoch, d.Source, d.Received)
	if isNew {
		run.tally = new(tally)
	}
	newest := run.lastID()
	v, gaps := m.runs.observe(run, isNew, message.id, maphash.Bytes(m.seed, message.content), d.Received)
	t := run.tally
	if v == duplicate {
		t.duplicates++
		return
	}
	t.received++
	t.gaps += uint64(len(gaps))
	if v == late {
		t.late++
	}
	if goesOn := isNew || run.lastID() > newest; goesOn {
		t.state = m.states.get(message.state)
		if sent, ok := m.sent.read(message.timestamp); ok {
			t.jitter.Note(d.Received.Sub(sent))
		}
	} else if run.lastID() < newest && message.epoch == 0 { // its window has seen that it began anew
		t.restarts++
	}
	t.rate.Note(d.Received)
	run.heard(d, message, v)
}

// Report returns what is known at this moment. It is the caller's.
func (m *Monitor) Report() MonitorReport {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.runs.silent(now)
	report := MonitorReport{
		At: now, Port: m.cfg.Port, Runtime: m.life.Time(), Runs: make([]RunInfo, 0, len(m.runs.known)), Refused: m.refused.list(),
		Forgotten: m.runs.forgotten, KernelDropped: m.receiver.KernelDropped(),
	}
	over := make(map[netip.Addr][]time.Time) // when the runs of a host were heard last that are over
	for _, r := range m.runs.known {
		if r.over {
			over[r.from.Addr()] = append(over[r.from.Addr()], r.last)
		}
	}
	for _, times := range over {
		slices.SortFunc(times, time.Time.Compare)
	}
	for _, r := range m.runs.known {
		info := r.tally.info(r)
		before, _ := slices.BinarySearchFunc(over[r.from.Addr()], r.first, time.Time.Compare)
		info.Restarts += uint64(before)
		report.Runs = append(report.Runs, info)
	}
	slices.SortFunc(report.Runs, func(a, b RunInfo) int {
		return cmp.Or(a.Server.Compare(b.Server), a.First.Compare(b.First), cmp.Compare(a.Epoch, b.Epoch))
	})
	return report
}
