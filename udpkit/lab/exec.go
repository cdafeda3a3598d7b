package lab

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/group"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/lastly"
)

// run runs a program to its end and returns what it printed; if it fails, the end of that is in the
// error.
func run(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	group.Own(cmd)
	cmd.Cancel = func() error { return group.Kill(cmd) }
	cmd.WaitDelay = time.Second
	over, err := lastly.Start(cmd.Start, func() { _ = group.Kill(cmd) })
	if err == nil {
		err = cmd.Wait()
		over()
	}
	what := strings.Join(append([]string{filepath.Base(name)}, args[:min(2, len(args))]...), " ")
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s: %w", what, ctx.Err())
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", what, err, lastLines(stdout.String()+stderr.String(), 5))
	}
	return stdout.String(), nil
}

// lastLines returns the last n lines that are not blank.
func lastLines(text string, n int) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// without returns the environment without the named variables. A name that ends with * stands for
// all that begin so.
func without(env []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.ContainsFunc(names, func(n string) bool {
			prefix, all := strings.CutSuffix(n, "*")
			return name == n || all && strings.HasPrefix(name, prefix)
		})
	})
}
