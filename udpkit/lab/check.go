package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
)

const (
	checkClients  = 3
	checkMessages = 10
	checkInterval = 200 * time.Millisecond
	checkTimeout  = 5 * time.Minute // for all, once it is set up
	checkRuntime  = 2 * time.Minute // of a client that does not get all messages; the server's kernel may take long to start
)

// Check sets up what is missing and runs server.ipynb and three times client.ipynb headless, each
// in a kernel of its own, over loopback. It prints what each client received and acknowledged. It
// returns nil only if every client got every message and acknowledged it; else ErrIncomplete with
// what is missing.
func Check(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	env, err := setUp(ctx, cfg, false)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "udpkit-check-")
	if err != nil {
		return fmt.Errorf("lab: check: %w", err)
	}
	c := &check{env: env, dir: dir, messages: checkMessages, interval: checkInterval}
	end := step(cfg.Stdout, fmt.Sprintf("Running %s and %d of %s in %d kernels", serverNotebook, checkClients, clientNotebook, checkClients+1))
	err = c.run(ctx)
	end(err)
	if ctx.Err() != nil {
		return errors.Join(fmt.Errorf("lab: check: %w", ctx.Err()), os.RemoveAll(dir))
	}
	if err == nil || c.server.Sent != nil {
		reportErr := c.report(cfg.Stdout)
		err = errors.Join(err, reportErr)
	}
	if err != nil {
		return fmt.Errorf("%w: %w\nThe notebooks as they ended, their journals and logs are in %s", ErrIncomplete, err, dir)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("lab: check: remove temporary files: %w", err)
	}
	return nil
}

// check is one server and its clients.
type check struct {
	env      *Env
	dir      string
	messages int
	interval time.Duration
	server   journal
	clients  [checkClients]journal
}

// run runs the notebooks, the clients first, and reads their journals.
func (c *check) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	port, err := freeUDPPort()
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	failed := make(chan error, checkClients+1)
	var notebooks sync.WaitGroup
	start := func(notebook, name string) {
		notebooks.Go(func() {
			err := c.env.Execute(ctx, filepath.Join(c.env.Notebooks, notebook), filepath.Join(c.dir, name+".ipynb"),
				"UDPKIT_PORT="+strconv.Itoa(port),
				"UDPKIT_TARGET=127.255.255.255",
				"UDPKIT_INTERVAL="+c.interval.String(),
				"UDPKIT_MAX_MESSAGES="+strconv.Itoa(c.messages),
				"UDPKIT_MAX_RUNTIME="+checkRuntime.String(),
				"UDPKIT_HISTORY="+c.journal(name))
			if err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
				cancel() // the others would only wait for it
			}
		})
	}
	for i := range checkClients {
		start(clientNotebook, clientName(i))
	}
	err = c.waitForClients(ctx, failed)
	if err == nil {
		start(serverNotebook, "server")
	} else {
		cancel()
	}
	notebooks.Wait()
	close(failed)
	for notebookErr := range failed {
		// Those that were ended because another failed have nothing to say.
		if err == nil || !errors.Is(notebookErr, context.Canceled) {
			err = errors.Join(err, notebookErr)
		}
	}
	var readErr error
	if c.server, readErr = readJournal(c.journal("server")); readErr != nil && err == nil {
		err = readErr
	}
	for i := range c.clients {
		if c.clients[i], readErr = readJournal(c.journal(clientName(i))); readErr != nil && err == nil {
			err = readErr
		}
	}
	return err
}

// waitForClients returns when every client listens, or one has failed.
func (c *check) waitForClients(ctx context.Context, failed <-chan error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := ""
		for i := range checkClients {
			if j, err := readJournal(c.journal(clientName(i))); err != nil || j.ClientID == "" {
				missing = clientName(i)
			}
		}
		if missing == "" {
			return nil
		}
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("%s never listened: %w", missing, ctx.Err())
		case <-tick.C:
		}
	}
}

// report prints the table and returns what is missing in it.
func (c *check) report(w io.Writer) error {
	sent := len(c.server.Sent)
	var problems []error
	if sent != c.messages {
		problems = append(problems, fmt.Errorf("the server sent %d of %d messages", sent, c.messages))
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "\nclient\tid\treceived\tacknowledged")
	for i, client := range c.clients {
		received, acknowledged := 0, 0
		for id := range c.server.Sent {
			if client.Received[id] {
				received++
			}
			if c.server.Acknowledged[ack{client.ClientID, id}] {
				acknowledged++
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%d of %d\t%d of %d\n", clientName(i), printable(client.ClientID), received, sent, acknowledged, sent)
		if received != sent {
			problems = append(problems, fmt.Errorf("%s received %d of %d messages", clientName(i), received, sent))
		}
		if acknowledged != sent {
			problems = append(problems, fmt.Errorf("the server knows %d of %d acknowledgements of %s", acknowledged, sent, clientName(i)))
		}
	}
	fmt.Fprintln(table)
	if err := table.Flush(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func (c *check) journal(name string) string { return filepath.Join(c.dir, name+".jsonl") }

func clientName(i int) string { return fmt.Sprintf("client-%d", i+1) }

// journal is what the check wants to know from a server's or client's JSON lines.
type journal struct {
	ClientID     string
	Sent         map[uint64]bool
	Received     map[uint64]bool
	Acknowledged map[ack]bool
}

type ack struct {
	client  string
	message uint64
}

// readJournal reads what has been written so far.
func readJournal(path string) (journal, error) {
	j := journal{Received: map[uint64]bool{}, Acknowledged: map[ack]bool{}}
	data, err := os.ReadFile(path)
	if err != nil {
		return j, fmt.Errorf("read the journal: %w", err)
	}
	data = data[:bytes.LastIndexByte(data, '\n')+1] // the last line may be half written
	for e, err := range udpkit.ReadJournal(bytes.NewReader(data)) {
		switch e := e.(type) {
		case nil:
			return j, fmt.Errorf("read the journal %s: %w", path, err)
		case udpkit.StartEvent:
			j.ClientID = e.ClientID
		case udpkit.MessageEvent:
			j.Received[e.MessageID] = true
		case udpkit.SentEvent:
			if j.Sent == nil {
				j.Sent = map[uint64]bool{}
			}
			j.Sent[e.MessageID] = true
		case udpkit.AckEvent:
			j.Acknowledged[ack{e.ClientID, e.MessageID}] = true
		}
	}
	return j, nil
}

func freeUDPPort() (int, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port, nil
}
