package referee

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/group"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
	"github.com/gonb-labs/udp-notebooks/udpkit/record"
	"github.com/gonb-labs/udp-notebooks/udpkit/sequence"
	"github.com/gonb-labs/udp-notebooks/udpkit/weather"
)

// The bounds of a round's log.
const (
	maxDatagrams = 20_000
	maxBytes     = 64 << 20
)

// statuses is how many a server sends in each part of a round.
const statuses = 20

// pace is the time between two statuses, if the first is not acknowledged sooner.
const pace = 100 * time.Millisecond

// The rules of all systems.
const (
	ruleStarts = "starts"
	ruleStays  = "stays"
	ruleEnds   = "ends"
	ruleBounds = "bounds"
)

var common = []Rule{
	{ruleStarts, fmt.Sprintf("It answers, sends or shows something within %v.", StartUp)},
	{ruleStays, "It does not end before it is told to, whatever it receives."},
	{ruleEnds, "It ends when it is interrupted (SIGINT, as by Ctrl-C), where the system has that."},
	{ruleBounds, fmt.Sprintf("With the other side it exchanges no more than %d datagrams, and %d MiB, and it prints no more than %d lines.", maxDatagrams, maxBytes>>20, maxLines)},
}

// datagram is one that the other side has sent or received. Over TCP it is a piece of a stream.
type datagram struct {
	number   int // in the recording, from 1
	at       time.Duration
	socket   *socket
	from, to netip.AddrPort
	sent     bool
	lost     bool // by the network
	late     bool // overtaken, or the second copy
	payload  []byte
	tcp      *service.Segment // of what is a piece of a stream
}

// trial is one round: the program, the log of what it sent, received and printed, and what was
// found.
type trial struct {
	ctx    context.Context
	cfg    Config
	script script
	seed   uint64
	began  time.Time
	end    context.CancelFunc
	place  netip.AddrPort // of the program, or of the other side
	listen uint16         // where a program listens that is told the other side's place
	dice   *rand.Rand     // of the script

	program *program

	mu       sync.Mutex
	news     chan struct{} // closed when something is new
	log      []datagram
	bytes    int // in the log
	findings []Finding
	over     error           // why the round cannot go on
	held     []time.Duration // when this process went on that had been kept from running
	parted   bool
	pending  int // datagrams that are on the way
	sockets  []*socket
	conns    []*net.TCPConn
	words    int                // that were made, of the script
	network  *weather.Forwarder // of the script: what is lost there is not in the log
	ends     []func() error     // of what plays on, of the script
	running  sync.WaitGroup
}

func newTrial(ctx context.Context, cfg Config, s script, seed uint64) *trial {
	t := &trial{cfg: cfg, script: s, seed: seed, began: time.Now(), news: make(chan struct{}), dice: rand.New(rand.NewPCG(seed, 0))}
	t.ctx, t.end = context.WithCancel(ctx)
	return t
}

// run plays the round.
func (t *trial) run() (err error) {
	defer func() {
		t.end()
		if t.program != nil {
			t.program.kill()
		}
		for _, end := range slices.Backward(t.ends) {
			err = errors.Join(err, end())
		}
		for _, s := range t.sockets {
			err = errors.Join(err, s.close())
		}
		t.mu.Lock()
		for _, c := range t.conns {
			_ = c.Close() // most are closed
		}
		t.mu.Unlock()
		t.running.Wait()
	}()
	if t.place, t.listen, err = t.cfg.place(t.script); err != nil {
		return err
	}
	t.running.Go(t.watch)
	err = t.script.play(t)
	if errors.Is(err, errOver) { // the rest of the script makes no sense: see the findings
		return nil
	}
	return err
}

// hold is how long this process may be kept from running and is yet in time with a reply.
const hold = 250 * time.Millisecond

