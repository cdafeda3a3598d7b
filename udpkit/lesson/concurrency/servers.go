package concurrency

import (
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

// The load: how many clients ask at the same moment, and the work that each of them causes.
const (
	serverClients = 20
	serverWork    = 100 * time.Millisecond
)

// Servers lets 20 clients ask at the same moment: a sequential server, a concurrent one, and a
// concurrent one with few workers and a short queue. Each answer takes 100 ms of work. The results
// are added to file.
func Servers(ctx context.Context, file string) error {
	return servers(ctx, file, serverClients, serverWork)
}

func servers(ctx context.Context, file string, clients int, work time.Duration) error {
	r := &ServersResult{Work: work}
	return experiment(ctx, file, "servers", r, func(news func(any)) error {
		for _, run := range []ServerRun{
			{Name: "one at a time", Mode: echo.Sequential, Workers: 1},
			{Name: "all at once", Mode: echo.Concurrent, Workers: echo.DefaultWorkers, Queue: echo.DefaultQueue},
			{Name: "few workers, short queue", Mode: echo.Concurrent, Workers: clients / 5, Queue: clients * 3 / 10},
		} {
			run, err := serve(ctx, run, clients, work)
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
