package referee

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
)

// The sides of the relay's clients.
const (
	Reader Side = "reader"
	Writer Side = "writer"
)

var relayRules = []Rule{
	{"delivers", "Each line comes to the reader, whatever the network loses."},
	{"once", "None comes twice."},
	{"order", "They come in the order in which they were written."},
	{"restart", "The same holds after the other side has begun anew."},
	{"forged", "The same holds after what strangers send to the server."},
}

var relayScripts = []script{
	{system: "relay", side: Reader, port: relay.DefaultPort, rules: relayRules, play: relayReader, shows: "a line shows what was written if it has its word"},
	{system: "relay", side: Writer, port: relay.DefaultPort, rules: relayRules, play: relayWriter, shows: "nothing is looked for"},
	{system: "relay", side: Server, port: relay.DefaultPort, rules: relayRules, play: relayServer, shows: "nothing is looked for"},
}

// part is a part of the relay that the referee plays.
type part interface {
	Run(context.Context) error
	Close() error
}

// play runs a part until it is stopped, or the round is over.
func (t *trial) play(p part) (stop func() error) {
	ctx, cancel := context.WithCancel(t.ctx)
	ended := make(chan error, 1)
	t.running.Go(func() { ended <- p.Run(ctx) })
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return errors.Join(<-ended, p.Close())
	}
	t.ends = append(t.ends, stop)
	return stop
}

// forward has the network between an address and the one that all goes to.
func (t *trial) forward(at, to netip.AddrPort) (*weather.Forwarder, error) {
	settings := t.cfg.Weather
	settings.Partition = 0
	f, err := bind(at, func() (*weather.Forwarder, error) {
		return weather.New(weather.Config{Listen: at, To: to, Seed: t.seed, Settings: settings})
	})
	if err != nil {
		return nil, err
	}
	t.play(f)
	t.network = f
	return f, nil
}