// watch notes when this process was kept from running: the program is not to blame for what came
// late of that.
func (t *trial) watch() {
	ticks := time.NewTicker(hold / 4)
	defer ticks.Stop()
	for last := t.now(); ; {
		select {
		case <-ticks.C:
		case <-t.ctx.Done():
			return
		}
		now := t.now()
		if now-last > hold {
			t.note(func() { t.held = append(t.held, now) })
		}
		last = now
	}
}

// errOver ends a script: what has been found keeps it from going on.
var errOver = errors.New("the round is over")

// now is the time since the round began.
func (t *trial) now() time.Duration { return time.Since(t.began) }

// note changes the log, and tells who waits.
func (t *trial) note(change func()) {
	t.mu.Lock()
	change()
	t.mu.Unlock()
	t.changed()
}

func (t *trial) changed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.news)
	t.news = make(chan struct{})
}

// tooMuch ends the round. It is for mu held.
func (t *trial) tooMuch(what string) {
	if t.over == nil {
		t.over = errOver
		t.findings = append(t.findings, Finding{ruleBounds, what})
	}
}

// find notes that a rule was broken, once.
func (t *trial) find(rule, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.findings {
		if f.Rule == rule {
			return
		}
	}
	t.findings = append(t.findings, Finding{rule, fmt.Sprintf(format, args...)})
}

// found reports whether a rule was broken.
func (t *trial) found() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.findings) > 0
}

// wait waits until something is so, and reports whether it is. It returns earlier, with an error,
// if the round cannot go on, and without one when the program has ended or the patience is over.
func (t *trial) wait(patience time.Duration, so func() bool) (bool, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		t.mu.Lock()
		is, over, news := so(), t.over, t.news
		t.mu.Unlock()
		switch {
		case t.ctx.Err() != nil:
			return false, context.Cause(t.ctx)
		case over != nil:
			return false, over
		case is:
			return true, nil
		case t.program != nil && !t.program.running():
			t.mu.Lock()
			defer t.mu.Unlock()
			return so(), nil
		}
		select {
		case <-news:
		case <-t.ctx.Done():
		case <-timer.C:
			t.mu.Lock()
			defer t.mu.Unlock()
			return so(), nil
		}
	}
}

// await waits as wait does, for what a program does that has not ended by then. What has happened
// before is for the sentence if it has.
func (t *trial) await(patience time.Duration, before string, so func() bool) (is bool, err error) {
	if is, err = t.wait(patience, so); err == nil {
		err = t.stays(before)
	}
	return is, err
}

// settle waits until nothing is missing any more. What must come has Patience since something last
// came, so that a program that works long on each of many things passes.
func (t *trial) settle(missing func() int) error {
	for left := math.MaxInt; ; {
		t.mu.Lock()
		left = min(left, missing())
		t.mu.Unlock()
		if left == 0 {
			return t.stays("")
		}
		if fewer, err := t.await(t.cfg.Patience, "", func() bool { return missing() < left }); err != nil || !fewer {
			return err
		}
	}
}

// starts waits until the program does something for the first time, and ends the script if it does
// not: what is missing is a sentence.
func (t *trial) starts(missing, before string, so func() bool) error {
	is, err := t.await(StartUp, before, so)
	if err == nil && !is {
		t.find(ruleStarts, "%s, for %v", missing, StartUp)
		return errOver
	}
	return err
}

// pause waits for a while, or until the round cannot go on.
func (t *trial) pause(d time.Duration) error {
	_, err := t.wait(d, func() bool { return false })
	return err
}

// lines returns what the program has printed. It is for mu held.
func (t *trial) lines() []line { return t.program.lines }

// stays notes if the program has ended too early, and then ends the script.
func (t *trial) stays(after string) error {
	if t.program.running() {
		return nil
	}
	text := t.program.how()
	if after != "" {
		text += ", after " + after
	}
	if last := t.program.tail(1); len(last) > 0 {
		text += fmt.Sprintf("; its last line is %q", last[0])
	}
	t.find(ruleStays, "%s", text)
	return errOver
}

