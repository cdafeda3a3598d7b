package referee

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/group"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/lastly"
	"github.com/gonb-labs/udp-notebooks/udpkit/panel"
)

const (
	maxLines  = 10_000
	maxLine   = 4 << 10
	mostInput = 1 << 10 // lines that wait for the program to read them
)

// line is what the program has printed.
type line struct {
	at   time.Duration
	text string
}

// program is the one that is judged.
type program struct {
	t     *trial
	cmd   *exec.Cmd
	over  func()
	input chan string
	ended chan struct{} // closed when it has ended and all is read
	err   error         // how it has ended

	// guarded by t.mu
	lines       []line
	interrupted bool
}

// start runs the command, with {address} and {port} in it replaced.
func (t *trial) start() error {
	words := make([]string, len(t.cfg.Command))
	place := strings.NewReplacer("{address}", t.place.Addr().String(), "{port}", strconv.Itoa(int(t.place.Port())), "{listen}", strconv.Itoa(int(t.listen)))
	for i, word := range t.cfg.Command {
		words[i] = place.Replace(word)
	}
	p := &program{t: t, cmd: exec.Command(words[0], words[1:]...), input: make(chan string, mostInput), ended: make(chan struct{})}
	p.cmd.Dir = t.cfg.Dir
	p.cmd.Env = append(os.Environ(), "UDPKIT_ADDRESS="+t.place.Addr().String(), "UDPKIT_PORT="+strconv.Itoa(int(t.place.Port())),
		"UDPKIT_LISTEN="+strconv.Itoa(int(t.listen)), "PYTHONUNBUFFERED=1")
	p.cmd.WaitDelay = time.Second // for what it leaves behind with its output open
	group.Own(p.cmd)
	// Not pipes of the referee's: whoever the program leaves behind could hold them open for ever.
	out, errs := &printed{p: p}, &printed{p: p}
	p.cmd.Stdout, p.cmd.Stderr = out, errs
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return err
	}
	p.over, err = lastly.Start(p.cmd.Start, func() { _ = group.Kill(p.cmd) })
	if err != nil {
		return fmt.Errorf("the program cannot be started: %w", errors.Join(err, stdin.Close()))
	}
	t.program = p
	go p.write(stdin)
	go func() {
		p.err = p.cmd.Wait()
		out.end()
		errs.end()
		p.over()
		close(p.ended)
		t.changed()
	}()
	return nil
}

// printed is what the program prints on one of its outputs. It keeps the lines; a prompt that ends
// no line is a part of the next one.
type printed struct {
	p       *program
	mu      sync.Mutex // what is written after the end waits for it
	partial []byte
	ended   bool
}

func (o *printed) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return 0, io.ErrClosedPipe
	}
	o.partial = append(o.partial, b...)
	var whole []string
	for {
		end := bytes.IndexByte(o.partial, '\n') + 1
		if end == 0 && len(o.partial) >= maxLine {
			end = maxLine
		}
		if end == 0 {
			break
		}
		for text := range slices.Chunk(o.partial[:end], maxLine) {
			whole = append(whole, string(text))
		}
		o.partial = o.partial[end:]
	}
	o.p.keep(whole...)
	return len(b), nil
}

// end keeps what stands after the last line's end.
func (o *printed) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	if len(o.partial) > 0 {
		o.p.keep(string(o.partial))
	}
}

// keep keeps lines, up to the bound.
func (p *program) keep(texts ...string) {
	if len(texts) == 0 {
		return
	}
	p.t.note(func() {
		for _, text := range texts {
			if len(p.lines) == maxLines {
				p.t.tooMuch(fmt.Sprintf("it has printed %d lines", maxLines))
				return
			}
			p.lines = append(p.lines, line{p.t.now(), strings.TrimRight(text, "\r\n")})
		}
	})
}

// say gives the program a line to read.
func (p *program) say(text string) {
	select {
	case p.input <- text + "\n":
	default: // it reads nothing, which is found elsewhere
	}
}

func (p *program) write(stdin io.WriteCloser) {
	defer stdin.Close() // it has ended
	for {
		select {
		case text := <-p.input:
			if _, err := io.WriteString(stdin, text); err != nil {
				return
			}
		case <-p.ended:
			return
		}
	}
}

// running reports whether the program has not ended.
func (p *program) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// how says how the program has ended.
func (p *program) how() string {
	if p.err == nil {
		return "it ended, with exit code 0"
	}
	if errors.Is(p.err, exec.ErrWaitDelay) {
		return "it ended, with exit code 0, and left another program behind"
	}
	return "it ended: " + p.err.Error()
}

// interrupt sends what Ctrl-C sends, and reports whether the program has ended within a while.
func (p *program) interrupt(ctx context.Context, patience time.Duration) bool {
	p.t.note(func() { p.interrupted = true })
	_ = group.Interrupt(p.cmd) // it may have ended
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.ended:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// kill ends the program with all that it has started.
func (p *program) kill() {
	_ = group.Kill(p.cmd) // what has ended is no failure
	<-p.ended
}

// tail returns the last lines, without what steers a terminal.
func (p *program) tail(n int) (all []string) {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	for _, l := range p.lines[max(0, len(p.lines)-n):] {
		all = append(all, fmt.Sprintf("%.200s", panel.Printable(l.text)))
	}
	return all
}
