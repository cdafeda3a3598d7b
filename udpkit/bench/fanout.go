package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
	"github.com/gonb-labs/udp-notebooks/udpkit/relay/store/sqlite"
)

const (
	// textSize is that of a message's text in bytes, as long as a datagram of the other tables.
	textSize = 120
	// relayPace is what a reader may be sent in a second, in bytes: the server is measured, and not
	// its default.
	relayPace = 1 << 30
)

// inFlight is how many messages are under way at a time: published, and not yet at all readers.
var inFlight = []int{1, 8, 64, 256}

// readers is to how many messages go.
var readers = []int{8, 64, 256}

// FanOut is what was measured of one server that sends each message of a writer to all readers.
type FanOut struct {
	Deliveries
	// Readers is how many there are. With none, messages are counted as they are stored.
	Readers int `json:"readers"`
	// InFlight is how many messages are under way at a time: the next is written when all readers
	// have the one that is this number before it, or, if there are no readers, when that one is
	// stored.
	InFlight int `json:"in_flight"`
}

// fanSubject is a server that sends to many.
type fanSubject struct {
	name, twin string
	server     string // what Subject runs
	protocol   string // of its load
	readers    []int
}

// Names of the rows that others are compared with.
const (
	natsCore   = "NATS core"
	jetStream  = "NATS JetStream, stored"
	storeAlone = "the store alone"
)

func fanSubjects() []fanSubject {
	return []fanSubject{
		{natsCore, natsCore, "nats", "nats", readers},
		{jetStream, natsCore, "jetstream", "jetstream", readers},
		{"udpkit relay, unstored", natsCore, "relay", "relay", readers},
		{"udpkit relay, stored", natsCore, "store", "relay", readers},
		{storeAlone, storeAlone, "append", "", []int{0}},
		{"udpkit relay, stored", storeAlone, "store", "relay", []int{0}},
		{jetStream, storeAlone, "jetstream", "jetstream", []int{0}},
	}
}

// fanned is what the load of a server, or a store alone, has measured at one window.
type fanned struct {
	InFlight   int           `json:"in_flight"`
	Deliveries int64         `json:"deliveries"`
	Elapsed    time.Duration `json:"elapsed_ns"`
	CPU        time.Duration `json:"cpu_ns"`
}

// serve is the subject that is a server, until ctx ends. dir is for a log on disk.
func serve(ctx context.Context, kind, dir string, out io.Writer) error {
	switch kind {
	case "relay":
		return serveRelay(ctx, relay.NewMemory(0), out)
	case "store":
		log, err := sqlite.Open(ctx, sqlite.Config{Dir: dir})
		if err != nil {
			return err
		}
		defer log.Close()
		return serveRelay(ctx, log, out)
	}
	return fmt.Errorf("there is no server %q", kind)
}

func serveRelay(ctx context.Context, log relay.Log, out io.Writer) error {
	s, err := relay.NewServer(relay.ServerConfig{Listen: loopback, Log: log, Pace: relayPace})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := announce(out, s.Addr()); err != nil {
		return err
	}
	return s.Run(ctx)
}