// finish notes if the program has ended too early, and interrupts it.
func (t *trial) finish() error {
	if err := t.stays(""); err != nil {
		return err
	}
	t.interrupt()
	return nil
}

// interrupt interrupts the program, which may have ended.
func (t *trial) interrupt() {
	if group.CanInterrupt && !t.program.interrupt(t.ctx, t.cfg.Patience) && t.ctx.Err() == nil {
		t.find(ruleEnds, "it was interrupted (SIGINT) and runs on, %v later", t.cfg.Patience)
	}
}

// round returns its figures.
func (t *trial) round() Round {
	r := Round{Seed: t.seed, Findings: t.findings, Took: t.now(), Lines: len(t.program.lines)}
	for _, d := range t.log {
		switch {
		case d.sent:
			r.Sent++
		default:
			r.Received++
		}
		if d.lost {
			r.Lost++
		}
	}
	if t.network != nil {
		report := t.network.Report()
		r.Lost += int(report.There.Lost + report.Back.Lost)
	}
	return r
}

// keep writes the recording and the timeline of the round.
func (t *trial) keep(dir string) (recording, timeline string, err error) {
	name := filepath.Join(dir, fmt.Sprintf("referee-%s-%s-seed%d.pcapng", t.cfg.System, t.cfg.Side, t.seed))
	file, err := record.Create(name)
	if err != nil {
		return "", "", err
	}
	for _, d := range t.log {
		r := service.Recorded{At: t.began.Add(d.at), From: d.from, To: d.to, Sent: d.sent, Payload: d.payload, TCP: d.tcp}
		if d.lost {
			r.Verdict = sequence.Lost
		}
		file.Record(r)
	}
	if err := file.Close(); err != nil {
		return "", "", err
	}
	timeline = strings.TrimSuffix(file.Name(), ".pcapng") + ".html"
	page, err := os.OpenFile(timeline, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return file.Name(), "", err
	}
	return file.Name(), timeline, errors.Join(sequence.Write(page, file.Name()), page.Close())
}

// lastPort is the last one that freePort has returned, in all rounds of this process.
var lastPort atomic.Uint32

func init() { lastPort.Store(rand.Uint32N(20_000)) }

// freePort returns a port that nobody uses at the moment, out of those that systems give to nobody
// who asks for any.
func freePort(tcp bool) (port uint16, err error) {
	for range 100 {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 10_000+uint16(lastPort.Add(1)%20_000))
		var c io.Closer
		if tcp {
			c, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
		} else {
			c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		}
		if err == nil {
			return at.Port(), c.Close()
		}
	}
	return 0, err
}

// has reports whether a line has a word, which is not a part of another word or number.
func has(text, word string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(word):])
		if !joins(before) && !joins(after) {
			return true
		}
		from = i + 1
	}
}

func joins(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

// seconds says when something was.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) + " s" }

func times(n int) string {
	if n == 1 || n == 2 {
		return [...]string{"once", "twice"}[n-1]
	}
	return strconv.Itoa(n) + " times"
}

// partition has the network lose all for a while.
func (t *trial) partition() error {
	if t.cfg.Weather.Partition == 0 {
		return nil
	}
	t.note(func() { t.parted = true })
	err := t.pause(t.cfg.Weather.Partition)
	t.note(func() { t.parted = false })
	return err
}

// received returns how many datagrams a socket has received. It is for t.mu held.
func (t *trial) received(s *socket) (n int) {
	for _, d := range t.log {
		if !d.sent && d.socket == s {
			n++
		}
	}
	return n
}

// shows returns the first line that has a word and was printed later than a time. It is for t.mu
// held.
func (t *trial) shows(word string, after time.Duration) bool {
	for _, l := range t.lines() {
		if l.at >= after && has(l.text, word) {
			return true
		}
	}
	return false
}
