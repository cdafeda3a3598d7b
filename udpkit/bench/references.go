package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// references prepares the programs in C and Python, and returns how to run them.
func (r *runner) references(ctx context.Context, dir string) (receive, send, python []string) {
	write := func(name string) string {
		text, err := reference.ReadFile("reference/" + name) // cannot fail: it is embedded
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			r.missing(name, err)
		}
		return filepath.Join(dir, name)
	}
	if path, err := lookPath(os.Getenv("CC"), "cc", "gcc", "clang"); err != nil {
		r.missing("the references in C", err)
	} else {
		r.cfg.Progress("compiling the references in C", 0, 0)
		write("meter.h")
		compile := func(name string) []string {
			program := filepath.Join(dir, name)
			text, err := exec.CommandContext(ctx, path, "-O2", "-o", program, write(name+".c")).CombinedOutput()
			if err != nil {
				r.missing("the references in C", fmt.Errorf("%s: %w: %s", path, err, lastLine(text)))
				return nil
			}
			r.report.Machine.C = version(ctx, path)
			return []string{program}
		}
		receive = compile("receive")
		if runtime.GOOS == "linux" {
			send = compile("send")
		}
	}
	if path, err := lookPath("python3"); err != nil {
		r.missing("the references in Python", err)
	} else {
		python, r.report.Machine.Python = []string{path, write("receive.py")}, version(ctx, path)
	}
	return receive, send, python
}

// lookPath returns the first of the programs that there is.
func lookPath(names ...string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no %s on this machine", names[len(names)-1])
}

// version returns what a program says of itself in one line.
func version(ctx context.Context, path string) string {
	text, _ := exec.CommandContext(ctx, path, "--version").Output()
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}
