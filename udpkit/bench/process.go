package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

const (
	// patience is how long a process may take to start and to end, beside the time of the
	// measurement: Python on a busy machine.
	patience = 10 * time.Second
	// settle is the most that an idle process is left alone before it is watched.
	settle = 2 * time.Second
)

// process is one process of the benchmark.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errors bytes.Buffer // may be read after end
}

// start runs a command on the core of the receiver (0) or of the sender (1). It ends with ctx.
func (r *runner) start(ctx context.Context, core int, command []string, args ...string) (*process, error) {
	args = append(slices.Clone(command[1:]), args...)
	p := &process{cmd: exec.CommandContext(ctx, command[0], args...)}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	p.cmd.Stderr = &p.errors
	if len(r.cores) < 2 {
		err = p.cmd.Start()
	} else {
		err = startOn(p.cmd, r.cores[core])
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(command[0]), err)
	}
	return p, nil
}

// result waits for the next line and decodes it.
func (p *process) result(to any) error {
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, to)
	}
	if err != nil {
		return p.explain(err)
	}
	return nil
}

// explain ends the process, and adds to err what it has said.
func (p *process) explain(err error) error {
	p.end()
	if text := lastLine(p.errors.Bytes()); text != "" {
		return errors.New(text)
	}
	return fmt.Errorf("no result within %v: %w", patience, err)
}

// end kills the process and waits for its end.
func (p *process) end() {
	_ = p.cmd.Process.Kill() // it may have ended
	_ = p.cmd.Wait()         // that it was killed is no news
}
