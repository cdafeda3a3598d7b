package concurrency

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/echo"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
)

// ServersResult is the same load on several servers.
type ServersResult struct {
	Work time.Duration `json:"work_ns"` // for each datagram
	Runs []ServerRun   `json:"runs"`
}

// ServerRun is how one server coped with it.
type ServerRun struct {
	Name    string         `json:"name"`
	Mode    echo.Mode      `json:"mode"`
	Workers int            `json:"workers"` // served at once, at most
	Queue   int            `json:"queue"`   // how many may wait; 0: in the socket's buffer
	Clients []ServerClient `json:"clients"`
	// Dropped is how many datagrams the server counted as dropped, and Took when the last answer
	// was there.
	Dropped uint64        `json:"dropped"`
	Took    time.Duration `json:"took_ns"`
}

// ServerClient is what became of one client's datagram. Times are since the first was sent; 0 for
// what never happened.
type ServerClient struct {
	Sent     time.Duration `json:"sent_ns"`
	Began    time.Duration `json:"began_ns"` // the work on it
	Answered time.Duration `json:"answered_ns"`
}

// Answered returns how many clients got an answer.
func (r ServerRun) Answered() int {
	n := 0
	for _, c := range r.Clients {
		if c.Answered > 0 {
			n++
		}
	}
	return n
}

// Median returns the median wait of the clients that got an answer.
func (r ServerRun) Median() time.Duration {
	var all []time.Duration
	for _, c := range r.Clients {
		if c.Answered > 0 {
			all = append(all, c.Answered-c.Sent)
		}
	}
	return measure.Median(all)
}

// ServersConfig is the load, and the limits of the third server. What is 0 is the default.
type ServersConfig struct {
	Clients int           // ask at the same moment; 1 to 200, default 20
	Work    time.Duration // for each answer; up to 1 s, default 100 ms
	Workers int           // of the third server: serve at once, at most; 1 to 200, default 4
	Waiting int           // of the third server: may wait, at most; 1 to 200, default 6
}

func (c ServersConfig) withDefaults() (ServersConfig, error) {
	c.Clients = cmp.Or(c.Clients, 20)
	c.Work = cmp.Or(c.Work, 100*time.Millisecond)
	c.Workers = cmp.Or(c.Workers, 4)
	c.Waiting = cmp.Or(c.Waiting, 6)
	return c, cmp.Or(within("Clients", c.Clients, 1, 200), within("Workers", c.Workers, 1, 200), within("Waiting", c.Waiting, 1, 200),
		within("Work", c.Work, 0, time.Second), within("Work for all clients, one after the other", time.Duration(c.Clients)*c.Work, 0, time.Minute))
}

// Servers lets clients ask at the same moment: a sequential server, a concurrent one, and a
// concurrent one with few workers and a short queue. The results are added to file. The error wraps
// [ErrConfig] for a load that is out of range.
func Servers(ctx context.Context, file string, cfg ServersConfig) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	r := &ServersResult{Work: cfg.Work}
	return experiment(ctx, file, "servers", r, func(news func(any)) error {
		for _, run := range []ServerRun{
			{Name: "one at a time", Mode: echo.Sequential, Workers: 1},
			{Name: "all at once", Mode: echo.Concurrent, Workers: echo.DefaultWorkers, Queue: echo.DefaultQueue},
			{Name: "few workers, short queue", Mode: echo.Concurrent, Workers: cfg.Workers, Queue: cfg.Waiting},
		} {
			run, err := serve(ctx, run, cfg.Clients, cfg.Work)
			if err = errors.Join(err, ctx.Err()); err != nil {
				return fmt.Errorf("%s: %w", run.Name, err)
			}
			r = &ServersResult{Work: r.Work, Runs: append(r.Runs[:len(r.Runs):len(r.Runs)], run)}
			news(r)
		}
		return nil
	}, func(all *Results) { all.Servers = r })
}

// serve runs one server under the load.
func serve(ctx context.Context, r ServerRun, clients int, work time.Duration) (ServerRun, error) {
	r.Clients = make([]ServerClient, clients)
	began := make(map[string]time.Time) // the work, by the client's words
	config := echo.ResponderConfig{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"), Mode: r.Mode, Workers: r.Workers, Queue: r.Queue, Work: work,
		OnEvent: func(e echo.Event) {
			if e.Kind == echo.Received { // one call at a time
				began[string(e.Payload)] = e.At
			}
		},
	}
	server, err := echo.NewResponder(config)
	if err != nil {
		return r, err
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Run(running) }()
	// A datagram that is dropped gets no answer, and its client has to give up. A sequential server
	// drops none, and takes its time.
	patience := 8 * work
	if r.Mode == echo.Sequential {
		patience = 2 * time.Duration(clients) * work
	}
	exchanges, err := echo.Load(ctx, server.Addr(), clients, patience)
	cancel()
	if err = errors.Join(err, <-ended, server.Close()); err != nil {
		return r, err
	}
	r.Dropped = server.Stats().Dropped
	first := exchanges[0].Sent
	for _, e := range exchanges {
		if e.Sent.Before(first) {
			first = e.Sent
		}
	}
	for i, e := range exchanges {
		c := &r.Clients[i]
		c.Sent = e.Sent.Sub(first)
		if at, ok := began[fmt.Sprintf("Hello from client %d", i)]; ok {
			c.Began = at.Sub(first)
		}
		if !e.Answered.IsZero() {
			c.Answered = e.Answered.Sub(first)
			r.Took = max(r.Took, c.Answered)
		}
	}
	return r, nil
}
