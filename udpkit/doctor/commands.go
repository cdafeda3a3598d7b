package doctor

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// patience is how long another program may take.
const patience = 1500 * time.Millisecond

// output runs a program of the system, if there is one, and returns what it prints, in English.
func output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} { // where who is not root does not look
		if err != nil {
			path, err = exec.LookPath(filepath.Join(dir, name))
		}
	}
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = 100 * time.Millisecond // a child of it may keep the pipe open
	out, err := cmd.Output()
	return string(out), err
}
