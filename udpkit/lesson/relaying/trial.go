package relaying

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/plot/chart"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
)

const (
	// maxLines bounds a trial.
	maxLines = 200
	// trialTime is how much longer it may take than its lines do.
	trialTime = 30 * time.Second
)

// TrialConfig says what Try tries.
type TrialConfig struct {
	// Lines is how many ann writes, 1 to 200, and Interval the time between two, 1 ms to 1 s.
	Lines    int
	Interval time.Duration
	// Weather is that between the server and both clients, in both directions. The zero value is
	// fair.
	Weather weather.Settings
	// Seed decides what happens to what.
	Seed uint64
	// Kill kills the server's process after half of the lines, and Away is how long it takes until
	// there is another one, up to 5 s.
	Kill bool
	Away time.Duration
	// Record is the directory where writer.pcapng, reader.pcapng and server.pcapng are written:
	// what each of the three sends and receives. Not together with Kill, since a program that is
	// killed leaves a recording without its end. "" is none.
	Record string
}

// Trial is what became of each line.
type Trial struct {
	TrialConfig
	// Fates has one for each line, in the order in which they were written.
	Fates []Fate
	// Others is how many lines the reader got that were not the next one, or not as written.
	Others int
	// Logged is how many lines the log has in the end.
	Logged int
	// Lost is how many datagrams the weather lost, of all that were Sent.
	Sent, Lost uint64
	// Again is how many lines the writer has sent again, and Twice how many datagrams with lines
	// came to the reader that brought nothing new.
	Again, Twice uint64
	// Registered is how often a server has taken the writer and the reader.
	Registered uint64
}

// Fate is what became of a line: how long after it was written the writer heard that it is stored,
// and the reader got it.
type Fate struct {
	Stored, Delivered time.Duration
}

// Try has ann write to a relay, and bob read from it, in bad weather. The server is a process of
// its own, this program, started again: it has to call RunServer if IsServer.
func Try(ctx context.Context, cfg TrialConfig) (trial Trial, err error) {
	trial = Trial{TrialConfig: cfg, Fates: make([]Fate, max(0, min(cfg.Lines, maxLines)))}
	switch {
	case cfg.Lines != len(trial.Fates) || cfg.Lines == 0 || cfg.Interval < time.Millisecond || cfg.Interval > time.Second || cfg.Away < 0 || cfg.Away > 5*time.Second:
		return Trial{}, fmt.Errorf("a trial has 1 to %d lines, 1 ms to 1 s between two, and a server that is away for up to 5 s", maxLines)
	case cfg.Kill && cfg.Record != "":
		return Trial{}, errors.New("a trial is recorded or its server is killed, not both: who is killed leaves a recording without its end")
	}
	dir, err := os.MkdirTemp("", "relay")
	if err != nil {
		return Trial{}, err
	}
	defer os.RemoveAll(dir)
	local := netip.MustParseAddrPort("127.0.0.1:0")
	server, err := startServer(local, dir, recording(cfg.Record, "server"))
	if err != nil {
		return Trial{}, err
	}
	defer func() {
		if server != nil {
			err = errors.Join(err, server.end())
		}
	}()
	sky, err := weather.New(weather.Config{Listen: local, To: server.address, Seed: cfg.Seed, Settings: cfg.Weather})
	if err != nil {
		return Trial{}, err
	}
	defer sky.Close()
	clients, err := trial.open(sky.Addr())
	if err != nil {
		return Trial{}, err
	}
	defer func() { err = errors.Join(err, clients.close()) }()

	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 4)
	over, fair := context.WithCancel(context.WithoutCancel(ctx)) // the weather lasts until both have left
	var forwarding sync.WaitGroup
	defer forwarding.Wait()
	defer fair()
	forwarding.Go(func() { ended <- sky.Run(over) })
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for _, run := range []func(context.Context) error{clients.writer.Run, clients.reader.Run, clients.write} {
		running.Go(func() { ended <- run(ctx) })
	}
	if cfg.Kill {
		if err := wait(ctx, clients.half, time.Duration(cfg.Lines)*cfg.Interval+trialTime); err != nil {
			return Trial{}, err
		}
		address := server.address
		err := server.kill()
		if server = nil; err != nil {
			return Trial{}, err
		}
		if err := wait(ctx, nil, cfg.Away); err != nil {
			return Trial{}, err
		}
		if server, err = startServer(address, dir, ""); err != nil {
			return Trial{}, err
		}
	}
	if err := wait(ctx, clients.all, time.Duration(cfg.Lines)*cfg.Interval+trialTime); err != nil {
		return Trial{}, err
	}
	cancel()
	running.Wait()
	fair()
	for range cap(ended) {
		err = errors.Join(err, <-ended)
	}
	if err != nil {
		return Trial{}, fmt.Errorf("the trial failed: %w", err)
	}
	clients.result(sky.Report())
	err = server.end()
	server = nil
	for _, e := range sqlite.Messages(context.WithoutCancel(ctx), dir, 1) {
		err = errors.Join(err, e)
		trial.Logged++
	}
	return trial, err
}

// wait waits until done is closed, or if that is nil, for a time.
func wait(ctx context.Context, done <-chan struct{}, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-done:
	case <-time.After(d):
		if done != nil {
			return fmt.Errorf("not all lines were stored and delivered within %v: is the weather too bad?", d)
		}
	}
	return nil
}

