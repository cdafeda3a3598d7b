package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	kernelModule = "github.com/janpfeifer/gonb"
	// kernelWaits is how long our kernel waits between two looks whether gopls has come up. As
	// published it waits 12 s, before the first look too, and is deaf to Run and Tab meanwhile.
	kernelWaits = "50 * time.Millisecond"
)

// tools builds the kernel and goimports at the versions in go.mod, which together with Go and
// kernelWaits determines them.
func (s *setup) tools() error {
	if stamped(s.toolsDir) {
		return nil
	}
	return s.step("Building the GoNB kernel and goimports", toolsTake, func() error {
		temp, err := os.MkdirTemp("", "udpkit-kernel-")
		if err != nil {
			return fmt.Errorf("lab: build the kernel: %w", err)
		}
		defer os.RemoveAll(temp)
		mod, err := s.impatientKernel(temp)
		if err == nil {
			_, err = run(s.ctx, s.env.Repository, goEnviron(kernelFlags(s.golang.GOFLAGS), "GOBIN="+s.env.Bin), "go", "install", "-modfile="+mod,
				kernelModule, "golang.org/x/tools/cmd/goimports")
		}
		if err != nil {
			return installError("the kernel could not be built", err)
		}
		return stamp(s.toolsDir)
	})
}

// impatientKernel copies the kernel's source to temp, where it gets kernelWaits, and returns a
// go.mod that is the repository's but for that.
func (s *setup) impatientKernel(temp string) (mod string, err error) {
	out, err := run(s.ctx, s.env.Repository, goEnviron(""), "go", "mod", "download", "-json", kernelModule)
	var published struct{ Dir string }
	if err == nil {
		err = json.Unmarshal([]byte(out), &published)
	}
	source := filepath.Join(temp, "gonb")
	if err == nil {
		err = os.CopyFS(source, os.DirFS(published.Dir))
	}
	if err != nil {
		return "", err
	}
	file := filepath.Join(source, "internal", "goexec", "goplsclient", "exec.go")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	patched := strings.ReplaceAll(string(text), "time.After(ConnectTimeout)", "time.After("+kernelWaits+")")
	if patched == string(text) {
		return "", fmt.Errorf("%s of %s is not what it was", file, kernelModule)
	}
	err = os.WriteFile(file, []byte(patched), 0o600)
	mod = filepath.Join(temp, "go.mod")
	for name, more := range map[string]string{"go.mod": "\nreplace " + kernelModule + " => " + strconv.Quote(source) + "\n", "go.sum": ""} {
		text, readErr := os.ReadFile(filepath.Join(s.env.Repository, name))
		err = errors.Join(err, readErr, os.WriteFile(filepath.Join(temp, name), append(text, more...), 0o600))
	}
	return mod, err
}
