package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

// toolchain is what `go env` tells about the Go that the repository selects.
type toolchain struct {
	GOROOT, GOVERSION, GOFLAGS, GOPATH, GOMODCACHE, GOCACHE string
}

// findGo asks the Go that the repository's go.mod selects.
func findGo(ctx context.Context, repository string) (t toolchain, err error) {
	if err := lookForGo(); err != nil {
		return t, err
	}
	out, err := run(ctx, repository, goEnviron(""), "go", "env", "-json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &t)
	}
	if err != nil {
		return t, fmt.Errorf("%w: %w: %s", ErrNoGo, err, goRemedy)
	}
	return t, nil
}

const goRemedy = "install Go 1.26 or later (go.dev/dl) and put it on PATH"

func lookForGo() error {
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("%w: %w: %s", ErrNoGo, err, goRemedy)
	}
	return nil
}

// goEnviron is the environment for a go command in the repository: without settings of the user's
// that would change which modules it builds with, or what for.
func goEnviron(flags string, more ...string) []string {
	env := without(os.Environ(), "GOWORK", "GOBIN", "GOOS", "GOARCH")
	env = append(env, "GOWORK=off")
	if flags != "" {
		env = append(env, "GOFLAGS="+flags)
	}
	return append(env, more...)
}
