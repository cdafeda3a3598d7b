package relaying

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

const (
	// patience is how long an acknowledgement may take, sent again and again, and the end of the
	// server.
	patience = 2 * time.Second
	// again is how long a line waits for its acknowledgement until it is sent again.
	again = 100 * time.Millisecond
	// quiet is for how long nothing may come where nothing is to come.
	quiet = 150 * time.Millisecond
)

// CheckServe checks the second exercise: a server that stores each line once and in order, and
// acknowledges what is stored, and nothing else: "STORED run number", to whoever sent the line. It
// goes on when the log fails, and after a restart with the same log; it returns when its socket is
// closed.
func CheckServe(ctx context.Context, serve func(conn net.PacketConn, log Log) error) error {
	missing, err := checkServe(ctx, serve)
	return exercise.Report(ctx, missing, err)
}

// wrong is what an answer lacks, as an error.
type wrong string

func (w wrong) Error() string { return string(w) }

func checkServe(ctx context.Context, serve func(net.PacketConn, Log) error) (missing string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := &trying{ctx: ctx, serve: serve, log: &tape{last: make(map[string]uint64), ctx: ctx}}
	defer t.close()
	for _, step := range []func() error{t.begin, t.first, t.waits, t.twice, t.two, t.early, t.full, t.garbage, t.spaces, t.killed, t.end} {
		err := step()
		if said := t.log.complaint(); err == nil && said != "" || said != "" && errors.As(err, new(wrong)) {
			err = wrong(said) // it explains the rest
		}
		var w wrong
		switch {
		case ctx.Err() != nil:
			return "", nil
		case errors.As(err, &w):
			return string(w), nil
		case err != nil:
			return "", err
		}
	}
	return "", nil
}

// tape is a log that can be told to be slow, to fail, and to be the last that a server does.
type tape struct {
	ctx context.Context

	mu    sync.Mutex
	last  map[string]uint64
	lines []Line
	said  string        // what was wrong with a call, the first time
	gate  chan struct{} // not nil: Append waits until it is closed
	fail  error         // not nil: Append stores nothing
	kill  func()        // not nil: called when a line is stored
	calls int
}

func (l *tape) Last(run string) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[run]
}

func (l *tape) Append(line Line) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if gate := l.gate; gate != nil {
		l.mu.Unlock()
		select {
		case <-gate:
		case <-l.ctx.Done():
		}
		l.mu.Lock()
	}
	switch last := l.last[line.Run]; {
	case l.fail != nil:
		return l.fail
	case line.Number <= last && line.Number > 0:
		l.complain("line %d of a run came again, and was stored a second time: Last tells what is stored", line.Number)
	case line.Number != last+1:
		l.complain("line %d of a run was stored, and the last one before was %d: what comes too early, or has no number, is not stored", line.Number, last)
	}
	l.last[line.Run] = line.Number
	l.lines = append(l.lines, line)
	if l.kill != nil {
		l.kill()
		return net.ErrClosed
	}
	return nil
}

func (l *tape) complain(format string, args ...any) {
	if l.said == "" {
		l.said = fmt.Sprintf(format, args...)
	}
}

func (l *tape) complaint() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said
}

// set changes how the log behaves.
func (l *tape) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// has reports whether a line is stored, with this text.
func (l *tape) has(line Line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.lines {
		if one == line {
			return true
		}
	}
	return false
}

// trying is the writers that try the server.
type trying struct {
	ctx     context.Context
	serve   func(net.PacketConn, Log) error
	log     *tape
	before  map[string]string
	conn    *net.UDPConn // the server's
	address net.Addr
	call    *exercise.Call
	writers []*writer
}

// writer is one run.
type writer struct {
	run  string
	conn *net.UDPConn
	next uint64
}

func (t *trying) close() {
	t.log.set(func() { t.log.gate, t.log.kill = nil, nil })
	if t.conn != nil {
		_ = t.conn.Close()
	}
	for _, w := range t.writers {
		_ = w.conn.Close()
	}
}

func open() (*net.UDPConn, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("cannot open a port: %w", exercise.Cause(err))
	}
	return conn, nil
}

// start starts the server, with a new socket.
func (t *trying) start() (err error) {
	if t.conn, err = open(); err != nil {
		return err
	}
	t.address = t.conn.LocalAddr()
	conn := t.conn
	t.call = exercise.Start(func() error { return t.serve(conn, t.log) })
	return nil
}

// begin starts the server, and opens two writers.
func (t *trying) begin() error {
	for range 2 {
		conn, err := open()
		if err != nil {
			return err
		}
		t.writers = append(t.writers, &writer{run: fmt.Sprintf("%x", rand.Uint64()), conn: conn})
	}
	t.before = exercise.Descriptors()
	return t.start()
}

