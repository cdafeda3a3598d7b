// Package bench measures on the machine that it runs on, side by side, the receiver styles of
// package udpkit, the loops of the standard library that one writes first, C and Python; the ways
// to send a datagram to many, and C; the relay's server and NATS.
//
// Each receiver is a process of its own on a core of its own, and so is its sender; likewise a
// sender and its listeners, and a server and its clients, all on 127.0.0.1 only (and
// 127.255.255.255, its broadcast address). Rounds take turns: everything is measured once, then
// once more. A ratio is made of two figures of the same round, and the median of those is shown,
// since what else the machine does changes from minute to minute.
package bench

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
)

// ErrConfig is wrapped by the errors about a [Config].
var ErrConfig = udpkit.ErrConfig

// Defaults of [Config].
const (
	DefaultRounds = 5
	DefaultTime   = 500 * time.Millisecond
	DefaultIdle   = 10 * time.Second
)

// Config is for [Run]. All but Self may be zero.
type Config struct {
	// Rounds is how often everything is measured, 1 to 100. Default [DefaultRounds].
	Rounds int
	// Time is how long a receiver is measured at a time, 10 ms to 10 s; a sender is for a third of
	// it, a server for a quarter. Default [DefaultTime].
	Time time.Duration
	// Idle is for how long receivers to which nothing is sent are watched, 10 ms to 30 s. Default
	// [DefaultIdle].
	Idle time.Duration
	// Self is the command that calls [Subject] with the arguments that follow it. Required.
	Self []string
	// Only keeps the rows whose names contain one of these. Default all; those that others are
	// compared with are always there.
	Only []string
	// Progress is told what comes next, how much of the measurement is behind it, and how long all
	// of it takes, both as expected beforehand; 0 as long as nothing is known of that.
	Progress func(what string, done, all time.Duration)
}

func (cfg Config) withDefaults() (Config, error) {
	cfg.Rounds = cmp.Or(cfg.Rounds, DefaultRounds)
	cfg.Time = cmp.Or(cfg.Time, DefaultTime)
	cfg.Idle = cmp.Or(cfg.Idle, DefaultIdle)
	if cfg.Progress == nil {
		cfg.Progress = func(string, time.Duration, time.Duration) {}
	}
	switch {
	case cfg.Rounds < 1 || cfg.Rounds > 100:
		return cfg, fmt.Errorf("%w: %d rounds: from 1 to 100 are possible", ErrConfig, cfg.Rounds)
	case cfg.Time < 10*time.Millisecond || cfg.Time > 10*time.Second:
		return cfg, fmt.Errorf("%w: a time of %v: from 10ms to 10s is possible", ErrConfig, cfg.Time)
	case cfg.Idle < 10*time.Millisecond || cfg.Idle > 30*time.Second:
		return cfg, fmt.Errorf("%w: idle for %v: from 10ms to 30s is possible", ErrConfig, cfg.Idle)
	case len(cfg.Self) == 0:
		return cfg, fmt.Errorf("%w: Self is missing", ErrConfig)
	}
	for _, part := range cfg.Only {
		if !slices.ContainsFunc(Names(), func(name string) bool { return strings.Contains(name, part) }) {
			return cfg, fmt.Errorf("%w: nothing has %q in its name, as \"udpkit selector\" has", ErrConfig, part)
		}
	}
	return cfg, nil
}