// clients are the writer and the reader of a trial.
type clients struct {
	trial  *Trial
	writer *relay.Writer
	reader *relay.Reader
	files  []*record.File
	half   chan struct{} // closed when half of the lines are written
	all    chan struct{} // closed when all are stored and delivered

	mu      sync.Mutex // guards the trial's fates and what follows
	written []time.Time
	stored  int
	came    int
}

// open opens both. They are to be closed.
func (t *Trial) open(server netip.AddrPort) (c *clients, err error) {
	c = &clients{trial: t, half: make(chan struct{}), all: make(chan struct{}), written: make([]time.Time, t.Lines)}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	var recorders [2]relay.Recorder
	if t.Record != "" {
		for i, role := range []string{"writer", "reader"} {
			file, err := record.Create(recording(t.Record, role))
			if err != nil {
				return nil, err
			}
			recorders[i] = file
			c.files = append(c.files, file)
		}
	}
	servers := []string{server.String()}
	if c.writer, err = relay.NewWriter(relay.WriterConfig{Servers: servers, Username: "ann", Record: recorders[0], OnEvent: c.tell}); err != nil {
		return nil, err
	}
	c.reader, err = relay.NewReader(relay.ReaderConfig{Servers: servers, Username: "bob", From: relay.FromStart, Record: recorders[1], OnEvent: c.tell})
	return c, err
}

func (c *clients) close() (err error) {
	if c.writer != nil {
		err = c.writer.Close()
	}
	if c.reader != nil {
		err = errors.Join(err, c.reader.Close())
	}
	for _, file := range c.files {
		err = errors.Join(err, file.Close())
	}
	return err
}

func text(i int) string { return fmt.Sprintf("line %d", i+1) }

// write writes all lines.
func (c *clients) write(ctx context.Context) error {
	for i := range c.trial.Lines {
		c.mu.Lock()
		c.written[i] = time.Now()
		c.mu.Unlock()
		if _, err := c.writer.Send(ctx, text(i)); err != nil {
			return err
		}
		if i == c.trial.Lines/2 {
			close(c.half)
		}
		if i == c.trial.Lines-1 {
			break
		}
		if err := wait(ctx, nil, c.trial.Interval); err != nil {
			return err
		}
	}
	return nil
}

// tell notes what has become of a line.
func (c *clients) tell(e relay.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.trial.Lines
	switch e := e.(type) {
	case relay.StoredEvent:
		c.trial.Fates[e.Number-1].Stored = time.Since(c.written[e.Number-1])
		c.stored++
	case relay.MessageEvent:
		if c.came == n || e.Text != text(c.came) {
			c.trial.Others++
			return
		}
		c.trial.Fates[c.came].Delivered = time.Since(c.written[c.came])
		c.came++
	default:
		return
	}
	if c.stored == n && c.came == n {
		close(c.all)
	}
}

// result notes what both have counted, once they have ended.
func (c *clients) result(sky weather.Report) {
	w, r := c.writer.Stats(), c.reader.Stats()
	t := c.trial
	t.Sent, t.Lost = sky.There.Received+sky.Back.Received, sky.There.Lost+sky.Back.Lost
	t.Again, t.Twice, t.Registered = w.Resent, r.Duplicates, w.Registered+r.Registered
}

// Table returns what has become of a trial as text.
func Table(t Trial) string {
	var b strings.Builder
	came := 0
	for _, f := range t.Fates {
		if f.Delivered > 0 {
			came++
		}
	}
	for _, row := range []struct {
		value any
		text  string
	}{
		{t.Lines, "lines were written"},
		{t.Lost, fmt.Sprintf("of %d datagrams were lost, in both directions together", t.Sent)},
		{t.Again, "lines were sent again by the writer"},
		{t.Twice, "datagrams brought the reader nothing new"},
		{t.Registered, "times a server took one of the two clients"},
		{t.Logged, "lines are in the log"},
		{came, "lines came to the reader"},
		{t.Others, "of those twice, or not in order"},
	} {
		fmt.Fprintf(&b, "%6d %s\n", row.value, row.text)
	}
	return b.String()
}

// Picture shows how long each line took until its writer heard that it is stored, and until the
// reader had it, one above the other and on one scale.
func Picture(t Trial) (chart.Picture, error) {
	if len(t.Fates) == 0 {
		return chart.Picture{}, chart.Nothing("no trial was made")
	}
	longest := 0.0 // ms
	for _, f := range t.Fates {
		longest = max(longest, milliseconds(f.Stored), milliseconds(f.Delivered))
	}
	stored := chart.Dots{Title: "until the writer knows that it is stored", X: "line", Y: "took (ms)", MinY: 100 * (math.Floor(longest/100) + 1)}
	delivered := stored
	delivered.Title = "until the reader has it"
	for i, f := range t.Fates {
		stored.Dots = append(stored.Dots, chart.Dot{X: float64(i + 1), Y: milliseconds(f.Stored), Color: chart.Accent})
		delivered.Dots = append(delivered.Dots, chart.Dot{X: float64(i + 1), Y: milliseconds(f.Delivered), Color: chart.Good})
	}
	return chart.Picture{
		Title:  fmt.Sprintf("How long each of %d lines took, %.0f ms at most: until it was known to be stored, and until the reader had it", len(t.Fates), longest),
		Legend: []chart.Word{{Text: "stored", Color: chart.Accent}, {Text: "delivered", Color: chart.Good}},
		Bands: []chart.Band{
			{Height: 170, Charts: []chart.Chart{stored}}, {Height: 170, Charts: []chart.Chart{delivered}},
		},
	}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