// line returns the writer's next line, with a text that cannot be guessed.
func (w *writer) line() Line {
	w.next++
	return Line{w.run, w.next, fmt.Sprintf("line %d", rand.Uint64())}
}

// say sends a datagram to the server.
func (t *trying) say(w *writer, datagram string) error {
	if _, err := w.conn.WriteTo([]byte(datagram), t.address); err != nil {
		return fmt.Errorf("cannot send to the server: %w", exercise.Cause(err))
	}
	return nil
}

func (l Line) datagram() string { return fmt.Sprintf("WRITE %s %d %s", l.Run, l.Number, l.Text) }

// hear reads answers until one acknowledges a line, or for a time. Whatever else comes must be
// true: about a line of this writer that is stored.
func (t *trying) hear(w *writer, number uint64, within time.Duration) (bool, error) {
	buffer := make([]byte, 2048)
	_ = w.conn.SetReadDeadline(time.Now().Add(within))
	for {
		n, from, err := w.conn.ReadFrom(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("cannot receive: %w", exercise.Cause(err))
		}
		text := string(buffer[:n])
		var run string
		var got uint64
		_, err = fmt.Sscanf(text, "STORED %s %d", &run, &got)
		switch {
		case from.String() != t.address.String():
			continue // of the server that was killed
		case err != nil || text != fmt.Sprintf("STORED %s %d", run, got):
			return false, wrong(fmt.Sprintf("the answer is %q, and not \"STORED run number\"", brief(text)))
		case run != w.run:
			return false, wrong("a writer got the acknowledgement of another one's line: answer to the address that the line came from")
		case got == 0 || got > t.log.Last(run):
			return false, wrong(fmt.Sprintf("line %d was acknowledged, and is not stored: first Append, and then, if it returns no error, the acknowledgement", got))
		case got == number:
			return true, nil
		}
	}
}

func brief(text string) string {
	if len(text) > 40 {
		return text[:20] + "…" + text[len(text)-10:]
	}
	return text
}

// write sends a line until it is acknowledged, and wants it to be stored then as it is.
func (t *trying) write(w *writer, line Line, why string) error {
	for began := time.Now(); ; {
		if err := t.say(w, line.datagram()); err != nil {
			return err
		}
		heard, err := t.hear(w, line.Number, again)
		if err != nil {
			return err
		}
		if heard {
			break
		}
		if err := t.because(nil); err != nil {
			return err
		}
		if err := t.ctx.Err(); err != nil {
			return err
		}
		if time.Since(began) > patience {
			if err := t.silence(); err != nil {
				return err // somebody else got it
			}
			return wrong(fmt.Sprintf("line %d of a run is not acknowledged within %v: %s", line.Number, patience, why))
		}
	}
	if !t.log.has(line) {
		return wrong(fmt.Sprintf("the line %q is not in the log as it was sent: the text is all that is after the third space", brief(line.datagram())))
	}
	return nil
}

// because says that serve has ended, if it has, which explains all else.
func (t *trying) because(err error) error {
	select {
	case ended := <-t.call.Ended():
		if ended == nil {
			return wrong("serve has returned, although its socket is not closed")
		}
		return wrong(fmt.Sprintf("serve has ended: %v", ended))
	default:
		return err
	}
}

// first: a line is stored, and acknowledged.
func (t *trying) first() error {
	return t.write(t.writers[0], t.writers[0].line(), "answer \"STORED run number\" to the address that it came from")
}

// waits: no acknowledgement before the line is stored.
func (t *trying) waits() error {
	w, gate := t.writers[0], make(chan struct{})
	t.log.set(func() { t.log.gate = gate })
	line := w.line()
	if err := t.say(w, line.datagram()); err != nil {
		return err
	}
	_, err := t.hear(w, line.Number, quiet)
	t.log.set(func() { t.log.gate = nil })
	close(gate)
	if err != nil {
		return err
	}
	return t.write(w, line, "the disk was slow, and then it was stored")
}

// twice: what comes again is acknowledged again, and not stored again.
func (t *trying) twice() error {
	w := t.writers[0]
	line := w.line()
	if err := t.write(w, line, "it is the third one"); err != nil {
		return err
	}
	for range 3 {
		for { // what was acknowledged twice
			if heard, err := t.hear(w, line.Number, again/2); err != nil {
				return err
			} else if !heard {
				break
			}
		}
		if err := t.write(w, line, "it was stored before, but its acknowledgement was lost: so its writer has to get another one"); err != nil {
			return err
		}
	}
	return nil
}

