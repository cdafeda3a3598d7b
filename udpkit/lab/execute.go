package lab

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

//go:embed execute.py
var executeScript string

// ErrNotebook is what Execute's error wraps if a cell failed; the notebook's own error output
// follows it.
var ErrNotebook = errors.New("lab: the notebook failed")

const (
	executeTimeout = 5 * time.Minute
	executeGrace   = 2 * time.Second
)

// Execute runs all cells of the notebook in a kernel of its own, in the notebooks' directory, and
// writes it with its outputs to the output file, and the kernel's log beside it to output.log. The
// variables, NAME=VALUE, are added to the kernel's environment. Of what a cell prints, a million
// characters are kept. It ends with ctx, or after 5 minutes if ctx has no deadline; nothing that it
// started is left then, but for a program that clears its environment to escape.
func (e *Env) Execute(ctx context.Context, notebook, output string, variables ...string) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, executeTimeout)
		defer cancel()
	}
	if _, err := os.Stat(notebook); err != nil {
		return fmt.Errorf("%w: %w", ErrNoNotebook, err)
	}
	deadline, _ := ctx.Deadline()
	timeout := strconv.Itoa(max(1, int(time.Until(deadline).Seconds())))
	log, err := os.OpenFile(output+".log", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("lab: execute %s: %w", notebook, err)
	}
	defer log.Close()
	failure := output + ".error"
	if err := os.Remove(failure); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("lab: execute %s: remove an earlier run's error: %w", notebook, err)
	}
	script := executeScript
	if e.offline {
		script = loopbackUp + script
	}
	cmd := exec.Command(e.Python, "-c", script, notebook, output, e.Notebooks, timeout)
	// Nobody is there to complete anything, so there is no gopls.
	cmd.Env = append(append(slices.Clone(e.Environ), goplsVariable+"="+os.DevNull), variables...)
	cmd.Stdout, cmd.Stderr = log, log
	if e.offline {
		offline(cmd)
	}
	p, err := startProcess(cmd)
	if err != nil {
		return fmt.Errorf("lab: execute %s: %w", notebook, err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
	}
	// Also after a good end, when nothing should be left: a cell may have started something in the
	// background.
	p.stop(func() { terminate(cmd.Process) }, executeGrace)
	name := filepath.Base(notebook)
	if ctx.Err() != nil {
		return fmt.Errorf("lab: execute %s: %w", name, ctx.Err())
	}
	if p.err != nil {
		text, err := os.ReadFile(failure)
		if err != nil {
			text, _ = os.ReadFile(log.Name())
		}
		return fmt.Errorf("%w: %s: %w:\n%s", ErrNotebook, name, p.err, printable(lastLines(string(text), 25)))
	}
	return nil
}

// printable makes a notebook's output fit for a terminal: without control characters that would
// steer it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
}