// appendAlone measures the store without a relay, with windows of messages appended at a time.
func appendAlone(ctx context.Context, dir string, warmUp, duration time.Duration, windows []int64, out io.Writer) error {
	log, err := sqlite.Open(ctx, sqlite.Config{Dir: dir})
	if err != nil {
		return err
	}
	defer log.Close()
	run, text := relay.NewID(), strings.Repeat(".", textSize)
	number := uint64(0)
	for _, n := range windows {
		records := make([]relay.Record, n)
		again := func(until time.Duration) (int64, error) {
			begun, before := time.Now(), number
			for time.Since(begun) < until {
				for i := range records {
					number++
					records[i] = relay.Record{Run: run, Number: number, Username: "writer", Text: text, At: time.Now()}
				}
				if _, err := log.Append(ctx, records); err != nil {
					return 0, err
				}
			}
			return int64(number - before), nil
		}
		if _, err := again(warmUp); err != nil {
			return err
		}
		before := now(0)
		stored, err := again(duration)
		if err != nil {
			return err
		}
		used := now(stored).since(before)
		f := fanned{int(n), stored, time.Duration(used.Elapsed), time.Duration(used.CPU)}
		if err := json.NewEncoder(out).Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// prepareFanOut decides which servers are measured.
func (r *runner) prepareFanOut(ctx context.Context, dir string) {
	if runtime.GOOS != "linux" {
		r.missing("servers that send to many", errLinux)
		return
	}
	r.dir = dir
	all := fanSubjects()
	own := func(s fanSubject) bool { return s.name != s.twin && r.wanted(s.name) }
	for _, s := range all {
		if r.wanted(s.name) || slices.ContainsFunc(all, func(other fanSubject) bool { return own(other) && other.twin == s.name }) {
			r.servers = append(r.servers, s)
		}
	}
	isNATS := func(s fanSubject) bool { return s.name == natsCore || s.name == jetStream }
	if slices.ContainsFunc(r.servers, isNATS) && !r.findNATS(ctx) {
		r.servers = slices.DeleteFunc(r.servers, isNATS)
	}
}

// fanOut measures each server, once.
func (r *runner) fanOut(ctx context.Context, round int) {
	for _, n := range append(slices.Clone(readers), 0) {
		for _, s := range r.servers {
			if slices.Contains(s.readers, n) {
				r.turn(ctx, round, fmt.Sprintf("%s, %d readers", s.name, n), time.Duration(len(inFlight))*r.cfg.Time*3/10+beside,
					func() error { return r.fan(ctx, s, n, round) })
			}
		}
	}
}

// fan measures one server with n readers.
func (r *runner) fan(ctx context.Context, s fanSubject, n, round int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience+time.Duration(len(inFlight))*r.cfg.Time)
	defer cancel()
	r.dirs++
	dir := filepath.Join(r.dir, "log"+strconv.Itoa(r.dirs))
	args := []string{strconv.FormatInt(int64(r.cfg.Time/20), 10), strconv.FormatInt(int64(r.cfg.Time/4), 10)}
	for _, window := range inFlight {
		args = append(args, strconv.Itoa(window))
	}
	var load *process
	if s.protocol == "" {
		alone, err := r.start(ctx, 0, r.cfg.Self, append([]string{"append", dir}, args...)...)
		if err != nil {
			return err
		}
		defer alone.end()
		load = alone
	} else {
		server, at, err := r.serve(ctx, s.server, dir)
		if err != nil {
			return err
		}
		defer server.end()
		args = append([]string{"fanout", s.protocol, strconv.Itoa(int(at.Port)), strconv.Itoa(server.cmd.Process.Pid), strconv.Itoa(n)}, args...)
		if load, err = r.start(ctx, 1, r.cfg.Self, args...); err != nil {
			return err
		}
		defer load.end()
	}
	for range inFlight {
		var f fanned
		if err := load.result(&f); err != nil {
			return err
		}
		r.report.addFanOut(s, n, round, f)
	}
	return nil
}

// serve starts a server, and returns it when it is ready. dir is its own.
func (r *runner) serve(ctx context.Context, kind, dir string) (server *process, at ready, err error) {
	if kind == "nats" || kind == "jetstream" {
		return r.serveNATS(ctx, dir, kind == "jetstream")
	}
	if server, err = r.start(ctx, 0, r.cfg.Self, "serve", kind, dir); err != nil {
		return nil, at, err
	}
	return server, at, server.result(&at)
}

func (r *Report) addFanOut(s fanSubject, readers, round int, f fanned) {
	i := slices.IndexFunc(r.FanOut, func(row *FanOut) bool {
		return row.Name == s.name && row.Readers == readers && row.InFlight == f.InFlight
	})
	if i < 0 {
		i = len(r.FanOut)
		r.FanOut = append(r.FanOut, &FanOut{
			Deliveries: Deliveries{Name: s.name, Twin: s.twin, table: strconv.Itoa(readers), column: f.InFlight},
			Readers:    readers, InFlight: f.InFlight,
		})
	}
	row := r.FanOut[i]
	row.Rate.add(round, float64(f.Deliveries)/f.Elapsed.Seconds())
	row.CPU.add(round, float64(f.CPU)/max(1, float64(f.Deliveries)))
}

func (r *Report) fanOutTables(b *strings.Builder) {
	for _, n := range append(slices.Clone(readers), 0) {
		title := fmt.Sprintf("Messages of %d bytes to %d readers, deliveries/s by how many messages are under way (x: beside %s)", textSize, n, natsCore)
		if n == 0 {
			title = fmt.Sprintf("Messages of %d bytes stored/s, by how many are under way (x: beside %s)", textSize, storeAlone)
		}
		table(b, title, r.deliveryTable(strconv.Itoa(n), "server", "%d", inFlight))
	}
}