// came judges what has come of the lines, out of all that came, in order. It waits until all are
// there.
func (t *trial) came(rule string, words []string, lines func() []string) error {
	count := func(word string) (n, at int) { // for t.mu held
		at = -1
		for i, l := range lines() {
			if has(l, word) {
				if n++; n == 1 {
					at = i
				}
			}
		}
		return n, at
	}
	patience := 4 * t.cfg.Patience // where much is lost, much is sent again, after longer and longer pauses
	_, err := t.await(patience, "", func() bool {
		for _, word := range words {
			if n, _ := count(word); n == 0 {
				return false
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	t.mu.Lock()
	type finding struct{ n, at int }
	found := make([]finding, len(words))
	for i, word := range words {
		found[i].n, found[i].at = count(word)
	}
	t.mu.Unlock()
	last := -1
	for i, f := range found {
		switch {
		case f.n == 0:
			t.find(rule, "line %d of %d, %q, did not come, %v later", i+1, len(words), words[i], patience)
		case f.n > 1:
			t.find("once", "line %d of %d, %q, came %s", i+1, len(words), words[i], times(f.n))
		case f.at < last:
			t.find("order", "line %d of %d, %q, came before an earlier one", i+1, len(words), words[i])
		}
		last = max(last, f.at)
	}
	if t.found() {
		return errOver
	}
	return nil
}

// printed returns the program's lines. It is for t.mu held.
func (t *trial) printed() (all []string) {
	for _, l := range t.lines() {
		all = append(all, l.text)
	}
	return all
}

// deliver writes lines and judges what comes of them, in the parts of a round, of which each begins
// with what the program has to bear. The server is the one that strangers send to.
func (t *trial) deliver(network *weather.Forwarder, server netip.AddrPort, write func(line string) error, lines func() []string, restart func() error) error {
	all := []string{t.word("line")}
	if err := write(all[0]); err != nil {
		return err
	}
	missing := fmt.Sprintf("the line %q, which was written, does not come", all[0])
	if err := t.starts(missing, "the first line was written", func() bool {
		return slices.ContainsFunc(lines(), func(l string) bool { return has(l, all[0]) })
	}); err != nil {
		return err
	}
	for _, part := range []struct {
		rule  string
		has   bool
		begin func() error
	}{
		{"delivers", true, func() error { return nil }},
		{"delivers", t.cfg.Weather.Partition > 0, func() error { return network.Set(t.cfg.Weather) }},
		{"forged", t.cfg.Forge, func() error { return t.garbage(server) }},
		{"restart", t.cfg.Restart, restart},
	} {
		if !part.has {
			continue
		}
		if err := part.begin(); err != nil {
			return err
		}
		for range statuses {
			line := t.word("line")
			if err := write(line); err != nil {
				return err
			}
			all = append(all, line)
		}
		if err := t.came(part.rule, all, lines); err != nil {
			return err
		}
	}
	return t.finish()
}

// garbage sends what no part of the relay understands.
func (t *trial) garbage(to netip.AddrPort) error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, payload := range []string{"\xff\xfe\x00", "", "ur", "ur\x01\x0d", "ur\x01\x0b12345678", "ur\x02\x01" + strings.Repeat("x", 92), strings.Repeat("x", 9000)} {
		_, _ = conn.WriteToUDPAddrPort([]byte(payload), to)
		if err := t.pause(pace / 10); err != nil {
			return err
		}
	}
	return nil
}

// relay starts a server of the referee's, with a log that outlives it.
func (t *trial) relay(at netip.AddrPort, log relay.Log) (*relay.Server, func() error, error) {
	if at.Port() == 0 { // not one that somebody else is given between two servers
		port, err := freePort(false)
		if err != nil {
			return nil, nil, err
		}
		at = netip.AddrPortFrom(at.Addr(), port)
	}
	server, err := bind(at, func() (*relay.Server, error) {
		return relay.NewServer(relay.ServerConfig{Listen: at, Log: log, Record: t})
	})
	if err != nil {
		return nil, nil, err
	}
	return server, t.play(server), nil
}

// relayed starts a server that has the network before it. It returns the network, where the server
// is, and what ends it and begins it anew.
func (t *trial) relayed() (network *weather.Forwarder, at netip.AddrPort, restart func() error, err error) {
	log := relay.NewMemory(0)
	server, stop, err := t.relay(netip.MustParseAddrPort("127.0.0.1:0"), log)
	if err != nil {
		return nil, at, nil, err
	}
	at = server.Addr()
	network, err = t.forward(t.place, at)
	return network, at, func() error {
		if err := stop(); err != nil {
			return err
		}
		_, stop, err = t.relay(at, log)
		return err
	}, err
}

// relayReader plays the server, the network and a writer.
func relayReader(t *trial) error {
	network, at, restart, err := t.relayed()
	if err != nil {
		return err
	}
	writer, err := relay.NewWriter(relay.WriterConfig{Servers: []string{at.String()}, Username: "referee"})
	if err != nil {
		return err
	}
	t.play(writer)
	if err := t.start(); err != nil {
		return err
	}
	return t.deliver(network, at, t.writes(writer), t.printed, restart)
}

// writes returns what writes a line with a writer.
func (t *trial) writes(w *relay.Writer) func(line string) error {
	return func(line string) error {
		_, err := w.Send(t.ctx, line)
		return err
	}
}

// relayWriter plays the server, the network and a reader, and types.
func relayWriter(t *trial) error {
	network, at, restart, err := t.relayed()
	if err != nil {
		return err
	}
	read, err := t.reader(at)
	if err != nil {
		return err
	}
	if err := t.start(); err != nil {
		return err
	}
	return t.deliver(network, at, func(line string) error {
		t.program.say(line)
		return nil
	}, read, restart)
}

// reader plays a reader, and returns what tells the lines that it has got, for t.mu held.
func (t *trial) reader(at netip.AddrPort) (lines func() []string, err error) {
	var read []string // guarded by t.mu
	r, err := relay.NewReader(relay.ReaderConfig{Servers: []string{at.String()}, Username: "referee", From: relay.FromStart, OnEvent: func(e relay.Event) {
		if m, ok := e.(relay.MessageEvent); ok {
			t.note(func() { read = append(read, m.Text) })
		}
	}})
	if err != nil {
		return nil, err
	}
	t.play(r)
	return func() []string { return read }, nil
}

// relayServer plays a writer and a reader, and the network.
func relayServer(t *trial) error {
	network, err := t.forward(netip.MustParseAddrPort("127.0.0.1:0"), t.place)
	if err != nil {
		return err
	}
	if err := t.start(); err != nil {
		return err
	}
	read, err := t.reader(network.Addr())
	if err != nil {
		return err
	}
	var writer *relay.Writer
	var stop func() error
	begin := func() (err error) {
		if writer, err = relay.NewWriter(relay.WriterConfig{Servers: []string{network.Addr().String()}, Username: "referee", Record: t}); err == nil {
			stop = t.play(writer)
		}
		return err
	}
	if err := begin(); err != nil {
		return err
	}
	return t.deliver(network, t.place, func(line string) error { return t.writes(writer)(line) }, read, func() error {
		ctx, cancel := context.WithTimeout(t.ctx, 4*t.cfg.Patience)
		defer cancel()
		if err := writer.Flush(ctx); errors.Is(err, context.DeadlineExceeded) {
			t.find("delivers", "the writer is not told that all its lines are stored, %v later", 4*t.cfg.Patience)
			return errOver
		} else if err != nil {
			return err
		}
		if err := stop(); err != nil {
			return err
		}
		return begin()
	})
}