// Names returns the names of the rows that [Config].Only chooses among. Some of them need a
// compiler, Python, nats-server or Linux.
func Names() []string {
	some := []string{""}
	var names []string
	for _, s := range subjects(some, some, some) {
		names = append(names, s.name)
	}
	for _, kind := range []string{kindList, kindBroadcast, kindRelay} {
		for _, s := range senders(kind, some, some) {
			names = append(names, s.name)
		}
	}
	for _, s := range fanSubjects() {
		names = append(names, s.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

//go:embed reference
var reference embed.FS

// warmUp is the most that a receiver runs before it is measured.
const warmUp = 200 * time.Millisecond

// subject is one row of the tables.
type subject struct {
	name, language string
	twin           string // the row that it is compared with
	command        []string
	modes          []mode
}

// mode is one measurement of a subject: its own mode, and the load's.
type mode struct{ subject, load string }

var (
	flooded    = mode{"receive", "flood"}
	backlogged = mode{"backlog", "flood"}
	paced      = mode{"receive", "pace"}
	echoed     = mode{"echo", "ping"}
	statused   = mode{"receive", "statuses"}
	signed     = mode{"receive", "signed"}
	sealed     = mode{"receive", "sealed"}
)

// Names of the rows that others are compared with.
const (
	cBlocking = "C recvfrom"
	cPolling  = "C non-blocking"
	cSelector = "C epoll"
	cGRO      = "C recvmmsg + GRO"
	ownClient = "udpkit client"
)

// subjects returns the rows; cc and python may be empty.
func subjects(self []string, cc, python []string) []subject {
	var all []subject
	add := func(name, language, twin string, command []string, args string, modes ...mode) {
		if len(command) > 0 {
			all = append(all, subject{name, language, twin, append(slices.Clone(command), args), modes})
		}
	}
	add(cBlocking, "C", cBlocking, cc, "recvfrom", flooded, paced, echoed)
	add(cPolling, "C", cBlocking, cc, "poll", flooded)
	if runtime.GOOS == "linux" {
		add(cSelector, "C", cBlocking, cc, "epoll", flooded, paced, echoed)
		add("C recvmmsg", "C", cBlocking, cc, "recvmmsg", flooded, paced, echoed)
		add(cGRO, "C", cBlocking, cc, "gro", flooded, backlogged)
		for _, how := range []string{"", ", untold"} {
			add("Go raw recvmmsg"+how, "Go", cBlocking, self, "raw recvmmsg"+how, flooded, paced, echoed)
			add("Go raw epoll"+how, "Go", cSelector, self, "raw epoll"+how, flooded, paced, echoed)
			add("Go raw recvmmsg + GRO"+how, "Go", cGRO, self, "raw gro"+how, flooded, backlogged)
		}
	}
	add("Go ReadFromUDPAddrPort", "Go", cBlocking, self, "ReadFromUDPAddrPort", flooded, paced, echoed)
	add("Go ReadFromUDP", "Go", cBlocking, self, "ReadFromUDP", flooded)
	add("Go deadline before each read", "Go", cBlocking, self, "SetReadDeadline", flooded)
	add("Go channel, datagram by datagram", "Go", cBlocking, self, "chan", flooded, paced, echoed)
	twins := map[udpkit.Style]string{udpkit.NonBlocking: cPolling, udpkit.SelectorStyle: cSelector}
	for _, style := range udpkit.Styles() {
		modes := []mode{flooded, paced, echoed}
		if style == udpkit.NonBlocking {
			modes = []mode{flooded, paced} // its round trip is the poll interval
		}
		add("udpkit "+string(style), "udpkit", cmp.Or(twins[style], cBlocking), self, string(style), modes...)
	}
	if runtime.GOOS == "linux" {
		for _, style := range udpkit.Styles() {
			modes := []mode{flooded, backlogged}
			if style == udpkit.Channel {
				modes = []mode{flooded} // its reader does not rest when the handler does, but drops
			}
			add("udpkit "+string(style)+" + GRO", "udpkit", cGRO, self, string(style)+"+GRO", modes...)
		}
	}
	add(ownClient, "udpkit", cGRO, self, "client", statused)
	add("udpkit client, signed", "udpkit", ownClient, self, "keyed client", signed)
	add("udpkit client, sealed", "udpkit", ownClient, self, "keyed client", sealed)
	for _, p := range []struct{ name, args string }{
		{"recvfrom", "recvfrom"}, {"non-blocking", "poll"}, {"selectors", "selectors"}, {"thread and queue", "thread"},
		{"asyncio", "asyncio"},
	} {
		modes := []mode{flooded, paced, echoed}
		if p.args == "poll" {
			modes = []mode{flooded, paced}
		}
		add("Python "+p.name, "Python", cBlocking, python, p.args, modes...)
	}
	return all
}

// Run measures. It takes about ten minutes with the defaults, uses the addresses of loopback only,
// and ends all the processes that it has started. If ctx ends before, it returns what has been
// measured until then, along with an error that wraps context.Cause(ctx). What cannot run on this
// machine is in [Report.Missing] and is no error.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "udpkit-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(dir)
	r := &runner{cfg: cfg, cores: cores(), failed: make(map[string]bool), report: newReport(cfg)}
	cc, ccSend, python := r.references(ctx, dir)
	r.subjects = subjects(cfg.Self, cc, python)
	r.prepareSending(ccSend)
	r.prepareFanOut(ctx, dir)
	if len(cfg.Only) > 0 {
		r.only()
	}
	if len(r.cores) < 2 {
		r.missing("a core of their own for receiver and sender", errors.New("this process cannot choose among two"))
	}
	r.planning = true
	_ = r.run(ctx) // what it would return comes again
	r.planning = false
	err = r.run(ctx)
	if ctx.Err() != nil {
		err = fmt.Errorf("interrupted, the figures are not complete: %w", context.Cause(ctx))
	}
	r.report.finish(r.subjects)
	return r.report, err
}

type runner struct {
	cfg      Config
	cores    []int // of receiver and sender; fewer than two: wherever the system likes
	subjects []subject
	senders  map[string][]senderSubject // by kind
	servers  []fanSubject
	nats     []string // the program
	dir      string   // for logs on disk
	dirs     int      // how many there are in it
	failed   map[string]bool
	report   *Report

	planning  bool
	done, all time.Duration // of the steps, as planned
}

// missing notes what is not measured, once.
func (r *runner) missing(what string, why error) {
	if !r.failed[what] {
		r.failed[what] = true
		r.report.Missing = append(r.report.Missing, Missing{what, why.Error()})
	}
}

// only drops the rows that nobody wants to see.
func (r *runner) only() {
	r.subjects = slices.DeleteFunc(r.subjects, func(s subject) bool {
		return !slices.Contains([]string{cBlocking, cPolling, cSelector, cGRO}, s.name) &&
			!r.wanted(s.name)
	})
}

func (r *runner) run(ctx context.Context) error {
	for round := range r.cfg.Rounds {
		for _, s := range r.subjects {
			for _, m := range s.modes {
				r.turn(ctx, round, fmt.Sprintf("%s, %s", s.name, m.load), min(warmUp, r.cfg.Time)+r.cfg.Time+beside,
					func() error { return r.measure(ctx, s, m, round) })
			}
		}
		r.sending(ctx, round)
		r.fanOut(ctx, round)
	}
	r.step(ctx, "a server with many clients", fmt.Sprintf("a server with %d clients", ackClients), ackMessages*time.Second+beside,
		func() error { return r.acks(ctx) })
	r.step(ctx, "idle", fmt.Sprintf("all at once, waiting for nothing for %v", r.cfg.Idle), settle+r.cfg.Idle+beside,
		func() error { return r.idle(ctx) })
	return ctx.Err()
}

// beside is about how long a step takes beside what it measures.
const beside = 300 * time.Millisecond

// turn is a step of a round.
func (r *runner) turn(ctx context.Context, round int, what string, takes time.Duration, measure func() error) {
	r.step(ctx, what, fmt.Sprintf("round %d of %d: %s", round+1, r.cfg.Rounds, what), takes, measure)
}

// step measures something, unless that has failed before, or ctx has ended. If the steps are only
// planned it adds up how long they take.
func (r *runner) step(ctx context.Context, what, next string, takes time.Duration, measure func() error) {
	if r.planning {
		r.all += takes
		return
	}
	if ctx.Err() == nil && !r.failed[what] {
		r.cfg.Progress(next, r.done, r.all)
		if err := measure(); err != nil && ctx.Err() == nil {
			r.missing(what, err)
		}
	}
	r.done += takes
}

// measure runs one receiver and its load.
func (r *runner) measure(ctx context.Context, s subject, m mode, round int) error {
	ctx, cancel := context.WithTimeout(ctx, patience+r.cfg.Time)
	defer cancel()
	args := []string{m.subject}
	if m.subject != "echo" {
		args = append(args, strconv.FormatInt(int64(min(warmUp, r.cfg.Time)), 10), strconv.FormatInt(int64(r.cfg.Time), 10))
	}
	receiver, err := r.start(ctx, 0, s.command, args...)
	if err != nil {
		return err
	}
	defer receiver.end()
	var at ready
	if err := receiver.result(&at); err != nil {
		return err
	}
	sender, err := r.start(ctx, 1, r.cfg.Self, "load", m.load, strconv.Itoa(int(at.Port)))
	if err != nil {
		return err
	}
	defer sender.end()
	if m == echoed {
		var trip RoundTrip
		err := sender.result(&trip)
		if err == nil {
			r.report.addRoundTrip(s.name, round, trip)
		}
		return err
	}
	go func() { // a load that fails says nothing, but ends
		_, _ = sender.out.ReadByte()
		cancel()
	}()
	var c count
	if err := receiver.result(&c); err != nil {
		return sender.explain(err)
	}
	r.report.add(s.name, m, round, c)
	return nil
}

// acks runs a server and its many clients.
func (r *runner) acks(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience+ackMessages*time.Second)
	defer cancel()
	sender, err := r.start(ctx, 1, r.cfg.Self, "load", "acks", "0")
	if err != nil {
		return err
	}
	defer sender.end()
	var at ready
	if err := sender.result(&at); err != nil {
		return err
	}
	server, err := r.start(ctx, 0, r.cfg.Self, "server", strconv.Itoa(int(at.Port)))
	if err != nil {
		return err
	}
	defer server.end()
	var result Acks
	if err := server.result(&result); err != nil {
		return sender.explain(err)
	}
	r.report.Acks = &result
	return nil
}

// idle watches receivers to which nothing is sent, all at the same time.
func (r *runner) idle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience+settle+r.cfg.Idle)
	defer cancel()
	type watched struct {
		name    string
		sockets int
		process *process
		cpu     time.Duration
		wakeUps int64
	}
	var all []*watched
	for _, s := range r.subjects {
		if strings.Contains(s.name, "client") || strings.Contains(s.name, "GRO") {
			continue
		}
		modes := []string{"idle"}
		if s.language == "udpkit" && s.name != "udpkit nonblocking" {
			modes = append(modes, "idle100")
		}
		for i, mode := range modes {
			p, err := r.start(ctx, 0, s.command, mode)
			if err != nil {
				return err
			}
			defer p.end()
			if err := p.result(new(ready)); err != nil {
				return err
			}
			all = append(all, &watched{name: s.name, sockets: []int{1, 100}[i], process: p})
		}
	}
	if !measure.Sleep(ctx, min(settle, r.cfg.Idle)) {
		return ctx.Err()
	}
	var err error
	for _, w := range all {
		if w.cpu, w.wakeUps, err = usage(w.process.cmd.Process.Pid); err != nil {
			return err
		}
	}
	if !measure.Sleep(ctx, r.cfg.Idle) {
		return ctx.Err()
	}
	for _, w := range all {
		cpu, wakeUps, err := usage(w.process.cmd.Process.Pid)
		if err != nil {
			return err
		}
		seconds := r.cfg.Idle.Seconds()
		r.report.addIdle(w.name, Idle{w.sockets, (cpu - w.cpu).Seconds() / seconds, float64(wakeUps-w.wakeUps) / seconds})
	}
	return nil
}
