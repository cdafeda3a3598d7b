package referee

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/lastly"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/process"
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
	process.OwnGroup(p.cmd)
	out, stdin, err := p.pipes()
	if err != nil {
		return err
	}
	p.over, err = lastly.Start(p.cmd.Start, func() { _ = process.KillGroup(p.cmd) })
	if err != nil {
		return fmt.Errorf("the program cannot be started: %w", errors.Join(err, stdin.Close()))
	}
	t.program = p
	var all sync.WaitGroup
	for _, r := range out {
		all.Go(func() { p.read(r) })
	}
	go p.write(stdin)
	go func() {
		all.Wait()
		p.err = p.cmd.Wait()
		p.over()
		close(p.ended)
		t.changed()
	}()
	return nil
}

func (p *program) pipes() (out []io.Reader, stdin io.WriteCloser, err error) {
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	stdin, err = p.cmd.StdinPipe()
	return []io.Reader{stdout, stderr}, stdin, err
}

// read keeps the lines. A prompt that ends no line is a part of the next one.
func (p *program) read(out io.Reader) {
	lines := bufio.NewReaderSize(out, maxLine)
	for {
		text, err := lines.ReadSlice('\n')
		if len(text) > 0 {
			p.t.note(func() {
				if len(p.lines) < maxLines {
					p.lines = append(p.lines, line{p.t.now(), strings.TrimRight(string(text), "\r\n")})
				}
				if len(p.lines) == maxLines {
					p.t.tooMuch(fmt.Sprintf("it has printed %d lines", maxLines))
				}
			})
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// say gives the program a line to read.
func (p *program) say(text string) {
	select {
	case p.input <- text + "\n":
	default: // it reads nothing, which is found elsewhere
	}
}

func (p *program) write(stdin io.WriteCloser) {
	defer stdin.Close() // it has ended, or is to read the end
	for {
		select {
		case text, more := <-p.input:
			if _, err := io.WriteString(stdin, text); err != nil || !more {
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
	return "it ended: " + p.err.Error()
}

// interrupt sends what Ctrl-C sends, and reports whether the program has ended within a while.
func (p *program) interrupt(ctx context.Context, patience time.Duration) bool {
	p.t.note(func() { p.interrupted = true })
	_ = process.Interrupt(p.cmd) // it may have ended
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
	_ = process.KillGroup(p.cmd) // what has ended is no failure
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