// two: each run counts for itself, and hears of its own lines.
func (t *trying) two() error {
	for range 3 {
		for _, w := range []*writer{t.writers[1], t.writers[0]} {
			if err := t.write(w, w.line(), "there are two writers, and each has numbers of its own"); err != nil {
				return err
			}
		}
	}
	return t.silence()
}

// silence wants nothing untrue to come to anybody.
func (t *trying) silence() error {
	for _, w := range t.writers {
		if _, err := t.hear(w, 0, quiet); err != nil {
			return err
		}
	}
	return t.because(nil)
}

// early: what comes before its turn is not stored and not acknowledged, until it comes in turn.
func (t *trying) early() error {
	w := t.writers[1]
	lines := []Line{w.line(), w.line(), w.line()}
	for _, early := range lines[1:] {
		if err := t.say(w, early.datagram()); err != nil {
			return err
		}
	}
	if err := t.silence(); err != nil {
		return err
	}
	for _, line := range lines {
		if err := t.write(w, line, "it came too early once, and now it comes in turn"); err != nil {
			return err
		}
	}
	return nil
}

// full: what the log does not take is not acknowledged, and the server goes on.
func (t *trying) full() error {
	w := t.writers[0]
	line := w.line()
	t.log.set(func() { t.log.fail = errors.New("no space left on device") })
	for range 2 {
		if err := t.say(w, line.datagram()); err != nil {
			return err
		}
	}
	if err := t.silence(); err != nil {
		return err
	}
	t.log.set(func() { t.log.fail = nil })
	return t.write(w, line, "Append failed for it at first, and does not any more")
}

// garbage: anybody can send anything.
func (t *trying) garbage() error {
	w := t.writers[1]
	for _, datagram := range []string{
		"", " ", "hello", "WRITE", "WRITE ", "WRITE  ", "WRITE   ", "WRITE " + w.run, "WRITE " + w.run + " 1x x", "WRITE " + w.run + " -1 x",
		"WRITE " + w.run + " 0 x", "WRITE " + w.run + " 99999999999999999999999 x", "write " + w.run + fmt.Sprintf(" %d x", w.next+1),
		"STORED " + w.run + " 1", strings.Repeat("\xff", 1400),
	} {
		if err := t.say(w, datagram); err != nil {
			return err
		}
	}
	if err := t.silence(); err != nil {
		return err
	}
	return t.write(w, w.line(), "before it, something came that is no line")
}

// spaces: a text is stored as it is.
func (t *trying) spaces() error {
	w := t.writers[0]
	for _, text := range []string{"  two  spaces ", "WRITE a 1 b", "grüße\t", "5", strings.Repeat("x", 1000)} {
		line := w.line()
		line.Text = text
		if err := t.write(w, line, fmt.Sprintf("its text is %q", brief(text))); err != nil {
			return err
		}
	}
	return nil
}

// killed: the server is killed when a line is stored and not yet acknowledged. The next one has
// only the log.
func (t *trying) killed() error {
	w, conn := t.writers[0], t.conn
	line := w.line()
	t.log.set(func() { t.log.kill = func() { _ = conn.Close() } })
	if err := t.say(w, line.datagram()); err != nil {
		return err
	}
	if err := t.returns("its socket was closed while it stored a line"); err != nil {
		return err
	}
	t.log.set(func() { t.log.kill = nil })
	if err := t.start(); err != nil {
		return err
	}
	if err := t.write(w, line, "it was stored when the server was killed, and its acknowledgement was not sent; now there is a new server with the same log"); err != nil {
		return err
	}
	for _, w := range t.writers {
		if err := t.write(w, w.line(), "the server was killed, and started again with the same log: Last tells how far each run has got"); err != nil {
			return err
		}
	}
	return nil
}

// returns wants serve to return.
func (t *trying) returns(why string) error {
	err, ended := t.call.Within(t.ctx, patience)
	switch {
	case t.ctx.Err() != nil:
		return t.ctx.Err()
	case !ended:
		return wrong(fmt.Sprintf("serve has not returned, although %s: return when ReadFrom fails", why))
	case errors.Is(err, exercise.ErrPanic):
		return wrong(fmt.Sprintf("serve: %v", err))
	}
	if left := t.call.LeftBehind(); left != "" {
		return wrong("serve has returned: " + left)
	}
	return nil
}

// end: serve returns when its socket is closed, and leaves nothing.
func (t *trying) end() error {
	_ = t.conn.Close()
	if err := t.returns("its socket is closed"); err != nil {
		return err
	}
	for _, w := range t.writers {
		_ = w.conn.Close()
	}
	if left := exercise.OpenedSince(t.before); len(left) > 0 {
		return wrong("serve has returned, and has left open: " + strings.Join(left, ", "))
	}
	return nil
}
